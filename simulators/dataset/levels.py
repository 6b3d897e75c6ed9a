"""The levels above the regulators: what went into districts and the city, once all zones below them are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simulators.city import Plan
from simulators.dataset.groups import GroupResult, spans
from simulators.dataset.ledger import DAY_H
from simulators.dataset.supply import supply_rows
from simulators.dataset.truth import Balance
from simulators.engine.mains import ParentFlows, parent_flows, sum_up
from simulators.faults import HOUR_US

Floats = NDArray[np.float64]


class Levels:
    """Gathers what the groups of zones took; complete when all have been added."""

    def __init__(self, plan: Plan, days: int, columns: Sequence[int]) -> None:
        """Take the positions, among those of the zones and then of the parents, of the parents' supply meters."""
        self._plan, self._days, self._columns = plan, days, list(columns)
        zones, parents = len(plan.ground.regulator_zones), len(plan.parents)
        self._supply = np.zeros((days * DAY_H, zones))
        self._loss = np.zeros((days, zones))
        self._leak = np.zeros((days * DAY_H, parents))
        self._gain = np.ones((days * DAY_H, parents))
        self._flows: ParentFlows | None = None

    def add(self, result: GroupResult) -> None:
        """Take what one group took."""
        first = result.first_zone - self._plan.ground.first_zone
        zones = slice(first, first + result.supply_m3.shape[1])
        self._supply[:, zones] = result.supply_m3
        self._loss[:, zones] = result.sums.loss_m3
        for column, name in enumerate(result.parents):
            at = self._plan.parents.index(name)
            self._leak[:, at] = result.parent_leak_m3[:, column]
            self._gain[:, at] = result.parent_gain[:, column]

    @property
    def supply_m3(self) -> Floats:
        """Return what went into each regulator zone in each hour, base m3, (h, zones)."""
        return self._supply

    def flows(self) -> ParentFlows:
        """Return what went into each parent."""
        if self._flows is None:
            hours = self._plan.start_hour + np.arange(len(self._supply), dtype=np.int64)
            self._flows = parent_flows(self._plan, hours, self._supply, self._leak, None)
        return self._flows

    def readings(self) -> Iterator[pa.Table]:
        """Yield the rows of the parents' supply meters."""
        if not self._columns:
            return
        start = self._plan.start_hour
        rows = supply_rows(self._plan, self._columns, (start + self._days * DAY_H) * HOUR_US)
        parents = np.asarray(self._columns) - self._supply.shape[1]
        counted = (self.flows().supply * self._gain)[:, parents]
        for first, count in spans(start, self._days, len(self._columns)):
            hours = np.arange(first, first + count, dtype=np.int64)
            yield rows.of_supply(hours, counted[first - start : first - start + count])

    def balances(self) -> Iterator[tuple[str, Balance]]:
        """Yield (zone, what went into it and left it unregistered) of each parent that has a supply meter."""
        lost = sum_up(self._plan, self._loss, _by_day(self._leak))
        supply = _by_day(self.flows().supply)
        for column in self._columns:
            at = column - self._supply.shape[1]
            yield self._plan.parents[at], Balance(supply[:, at], lost[:, at])


def _by_day(values: Floats) -> Floats:
    return np.asarray(values.reshape(-1, DAY_H, values.shape[1]).sum(axis=1), dtype=np.float64)
