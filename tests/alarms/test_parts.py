"""A large city in parts: zones are dealt out whole, and what stands above them is what it is for the city at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from alarms.analysis.city import SiteFigures
from alarms.analysis.parts import Plan, above, part_of, plan
from alarms.city_data import city_from_batch
from alarms.passes import Passes
from gateway.model.finding import Verdict
from gateway.model.meters import MeterTable
from gateway.model.network import MeterKind, MeterRole, Network, Zone, ZoneKind
from gateway.model.reading import ReadingBatch
from tests.alarms.small_city import FIRST, GAS_DAY, a_meter

DAYS, HOMES = 40, 6
SUPPLIED = ("CITY", "D-1", *(f"R-{number}" for number in range(1, 7)))


def a_supply(zone) -> Any:
    meter = a_meter(f"V-{zone}", zone, role=MeterRole.SUPPLY, kind=MeterKind.CORRECTOR, max_flow_m3h=9000.0)
    return replace(meter, digits=9, customer_class="", account="")


def a_network(table=False) -> Network:
    """A measured city with a measured district of four regulators, one of two that is not, and homes on all of them."""
    zones = {"CITY": Zone("CITY", "", ZoneKind.CITY, "City")}
    zones |= {name: Zone(name, "CITY", ZoneKind.DISTRICT, name) for name in ("D-1", "D-2")}
    for number in range(1, 7):
        zones[f"R-{number}"] = Zone(f"R-{number}", "D-1" if number < 5 else "D-2", ZoneKind.REGULATOR, "", 5.0)
    zones["B-1"] = Zone("B-1", "R-1", ZoneKind.BUILDING, "House")
    meters = {f"V-{zone}": a_supply(zone) for zone in SUPPLIED}
    for zone in ("B-1", *zones):
        for home in range(HOMES if zone not in {"CITY", "D-1", "D-2"} else 2):
            meters[f"M-{zone}-{home}"] = a_meter(f"M-{zone}-{home}", zone)
    network = Network(zones, meters, {}, {})
    return replace(network, meters=MeterTable.of(meters)) if table else network


def readings(network, seed=1, leak=0.0) -> Any:
    """Return the readings at each day's begin; regulator R-2 loses `leak` m3 a day since day 25."""
    rng = np.random.default_rng(seed)
    use = {
        name: rng.uniform(2, 9) * rng.lognormal(0, 0.1, DAYS)
        for name, meter in network.meters.items()
        if meter.role is MeterRole.CUSTOMER
    }
    took = {zone: np.zeros(DAYS) for zone in network.zones}
    for zone in network.zones:
        inside = set(network.below(zone))
        for name, volume in use.items():
            took[zone] += volume if network.meters[name].zone_id in inside else 0.0
        for other in inside & set(SUPPLIED):
            # each measured zone loses one per cent of what its own homes and those below it use
            took[zone] += 0.01 * sum(v for n, v in use.items() if network.meters[n].zone_id == other)
            took[zone] += np.where(np.arange(DAYS) >= 25, leak, 0.0) if other == "R-2" else 0.0
    steps = {**use, **{f"V-{zone}": took[zone] for zone in SUPPLIED}}
    names = list(network.meters)
    bounds = np.array([GAS_DAY.begins_us(FIRST) + day * 86_400_000_000 for day in range(DAYS + 1)])
    value = np.stack([100.0 + np.concatenate([[0.0], np.cumsum(steps[name])]) for name in names])
    point = np.repeat(np.arange(len(names), dtype=np.uint32), DAYS + 1)
    at = np.tile(bounds, len(names))
    batch = ReadingBatch.build(point, at, at + 60_000_000, np.round(value, 3).ravel())
    points = {n: f"{name}/{network.meters[name].register.value}" for n, name in enumerate(names)}
    return batch, points, int(bounds[-1]) + 3_600_000_000


def a_city(network, batch, points, figures=None, **more) -> Any:
    chosen = {n: point for n, point in points.items() if point.partition("/")[0] in network.meters}
    rows = batch.take(np.isin(batch.point, np.array(sorted(chosen), dtype=np.uint32)))
    city = city_from_batch(network, GAS_DAY, figures or SiteFigures(), rows, chosen)
    return replace(city, model=replace(city.model, **more))


