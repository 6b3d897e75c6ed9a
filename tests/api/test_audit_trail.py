"""Every request that changes something is in the audit trail, with who and from where; nothing changes the trail."""

from __future__ import annotations

import asyncio
import csv
import io
from functools import partial
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from api.app import make_rest
from api.deps import Anybody, Parts, Require
from api.pages import downloads
from api.services.tickets import desk
from gateway.errors import RefusedError
from gateway.model.call import Call
from gateway.store import audit_origin, user_rows
from gateway.store.user_rows import AuditFilter, AuditRow
from tests.api.conftest import Api
from tests.api.sample_state import PASSWORD
from tests.api.test_rest import OPEN

GAS = "GAS_CONC_HIHI@REG-002"
READING = {"GET", "HEAD", "OPTIONS"}
HERE = "203.0.113.9"


def trail(parts: Parts, limit: int = 20) -> list[AuditRow]:
    with parts.state.read() as connection:
        return user_rows.list_audit(connection, None, limit)


def calls(dependant: Dependant) -> list[Any]:
    return [dependant.call, *(call for inner in dependant.dependencies for call in calls(inner))]


def methods(route: APIRoute) -> set[str]:
    return set(route.methods or ())


def changing(parts: Parts) -> list[APIRoute]:
    found: list[Any] = []
    for route in make_rest(parts).routes:
        found += getattr(getattr(route, "original_router", None), "routes", [route])
    return [route for route in found if isinstance(route, APIRoute) and methods(route) - READING]


def test_every_changing_route_knows_who_asks(parts: Parts) -> None:
    """Then `api.ledger` writes a line where the route itself does not."""
    told = [(min(methods(route)), route.path) for route in changing(parts)]
    assert len(told) > 40
    for route in changing(parts):
        path = f"/api/v1/{route.path.removeprefix('/api/v1').lstrip('/')}"
        if not {(method, path) for method in methods(route)} & OPEN:
            assert any(isinstance(call, Require) for call in calls(route.dependant)), route.path


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_route_that_writes_nothing_itself_is_written_all_the_same(parts: Parts, method: str) -> None:
    router = APIRouter()

    @router.api_route("/api/v1/forgetful/{name}", methods=[method])
    def forgetful(name: str, _user: Anybody) -> dict[str, str]:
        return {"name": name}

    app = make_rest(parts)
    app.include_router(router)
    transport = httpx.ASGITransport(app=app, client=(HERE, 5555))
    async with httpx.AsyncClient(transport=transport, base_url="http://gasgate.test") as client:
        await client.post("/api/v1/login", json={"name": "viewer", "password": PASSWORD})
        assert (await client.request(method, "/api/v1/forgetful/x", json={})).status_code == 200
        line = trail(parts)[0]
        assert (line.who, line.act, line.subject) == ("viewer", "request", f"{method} /api/v1/forgetful/x")
        assert line.origin == HERE
        before = len(trail(parts))
        refused = await client.request(method, "/api/v1/forgetful/x", data={"a": "b"})
        assert refused.status_code == 415
        assert len(trail(parts)) == before, "what was refused changed nothing"


async def test_acts_of_a_shift_are_told_with_who_what_why_and_from_where(rest: Api, parts: Parts) -> None:
    async with rest.as_user("operator") as client:
        for path, body in (
            (f"/api/v1/alarms/{GAS}/acknowledge", {"occurrence_no": 1, "request_id": "a"}),
            (
                "/api/v1/alarms/STATION_COMM_LOSS@S-02/shelve",
                {"minutes": 5, "reason": "line works", "request_id": "s"},
            ),
            ("/api/v1/tokens", {"name": "export", "role": "viewer", "acts": ["read"], "days": 30}),
            ("/api/v1/me/sessions/end", {}),
            ("/api/v1/logout", {}),
        ):
            answer = await client.post(path, json=body)
            assert answer.is_success, answer.text
    lines = trail(parts, 6)
    assert [line.act for line in lines] == [
        "logout", "account.end_sessions", "token.make", "alarm.shelve", "alarm.acknowledge", "login",
    ]  # fmt: skip
    assert {(line.who, line.origin) for line in lines} == {("operator", HERE)}
    assert lines[3].detail["reason"] == "line works"
    assert lines[2].detail["acts"] == ["read"]


async def test_an_act_on_an_open_page_tells_its_address_too(parts: Parts) -> None:
    from api.services import people

    user = parts.auth.login("admin", PASSWORD, "192.0.2.7").user
    people.end_sessions(parts, user, "viewer")
    line = trail(parts)[0]
    assert (line.who, line.act, line.subject, line.origin) == ("admin", "user.end_sessions", "viewer", "192.0.2.7")


