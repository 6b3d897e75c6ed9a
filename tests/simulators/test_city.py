from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.model.quantity import Quantity
from simulators.city import LIVE_START, City, build_plan, demo_plan, story_meters
from simulators.customers import COMMERCIAL, COOKING, HEATED
from simulators.faults import HOUR_US, Fault, FaultKind
from simulators.story import past_faults
from tests.simulators.droop import Droop

START = datetime(2026, 1, 1, tzinfo=UTC)
METERS = (9, 7, 8)
LIVE_US = int(LIVE_START.timestamp()) * 1_000_000


@st.composite
def cities(draw: st.DrawFn) -> tuple[City, int]:
    plan = build_plan(draw(st.integers(0, 10_000)), START, METERS)
    meters = [meter.meter_id for meter in plan.customers.meters]
    faults = []
    for number in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from([FaultKind.BYPASS, FaultKind.STOPPED, FaultKind.SLOW, FaultKind.LEAK]))
        asset = draw(st.sampled_from(plan.ground.regulator_zones if kind is FaultKind.LEAK else meters))
        begin = draw(st.integers(0, 80))
        end = draw(st.none() | st.integers(begin + 1, 120))
        faults.append(
            Fault(
                str(number),
                kind,
                asset,
                (plan.start_hour + begin) * HOUR_US,
                None if end is None else (plan.start_hour + end) * HOUR_US,
                size=draw(st.floats(0.0, 1.0)),
            )
        )
    return City(plan, faults, physics=Droop(plan)), draw(st.integers(0, 100))


@settings(max_examples=60, deadline=None)
@given(cities(), st.integers(0, HOUR_US - 1), st.integers(1, 50 * HOUR_US))
def test_supply_is_use_theft_leaks_and_linepack(made: tuple[City, int], offset_us: int, span_us: int) -> None:
    city, first = made
    begin_us = (city.plan.start_hour + first) * HOUR_US + offset_us
    end_us = begin_us + span_us
    one, other = city.registers(begin_us), city.registers(end_us)
    expected = np.zeros(len(METERS))
    hour = begin_us // HOUR_US
    while hour * HOUR_US < end_us:
        flows = city.flows(hour, 1)
        share = (min(end_us, (hour + 1) * HOUR_US) - max(begin_us, hour * HOUR_US)) / HOUR_US
        gone = [
            flows.leak[0, zone]
            + flows.linepack[0, zone]
            + sum(flows.passing[0, i] + flows.stolen[0, i] for i, z in enumerate(city.plan.customers.zone) if z == zone)
            for zone in range(len(METERS))
        ]
        expected += share * np.array(gone)
        hour += 1
    assert np.abs(other.supply - one.supply - expected).max() < 1e-6
    assert (other.customer >= one.customer).all()


@settings(max_examples=25, deadline=None)
@given(cities(), st.integers(1, 40))
def test_an_hour_does_not_depend_on_what_else_is_asked(made: tuple[City, int], count: int) -> None:
    city, first = made
    together = city.flows(city.plan.start_hour + first, count)
    alone = city.flows(city.plan.start_hour + first + count - 1, 1)
    assert np.allclose(together.supply[-1], alone.supply[0], rtol=1e-12)
    assert np.allclose(together.counted[-1], alone.counted[0], rtol=1e-12)


def test_a_seed_is_a_city() -> None:
    same, again, other = City(demo_plan(1, 8)), City(demo_plan(1, 8)), City(demo_plan(2, 8))
    at = LIVE_US + 12_345_678
    assert np.array_equal(same.registers(at).customer, again.registers(at).customer)
    assert same.station_values(at) == again.station_values(at)
    assert not np.array_equal(same.registers(at).customer, other.registers(at).customer)


def test_registers_asked_late_equal_registers_asked_in_order() -> None:
    plan = demo_plan(1, 8)
    stepwise, at_once = City(plan), City(plan)
    for hour in range(0, 300, 7):
        last = stepwise.registers((plan.start_hour + hour) * HOUR_US).customer
    assert np.array_equal(at_once.registers((plan.start_hour + 294) * HOUR_US).customer, last)