@pytest.mark.parametrize("table", [False, True])
def test_zones_are_dealt_out_whole_in_order(table):
    network = a_network(table)
    assert plan(network, 1000) is None
    assert plan(network, 30) == Plan((("R-1", "R-2", "R-3", "R-4"), ("R-5", "R-6")))
    assert plan(network, 35) == Plan((("D-1",), ("R-5", "R-6")))
    single = plan(network, 1)
    assert single is not None
    assert single.parts == tuple((f"R-{number}",) for number in range(1, 7))
    first = part_of(network, ("R-1", "R-2"))
    assert set(first.zones) == {"R-1", "B-1", "R-2", "D-1", "CITY"}
    assert len(first.meters) == 3 * HOMES + 2
    rest = above(network, single.units)
    assert set(rest.zones) == set(network.zones) - {"B-1"}
    assert sum(one.role is MeterRole.SUPPLY for one in rest.meters.values()) == len(SUPPLIED)
    assert sum(one.role is MeterRole.CUSTOMER for one in rest.meters.values()) == 6
    parts = [set(part_of(network, units).meters) for units in single.parts]
    assert set().union(*parts, rest.meters) == set(network.meters)


def in_parts(network, batch, points, until, *, most, figures=None) -> Any:
    dealt = plan(network, most)
    assert dealt is not None
    results = [
        Passes(a_city(part_of(network, units), batch, points, figures), lookback_days=60, units=units).at(until)
        for units in dealt.parts
    ]
    rest = a_city(above(network, dealt.units), batch, points, figures, elsewhere=dealt.units)
    sums = [one.sums for one in results if one.sums is not None]
    top = Passes(rest, lookback_days=60).at(until, sums)
    return [*results, top]


@pytest.mark.parametrize("most", [1, 20, 30])
def test_a_city_in_parts_has_the_balances_of_the_city_at_once(most):
    network = a_network()
    batch, points, until = readings(network)
    at_once = Passes(a_city(network, batch, points), lookback_days=60).at(until)
    results = in_parts(network, batch, points, until, most=most)
    rows = {(row.zone, row.gas_day): row for one in results for row in one.loss}
    assert len(rows) == sum(len(one.loss) for one in results) == len(at_once.loss)
    for row in at_once.loss:
        mine = rows[row.zone, row.gas_day]
        assert row.supply_m3 is not None
        assert row.sigma is not None
        assert mine.verdict == row.verdict
        assert mine.coverage == pytest.approx(row.coverage)
        for name in ("supply_m3", "metered_m3", "loss_m3", "between_m3"):
            assert getattr(mine, name) == pytest.approx(getattr(row, name), abs=0.02 * row.supply_m3), (row, name)
        assert mine.sigma == pytest.approx(row.sigma, rel=0.2)
        assert sum(pair[0] for pair in mine.terms.values()) == pytest.approx(
            sum(pair[0] for pair in row.terms.values()), abs=0.001 * row.supply_m3
        )


def test_a_leak_is_found_in_its_part_and_nothing_above():
    network = a_network()
    batch, points, until = readings(network, leak=12.0)
    found = [
        (name, detection.condition)
        for one in in_parts(network, batch, points, until, most=20)
        for detection in one.detections
        for name, verdict in zip(detection.assets, detection.verdict, strict=True)
        if verdict == Verdict.ABNORMAL
    ]
    assert found == [("R-2", "leak")]


def test_a_part_that_was_not_judged_leaves_unknown_what_stands_above_it():
    network = a_network()
    batch, points, until = readings(network)
    dealt = plan(network, 1)
    assert dealt is not None
    sums = [one.sums for one in in_parts(network, batch, points, until, most=1)[:-1] if one.sums is not None]
    rest = a_city(above(network, dealt.units), batch, points, elsewhere=dealt.units)
    for some, assessed in ((sums, {"CITY", "D-1", "D-2"}), (sums[1:], {"D-2"}), (sums[:-1], {"D-1"}), ([], set())):
        rows = Passes(rest, lookback_days=60).at(until, some).loss
        assert {row.zone for row in rows} == {"CITY", "D-1", "D-2"}
        assert {row.zone for row in rows if row.loss_rate is not None} == assessed
        assert {row.reason for row in rows if row.zone not in assessed} <= {"only 0 % of the expected volume was read"}


def test_a_part_that_was_not_read_leaves_what_is_above_it_unknown():
    network = a_network()
    batch, points, until = readings(network)
    silent = [n for n, point in points.items() if "R-6" in point and point.startswith("M-")]
    some = batch.take(~np.isin(batch.point, np.array(silent, dtype=np.uint32)))
    results = in_parts(network, some, points, until, most=1)
    rows = {(row.zone, row.gas_day): row for one in results for row in one.loss}
    assert not any((detection.verdict == Verdict.ABNORMAL).any() for one in results for detection in one.detections)
    day = max(gas_day for _, gas_day in rows)
    assert rows["R-6", day].loss_rate is None
    assert rows["R-5", day].loss_rate is not None
    assert rows["CITY", day].coverage < 1.0
