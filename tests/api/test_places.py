"""Where a caller is: found by what is said or by a position, and no customer told to who may not know them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, cast

import numpy as np

from api.auth import User
from api.deps import Parts
from api.roles import Act, Role
from api.services import places
from gateway.model.meters import MeterTable
from gateway.model.network import Meter
from gateway.store import ticket_rows
from tests.api.conftest import Api
from tests.api.test_service_rest import taken

OPERATOR = User("operator", Role.OPERATOR, "en", by_cookie=True)
VIEWER = User("viewer", Role.VIEWER, "en", by_cookie=True)


def move_in(parts: Parts, meter: str, address: str) -> Meter:
    meters = cast("dict[str, Meter]", parts.network.meters)
    meters[meter] = replace(meters[meter], address=address)
    return meters[meter]


def test_stations_zones_and_meters_are_found_by_a_part_of_what_is_said(parts: Parts) -> None:
    home = move_in(parts, "M-000003", "柳园路 7 号 3 单元")
    found = places.find(parts, OPERATOR, " 柳园 ")
    assert [(one.kind, one.asset) for one in found] == [
        ("regulator", "REG-001"),
        ("regulator_zone", "R-001"),
        ("meter", "M-000003"),
    ]
    assert found[-1] == places.Place("M-000003", "meter", home.address, "R-001", home.x_m, home.y_m)
    assert places.find(parts, OPERATOR, "  ") == ()
    assert len(places.find(parts, OPERATOR, "m-0000")) == places.MOST


def test_who_may_not_see_customers_neither_finds_nor_hears_an_address(parts: Parts) -> None:
    home = move_in(parts, "M-000003", "13 Hidden Street")
    assert home.x_m is not None
    assert home.y_m is not None
    assert [one.asset for one in places.find(parts, OPERATOR, "Hidden")] == ["M-000003"]
    assert places.find(parts, VIEWER, "Hidden") == ()
    assert places.of_asset(parts, VIEWER, "M-000003").name == "M-000003"
    assert places.at_position(parts, OPERATOR, home.x_m, home.y_m).name == "13 Hidden Street"
    assert places.at_position(parts, VIEWER, home.x_m, home.y_m).name == ""


async def test_a_token_without_the_right_to_customers_finds_none(rest: Api, parts: Parts) -> None:
    move_in(parts, "M-000003", "13 Hidden Street")
    path = "/api/v1/calls/places?text=Hidden"
    async with rest.as_user("admin") as admin:
        assert [one["asset"] for one in (await admin.get(path)).json()["places"]] == ["M-000003"]
        wanted = {"name": "desk", "role": "operator", "acts": [Act.READ, Act.CALL_TAKE], "days": 1}
        token = (await admin.post("/api/v1/tokens", json=wanted)).json()["token"]
    async with rest.nobody() as client:
        answer = await client.get(path, headers={"authorization": f"Bearer {token}"})
        assert (answer.status_code, answer.json()) == (200, {"places": []})


def test_a_position_far_from_all_meters_has_no_address_and_the_nearest_regulators_zone(parts: Parts) -> None:
    place = places.at_position(parts, OPERATOR, -5000.0, 9000.0)
    assert (place.kind, place.asset, place.name, place.zone) == ("position", "", "", "R-001")


def test_the_nearest_meter_of_a_large_city_is_the_nearest_by_a_plain_search(parts: Parts) -> None:
    meters = dict(parts.network.meters)
    first = next(iter(meters))
    meters[first] = replace(meters[first], x_m=None, y_m=None)
    table = MeterTable.of(meters)
    known = [one for one in meters.values() if one.x_m is not None]
    dice = np.random.default_rng(3)
    for x_m, y_m in dice.uniform(-500, 2500, (200, 2)):
        row = table.nearest(x_m, y_m)
        assert row is not None
        best = min(math.dist((x_m, y_m), cast("Any", (one.x_m, one.y_m))) for one in known)
        here = table.at(row)
        assert math.dist((x_m, y_m), cast("Any", (here.x_m, here.y_m))) == best
    assert MeterTable.of({first: meters[first]}).nearest(0.0, 0.0) is None


async def test_a_call_beyond_the_border_of_a_zone_stands_beside_its_neighbour(rest: Api, parts: Parts) -> None:
    """Two callers of one smell may live on both sides of a border: REG-001 and REG-002 stand 1,000 m apart."""
    async with rest.as_user("operator") as client:
        first = await taken(client, parts, x_m=990.0, y_m=1375.0)
        beyond = {"x_m": 1050.0, "y_m": 1375.0}
        near = (await client.get("/api/v1/calls/near", params=beyond)).json()
        assert first["ticket_no"] in [one["ticket_no"] for one in near["tickets"]]
        far = (await client.get("/api/v1/calls/near", params={"x_m": 1050.0, "y_m": 300.0})).json()
        assert first["ticket_no"] not in [one["ticket_no"] for one in far["tickets"]]


async def test_what_is_near_is_found_among_more_tickets_than_a_list_holds(rest: Api, parts: Parts) -> None:
    async with rest.as_user("operator") as client:
        first = await taken(client, parts, asset="REG-001", request_id="first")
        with parts.state.write() as connection:
            known = ticket_rows.find_ticket(connection, first["ticket_no"])
            assert known is not None
            for number in range(520):
                same = replace(known, ticket_no=f"T-20260101-{number:06d}", dedup_key=f"other:{number}")
                ticket_rows.insert_ticket(connection, same, joinable=False)
        last = await taken(client, parts, asset="REG-003", request_id="last")
        near = (await client.get("/api/v1/calls/near", params={"asset": "REG-003"})).json()
        assert last["ticket_no"] in [one["ticket_no"] for one in near["tickets"]]