def test_a_stopped_meter_rests_while_its_gas_flows() -> None:
    plan = demo_plan(1, 8)
    _, home = story_meters(plan)
    column = [meter.meter_id for meter in plan.customers.meters].index(home)
    city = City(plan, past_faults(plan))
    before, after = city.registers(LIVE_US - 24 * HOUR_US), city.registers(LIVE_US)
    assert after.customer[column] == before.customer[column]
    assert city.flows(LIVE_US // HOUR_US - 24, 24).passing[:, column].sum() > 4.0


def test_a_bypass_lowers_the_register_but_not_the_supply() -> None:
    plan = demo_plan(1, 8)
    business, _ = story_meters(plan)
    column = [meter.meter_id for meter in plan.customers.meters].index(business)
    honest, bypassed = City(plan), City(plan, past_faults(plan)[:1])
    hour = LIVE_US // HOUR_US - 23
    one, other = honest.flows(hour, 24), bypassed.flows(hour, 24)
    assert np.allclose(one.supply, other.supply, atol=1e-9)
    assert other.counted[:, column].sum() == pytest.approx(0.08 * one.counted[:, column].sum(), rel=0.02)
    assert 0.06 < other.unregistered.sum() / other.supply[:, 2].sum() < 0.12


def test_a_new_fault_leaves_the_past_of_registers_alone() -> None:
    plan = demo_plan(1, 8)
    city = City(plan)
    begin = LIVE_US + 5 * HOUR_US
    moments = np.array([LIVE_US, begin - 1, begin])
    before = city.registers(moments).customer.copy()
    later = city.registers(begin + 3 * HOUR_US).customer.copy()
    meter = plan.customers.meters[0].meter_id
    city.replace_faults([Fault("x", FaultKind.STOPPED, meter, begin)])
    assert np.array_equal(city.registers(moments).customer, before)
    after = city.registers(begin + 3 * HOUR_US).customer
    assert after[0] == before[2, 0] < later[0]
    assert np.array_equal(after[1:], later[1:])


def test_a_fault_of_volume_begins_at_a_whole_hour() -> None:
    with pytest.raises(ValueError, match="whole hours"):
        Fault("x", FaultKind.STOPPED, "M-000001", LIVE_US + 1)


def test_gas_rises_and_falls_after_the_repair() -> None:
    plan = demo_plan(1, 8)
    begin = LIVE_US + 60_000_000
    gas = Fault("x", FaultKind.GAS_CLOUD, "REG-002", begin, size=28.0, ramp_s=180.0)

    def shown(at_s: float, fault: Fault = gas) -> float:
        values = City(plan, [fault]).station_values(begin + int(at_s * 1e6))
        assert values["REG-001"][Quantity.GAS_LEL_PCT] < 2.0
        return values["REG-002"][Quantity.GAS_LEL_PCT]

    assert shown(-1.0) < 2.0
    assert shown(90.0) == pytest.approx(14.0, abs=1.0)
    assert shown(1000.0) == pytest.approx(28.0, abs=1.0)
    assert shown(1500.0, gas.ended(begin + 1_000_000_000)) < 2.0


def test_use_is_that_of_real_customers() -> None:
    city = City(demo_plan(1, 60))
    customers = city.plan.customers
    daily = city.flows(city.plan.start_hour + 50 * 24, 240).passing.sum(axis=0) / 10.0
    assert 6.0 < np.median(daily[customers.kind == HEATED]) < 10.0
    assert 0.3 < np.median(daily[customers.kind == COOKING]) < 0.8
    assert ((daily[customers.kind == COMMERCIAL] > 15.0) & (daily[customers.kind == COMMERCIAL] < 85.0)).all()


def test_credit_left_is_what_was_bought_less_what_was_used() -> None:
    city = City(demo_plan(1, 8))
    registers = city.registers(np.arange(LIVE_US - 100 * HOUR_US, LIVE_US, HOUR_US // 3))
    left, bought = city.credit(registers)
    cards = city.plan.customers.ic_card
    assert np.allclose((bought - left)[:, cards], registers.customer[:, cards], atol=1e-6)
    assert (left[:, cards] > -10.0).all()
    assert (np.diff(bought, axis=0) >= 0).all()
    assert (np.diff(bought[:, cards], axis=0).sum(axis=0) > 0).any()
