"""No route of the API tells customers' data to somebody without the right to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, MutableMapping
from dataclasses import replace
from typing import cast

import httpx
import pytest

from api.deps import Parts
from api.roles import Act
from api.services.service import order_kinds
from gateway.model.network import Meter
from tests.api.conftest import Api
from tests.api.test_rest import CALLS

CALL = {"number": "+86 555777999", "caller": "Wang of the call", "place": "7 North Lane", "request_id": "c-1"}
ORDER = {"phone": "555888222", "customer": "Li of the order", "place": "8 North Lane", "request_id": "o-1"}
SECRETS = ("555777999", "Wang of the call", "555888222", "Li of the order", "13 Hidden Street", "ACC-4711")
SCOPE = [Act.READ, Act.READING_AUDIT, Act.INTERRUPTION_PLAN, Act.FINDING_INSPECT, Act.DEAD_LETTER_READ]


@pytest.fixture(params=["viewer", "token"])
async def stranger(request: pytest.FixtureRequest, rest: Api) -> AsyncIterator[httpx.AsyncClient]:
    """Give a client without the right: a viewer's, and an administrator's token of a narrow scope."""
    if request.param == "viewer":
        async with rest.as_user("viewer") as client:
            yield client
        return
    async with rest.as_user("admin") as admin:
        wanted = {"name": "narrow", "role": "administrator", "acts": SCOPE, "days": 1}
        made = await admin.post("/api/v1/tokens", json=wanted)
        assert made.status_code == 201, made.text
    async with rest.nobody() as client:
        client.headers["authorization"] = f"Bearer {made.json()['token']}"
        yield client


async def test_no_answer_holds_who_and_where_customers_are(
    rest: Api, parts: Parts, stranger: httpx.AsyncClient
) -> None:
    meters = cast("MutableMapping[str, Meter]", parts.network.meters)
    for name, meter in list(meters.items()):
        meters[name] = replace(meter, address="13 Hidden Street", account_no="ACC-4711")
    now = parts.clock.now().isoformat()
    kind, size = order_kinds(parts)[0]
    async with rest.as_user("operator") as operator:
        taken = [
            await operator.post("/api/v1/calls", json={**CALL, "called_at": now}),
            await operator.post("/api/v1/orders", json={**ORDER, "reported_at": now, "type": kind, "size": size}),
        ]
        told = [secret for secret in SECRETS if secret in (await operator.get("/api/v1/meters")).text]
    assert told == ["13 Hidden Street", "ACC-4711"]
    tickets = [f"/api/v1/tickets/{answer.json()['ticket_no']}" for answer in taken]
    paths = [path for method, path, _, _ in CALLS if method == "GET" and not path.endswith("/live")]
    answered = 0
    for path in [*paths, *tickets, f"/api/v1/meters/{next(iter(meters))}", "/api/v1/meters?text=Hidden"]:
        answer = await stranger.get(path)
        answered += answer.status_code == 200
        assert [secret for secret in SECRETS if secret in answer.text] == [], path
    assert answered > 40
    assert (await stranger.get("/api/v1/meters?text=Hidden")).json()["meters"] == []
