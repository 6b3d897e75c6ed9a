from __future__ import annotations

from dataclasses import fields

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.city import City
from simulators.engine import mains
from simulators.faults import HOUR_US, FaultKind
from simulators.valves import Closure, Valves
from tests.simulators.droop import Droop
from tests.simulators.engine.cases import DAYS, cities, closures_of, faults_of, physics_of, plan_of

HOURS = DAYS * 24


@settings(max_examples=40, deadline=None)
@given(cities())
def test_supply_is_use_theft_leak_and_linepack_in_every_zone_and_parent(city: City) -> None:
    plan, zone = city.plan, city.plan.customers.zone
    flows = city.flows(plan.start_hour, HOURS)
    for number in range(len(plan.ground.regulator_zones)):
        used = (flows.passing + flows.stolen)[:, zone == number].sum(axis=1)
        gone = used + flows.leak[:, number] + flows.linepack[:, number]
        assert np.abs(flows.supply[:, number] - gone).max() < 1e-6
    for number in range(len(plan.parents)):
        below = flows.supply[:, plan.parent_of_zone == number].sum(axis=1)
        below += flows.parent_supply[:, plan.parent_of_parent == number].sum(axis=1)
        gone = below + flows.parent_leak[:, number] + flows.parent_linepack[:, number]
        assert np.abs(flows.parent_supply[:, number] - gone).max() < 1e-6
    for field in fields(flows):
        assert np.isfinite(getattr(flows, field.name)).all(), field.name
    for column in (flows.supply, flows.parent_supply, flows.passing, flows.stolen, flows.leak, flows.pressure_kpa):
        assert column.min() > -1e-9


@settings(max_examples=40, deadline=None)
@given(cities(), st.lists(st.integers(0, HOURS * HOUR_US - 1), min_size=2, max_size=30))
def test_no_register_steps_back_and_none_jumps(city: City, offsets: list[int]) -> None:
    begin = city.plan.start_hour
    edges = np.arange(begin, begin + HOURS, dtype=np.int64) * HOUR_US
    at = np.sort(np.concatenate([edges, begin * HOUR_US + np.array(offsets)]))
    registers = city.registers(at)
    turned = {fault.asset for fault in city.faults if fault.kind is FaultKind.THEFT_REVERSE}
    forwards = np.array([meter.meter_id not in turned for meter in city.plan.customers.meters])
    for table in (registers.customer[:, forwards], registers.supply, registers.parents, registers.purchased):
        assert np.diff(table, axis=0).min(initial=0.0) > -1e-9
    flows = city.flows(begin, HOURS - 1)
    at_edges = city.registers(edges)
    assert np.allclose(np.diff(at_edges.customer, axis=0), flows.counted, atol=1e-9)
    assert np.allclose(np.diff(at_edges.supply, axis=0), flows.supply_counted, atol=1e-6)
    just_before = city.registers(edges[1:] - 1)
    assert np.abs(just_before.customer - at_edges.customer[1:]).max() < 1e-6
    assert np.abs(just_before.supply - at_edges.supply[1:]).max() < 1e-5


@settings(max_examples=40, deadline=None)
@given(cities(), st.data())
def test_what_begins_later_leaves_the_past_alone(city: City, data: st.DataObject) -> None:
    plan, begin_us = city.plan, city.plan.start_hour * HOUR_US
    now_us = begin_us + data.draw(st.integers(0, HOURS * 60 - 1)) * HOUR_US // 60
    moments = np.unique(np.linspace(begin_us, now_us, 40).astype(np.int64))
    city.registers(begin_us + HOURS * HOUR_US - 1)
    before = city.registers(moments)
    news = [fault for fault in data.draw(faults_of(plan)) if fault.start_us >= now_us]
    closures = [one for one in data.draw(closures_of(plan)) if one.start_us >= now_us]
    city.valves = Valves(past=(*city.valves.past, *closures))
    city.replace_faults([*city.faults, *news])
    after = city.registers(moments)
    assert np.allclose(before.customer, after.customer, rtol=0, atol=1e-9)
    assert np.allclose(before.supply, after.supply, rtol=0, atol=1e-7)
    hours = (now_us - begin_us) // HOUR_US
    past = moments < begin_us + hours * HOUR_US
    assert np.allclose(before.parents[past], after.parents[past], rtol=0, atol=1e-7)
    fresh = City(plan, city.faults, city.valves, physics=Droop(plan))
    later = begin_us + HOURS * HOUR_US - 1
    assert np.array_equal(fresh.registers(later).customer, city.registers(later).customer)
    assert np.array_equal(fresh.registers(later).supply, city.registers(later).supply)


