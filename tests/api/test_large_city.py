"""A large city: what would have a name or a dot for each of its meters has not."""

from __future__ import annotations

from datetime import date

import pytest

from api.services import city
from collectors.mappers import Assets
from gateway.model.meters import MeterTable
from gateway.model.network import Meter, MeterKind, MeterRole, Network, Point, Station, Zone, ZoneKind
from gateway.model.quantity import Quantity
from gateway.model.reading import point_id

NAMES = [f"M-{number:03d}" for number in (5, 1, 2, 9, 4)]


def network(*, many: bool) -> Network:
    kind = (MeterRole.CUSTOMER, MeterKind.REMOTE, "residential", 8, 3, 6.0, False, date(2020, 1, 1), "open")
    meters = {name: Meter(name, "R-1", *kind, x_m=float(at), y_m=1.0) for at, name in enumerate(NAMES)}
    points = (Point(point_id(asset, Quantity.FLOW_BASE_M3H), asset, Quantity.FLOW_BASE_M3H, "R-1") for asset in "XM")
    return Network(
        zones={"R-1": Zone("R-1", "", ZoneKind.CITY, "City")},
        meters=MeterTable.of(meters) if many else meters,
        stations={"S-1": Station("S-1", "station", "R-1", "One", "", 0.0, 0.0, 3.0, False)},
        points={point.point_id: point for point in points},
    )


@pytest.mark.parametrize("many", [True, False])
def test_everything_described_may_report(many: bool) -> None:
    assets = Assets(network(many=many))
    assert {*assets} == {*NAMES, "S-1", "X", "M"}
    assert len(assets) == 8
    assert all(name in assets for name in (*NAMES, "S-1", "X"))
    assert not any(name in assets for name in ("M-003", "", "R-1"))


def test_the_meters_that_come_next_are_those_of_the_file_or_of_the_names() -> None:
    assert Assets(network(many=True)).behind("M-001", 3) == ["M-001", "M-002", "M-009"]
    assert Assets(network(many=True)).behind("M-004", 3) == ["M-004"]
    assert Assets(network(many=True)).behind("S-1", 2) == ["S-1", "X"]
    assert Assets(network(many=False)).behind("M-001", 3) == ["M-001", "M-002", "M-004"]


def test_a_map_draws_no_more_dots_than_a_browser_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    every = city.city_map(network(many=False))["meters"]
    assert every["ids"] == NAMES
    assert every["at"] == [0, 10, 10, 10, 20, 10, 30, 10, 40, 10], "x and y in decimetres"
    assert city.city_map(network(many=True))["meters"] == every
    monkeypatch.setattr(city, "MOST_METERS", 2)
    assert city.city_map(network(many=True))["meters"] == {"ids": NAMES[::3], "at": [0, 10, 30, 10]}
