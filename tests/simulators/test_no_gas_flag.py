"""While supply is interrupted each meter says that no gas stands before it, and the gateway hears of homes without."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from alarms.detectors.no_gas import NoGas
from gateway.model.network import Meter, MeterKind, MeterRole, Network, Zone, ZoneKind
from gateway.model.quantity import FLAG_NO_GAS, Quantity
from gateway.model.reading import ReadingBatch, point_id
from simulators.city import City, build_plan
from simulators.faults import HOUR_US, Fault, FaultKind
from simulators.live.reports import HALF_HOUR_US, HalfHourly
from tests.simulators.droop import Droop

PLAN = build_plan(7, datetime(2026, 1, 4, 22, tzinfo=UTC), (30, 9), mix="town")
PHYSICS = Droop(PLAN)
FIRST, END = PLAN.start_hour + 24, PLAN.start_hour + 30
IN_ZONE = PLAN.customers.zone == 0
MINUTE_US = 60_000_000


def city(asset: str) -> City:
    work = Fault("f", FaultKind.INTERRUPTION, asset, FIRST * HOUR_US).ended(END * HOUR_US)
    return City(PLAN, [work], physics=PHYSICS)


def test_meters_of_an_interrupted_zone_say_so_once_its_pipes_are_empty_and_until_gas_is_back() -> None:
    made = city("R-001")
    hours = np.arange(FIRST - 1, END + 2, dtype=np.int64)
    says = made.flags_at(hours * HOUR_US) & int(FLAG_NO_GAS) > 0
    empty = made.pressure_kpa(hours * HOUR_US)[:, 0] < 0.3
    assert empty.any()
    assert np.array_equal(says[:, IN_ZONE], np.repeat(empty[:, None], IN_ZONE.sum(), axis=1))
    assert not says[:, ~IN_ZONE].any()
    assert not says[[0, 1, -1]].any(), "gas is there before, at the moment of closing, and an hour after"
    assert np.array_equal(made.flows(FIRST, 6).flags[4] & 128 > 0, IN_ZONE)


def test_a_meter_that_is_shut_off_alone_says_so_alone() -> None:
    meter = PLAN.customers.meters[3].meter_id
    says = city(meter).flags_at(np.arange(FIRST - 1, END + 1, dtype=np.int64) * HOUR_US) & int(FLAG_NO_GAS) > 0
    assert says[:, 3].tolist() == [False, *[True] * 6, False]
    assert says.sum() == 6


def test_a_city_without_interruption_sends_no_such_flag() -> None:
    sound = City(PLAN, physics=PHYSICS)
    assert not (sound.flows(FIRST, 48).flags & int(FLAG_NO_GAS)).any()


def network() -> Network:
    zones = [Zone("CITY", "", ZoneKind.CITY, ""), Zone("R-001", "CITY", ZoneKind.REGULATOR, "")]
    day = datetime(2020, 1, 1, tzinfo=UTC).date()
    kind = MeterKind.REMOTE
    meters = {
        one.meter_id: Meter(
            one.meter_id, "R-001", MeterRole.CUSTOMER, kind, "residential", 5, 2, 4.0, False, day, "open"
        )
        for one, mine in zip(PLAN.customers.meters, IN_ZONE, strict=True)
        if mine
    }
    return Network({zone.zone_id: zone for zone in zones}, meters, {}, {})


@pytest.mark.parametrize(("asset", "expected"), [("R-001", [("R-001", True)]), ("R-002", [])])
def test_what_meters_report_makes_the_alarm_of_homes_without_gas(asset: str, expected: list[tuple[str, bool]]) -> None:
    made, known = city(asset), network()
    names = [point_id(meter, Quantity.FLAGS) for meter in known.meters]
    number_of = {name: at for at, name in enumerate(names)}
    watch = NoGas(known, lambda points: [names[at] for at in points.tolist()])
    watch.adopt(range(len(names)), names)
    reporter, told = HalfHourly(made, (FIRST - 2) * HOUR_US), []
    for now_us in range((FIRST - 1) * HOUR_US, END * HOUR_US, HALF_HOUR_US):
        rows = [
            (number_of[name], one["t"] * 1000, float(one["f"]))
            for _, payload in reporter.due(now_us)
            for report in [json.loads(payload)]
            for one in report["readings"]
            if (name := point_id(report["id"], Quantity.FLAGS)) in number_of
        ]
        polled = made.meters_at(now_us).flags  # what a concentrator shows of meters with cards
        rows += [
            (number_of[name], now_us, float(polled[at]))
            for at in np.flatnonzero(PLAN.customers.ic_card).tolist()
            if (name := point_id(PLAN.customers.meters[at].meter_id, Quantity.FLAGS)) in number_of
        ]
        if rows:
            points, times, values = zip(*rows, strict=True)
            watch.feed(
                ReadingBatch(
                    np.array(points, np.uint32),
                    np.array(times, np.int64),
                    np.full(len(rows), now_us, np.int64),
                    np.array(values),
                    np.zeros(len(rows), np.uint8),
                )
            )
        for at_us in (now_us, now_us + MINUTE_US):
            told += [(zone, begins) for zone, begins, _ in watch.edges(at_us, 30_000_000, MINUTE_US)]
    assert told == expected
