import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from alarms.analysis.hourly import HourlyHistory
from alarms.analysis.location import best_first, by_pressure, drawn_at, prior, sagging
from alarms.analysis.pipes import Graph, Pipe, pipes_by_zone
from alarms.city_data import CityData
from alarms.detectors.hourly_balance import HourlyBalanceDetector
from alarms.detectors.location import Locator
from alarms.hourly_data import hourly_city
from gateway.meterdata.series import HOUR_US, Series
from gateway.model.network import Station
from gateway.model.quantity import Quantity
from tests.alarms.test_hourly_balance import BEGIN_US, DAYS, a_city


def line(name: str, *points: tuple[float, float], zone: str = "R-1", **more: object) -> dict[str, object]:
    known = {"id": name, "zone": zone, "dn_mm": 50, **more}
    return {"type": "Feature", "properties": known, "geometry": {"type": "LineString", "coordinates": points}}


def written(*features: object) -> str:
    return json.dumps({"type": "FeatureCollection", "features": features})


FORK = written(
    line("trunk", (0, 0), (100, 0)),
    line("west", (100, 0), (100, 200), (50, 200)),
    line("east", (100, 0), (100, -300)),
    line("far", (900, 0), (950, 0)),
)
"""a trunk that forks; the fourth pipe hangs on nothing"""


def fork() -> Graph:
    return Graph.of(pipes_by_zone(FORK)["R-1"])


def test_pipes_are_read_and_what_is_none_is_left_out():
    odd = [None, {}, line("p", (0, 0)), line("", (0, 0), (1, 0)), line("q", (0, 0), (3, 4), installed_on="1998-05-01")]
    odd.append({**line("r", (0, 0)), "geometry": {"type": "Point", "coordinates": [0, 0]}})
    assert pipes_by_zone(written(*odd)) == {"R-1": (Pipe("q", "R-1", 5.0, 50.0, 1998, (0.0, 0.0), (3.0, 4.0)),)}
    assert pipes_by_zone("") == {}


def test_the_prior_goes_by_length_and_age():
    graph = fork()
    np.testing.assert_allclose(prior(graph.pipes, 2024), np.array([100, 250, 300, 50]) / 700)
    aged = [replace(pipe, year=2024 - 40 * (pipe.pipe_id == "trunk")) for pipe in graph.pipes]
    assert prior(aged, 2024)[0] == pytest.approx(100 * np.exp(2.0) / (100 * np.exp(2.0) + 600), rel=1e-6)


def renouard_kpa(flow_m3h: float, length_m: float, dn_mm: float = 50.0) -> float:
    return float(22759 * 0.6 * length_m * flow_m3h**1.82 * dn_mm**-4.82 / 10.0)


def test_falls_are_the_slope_of_renouards_law_on_a_tree():
    graph = fork()
    source, west, east, corner = (graph.nearest(place)[0] for place in ((0, 0), (50, 200), (100, -300), (100, 0)))
    drawn = np.zeros(len(graph.nodes))
    drawn[west], drawn[east] = 4.0, 6.0
    falls = graph.falls(source, drawn, np.array([west, east]), 0.0)
    trunk = (renouard_kpa(10.01, 100) - renouard_kpa(9.99, 100)) / 0.02
    leg = (renouard_kpa(4.01, 250) - renouard_kpa(3.99, 250)) / 0.02
    assert falls[0, west] == pytest.approx(trunk + leg, rel=0.02)
    assert falls[0, east] == pytest.approx(trunk, rel=0.02)
    assert falls[1, corner] == pytest.approx(trunk, rel=0.02)
    assert falls[0, source] == 0.0
    assert falls[0, graph.nearest((950, 0))[0]] == 0.0


def test_a_ring_shares_the_flow():
    ring = written(line("a", (0, 0), (100, 0)), line("b", (0, 0), (0, 100)), line("c", (0, 100), (100, 0)))
    graph = Graph.of(pipes_by_zone(ring)["R-1"])
    source, end = graph.nearest((0, 0))[0], graph.nearest((100, 0))[0]
    drawn = np.zeros(len(graph.nodes))
    drawn[end] = 10.0
    two_ways = graph.falls(source, drawn, np.array([end]), 0.0)[0, end]
    assert 0.0 < two_ways < (renouard_kpa(10.01, 100) - renouard_kpa(9.99, 100)) / 0.02


