"""What does not change while the city lives: its seed, its ground, its customers, and the levels of its network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from simulators.customers import Customers
from simulators.faults.effects import Assets
from simulators.ground import Ground, regulator_index

Floats = NDArray[np.float64]

BACKGROUND_LEAK = 0.005
"""small leaks that every network has, as a share of the winter's use"""
MAINS_LEAK = 0.0004
"""the same between two levels of the network, base m3/h for each m3 of pipe"""


def supply_meter(zone_number: int) -> str:
    """Return the id of the supply meter of the n-th regulator zone, from 0."""
    return f"V-{zone_number + 1:03d}"


def parent_meter(zone_id: str) -> str:
    """Return the id of the supply meter of a district or of the whole city."""
    return f"V-{zone_id}"


@dataclass(frozen=True, eq=False)
class Plan:
    """The city or a part of it."""

    seed: int
    start: datetime
    """begin of the history, at a whole hour"""
    ground: Ground
    customers: Customers
    whole: bool = True
    """False for a part of a city: the levels above its zones are known to the whole only"""

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

    @cached_property
    def parents(self) -> tuple[str, ...]:
        """Districts and city, each before the zone above it."""
        above = {zone.zone_id: zone.parent_id for zone in self.ground.zones}
        depth: dict[str, int] = {}
        for zone in self.ground.regulator_zones:
            chain, at = [], above.get(zone, "")
            while at and at not in chain:
                chain.append(at)
                at = above.get(at, "")
            depth |= {name: steps for steps, name in enumerate(reversed(chain))}
        for zone in self.ground.regulator_zones:
            depth.pop(zone, None)
        return tuple(sorted(depth, key=lambda name: (-depth[name], name)))

    @cached_property
    def parent_of_zone(self) -> NDArray[np.intp]:
        """Column among the parents of each regulator zone's parent, -1 if it has none."""
        return self._columns_above(self.ground.regulator_zones)

    @cached_property
    def parent_of_parent(self) -> NDArray[np.intp]:
        """The same of each parent."""
        return self._columns_above(self.parents)

    def _columns_above(self, names: Sequence[str]) -> NDArray[np.intp]:
        above = {zone.zone_id: zone.parent_id for zone in self.ground.zones}
        column = {name: n for n, name in enumerate(self.parents)}
        return np.array([column.get(above.get(name, ""), -1) for name in names], dtype=np.intp)

    @cached_property
    def zone_numbers(self) -> NDArray[np.int64]:
        """Number of each regulator zone in the whole city: the place of its random numbers."""
        return self.ground.first_zone + np.arange(len(self.ground.regulator_zones), dtype=np.int64)

    @cached_property
    def supply_meters(self) -> tuple[str, ...]:
        """Supply meter of each regulator zone, then of each parent."""
        return *(supply_meter(int(n)) for n in self.zone_numbers), *(parent_meter(name) for name in self.parents)

    @cached_property
    def assets(self) -> Assets:
        """Column of each asset, for faults."""
        regulators = [self.ground.regulator_of(zone) for zone in self.ground.regulator_zones]
        return Assets(
            seed=self.seed,
            meters={meter.meter_id: n for n, meter in enumerate(self.customers.meters)},
            keys=self.customers.key,
            zones=regulator_index(self.ground),
            parents={name: n for n, name in enumerate(self.parents)},
            regulators={station.station_id: n for n, station in enumerate(regulators)},
            stations=frozenset(station.station_id for station in self.ground.stations),
            supplies={name: n for n, name in enumerate(self.supply_meters)},
            set_kpa=np.array([station.set_pressure_gauge_kpa for station in regulators]),
        )

    @cached_property
    def nominal_m3h(self) -> Floats:
        """Flow of each zone in a mean hour of winter, base m3/h; never 0."""
        winter = np.bincount(
            self.customers.zone, self.customers.winter_m3_d(), minlength=len(self.ground.regulator_zones)
        )
        return np.maximum(np.asarray(winter, dtype=np.float64) / 24.0, 0.05)

    def zone_sums(self, by_meter: Floats) -> Floats:
        """Sum (h, meters) up to (h, zones). The sum of a zone does not depend on which others there are."""
        zone, count = self.customers.zone, len(self.ground.regulator_zones)
        sums = np.zeros((len(by_meter), count))
        if by_meter.shape[1] == 0:
            return sums
        if self._order is not None:
            by_meter, zone = by_meter[:, self._order], zone[self._order]
        present, first = np.unique(zone, return_index=True)
        sums[:, present] = np.add.reduceat(by_meter, first, axis=1)
        return sums

    @cached_property
    def _order(self) -> NDArray[np.intp] | None:
        """Order of the meters by zone; None if they stand in it."""
        zone = self.customers.zone
        return None if (np.diff(zone) >= 0).all() else np.argsort(zone, kind="stable")

    def part(self, zones: Sequence[int]) -> Plan:
        """Return the part of the city that consists of a run of regulator zones (positions)."""
        wanted = sorted({int(zone) for zone in zones})
        if not wanted or wanted != list(range(wanted[0], wanted[-1] + 1)):
            raise ValueError("a part of a city is a run of neighbouring zones")
        if wanted[0] < 0 or wanted[-1] >= len(self.ground.regulator_zones):
            raise ValueError(f"the city has {len(self.ground.regulator_zones)} regulator zones")
        columns = np.flatnonzero((self.customers.zone >= wanted[0]) & (self.customers.zone <= wanted[-1]))
        ground = self.ground.part(wanted[0], len(wanted))
        customers = self.customers.part(columns)
        customers = replace(customers, zone=customers.zone - wanted[0])
        whole = self.whole and len(wanted) == len(self.ground.regulator_zones)
        return replace(self, ground=ground, customers=customers, whole=whole)