@settings(max_examples=30, deadline=None)
@given(cities(), st.integers(0, 2), st.integers(1, 3))
def test_a_part_is_what_the_whole_says(city: City, first: int, count: int) -> None:
    zones = range(first, min(3, first + count))
    whole = city.flows(city.plan.start_hour + 5, 60)
    part = City(city.plan.part(zones), city.part(zones).faults, city.valves, physics=_part_of_droop(city, zones))
    alone = part.flows(part.plan.start_hour + 5, 60)
    inside = np.flatnonzero(np.isin(city.plan.customers.zone, list(zones)))
    for name in ("passing", "stolen", "counted", "unregistered", "left_m3", "purchased_m3", "valve", "flags", "silent"):
        assert np.array_equal(getattr(whole, name)[:, inside], getattr(alone, name)), name
    for name in ("leak", "linepack", "supply", "supply_counted", "pressure_kpa"):
        assert np.array_equal(getattr(whole, name)[:, list(zones)], getattr(alone, name)), name
    known = [city.parents.index(name) for name in part.parents]
    assert np.array_equal(whole.parent_leak[:, known], alone.parent_leak)


def _part_of_droop(city: City, zones: range) -> Droop:
    return Droop(city.plan.part(zones))


@settings(max_examples=25, deadline=None)
@given(cities())
def test_credit_left_is_what_was_loaded_less_what_was_counted(city: City) -> None:
    cards = city.plan.customers.ic_card
    honest = {fault.asset for fault in city.faults if fault.kind is FaultKind.CARD_FRAUD}
    fair = cards & np.array([meter.meter_id not in honest for meter in city.plan.customers.meters])
    at = city.plan.start_hour * HOUR_US + np.arange(0, HOURS * 4, 7) * (HOUR_US // 4)
    registers = city.registers(at)
    gap = registers.purchased - registers.left - registers.customer
    assert np.abs(gap[:, fair]).max(initial=0.0) < 1e-6


def test_gas_of_a_city_in_parts_makes_the_parents_of_the_whole() -> None:
    plan = plan_of(1)
    city = City(plan, physics=physics_of(1))
    hours = np.arange(plan.start_hour, plan.start_hour + 48)
    whole = city.flows(plan.start_hour, 48)
    parts = [City(plan.part([z]), physics=Droop(plan.part([z]))).flows(plan.start_hour, 48) for z in range(3)]
    supply = np.concatenate([part.supply for part in parts], axis=1)
    made = mains.parent_flows(plan, hours, supply, whole.parent_leak, None)
    assert np.allclose(made.supply, whole.parent_supply, rtol=1e-12)
    assert [p.parent_supply.shape[1] for p in parts] == [2, 2, 2]


def test_a_closed_regulator_starves_its_zone_and_nothing_is_supplied() -> None:
    plan = plan_of(2)
    name = next(iter(plan.assets.regulators))
    start = (plan.start_hour + 30) * HOUR_US + HOUR_US // 3
    end = start + 5 * HOUR_US
    city = City(plan, valves=Valves(past=[Closure(name, start, end)]), physics=physics_of(2))
    at = start + np.array([-60, 0, 60, 600, 3600, 4 * 3600]) * 1_000_000
    registers = city.registers(at)
    assert (np.diff(registers.supply[1:, 0]) == 0.0).all()
    assert registers.supply[1, 0] > registers.supply[0, 0]
    pressure = city.pressure_kpa(at)[:, 0]
    assert (np.diff(pressure[1:]) < 0.0).all()
    assert pressure[0] > 2.0
    assert pressure[-1] < 0.05
    flow = city.supply_flow_m3h(np.array([start - 1, start + 60_000_000, end + 60_000_000]))[:, 0]
    assert flow[0] > 0.0
    assert flow[1] == 0.0
    assert flow[2] > 0.0
    values = city.station_values(int(start + 600_000_000))[name]
    assert [values[quantity] for quantity in values if quantity.value in ("valve", "flow_base_m3h")] == [0.0, 0.0]
    members = plan.customers.zone == 0
    burnt = city.flows(plan.start_hour + 32, 3).passing[:, members]
    assert (
        burnt.sum() < 1e-3 * City(plan, physics=physics_of(2)).flows(plan.start_hour + 32, 3).passing[:, members].sum()
    )
