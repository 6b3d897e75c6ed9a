"""The simulated city's one consistent state: every register, pressure and flow at any moment.

For each regulator zone and hour holds: supply = use that passes the meters + stolen gas + leaks + what the pipes gain.
Everything is a function of the seed, the faults and the time, so a restart goes on where the city stood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
from numpy.typing import NDArray

from gateway.model.network import Station
from gateway.model.quantity import Quantity
from simulators import noise, weather
from simulators.customers import (
    BASE_K,
    BASE_KPA,
    COMMERCIAL,
    DEFAULT_MIX,
    HEATED,
    Customers,
    build_customers,
    credit,
    hourly_use,
    indices_of,
    meter_factor,
)
from simulators.faults import HOUR_US, Fault, gas_lel_pct
from simulators.faults._shares import leaks_m3h, meter_shares
from simulators.ground import Ground
from simulators.held_back import HeldBack
from simulators.networks.streets import build_ground
from simulators.valves import Closure, Valves

LIVE_START = datetime(2026, 1, 14, 21, tzinfo=UTC)
"""05:00 on 15 January 2026 in Asia/Shanghai: an hour before a gas day closes"""
CITY_METERS = (110, 110, 80)
RESTAURANT_M3_D = 70.0
"""use of the business that the demo's story is about: about a twelfth of its zone"""
GATE_SHARES = (0.6, 0.4)
"""shares of the two city gates in the supply"""
BACKGROUND_LEAK = 0.005
"""small leaks that every network has, as a share of the winter's use"""

_STREAM_PRESSURE, _STREAM_SENSOR = 41, 43
_CHUNK_H = 24


@dataclass(frozen=True, slots=True, eq=False)
class Flows:
    """What happens in each of h hours: base m3 except for `counted`."""

    hours: NDArray[np.int64]
    """hours since 1970 UTC"""
    passing: NDArray[np.float64]
    """through each customer's meter, (h, meters)"""
    stolen: NDArray[np.float64]
    """past each customer's meter, (h, meters)"""
    counted: NDArray[np.float64]
    """advance of each customer's register at its own conditions, (h, meters)"""
    leak: NDArray[np.float64]
    """out of each zone's pipes, (h, zones)"""
    linepack: NDArray[np.float64]
    """gained by each zone's pipes, (h, zones)"""
    supply: NDArray[np.float64]
    """through each zone's supply meter, (h, zones)"""
    unregistered: NDArray[np.float64]
    """used by each customer but not counted because of a fault: stolen, or past a bad register, (h, meters)"""
    pressure_kpa: NDArray[np.float64]
    """gauge pressure behind each regulator at the begin of each hour and the end of the last, (h + 1, zones)"""


