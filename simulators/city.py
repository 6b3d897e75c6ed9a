"""The simulated city's one consistent state: every register, pressure and flow at any moment.

For each zone and hour holds: supply = use that passes the meters + stolen gas + leaks + what the pipes gain. Everything
is a function of the seed, the faults, the valves and the time, so a restart goes on where the city stood.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gateway.model.quantity import Quantity
from simulators.customers import COMMERCIAL, HEATED, build_customers, indices_of
from simulators.engine import instruments, mains
from simulators.engine.block import first_carry
from simulators.engine.credit import Cards
from simulators.engine.flows import Flows, Registers, joined
from simulators.engine.kit import Kit, Physics
from simulators.engine.moments import DayTable
from simulators.engine.plan import Plan, parent_meter, supply_meter
from simulators.engine.tables import Tables
from simulators.engine.wanted import DAY_H
from simulators.faults import HOUR_US, KINDS, Assets, Fault, FaultKind, gathered, sensors_with_faults
from simulators.ground import Ground
from simulators.meters.error import MeterErrors
from simulators.meters.registers import Exchanges, show
from simulators.meters.traits import meter_traits
from simulators.networks.streets import build_ground
from simulators.physics.zones import ZonePhysics
from simulators.valves import Valves

LIVE_START = datetime(2026, 1, 14, 21, tzinfo=UTC)
"""05:00 on 15 January 2026 in Asia/Shanghai: an hour before a gas day closes"""
CITY_METERS = (110, 110, 80)
RESTAURANT_M3_D = 70.0
"""use of the business that the demo's story is about: about a twelfth of its zone"""
_MOST_LEAK, _MOST_LEAK_M3H = 10.0, 20.0
"""leaks of a zone, as a share of its mean flow in winter or in base m3/h, beyond which its pipes would be torn open"""
TOWN = "town"
"""mix of customers of the demo"""

Floats = NDArray[np.float64]
Shown = dict[str, dict[Quantity, Floats]]

__all__ = [
    "LIVE_START",
    "City",
    "Flows",
    "Meters",
    "Plan",
    "Registers",
    "build_plan",
    "demo_plan",
    "parent_meter",
    "story_meters",
    "supply_meter",
]


@dataclass(frozen=True, slots=True, eq=False)
class Meters:
    """What all customers' meters report at one moment, (m,)."""

    shown: Floats
    """m3 on the register"""
    left: Floats
    """credit left, m3; it means something for IC-card meters only"""
    purchased: Floats
    """credit ever loaded, m3"""
    valve: NDArray[np.int8]
    """1 open, 0 closed"""
    flags: NDArray[np.uint32]
    silent: NDArray[np.bool_]
    """True where a fault keeps readings from arriving"""


def build_plan(
    seed: int,
    start: datetime,
    meters_per_zone: Sequence[int] = CITY_METERS,
    mix: str = "chinese_city",
    *,
    ground: Ground | None = None,
) -> Plan:
    """Build the city of a seed; `start` is the begin of its history, at a whole hour.

    It stands on `ground` if that is given, else on streets drawn by the seed. Raises ValueError for another start.
    """
    if start.tzinfo is None or start.timestamp() % 3600:
        raise ValueError("the history of a city begins at a whole hour of a known time zone")
    on = build_ground(seed, meters_per_zone) if ground is None else ground
    return Plan(seed, start, on, build_customers(seed, on, start.date(), mix))


def demo_plan(seed: int, days: int) -> Plan:
    """Build the demo's city, whose history of some days ends at the live start."""
    plan = build_plan(seed, LIVE_START - timedelta(days=days), mix=TOWN)
    restaurant = indices_of(plan.customers, story_meters(plan)[:1])
    steady = plan.customers.steady_m3_d.copy()
    steady[restaurant] = RESTAURANT_M3_D
    return replace(plan, customers=replace(plan.customers, steady_m3_d=steady))


def story_meters(plan: Plan) -> tuple[str, str]:
    """Return (the business in R-003 that is bypassed, the heated home in R-001 whose meter stops)."""
    zones = plan.ground.regulator_zones
    return plan.find(zones[-1], COMMERCIAL, RESTAURANT_M3_D, ic_card=True), plan.find(
        zones[0], HEATED, 8.5, ic_card=False
    )


