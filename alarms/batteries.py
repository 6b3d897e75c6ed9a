"""Meters that say that their battery is low: work for the meter engineers, no alarm."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from gateway.model.quantity import FLAG_LOW_BATTERY, Quantity
from gateway.model.reading import PointId, ReadingBatch, Severity, split_point
from gateway.store.work_rows import WorkItem

BATTERY = "battery"


class BatteryWatch:
    """Notes each meter once until it is restarted; the item's key keeps it one. Not safe for threads."""

    def __init__(self) -> None:
        self._is_flags = np.zeros(0, dtype=np.bool_)
        self._told = np.zeros(0, dtype=np.bool_)
        self._meter: dict[int, str] = {}
        self._new: list[tuple[str, datetime]] = []

    def adopt(self, numbers: Sequence[int], names: Sequence[PointId]) -> None:
        """Learn the names of points."""
        flags = [(number, name) for number, name in zip(numbers, names, strict=True) if _is_flags(name)]
        if not flags:
            return
        self._grow(max(number for number, _ in flags) + 1)
        for number, name in flags:
            self._is_flags[number] = True
            self._meter[number] = split_point(name)[0]

    def feed(self, batch: ReadingBatch, now: datetime) -> None:
        """Take good flags in."""
        point = batch.point
        known = point < len(self._is_flags)
        rows = np.flatnonzero(known)
        rows = rows[self._is_flags[point[rows]] & ~self._told[point[rows]]]
        rows = rows[(batch.quality[rows] >> 6 == Severity.GOOD) & np.isfinite(batch.value[rows])]
        low = rows[_flags(batch.value[rows]) & int(FLAG_LOW_BATTERY) > 0]
        for number in np.unique(point[low]).tolist():
            self._told[number] = True
            self._new.append((self._meter[number], now))

    def items(self) -> list[WorkItem]:
        """Return what is new, to be written; `settle` forgets it."""
        return [WorkItem(f"{BATTERY}:{meter}:{at:%Y}", BATTERY, meter, {}, at) for meter, at in self._new]

    def settle(self, count: int) -> None:
        """Note that the first so many items were written."""
        del self._new[:count]

    def _grow(self, size: int) -> None:
        if size > len(self._is_flags):
            more = max(size, 2 * len(self._is_flags)) - len(self._is_flags)
            self._is_flags = np.concatenate([self._is_flags, np.zeros(more, dtype=np.bool_)])
            self._told = np.concatenate([self._told, np.zeros(more, dtype=np.bool_)])


def _is_flags(name: PointId) -> bool:
    return name.endswith(f"/{Quantity.FLAGS.value}")


def _flags(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.clip(values, 0.0, 2.0**31).astype(np.int64)