def test_the_pressure_behind_the_leak_tells_the_branch():
    graph = fork()
    source, west, east = (graph.nearest(place)[0] for place in ((0, 0), (50, 200), (100, -300)))
    rng = np.random.default_rng(3)
    flow = 10.0 * rng.uniform(0.3, 1.5, 480)
    since = np.arange(480) >= 400
    leak = np.where(since, 2.0, 0.0)
    trunk = np.array([renouard_kpa(one, 100) for one in flow + leak])
    to_west = trunk + np.array([renouard_kpa(one, 250) for one in 0.4 * flow])
    to_east = trunk + np.array([renouard_kpa(one, 300) for one in 0.6 * flow + leak])
    drop = np.stack([to_west, to_east], axis=1) + 0.003 * rng.normal(size=(480, 2)) + 0.05
    seen = sagging(drop, flow, since)
    assert seen is not None
    drawn = np.zeros(len(graph.nodes))
    drawn[west], drawn[east] = 4.0, 6.0
    falls = graph.falls(source, drawn, np.array([west, east]), 0.0)
    chance = by_pressure(graph, falls, seen, 2.0, prior(graph.pipes, 2024))
    assert best_first(graph.pipes, chance, 1)[0][0] == "east"
    assert chance[2] > 0.8


def test_hours_that_are_not_known_locate_nothing():
    drop = np.full((200, 1), np.nan)
    assert sagging(drop, np.ones(200), np.arange(200) > 150) is None
    assert sagging(np.zeros((200, 1)), np.ones(200), np.zeros(200, dtype=np.bool_)) is None


def test_parts_of_a_pipe_count_together_and_customers_without_a_place_are_spread():
    pipes = [Pipe(name, "R-1", 1.0, 50.0, None, (0.0, 0.0), (1.0, 0.0)) for name in ("a", "b", "a")]
    listed = best_first(pipes, np.array([0.3, 0.4, 0.3]), 5)
    assert [name for name, _ in listed] == ["a", "b"]
    assert [chance for _, chance in listed] == pytest.approx([0.6, 0.4])
    drawn = drawn_at(fork(), [(51.0, 199.0), None], np.array([2.0, 6.0]))
    assert drawn.sum() == pytest.approx(8.0)
    assert drawn.max() == pytest.approx(3.0)


def located(city: CityData) -> dict[str, Any]:
    until = BEGIN_US + int(680.2 * HOUR_US)
    known = hourly_city(city, until, until)
    assert known is not None
    hours = HourlyHistory(known).at(until)
    leaks = HourlyBalanceDetector(known).judge(hours, until)
    found = Locator(city.model.network, known).located(leaks, hours, until)
    return dict(found.evidence[found.assets.index("R-1")])


def with_pipes(city: CityData) -> CityData:
    network = city.model.network
    regulator = Station("REG-1", "regulator", "R-1", "Regulator", "", 0.0, 0.0, 3.0, remote=False)
    meters = dict(network.meters)
    for number in range(12):
        name = f"M-R-1-{number:02d}"
        x, y = (50.0, 200.0) if number < 5 else (100.0, -300.0)
        meters[name] = replace(meters[name], x_m=x, y_m=y)
    made = replace(
        network, geojson=FORK.replace('"dn_mm": 50', '"dn_mm": 25'), stations={"REG-1": regulator}, meters=meters
    )
    return replace(city, model=replace(city.model, network=made))


def test_with_the_regulators_pressure_alone_the_length_decides_and_says_so():
    evidence = located(with_pipes(a_city(0.3, 600)))
    assert evidence["located_by"] == "length"
    assert evidence["location"][0] == {"pipe_id": "east", "probability": round(300 / 700, 4)}
    assert sum(one["probability"] for one in evidence["location"]) == pytest.approx(1.0, abs=0.001)


def test_without_pipes_nothing_is_said_of_the_place():
    assert "location" not in located(a_city(0.3, 600))


def test_an_instrument_at_the_far_end_tells_the_branch():
    city = with_pipes(a_city(0.3, 600))
    hours = np.arange(DAYS * 24)
    supply = city.series[Quantity.REGISTER_BASE_M3]
    flow = np.diff(supply.value[supply.column == 0], prepend=supply.value[supply.column == 0][0])
    leak = np.where(hours >= 600, 0.3, 0.0)
    rng = np.random.default_rng(2)
    # all the leak's gas goes down the eastern branch, where the instrument stands
    drop = np.array(
        [
            renouard_kpa(max(f, 0.0), 100, 25.0) + renouard_kpa(max(0.6 * (f - q) + q, 0.0), 300, 25.0)
            for f, q in zip(flow, leak, strict=True)
        ]
    )
    values = np.concatenate([np.full(len(hours), 3.0), 3.0 - drop + 2e-5 * rng.normal(size=len(hours))])
    column = np.repeat([0, 1], len(hours)).astype(np.int32)
    moment = np.tile(BEGIN_US + (hours + 1) * HOUR_US, 2)
    pressure = Series.build(["REG-1", "M-R-1-07"], column, moment, moment + 60_000_000, values)
    seen = CityData(city.model, {**city.series, Quantity.PRESSURE_GAUGE_KPA: pressure})
    evidence = located(seen)
    assert evidence["located_by"] == "pressure"
    assert evidence["location"][0]["pipe_id"] == "east"
    assert evidence["location"][0]["probability"] > 0.6
