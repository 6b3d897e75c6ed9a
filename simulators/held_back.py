"""Gas that customers would have used while their meters' valves were closed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from simulators.faults import HOUR_US
from simulators.valves import Closure

HourlyUse = Callable[[int], NDArray[np.float64]]
"""First hour since 1970 UTC -> what would pass a meter in each of some hours: base m3, and as its register counts it;
shape (hours, 2)"""


class HeldBack:
    """What one closure has held back. Sums grow as later moments are asked for."""

    def __init__(self, closure: Closure, hourly_use: HourlyUse) -> None:
        """Begin at the hour of the closure; `hourly_use` brings the hours from there on, piece by piece."""
        self._closure = closure
        self._hourly_use = hourly_use
        self._first_hour = closure.start_us // HOUR_US
        self._sums = np.zeros((1, 2))

    def until(self, at_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return (base m3, m3 of the register) held back until each moment; shape (t, 2)."""
        start_us, end_us = self._closure.start_us, self._closure.end_us
        within = np.clip(at_us, start_us, end_us)
        return self._sum(within) - self._sum(np.full_like(within, start_us))

    def flow_m3h(self, at_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the flow that is held back at each moment, base m3/h, shape (t,)."""
        closure = self._closure
        shut = (at_us >= closure.start_us) & (True if closure.end_us is None else at_us < closure.end_us)
        row, _ = self._place(np.where(shut, at_us, closure.start_us))
        return np.asarray(np.where(shut, self._sums[row + 1, 0] - self._sums[row, 0], 0.0), dtype=np.float64)

    def _sum(self, at_us: NDArray[np.int64]) -> NDArray[np.float64]:
        row, share = self._place(at_us)
        before = self._sums[row]
        return np.asarray(before + (self._sums[row + 1] - before) * share[:, None], dtype=np.float64)

    def _place(self, at_us: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return (row of the hour, share of the hour) of moments, once the sums reach so far."""
        hour, rest = np.divmod(at_us, HOUR_US)
        row = hour - self._first_hour
        while len(self._sums) < int(row.max()) + 2:
            more = self._hourly_use(self._first_hour + len(self._sums) - 1)
            self._sums = np.concatenate([self._sums, self._sums[-1] + np.cumsum(more, axis=0)])
        return row, rest / HOUR_US
