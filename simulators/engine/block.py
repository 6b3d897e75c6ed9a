"""Computes days of the city: use, closed valves, shares, pressures, linepack, supply, registers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from simulators.customers import BASE_KPA, hourly_use
from simulators.engine import mains
from simulators.engine.credit import CardRun
from simulators.engine.flows import Flows
from simulators.engine.kit import Carry, Kit
from simulators.engine.moments import DayTable, Pressures
from simulators.engine.plan import BACKGROUND_LEAK, Plan
from simulators.engine.starve import ZonesOfDay, gauge_kpa, shut_zones
from simulators.engine.use import wanted_use
from simulators.engine.wanted import DAY_H, Wanted
from simulators.faults import Fault
from simulators.faults.effects import FLAG_NO_GAS
from simulators.meters.registers import Exchanges
from simulators.physics.zones import Hole, ZoneStates
from simulators.valves import Closure

NO_GAS_KPA = 0.3
"""gauge pressure below which the pressure switch of a meter says that there is no gas"""
Floats = NDArray[np.float64]


def compute(
    kit: Kit, start: Carry, faults: Sequence[Fault], closures: Sequence[Closure], *, first_hour: int, days: int
) -> list[tuple[DayTable, Carry]]:
    """Return the days from an hour on, each with where it leaves the city.

    The first day on which gas does not reach everybody is the last one: what it left on cards must be known before the
    next one. There is always at least one.
    """
    plan = kit.plan
    hours = np.arange(first_hour, first_hour + days * DAY_H, dtype=np.int64)
    wanted = wanted_use(kit, faults, closures, hours)
    runs: list[CardRun] = []
    for day in range(days):
        before = runs[-1].end if runs else start.cards
        runs.append(kit.cards.run(before, wanted, slice(day * DAY_H, (day + 1) * DAY_H)))
    wanted.load = plan.zone_sums(wanted.passing + wanted.stolen) + wanted.late + BACKGROUND_LEAK * plan.nominal_m3h
    states = kit.physics.states(hours, wanted.load, _holes(wanted.effects.leaks), _offset_kpa(plan, wanted))
    found: list[tuple[DayTable, Carry]] = []
    for run in runs:
        table, start = _day(kit, start, wanted, cards=run, states=states, closures=closures)
        found.append((table, start))
        if table.shut or table.flows.starved.any():
            break
    return found


def _holes(leaks: Sequence[Hole]) -> list[Hole]:
    """Make one hole of those at the same place."""
    found: dict[tuple[int, float], Hole] = {}
    for hole in leaks:
        place = (hole.zone, hole.node_share)
        before = found.get(place)
        found[place] = hole if before is None else replace(hole, nominal_m3h=before.nominal_m3h + hole.nominal_m3h)
    return list(found.values())


def _offset_kpa(plan: Plan, wanted: Wanted) -> Floats:
    """Return what bad regulators add to their outlet pressure, (h, zones)."""
    offset = np.zeros(wanted.load.shape)
    for zone, rule in wanted.effects.offsets:
        offset[:, zone] += rule(wanted.load[:, zone] / plan.nominal_m3h[zone])
    return offset


def first_carry(kit: Kit, supply: Floats, parents: Floats) -> Carry:
    """Return where the city stands at the begin of its history: as the hour before left it."""
    plan = kit.plan
    hours = np.array([plan.start_hour - 1], dtype=np.int64)
    use = plan.zone_sums(hourly_use(plan.seed, plan.customers, hours)) + BACKGROUND_LEAK * plan.nominal_m3h
    states = kit.physics.states(hours, use, (), np.zeros_like(use))
    customer = plan.customers.start_m3
    return Carry(customer, supply, parents, states.packed_m3[0], states.outlet_kpa[0], None, kit.cards.first())


def _day(
    kit: Kit, start: Carry, wanted: Wanted, *, cards: CardRun, states: ZoneStates, closures: Sequence[Closure]
) -> tuple[DayTable, Carry]:
    plan, rows = kit.plan, cards.rows
    effects, hours = wanted.effects, wanted.hours[rows]
    served = states.served[rows]
    packed, draw = states.packed_m3[rows], wanted.load[rows] * served + states.leak_m3h[rows]
    by_meter: Floats | float = served[:, plan.customers.zone] if states.starved[rows].any() else 1.0
    zones = ZonesOfDay(
        passing=wanted.passing[rows] * by_meter,
        stolen=wanted.stolen[rows] * by_meter,
        counted=wanted.counted[rows] * by_meter,
        leak=BACKGROUND_LEAK * plan.nominal_m3h * served + states.leak_m3h[rows],
        draw=draw,
        wanted=packed,
        floor=packed * BASE_KPA / (BASE_KPA + states.mean_kpa[rows]),
        edges=np.concatenate([start.packed[None, :], mains.checked(start.packed, packed, draw)]),
        uneven={
            (row - rows.start, at): one for (row, at), one in wanted.uneven.items() if rows.start <= row < rows.stop
        },
    )
    shut = zones.starve(plan, shut_zones(plan, effects.zone_shut[rows], closures, hours))
    left, purchased, on_cards = kit.cards.shown(cards, zones.counted)
    linepack = np.diff(zones.edges, axis=0)
    supply = plan.zone_sums(zones.passing + zones.stolen) + zones.leak + linepack
    pressures = Pressures(packed, zones.floor, states.outlet_kpa[rows], states.mean_kpa[rows])
    gauge = gauge_kpa(zones.edges[1:], packed, zones.floor, pressures.outlet_kpa, pressures.mean_kpa)
    supply_counted = supply * effects.supply_gain[rows, : supply.shape[1]]
    between = mains.leak_m3h(plan, effects.parent_leak[rows])
    parents = _parents(plan, hours, supply, between, start.parent_packed)
    parent_counted = parents.supply * effects.supply_gain[rows, supply.shape[1] :]
    edges_kpa = np.concatenate([start.pressure_kpa[None, :], gauge])
    flows = Flows(
        hours=hours,
        passing=zones.passing,
        stolen=zones.stolen,
        counted=zones.counted,
        unregistered=_unregistered(wanted, rows, zones),
        leak=zones.leak,
        linepack=linepack,
        supply=supply,
        supply_counted=supply_counted,
        pressure_kpa=edges_kpa,
        lowest_kpa=states.lowest_kpa[rows],
        left_m3=left,
        purchased_m3=purchased,
        valve=(~(wanted.closed[rows] | effects.valve_closed[rows])).astype(np.int8),
        flags=effects.flags[rows] | _no_gas(plan, effects.shut[rows], edges_kpa[:-1]),
        silent=effects.silent[rows],
        parent_supply=parents.supply,
        parent_counted=parent_counted,
        parent_leak=between,
        parent_linepack=parents.linepack,
        starved=states.starved[rows],
    )
    customer = _sums(start.customer, zones.counted, kit.exchanges, hours)
    supplied, above = _sums(start.supply, supply_counted), _sums(start.parents, parent_counted)
    end = Carry(customer[-1], supplied[-1], above[-1], zones.edges[-1], gauge[-1], parents.packed, on_cards)
    return DayTable(flows, draw, customer, supplied, above, zones.uneven, shut, pressures), end


def _no_gas(plan: Plan, shut: NDArray[np.bool_], begins_kpa: Floats) -> NDArray[np.uint32]:
    """Return the flag of meters before which there is no gas when each hour begins, (h, m).

    Each meter has a pressure switch; `begins_kpa` is the gauge pressure of each zone then, (h, z).
    """
    empty = begins_kpa < NO_GAS_KPA
    missing = shut | empty[:, plan.customers.zone] if empty.any() else shut
    return np.where(missing, FLAG_NO_GAS, 0).astype(np.uint32)


def _unregistered(wanted: Wanted, rows: slice, zones: ZonesOfDay) -> Floats:
    hidden = zones.stolen + zones.passing * (1.0 - wanted.effects.counted[rows])
    for column, moved in wanted.moved.items():
        hidden[:, column] -= moved[rows]
    return np.asarray(hidden)


def _sums(
    before: Floats, gained: Floats, exchanges: Exchanges | None = None, hours: NDArray[np.int64] | None = None
) -> Floats:
    """Return sums at the edges of hours, from what they were before; an exchanged meter begins anew."""
    sums = np.cumsum(np.concatenate([before[None, :], gained]), axis=0)
    if exchanges is not None and hours is not None and len(exchanges):
        for at in np.flatnonzero((exchanges.hour >= hours[0]) & (exchanges.hour <= hours[-1])):
            row, column = int(exchanges.hour[at] - hours[0]), exchanges.column[at]
            sums[row:, column] = np.cumsum(np.concatenate([exchanges.new_start_m3[at : at + 1], gained[row:, column]]))
    return sums


def _parents(
    plan: Plan, hours: NDArray[np.int64], supply: Floats, leak: Floats, packed: Floats | None
) -> mains.ParentFlows:
    if plan.whole:
        return mains.parent_flows(plan, hours, supply, leak, packed)
    nothing = np.zeros(leak.shape)
    return mains.ParentFlows(mains.sum_up(plan, supply, nothing), nothing, nothing[-1])