async def test_a_page_left_open_takes_no_call_and_works_on_no_ticket_when_its_session_has_ended(parts: Parts) -> None:
    from api.pages.parts import forms
    from api.roles import Act
    from api.services.service import take_call

    audit_origin.current.set(None)  # an act on a page is not part of a request
    session = parts.auth.login("operator", PASSWORD, "192.0.2.8")
    said = Call(called_at=parts.clock.now(), number="+86 138-0000-0000", place="1 Main Street")
    number = (await asyncio.to_thread(take_call, parts, session.user, said, "c-1", "")).ticket_no
    note = partial(desk(parts).note, number, who="operator", text="ring twice", request_id="n-1")
    await asyncio.to_thread(forms.permitted(parts, session.user, Act.TICKET_WORK, note))
    told = [line for line in trail(parts) if line.subject == number]
    assert len(told) > 1
    assert {(line.who, line.origin) for line in told} == {("operator", "192.0.2.8")}
    parts.auth.logout(session.session)
    before = trail(parts)
    with pytest.raises(RefusedError, match="ended"):
        take_call(parts, session.user, said, "c-2", "")
    with pytest.raises(RefusedError, match="ended"):
        forms.permitted(parts, session.user, Act.TICKET_WORK, note)()
    assert trail(parts) == before


async def test_the_trail_is_filtered_and_paged(rest: Api, parts: Parts) -> None:
    start = parts.clock.now_us()
    with parts.state.write() as connection:
        for number in range(250):
            who, act = ("li", "alarm.reset") if number % 5 == 0 else ("wang", "alarm.shelve")
            user_rows.add_audit(connection, start + number * 1_000_000, who, act, subject=f"A_{number}%@S-1")
    async with rest.as_user("auditor") as client:

        async def found(**query: Any) -> list[dict[str, Any]]:
            answer = await client.get("/api/v1/audit", params={"limit": 500, **query})
            assert answer.status_code == 200, answer.text
            rows: list[dict[str, Any]] = answer.json()
            return rows

        assert {row["who"] for row in await found(who="li")} == {"li"}
        assert len(await found(act="alarm")) >= 250
        assert len(await found(act="alarm.reset")) == 50
        assert await found(act="ala") == []
        assert [row["subject"] for row in await found(subject="_7%")] == ["A_7%@S-1"], "no sign stands for others"
        first = await found(act="alarm", limit=100)
        rest_of: list[dict[str, Any]] = []
        while True:
            more = await found(act="alarm", limit=100, before=(rest_of or first)[-1]["seq"])
            rest_of += more
            if len(more) < 100:
                break
        seqs = [row["seq"] for row in first + rest_of]
        assert seqs == sorted(set(seqs), reverse=True)
        assert len(seqs) >= 250
        for query in ({"first": "0001-01-01T00:00:00Z"}, {"who": ""}, {"act": "x" * 121}, {"limit": 501}):
            assert (await client.get("/api/v1/audit", params=query)).status_code == 422, query
    with parts.state.read() as connection:
        later = AuditFilter(first=start + 240_000_000, last=start + 245_000_000)
        assert len(user_rows.list_audit(connection, None, 100, later)) == 5


async def test_the_trail_is_saved_as_a_file_and_only_by_who_may_see_it(parts: Parts) -> None:
    app = make_rest(parts)
    app.include_router(downloads.router)
    parts.auth.audit("=cmd|' /C calc'!A0", "alarm.reset", "S-1", reason="a;b")
    transport = httpx.ASGITransport(app=app, client=(HERE, 5555))
    async with httpx.AsyncClient(transport=transport, base_url="http://gasgate.test") as client:
        await client.post("/api/v1/login", json={"name": "operator", "password": PASSWORD})
        assert (await client.get("/download/audit-trail.csv")).status_code == 403
        await client.post("/api/v1/login", json={"name": "auditor", "password": PASSWORD})
        client.cookies["gasgate_language"] = "en"
        answer = await client.get("/download/audit-trail.csv", params={"act": "alarm.reset"})
        assert answer.status_code == 200
        rows = list(csv.reader(io.StringIO(answer.text.lstrip("\ufeff"))))
        assert len(rows) == 2
        assert rows[1][2] == "'=cmd|' /C calc'!A0"
        assert rows[1][3:6] == ["alarm.reset", "reset alarms", "S-1"]
        assert (await client.get("/download/audit-trail.xlsx")).content[:2] == b"PK"


def test_no_route_changes_the_trail(parts: Parts) -> None:
    assert [route.path for route in changing(parts) if "audit" in route.path] == []