@dataclass(frozen=True, slots=True, eq=False)
class Registers:
    """Registers at one moment or at each of t moments: last axis meters or zones, m3."""

    customer: NDArray[np.float64]
    """since new, without rollover, at the meter's own conditions"""
    supply: NDArray[np.float64]
    """base m3"""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What does not change while the city lives."""

    seed: int
    start: datetime
    """begin of the history"""
    ground: Ground
    customers: Customers

    @property
    def start_hour(self) -> int:
        """Hour since 1970 UTC at which the history begins."""
        return int(self.start.timestamp()) // 3600

    def find(self, zone: str, kind: int, near_m3_d: float, *, ic_card: bool) -> str:
        """Return the meter of a zone and kind whose winter use is nearest to a figure."""
        customers = self.customers
        fits = (
            (customers.kind == kind)
            & (customers.ic_card == ic_card)
            & (customers.zone == self.ground.regulator_zones.index(zone))
        )
        distance = np.where(fits, np.abs(customers.winter_m3_d() - near_m3_d), np.inf)
        if not fits.any():
            raise ValueError(f"no such customer in {zone}")
        return customers.meters[int(distance.argmin())].meter_id


def build_plan(
    seed: int, start: datetime, meters_per_zone: Sequence[int] = CITY_METERS, mix: str = DEFAULT_MIX
) -> Plan:
    """Build the city of a seed; `start` is the begin of its history, at a whole hour."""
    ground = build_ground(seed, meters_per_zone)
    return Plan(seed, start, ground, build_customers(seed, ground, start.date(), mix))


def demo_plan(seed: int, days: int) -> Plan:
    """Build the demo's city, whose history of some days ends at the live start."""
    plan = build_plan(seed, LIVE_START - timedelta(days=days), mix="town")
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

    def __init__(self, plan: Plan, faults: Sequence[Fault] = (), valves: Valves | None = None) -> None:
        self.plan = plan
        self.valves = valves or Valves()
        """a customer behind a closed one uses nothing"""
        self.faults: tuple[Fault, ...] = tuple(faults)
        self._meter_ids = [meter.meter_id for meter in plan.customers.meters]
        self._zones = plan.ground.regulator_zones
        self._members = np.zeros((len(plan.customers), len(self._zones)))
        self._members[np.arange(len(plan.customers)), plan.customers.zone] = 1.0
        winter = plan.customers.winter_m3_d() @ self._members
        self._nominal_m3h = winter / 24.0
        self._background_m3h = BACKGROUND_LEAK * self._nominal_m3h
        self._pipe_m3 = np.array([next(z.pipe_volume_m3 or 0.0 for z in plan.ground.zones if z.zone_id == name)
                                  for name in self._zones])  # fmt: skip
        self._regulators = [plan.ground.regulator_of(zone) for zone in self._zones]
        self._set_kpa = np.array([station.set_pressure_gauge_kpa for station in self._regulators])
        supply_start = np.asarray(winter * 300.0 * (3.0 + np.arange(len(self._zones)) % 3), dtype=np.float64)
        self._customer_sum: NDArray[np.float64] = plan.customers.start_m3[None, :]
        self._supply_sum: NDArray[np.float64] = supply_start[None, :]
        self._supply_flow = np.empty((0, len(self._zones)))
        self._pressure = np.empty((0, len(self._zones)))
        self._column = {meter_id: column for column, meter_id in enumerate(self._meter_ids)}
        self._held_back: dict[Closure, HeldBack] = {}

    def replace_faults(self, faults: Sequence[Fault]) -> None:
        """Take over a new list of faults. Sums of hours in which a changed fault acts are computed again."""
        changed = set(self.faults) ^ set(faults)
        self.faults = tuple(faults)
        first = min((fault.start_us // HOUR_US for fault in changed if fault.of_volume), default=None)
        if first is not None:
            keep = max(0, first - 1 - self.plan.start_hour) // _CHUNK_H * _CHUNK_H
            self._customer_sum = self._customer_sum[: keep + 1]
            self._supply_sum = self._supply_sum[: keep + 1]
            self._supply_flow = self._supply_flow[:keep]
            self._pressure = self._pressure[: keep + 1]
            self._held_back.clear()

    def flows(self, first_hour: int, count: int) -> Flows:
        """Return what happens in `count` hours from `first_hour` (hours since 1970 UTC)."""
        hours = np.arange(first_hour, first_hour + count, dtype=np.int64)
        around = np.arange(first_hour - 1, first_hour + count + 1, dtype=np.int64)
        use = hourly_use(self.plan.seed, self.plan.customers, around)
        leak = leaks_m3h(self.faults, self._zones, self._background_m3h, around)
        pressure = self._edge_pressure_kpa(use @ self._members + leak, around)
        packed = self._packed_m3(pressure, around[1:])
        use, leak = use[1:-1], leak[1:-1]
        passes, counts = meter_shares(self.faults, self._meter_ids, hours)
        passing, stolen = use * passes, use * (1.0 - passes)
        linepack = np.diff(packed, axis=0)
        return Flows(
            hours=hours,
            passing=passing,
            stolen=stolen,
            counted=passing * counts * meter_factor(self.plan.seed, self.plan.customers, hours),
            leak=leak,
            linepack=linepack,
            supply=(passing + stolen) @ self._members + leak + linepack,
            unregistered=stolen + passing * (1.0 - counts),
            pressure_kpa=pressure,
        )

    def _edge_pressure_kpa(self, flow_m3h: NDArray[np.float64], around: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return each zone's gauge pressure at the begin of every hour but the first: regulators droop with flow."""
        load = (flow_m3h[1:] + flow_m3h[:-1]) / 2.0 / self._nominal_m3h
        zones = np.arange(len(self._zones))[None, :]
        wobble = noise.normal(self.plan.seed, _STREAM_PRESSURE, zones, around[1:, None])
        droop = 1.015 - 0.03 * load + 0.002 * np.clip(wobble, -3.0, 3.0)
        return np.asarray(self._set_kpa * np.maximum(droop, 0.85), dtype=np.float64)

    def _packed_m3(self, gauge_kpa: NDArray[np.float64], edges: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the base volume of gas in each zone's pipes at hour edges."""
        gas_k = weather.ground_c(edges.astype(np.float64))[:, None] + 273.15
        return np.asarray(self._pipe_m3 * (gauge_kpa + BASE_KPA) / BASE_KPA * BASE_K / gas_k, dtype=np.float64)

    def _extend(self, hour: int) -> None:
        """Sum up whole days until the registers at `hour` are known.

        Always day by day: other pieces would round differently, and a restart must find the same registers.
        """
        known = self._supply_flow.shape[0]
        wanted = hour - self.plan.start_hour
        if wanted <= known:
            return
        customer, supply = [self._customer_sum], [self._supply_sum]
        flow, pressure = [self._supply_flow], [self._pressure[:known]]
        for first in range(known, wanted, _CHUNK_H):
            flows = self.flows(self.plan.start_hour + first, _CHUNK_H)
            customer.append(customer[-1][-1] + np.cumsum(flows.counted, axis=0))
            supply.append(supply[-1][-1] + np.cumsum(flows.supply, axis=0))
            flow.append(flows.supply)
            pressure.append(flows.pressure_kpa[:-1])
            edge = flows.pressure_kpa[-1:]
        self._customer_sum, self._supply_sum = np.concatenate(customer), np.concatenate(supply)
        self._supply_flow, self._pressure = np.concatenate(flow), np.concatenate([*pressure, edge])

    def registers(self, at_us: NDArray[np.int64] | int) -> Registers:
        """Return registers at moments not before the begin of the history (us UTC); linear within an hour."""
        moments = np.asarray(at_us, dtype=np.int64)
        row, share = self._known_row(moments)
        customer, supply = _between(self._customer_sum, row, share), _between(self._supply_sum, row, share)
        for column, held in self._closures():
            base, counted = held.until(np.atleast_1d(moments)).T.reshape(2, *moments.shape)
            customer[..., column] -= counted
            supply[..., self.plan.customers.zone[column]] -= base
        return Registers(customer, supply)

    def _closures(self) -> list[tuple[int, HeldBack]]:
        """Return (column of the meter, what is held back) for each time that a meter's valve is or was closed."""
        found = []
        for closure in self.valves.closures():
            column = self._column.get(closure.asset)
            if column is not None:
                if closure not in self._held_back:
                    self._held_back[closure] = HeldBack(closure, partial(self._use_of, column))
                found.append((column, self._held_back[closure]))
        return found

    def _use_of(self, column: int, first_hour: int) -> NDArray[np.float64]:
        """Return (base m3, advance of the register) of a meter with an open valve in a day's hours."""
        flows = self.flows(first_hour, _CHUNK_H)
        return np.stack([flows.passing[:, column], flows.counted[:, column]], axis=1)

    def shown(self, registers: Registers) -> NDArray[np.float64]:
        """Return what the customers' registers show: whole litres, rolled over."""
        litres = np.floor(np.mod(registers.customer, self.plan.customers.capacity_m3) * 1000.0 + 1e-6)
        return np.asarray(litres / 1000.0, dtype=np.float64)

    def credit(self, registers: Registers) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return (left, ever bought) for every customer, m3; it means something for IC-card meters only."""
        return credit(self.plan.customers, np.floor(registers.customer * 1000.0 + 1e-6) / 1000.0)

    def _known_row(self, at_us: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return (row of the hour in the tables, share of the hour) of moments, once the tables reach so far."""
        hour, rest = np.divmod(at_us, HOUR_US)
        row = hour - self.plan.start_hour
        if (row < 0).any():
            raise ValueError("the city has no state before its history")
        self._extend(int(hour.max()) + 1)
        return row, (rest / HOUR_US)[..., None]

    def supply_flow_m3h(self, at_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the flow through each zone's supply meter at t moments, base m3/h, shape (t, zones)."""
        row, _ = self._known_row(at_us)
        flow = np.array(self._supply_flow[row], dtype=np.float64)
        for column, held in self._closures():
            flow[:, self.plan.customers.zone[column]] -= held.flow_m3h(at_us)
        return flow

    def pressure_kpa(self, at_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the gauge pressure behind each regulator at t moments, linear within an hour, shape (t, zones)."""
        row, share = self._known_row(at_us)
        return _between(self._pressure, row, share)

    def station_values(self, at_us: int) -> dict[str, dict[Quantity, float]]:
        """Return what every station's and regulator's instruments show at one moment."""
        columns = self.station_columns(np.array([at_us], dtype=np.int64))
        return {
            station: {quantity: float(column[0]) for quantity, column in shown.items()}
            for station, shown in columns.items()
        }

    def station_columns(self, at_us: NDArray[np.int64]) -> dict[str, dict[Quantity, NDArray[np.float64]]]:
        """Return what the instruments show at t moments, with a little noise that changes each 10 s."""
        flow, pressure = self.supply_flow_m3h(at_us), self.pressure_kpa(at_us)
        gates = [station for station in self.plan.ground.stations if station.kind == "station"]
        load = flow.sum(axis=1) / self._nominal_m3h.sum()
        columns = {
            gate.station_id: self._instruments(
                number,
                gate,
                at_us,
                outlet_kpa=gate.set_pressure_gauge_kpa * (1.0 - 0.012 * load),
                inlet_kpa=1600.0 - 60.0 * load,
                flow_m3h=flow.sum(axis=1) * share,
            )
            for number, (gate, share) in enumerate(zip(gates, GATE_SHARES, strict=True))
        }
        for number, regulator in enumerate(self._regulators):
            columns[regulator.station_id] = self._instruments(
                10 + number,
                regulator,
                at_us,
                outlet_kpa=pressure[:, number],
                inlet_kpa=330.0 - 12.0 * load,
                flow_m3h=flow[:, number],
            )
        return columns

    def _instruments(
        self,
        number: int,
        station: Station,
        at_us: NDArray[np.int64],
        *,
        outlet_kpa: NDArray[np.float64],
        inlet_kpa: NDArray[np.float64],
        flow_m3h: NDArray[np.float64],
    ) -> dict[Quantity, NDArray[np.float64]]:
        jitter = noise.normal(
            self.plan.seed, _STREAM_SENSOR, number, at_us[None, :] // 10_000_000, np.arange(5)[:, None]
        )
        return {
            Quantity.PRESSURE_GAUGE_KPA: outlet_kpa * (1.0 + 0.0008 * jitter[0]),
            Quantity.INLET_PRESSURE_GAUGE_KPA: inlet_kpa * (1.0 + 0.001 * jitter[1]),
            Quantity.FLOW_BASE_M3H: np.maximum(0.0, flow_m3h * (1.0 + 0.006 * jitter[2])),
            Quantity.TEMPERATURE_C: weather.ground_c(at_us / HOUR_US) + 0.05 * jitter[3],
            Quantity.GAS_LEL_PCT: np.abs(0.15 * jitter[4]) + gas_lel_pct(self.faults, station.station_id, at_us),
            Quantity.VALVE: np.ones(len(at_us)),
        }


def _between(table: NDArray[np.float64], row: NDArray[np.int64], share: NDArray[np.float64]) -> NDArray[np.float64]:
    before = table[row]
    return np.asarray(before + (table[row + 1] - before) * share, dtype=np.float64)