class City:
    """Answers what the city's meters and stations show. Not thread-safe; one owner asks it."""

    def __init__(
        self,
        plan: Plan,
        faults: Sequence[Fault] = (),
        valves: Valves | None = None,
        exchanges: Exchanges | None = None,
        *,
        tables: Path | None = None,
        physics: Physics | None = None,
    ) -> None:
        """Begin with what is wrong, which valves are closed and which meters will be exchanged.

        `tables` is a file that keeps what was solved of the zones' pipes; `physics` stands in for their model.
        """
        self.plan = plan
        self.valves = valves or Valves()
        """a customer behind a closed one uses nothing"""
        self.exchanges = exchanges if exchanges is not None else Exchanges.none()
        self.faults: tuple[Fault, ...] = ()
        self._traits = meter_traits(plan.seed, plan.customers)
        self._parents_m3h = mains.nominal_m3h(plan)
        self._table_file, self._physics = tables, physics
        self.replace_faults(faults)

    @property
    def assets(self) -> Assets:
        """What the city has that a fault can befall."""
        return self.plan.assets

    @property
    def parents(self) -> tuple[str, ...]:
        """Districts and city, in the order of the columns of parents."""
        return self.plan.parents

    def replace_faults(self, faults: Sequence[Fault]) -> None:
        """Take over a new list of faults. Hours in which a changed fault acts are computed again."""
        self.faults = tuple(faults)

    @cached_property
    def _tables(self) -> Tables:
        """Days, computed when they are asked for."""
        plan = self.plan
        errors = MeterErrors(plan.seed, self._traits, self.exchanges)
        kit = Kit(plan, self._pressures, errors, self.exchanges, Cards(plan.seed, plan.customers, self.exchanges))
        supply = _start_m3(plan.nominal_m3h, plan.zone_numbers)
        parents = _start_m3(self._parents_m3h, np.arange(len(self._parents_m3h)))
        return Tables(kit, first_carry(kit, supply, parents))

    def check(self, fault: Fault) -> None:
        """Raise ValueError with the remedy if a fault cannot befall this city beside those that it has."""
        KINDS[fault.kind].check(fault, self.assets)
        zone = self.assets.zones.get(fault.asset)
        if fault.kind is FaultKind.LEAK and zone is not None:
            beside = (one for one in self.faults if _together(one, fault))
            size = fault.size + sum(one.size for one in beside if self.assets.zones.get(one.asset) == zone)
            most = max(_MOST_LEAK_M3H, _MOST_LEAK * self.plan.nominal_m3h[zone])
            if size > most:
                raise ValueError(
                    f"{fault.fault_id}: leaks of {size:.4g} m3/h would tear {fault.asset} open; "
                    f"give at most {most:.4g} for all leaks of the zone together"
                )

    @cached_property
    def _pressures(self) -> Physics:
        """The model of the zones' pipes, solved when it is first asked for."""
        plan = self.plan
        return self._physics or ZonePhysics(
            plan.seed, plan.ground, plan.nominal_m3h, weights=_weights(plan), tables=self._table_file
        )

    def _update(self) -> None:
        mine = gathered(fault for fault in self.faults if _befalls(self.assets, fault))
        self._tables.take(mine, self.valves.closures())

    def part(self, zones: Sequence[int]) -> City:
        """Return the part of the city that is a run of regulator zones (positions), as the whole computes it.

        What lies above the regulators is the whole's affair: parents' supply counts the part's zones only.
        """
        plan = self.plan.part(zones)
        inside = np.flatnonzero(np.isin(self.plan.customers.key, plan.customers.key))
        mine = np.isin(self.exchanges.column, inside)
        column = np.searchsorted(inside, self.exchanges.column[mine])
        exchanges = replace(
            self.exchanges,
            column=column.astype(np.intp),
            hour=self.exchanges.hour[mine],
            new_start_m3=self.exchanges.new_start_m3[mine],
            recorded=self.exchanges.recorded[mine],
        )
        faults = [fault for fault in self.faults if _befalls(plan.assets, fault)]
        return City(plan, faults, self.valves, exchanges, tables=self._table_file)

    def flows(self, first_hour: int, count: int) -> Flows:
        """Return what happens in `count` hours from `first_hour` (hours since 1970 UTC)."""
        self._update()
        begin = first_hour - self.plan.start_hour
        if begin < 0:
            raise ValueError("the city has no state before its history")
        first, last = begin // DAY_H, (begin + max(count, 1) - 1) // DAY_H
        days = [table.flows for table in self._tables.days(first, last - first + 1)]
        return joined(days).rows(begin - first * DAY_H, count)

    def registers(self, at_us: NDArray[np.int64] | int) -> Registers:
        """Return registers at moments not before the begin of the history (us UTC); linear within an hour."""
        moments = np.asarray(at_us, dtype=np.int64)
        found = [table.registers(self.plan, row, share) for table, row, share in self._by_day(moments)]
        names = ("customer", "supply", "parents", "left", "purchased")
        return Registers(*(self._in_order(moments, [getattr(one, name) for one in found]) for name in names))

    def shown(self, registers: Registers) -> Floats:
        """Return what the customers' registers show: whole pulses, rolled over."""
        return show(self._traits, registers.customer)

    def credit(self, registers: Registers) -> tuple[Floats, Floats]:
        """Return (left, ever bought) for every customer, m3; it means something for IC-card meters only."""
        return registers.left, registers.purchased

    def meters_at(self, now_us: int) -> Meters:
        """Return what all customers' meters report at a moment."""
        registers = self.registers(now_us)
        ((table, row, _),) = self._by_day(np.atleast_1d(np.int64(now_us)))
        flows, at = table.flows, int(row[0])
        valve = flows.valve[at].copy()
        for closure in self.valves.closures():
            if closure.start_us <= now_us and (closure.end_us is None or now_us < closure.end_us):
                column = self.assets.meters.get(closure.asset)
                if column is not None:
                    valve[column] = 0
        shown = self.shown(registers)
        return Meters(shown, registers.left, registers.purchased, valve, flows.flags[at], flows.silent[at])

    def flags_at(self, at_us: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Return the flags that customers' meters show at t moments (us UTC), (t, m)."""
        found = self._in_order(at_us, [table.flows.flags[row] for table, row, _ in self._by_day(at_us)])
        return found.astype(np.uint32, copy=False)

    def supply_flow_m3h(self, at_us: NDArray[np.int64]) -> Floats:
        """Return the flow through each zone's supply meter at t moments, base m3/h, shape (t, zones)."""
        days = self._by_day(at_us)
        return self._in_order(at_us, [table.supply_flow_m3h(self.plan, row, share) for table, row, share in days])

    def pressure_kpa(self, at_us: NDArray[np.int64]) -> Floats:
        """Return the gauge pressure behind each regulator at t moments, linear within an hour, shape (t, zones)."""
        return self._in_order(at_us, [table.pressure_kpa(row, share) for table, row, share in self._by_day(at_us)])

    def station_values(self, at_us: int) -> dict[str, dict[Quantity, float]]:
        """Return what every station's and regulator's instruments show at one moment."""
        columns = self.station_columns(np.array([at_us], dtype=np.int64))
        return {
            station: {quantity: float(column[0]) for quantity, column in shown.items()}
            for station, shown in columns.items()
        }

    def station_columns(self, at_us: NDArray[np.int64]) -> Shown:
        """Return what the instruments show at t moments, with a little noise that changes each 10 s."""
        columns = self._sound(at_us)
        first_us = self.plan.start_hour * HOUR_US

        def before(station: str) -> Callable[[int], dict[Quantity, float]]:
            def at_moment(moment: int) -> dict[Quantity, float]:
                sound = self._sound(np.array([max(moment, first_us)], dtype=np.int64))[station]
                return {quantity: float(column[0]) for quantity, column in sound.items()}

            return at_moment

        return {
            station: sensors_with_faults(self.faults, station, at_us, shown, before(station))
            for station, shown in columns.items()
        }

    def _sound(self, at_us: NDArray[np.int64]) -> Shown:
        """Return what instruments show that have no fault of their own."""
        days = self._by_day(at_us)
        parent_m3h = self._in_order(at_us, [table.flows.parent_supply[row] for table, row, _ in days])
        shut = self._in_order(at_us, [table.is_shut(row, share) for table, row, share in days])
        gates = instruments.of_gates(self.plan, self.faults, at_us, parent_m3h, self._parents_m3h)
        flow, outlet = self.supply_flow_m3h(at_us), self.pressure_kpa(at_us)
        regulators = instruments.of_regulators(self.plan, self.faults, at_us, flow, outlet)
        instruments.with_valves(self.plan, regulators, shut.astype(np.bool_))
        return gates | regulators if self.plan.whole else regulators

    def _by_day(self, at_us: NDArray[np.int64]) -> list[tuple[DayTable, NDArray[np.intp], Floats]]:
        """Return (day, rows of the hours, shares of them) of moments, day by day."""
        self._update()
        hour, rest = np.divmod(np.atleast_1d(at_us).ravel(), HOUR_US)
        since = hour - self.plan.start_hour
        if (since < 0).any():
            raise ValueError("the city has no state before its history")
        found = []
        for day in np.unique(since // DAY_H) if len(since) else (0,):
            mine = since // DAY_H == day
            found.append((self._tables.day(int(day)), (since[mine] % DAY_H).astype(np.intp), rest[mine] / HOUR_US))
        return found

    def _in_order(self, at_us: NDArray[np.int64], parts: Sequence[NDArray[np.generic]]) -> Floats:
        """Put what `_by_day` brought back into the order and shape of the moments."""
        together = np.concatenate(parts)
        day = (np.atleast_1d(at_us).ravel() // HOUR_US - self.plan.start_hour) // DAY_H
        result = np.empty(together.shape, together.dtype)
        result[np.argsort(day, kind="stable")] = together
        return result.reshape(*np.shape(at_us), together.shape[1])


def _together(one: Fault, other: Fault) -> bool:
    """Say whether two faults of one kind act at the same time."""
    overlap = one.end_hour > other.start_hour and other.end_hour > one.start_hour
    return one.kind is other.kind and one.fault_id != other.fault_id and overlap


def _befalls(assets: Assets, fault: Fault) -> bool:
    names = (assets.meters, assets.zones, assets.parents, assets.regulators, assets.supplies, assets.stations)
    return any(fault.asset in known for known in names)


def _weights(plan: Plan) -> Floats | None:
    """Return what each place takes of its zone's flow; None where zones of one shape are to share a table."""
    return None if plan.ground.shapes else plan.customers.winter_m3_d()


def _start_m3(nominal_m3h: Floats, numbers: NDArray[np.int64]) -> Floats:
    """Return what supply registers show at the begin of the history: some years of flow."""
    return np.asarray(24.0 * nominal_m3h * 300.0 * (3.0 + numbers % 3), dtype=np.float64)
