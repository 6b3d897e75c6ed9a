"""What registers and flows are at moments within hours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.engine.flows import Flows, Registers
from simulators.engine.plan import Plan
from simulators.engine.shut import Uneven, ZoneHour
from simulators.engine.starve import At, gauge_kpa

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Pressures:
    """What turns the gas in the pipes into the pressure behind the regulators, (h, zones)."""

    wanted: Floats
    floor: Floats
    outlet_kpa: Floats
    mean_kpa: Floats


@dataclass(frozen=True, slots=True, eq=False)
class DayTable:
    """One day: its flows, and registers at the edges of its hours, (25, ...)."""

    flows: Flows
    draw: Floats
    """what the hour's use and leaks would take, (h, zones)"""
    customer: Floats
    supply: Floats
    parents: Floats
    uneven: Mapping[At, Uneven]
    """customers whose valves moved within an hour"""
    shut: Mapping[At, ZoneHour]
    """zones whose regulator was closed for some time of an hour"""
    pressures: Pressures

    def registers(self, plan: Plan, row: NDArray[np.intp], share: Floats) -> Registers:
        """Return the registers at moments of the day: rows of hours and the share of the hour that is over, (t,)."""
        flows, part = self.flows, share[:, None]
        customer = self.customer[row] + flows.counted[row] * part
        supply = self.supply[row] + flows.supply_counted[row] * part
        parents = self.parents[row] + flows.parent_counted[row] * part
        for hour in {at[0] for at in (*self.shut, *self.uneven)} & set(row.tolist()):
            mine = np.flatnonzero(row == hour)
            self._correct(plan, hour, mine, share[mine], customer=customer, supply=supply)
        left = flows.left_m3[row] - np.where(plan.customers.ic_card, customer - self.customer[row], 0.0)
        return Registers(customer, supply, parents, left, flows.purchased_m3[row])

    def _correct(
        self, plan: Plan, hour: int, mine: NDArray[np.intp], share: Floats, *, customer: Floats, supply: Floats
    ) -> None:
        """Replace straight lines by what happens in an hour in which valves move."""
        flows, zone_of = self.flows, plan.customers.zone
        for zone in self._zones_of(plan, hour):
            if (hour, zone) in self.shut:
                members = np.flatnonzero(zone_of == zone)
                over = _ratio(self.shut[hour, zone].served(share), self.shut[hour, zone].served(1.0))
                customer[np.ix_(mine, members)] = (
                    self.customer[hour, members] + flows.counted[hour, members] * over[:, None]
                )
            now, whole = self._supplied(plan, hour, zone, share), self._supplied(plan, hour, zone, np.ones(1))
            supply[mine, zone] = self.supply[hour, zone] + flows.supply_counted[hour, zone] * _ratio(now, whole[0])
        for (at, column), one in self.uneven.items():
            if at == hour:
                shut = self.shut.get((hour, int(zone_of[column])))
                over = _ratio(one.open_h(share, shut), one.open_h(1.0, shut))
                customer[mine, column] = self.customer[hour, column] + flows.counted[hour, column] * over

    def _zones_of(self, plan: Plan, hour: int) -> set[int]:
        moved = {int(plan.customers.zone[column]) for at, column in self.uneven if at == hour}
        return moved | {zone for at, zone in self.shut if at == hour}

    def _supplied(self, plan: Plan, hour: int, zone: int, share: Floats) -> Floats:
        """Return the base m3 that came into a zone by moments in an hour in which valves move, (t,)."""
        shut = self.shut.get((hour, zone))
        if shut is not None:
            total = shut.supplied(share, float(self.draw[hour, zone]))
        else:
            total = (self.draw[hour, zone] + self.flows.linepack[hour, zone]) * share
        for (at, column), one in self.uneven.items():
            if at == hour and plan.customers.zone[column] == zone:
                full = _ratio(self.flows.passing[hour, column], one.open_h(1.0, shut))
                total = total - full * one.missing_h(share, shut)
        return np.asarray(total)

    def supply_flow_m3h(self, plan: Plan, row: NDArray[np.intp], share: Floats) -> Floats:
        """Return the flow through each zone's regulator at moments of the day, base m3/h, (t, zones)."""
        flow = self.flows.supply[row]
        second = 1.0 / 3600.0
        for hour in {at[0] for at in (*self.shut, *self.uneven)} & set(row.tolist()):
            mine = np.flatnonzero(row == hour)
            begin = np.minimum(share[mine], 1.0 - second)
            for zone in self._zones_of(plan, hour):
                more = self._supplied(plan, hour, zone, begin + second) - self._supplied(plan, hour, zone, begin)
                flow[mine, zone] = more / second
        return np.asarray(flow)

    def is_shut(self, row: NDArray[np.intp], share: Floats) -> NDArray[np.bool_]:
        """Say at moments of the day whose regulators are closed, (t, zones)."""
        result = np.zeros((len(row), self.draw.shape[1]), np.bool_)
        for (hour, zone), one in self.shut.items():
            mine = np.flatnonzero(row == hour)
            result[mine, zone] = ~one.is_open(share[mine])
        return result

    def pressure_kpa(self, row: NDArray[np.intp], share: Floats) -> Floats:
        """Return the gauge pressure behind each regulator at moments of the day, (t, zones)."""
        edge = self.flows.pressure_kpa
        result = edge[row] + (edge[row + 1] - edge[row]) * share[:, None]
        known = self.pressures
        for (hour, zone), one in self.shut.items():
            mine = np.flatnonzero(row == hour)
            at = (hour, zone)
            gauge = gauge_kpa(
                one.packed(share[mine]), known.wanted[at], known.floor[at], known.outlet_kpa[at], known.mean_kpa[at]
            )
            result[mine, zone] = gauge
        return np.asarray(result)


def _ratio(part: Floats, whole: Floats | float) -> Floats:
    total = np.asarray(whole, dtype=np.float64)
    return np.divide(part, total, out=np.zeros(np.broadcast(part, total).shape), where=total != 0.0)
