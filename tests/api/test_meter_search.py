"""Meters found by id, account and address, in a small city and among columns, and one meter with all that is known."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from api.app import make_rest
from api.auth import User
from api.deps import Parts
from api.roles import Act, Role
from api.services.customers import HIDDEN
from api.services.meters import Wanted, every, find_meters
from gateway.model.meters import MeterTable
from tests.api import sample_meters
from tests.api.conftest import Api


@pytest.fixture(params=["objects", "columns"])
def city(parts: Parts, request: pytest.FixtureRequest) -> Parts:
    made = sample_meters.add(parts)
    if request.param == "objects":
        return made
    return replace(made, network=replace(made.network, meters=MeterTable.of(made.network.meters)))


ENGINEER = User("engineer", Role.ENGINEER, "zh", by_cookie=True)
VIEWER = User("viewer", Role.VIEWER, "zh", by_cookie=True)
NARROW = replace(ENGINEER, by_cookie=False, acts=frozenset({Act.READ}))


def ids(parts: Parts, *, user: User = ENGINEER, after: int = -1, limit: int = 50, **asked: str) -> list[str]:
    return [one.meter_id for one in find_meters(parts, user, Wanted(**asked), after=after, limit=limit).meters]


def test_any_part_of_id_account_or_address_finds_a_meter(city: Parts) -> None:
    assert ids(city, text="M-000241") == ["M-000241"]
    assert ids(city, text="m-00024") == [f"M-{n:06}" for n in range(240, 250)]
    assert ids(city, text="4401000017") == ["M-000017"]
    assert ids(city, text="河东大道 61 号") == ["M-000240", "M-000241", "M-000242", "M-000243"]
    assert ids(city, text="nothing of it") == []
    assert ids(city, text="%") == []


def test_filters_narrow_and_pages_follow_each_other(city: Parts) -> None:
    whole = [one.meter_id for one in every(city, ENGINEER, Wanted(zone="D-1", kind="remote"))]
    assert 100 < len(whole) < 140
    assert {city.network.meters[name].zone_id for name in whole} == {"R-001", "R-002"}
    pages, after = [], -1
    while True:
        page = find_meters(city, ENGINEER, Wanted(zone="D-1", kind="remote"), after=after, limit=30)
        pages += [one.meter_id for one in page.meters]
        if page.after is None:
            break
        after = page.after
    assert pages == whole
    assert (
        ids(city, text="柳园路", kind="ic_card", limit=3)
        == [name for name in ids(city, zone="R-001") if city.network.meters[name].kind == "ic_card"][:3]
    )
    assert ids(city, account="closed") == []


@pytest.mark.parametrize("user", [VIEWER, NARROW], ids=["viewer", "narrow token"])
def test_without_the_right_customers_are_hidden_and_no_guess_finds_them(city: Parts, user: User) -> None:
    assert ids(city, user=user, text="4401000017") == []
    assert ids(city, user=user, text="河东大道 61 号") == []
    assert ids(city, user=user, text="m-00024") == [f"M-{n:06}" for n in range(240, 250)]
    for text in ("M-000241", "m-00024"):
        shown = find_meters(city, user, Wanted(text=text)).meters
        assert {(one.account_no, one.address) for one in shown} == {(HIDDEN, HIDDEN)}
    assert {(one.account_no, one.address) for one in every(city, user, Wanted())} <= {(HIDDEN, HIDDEN), ("", "")}
    assert list(every(city, user, Wanted(text="4401"))) == []
    known = find_meters(city, ENGINEER, Wanted(text="M-000241")).meters[0]
    assert (known.account_no, known.address[:4]) == ("4401000241", "河东大道")


@pytest.fixture
async def api(parts: Parts) -> AsyncIterator[Api]:
    app = make_rest(sample_meters.add(parts))
    async with app.router.lifespan_context(app):
        yield Api(httpx.ASGITransport(app=app, client=("203.0.113.9", 5555)))


async def test_one_meter_tells_its_readings_purchases_and_signs(api: Api) -> None:
    async with api.as_user("viewer") as client:
        card = (await client.get("/api/v1/meters/M-000241")).json()
        hidden = (await client.get("/api/v1/meters?text=4401000003")).json()
        assert (await client.get("/api/v1/meters/M-999999")).status_code == 404
        assert (await client.get("/api/v1/meters?zone=nowhere")).status_code == 404
        assert (await client.get("/api/v1/meters?kind=steam")).status_code == 422
        assert (await client.get(f"/api/v1/meters?text={'x' * 61}")).status_code == 422
        others = [(await client.get(f"/api/v1/meters/M-{n:06}")).json() for n in range(1, 13)]
    async with api.as_user("engineer") as client:
        found = (await client.get("/api/v1/meters?text=4401000003")).json()
        seen = (await client.get("/api/v1/meters/M-000241")).json()
    assert hidden["meters"] == []
    assert (card["account_no"], card["address"]) == (HIDDEN, HIDDEN)
    assert (seen["account_no"], seen["address"][:4]) == ("4401000241", "河东大道")
    assert [one["meter_id"] for one in found["meters"]] == ["M-000003"]
    assert card["path"] == ["CITY", "D-2", "R-003"]
    assert [one["kind"] for one in card["findings"]] == ["theft"]
    remote = next(one for one in others if one["kind"] == "remote")
    cards = next(one for one in others if one["kind"] == "ic_card")
    assert remote["newest"]["battery_v"]["unit"] == "V"
    assert remote["clock_offset_s"] == -4.0
    assert remote["flags"] == ["low_battery"]
    assert [(one["name"], one["on"]) for one in remote["events"]][:1] == [("low_battery", True)]
    assert [one["volume_m3"] for one in cards["purchases"]] == [30.0] * 4
    assert cards["clock_offset_s"] is None
