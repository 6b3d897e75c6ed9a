from __future__ import annotations

import tracemalloc
from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import ConfigError
from gateway.model.network import ZoneKind
from simulators.ground import Ground, regulator_index
from simulators.networks import NETWORKS, Wish
from simulators.networks.quarters import QUARTERS
from simulators.networks.tiles import Tiles
from tests.simulators.networks.grounds import check_ground, pipes_below


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 99), st.integers(1, 500), st.integers(1, 30), st.data())
def test_a_part_is_the_same_whichever_parts_are_asked_for(
    seed: int, zones: int, mean: int, data: st.DataObject
) -> None:
    tiles = Tiles.for_zones(seed, zones, mean)
    first = data.draw(st.integers(0, zones))
    count = data.draw(st.integers(0, min(30, zones - first)))
    inner = data.draw(st.integers(0, count))
    part = tiles.part(first, count)
    assert part.part(inner, count - inner) == tiles.part(first + inner, count - inner)
    assert part.first_place == tiles.first_place[first]
    assert len(part.places) == tiles.first_place[first + count] - tiles.first_place[first]
    if count < 12:
        check_ground(part, longer_than_m=0.5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99), st.integers(1, 3000), st.integers(1, 200))
def test_a_city_has_exactly_the_meters_that_were_asked_for(seed: int, meters: int, mean: int) -> None:
    tiles = Tiles.for_meters(seed, meters, mean)
    assert tiles.meters == meters
    assert len(tiles.part(tiles.zones_count - 1, 1).places) >= 1


def test_the_whole_city_hangs_together() -> None:
    tiles = Tiles.for_zones(7, 200, 20)
    city = tiles.whole()
    check_ground(city, longer_than_m=0.5)
    assert len(city.places) == tiles.meters == pytest.approx(200 * 20, rel=0.2)
    levels: dict[ZoneKind, int] = defaultdict(int)
    for zone in city.zones:
        levels[zone.kind] += 1
    assert levels[ZoneKind.DISTRICT] == tiles.districts == 1
    assert levels[ZoneKind.BUILDING] > 20
    nodes = {node for pipe in city.pipes if pipe.kind == "main" for node in (pipe.line[0], pipe.line[-1])}
    assert {(station.x_m, station.y_m) for station in city.stations} <= nodes


def moved(ground: Ground, column: int) -> tuple[object, ...]:
    """What the zone at a position is built of, seen from its regulator and without names."""
    site = ground.regulator_of(ground.regulator_zones[column])
    index = regulator_index(ground)

    def seen(node: tuple[float, float]) -> tuple[float, float]:
        return round(node[0] - site.x_m, 1) + 0.0, round(node[1] - site.y_m, 1) + 0.0

    pipes = tuple((p.kind, p.dn_mm, *map(seen, p.line)) for p in pipes_below(ground, column))
    places = tuple(seen((p.x_m, p.y_m)) for p in ground.places if index[p.zone] == column)
    return site.set_pressure_gauge_kpa, pipes, places


def test_zones_of_one_shape_are_built_alike() -> None:
    ground = Tiles.for_zones(3, 80, 12).part(0, 80)
    looks: dict[str, set[object]] = defaultdict(set)
    for column, shape in enumerate(ground.shapes):
        looks[shape].add(moved(ground, column))
    assert len(ground.shapes) == 80
    assert len(looks) <= sum(kind.variants for kind in QUARTERS)
    assert all(len(look) == 1 for look in looks.values())
    assert len(set.union(*looks.values())) == len(looks)


def test_no_two_quarters_lie_on_each_other() -> None:
    tiles = Tiles.for_zones(1, 400, 10)
    sites = np.array([(s.x_m, s.y_m) for s in tiles.part(0, 400).stations if s.kind == "regulator"])
    apart = np.abs(sites[:, None] - sites[None, :]).max(axis=2) + 1e9 * np.eye(400)
    assert tiles.districts == 3
    assert apart.min() > 150.0


def test_a_company_of_two_million_meters_takes_little_memory() -> None:
    tracemalloc.start()
    tiles = Tiles.for_meters(1, 2_350_000)
    part = tiles.part(tiles.zones_count - 20, 20)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert tiles.zones_count == pytest.approx(23_000, rel=0.02)
    assert len(tiles.stations()) == pytest.approx(150, abs=3)
    assert part.first_place + len(part.places) == 2_350_000
    assert peak < 40e6


def test_too_much_at_once_is_refused() -> None:
    with pytest.raises(ConfigError, match="ask for it in parts"):
        NETWORKS["tiles"](Wish(zones=23_000, meters_per_zone=102))
    with pytest.raises(ValueError, match="a city needs"):
        Tiles.for_zones(1, 0)
    with pytest.raises(ValueError, match="a city needs"):
        Tiles.for_meters(1, 0)
    with pytest.raises(ValueError, match="no regulator zones"):
        Tiles.for_zones(1, 3).part(2, 2)
