"""A day of the zones whose regulators are closed at some time: what their customers still get, and what is supplied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.customers import BASE_KPA
from simulators.engine.plan import Plan
from simulators.engine.shut import Span, Uneven, ZoneHour, shut_spans, zone_hour
from simulators.faults.fault import HOUR_US
from simulators.valves import Closure

Floats = NDArray[np.float64]
At = tuple[int, int]
"""(row of the hour, column of the meter or zone)"""


def gauge_kpa(packed: Floats, wanted: Floats, floor: Floats, outlet_kpa: Floats, mean_kpa: Floats) -> Floats:
    """Return the gauge pressure behind regulators whose pipes hold `packed` instead of the `wanted` base m3.

    `floor` is held at atmospheric pressure, `outlet_kpa` and `mean_kpa` belong to `wanted`.
    """
    below = np.clip((packed - floor) / np.maximum(wanted - floor, 1e-12), 0.0, 1.0) * outlet_kpa
    above = outlet_kpa + (packed / np.maximum(wanted, 1e-12) - 1.0) * (mean_kpa + BASE_KPA)
    return np.where(packed < wanted, below, above)


def shut_zones(
    plan: Plan, zone_shut: NDArray[np.bool_], closures: Sequence[Closure], hours: NDArray[np.int64]
) -> dict[int, list[list[Span]]]:
    """Return for each zone whose regulator is closed at some time of the day when that is in each hour.

    `zone_shut` are whole hours of work on the network, (h, z).
    """
    regulators = plan.assets.regulators
    by_zone: dict[int, list[Closure]] = {}
    for closure in closures:
        if closure.asset in regulators:
            by_zone.setdefault(regulators[closure.asset], []).append(closure)
    for row, zone in np.argwhere(zone_shut):
        begin = int(hours[row]) * HOUR_US
        by_zone.setdefault(int(zone), []).append(Closure("", begin, begin + HOUR_US))
    found = {zone: [shut_spans(mine, int(hour)) for hour in hours] for zone, mine in by_zone.items()}
    return {zone: spans for zone, spans in found.items() if any(spans)}


@dataclass(slots=True, eq=False)
class ZonesOfDay:
    """A day's columns, (h, meters) or (h, zones), on the way to what really happens."""

    passing: Floats
    stolen: Floats
    counted: Floats
    leak: Floats
    draw: Floats
    """what use and leaks would take"""
    wanted: Floats
    """base m3 that open regulators keep in the pipes"""
    floor: Floats
    """base m3 in the pipes at atmospheric pressure"""
    edges: Floats
    """base m3 in the pipes at the edges of the hours, (h + 1, zones)"""
    uneven: Mapping[At, Uneven]

    def starve(self, plan: Plan, shut: Mapping[int, Sequence[Sequence[Span]]]) -> dict[At, ZoneHour]:
        """Let no gas through closed regulators; return the hours in which one was closed."""
        found: dict[At, ZoneHour] = {}
        if shut:
            self.passing, self.stolen, self.counted = self.passing.copy(), self.stolen.copy(), self.counted.copy()
        for zone, spans in shut.items():
            members = np.flatnonzero(plan.customers.zone == zone)
            first = next(row for row, one in enumerate(spans) if one)
            for row in range(first, len(spans)):
                packed, draw = float(self.edges[row, zone]), float(self.draw[row, zone])
                wanted = max(float(self.wanted[row, zone]), packed - draw)
                if not spans[row]:
                    self.edges[row + 1, zone] = wanted
                    continue
                hour = zone_hour(
                    spans[row],
                    packed_m3=packed,
                    wanted_m3=wanted,
                    floor_m3=float(self.floor[row, zone]),
                    flow_m3h=draw,
                )
                self._take(row, zone, members, hour)
                found[row, zone] = hour
        return found

    def _take(self, row: int, zone: int, members: NDArray[np.intp], hour: ZoneHour) -> None:
        """Write what the zone's customers got in an hour with a closed regulator, and what is left in its pipes."""
        share = np.full(len(members), float(hour.served(1.0)))
        self.stolen[row, members] *= share
        supplied = float(hour.supplied(1.0, float(self.draw[row, zone])))
        for at, column in enumerate(members):
            one = self.uneven.get((row, int(column)))
            if one is not None:
                full = self.passing[row, column] / float(one.open_h(1.0))
                share[at] = float(one.open_h(1.0, hour)) / float(one.open_h(1.0))
                supplied -= full * float(one.missing_h(1.0, hour))
        self.passing[row, members] *= share
        self.counted[row, members] *= share
        self.leak[row, zone] *= float(hour.served(1.0))
        gone = self.passing[row, members].sum() + self.stolen[row, members].sum() + self.leak[row, zone]
        self.edges[row + 1, zone] = self.edges[row, zone] + supplied - gone
