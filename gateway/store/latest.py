"""The newest reading of every point, in memory: arrays indexed by point."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from gateway.model.reading import ReadingBatch
from gateway.store.duplicates import newest_of_each

_NEVER = np.iinfo(np.int64).min


class Latest:
    """High-water marks and newest rows; a row above its point's mark cannot be a duplicate.

    Safe to use from several threads.
    """

    def __init__(self) -> None:
        """Start without any reading."""
        self._rows = _blank(1024)
        self._lock = threading.Lock()

    def marks(self, points: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Return the newest source time of each point, the smallest int64 where there is none."""
        time = self._rows.source_time
        known = points < len(time)
        return np.where(known, time[np.where(known, points, 0)], _NEVER)

    def put(self, batch: ReadingBatch) -> None:
        """Take a batch in whatever order into account."""
        if not len(batch):
            return
        new = newest_of_each(batch)
        old = self.get(new.point)
        new = newest_of_each(ReadingBatch.concat([old, new]))
        with self._lock:
            self._grow(int(new.point[-1]) + 1)
            for column, values in zip(self._rows.columns(), new.columns(), strict=True):
                column[new.point] = values

    def get(self, points: NDArray[np.uint32]) -> ReadingBatch:
        """Return the newest row of each of these points that has one, in their order."""
        with self._lock:
            rows = self._rows
            known = points[points < len(rows)]
            return rows.take(known[rows.source_time[known] != _NEVER].astype(np.intp))

    def _grow(self, count: int) -> None:
        have = len(self._rows)
        if count > have:
            self._rows = ReadingBatch.concat([self._rows, _blank(max(count, 2 * have) - have)])


def _blank(count: int) -> ReadingBatch:
    return ReadingBatch(
        np.zeros(count, dtype=np.uint32),
        np.full(count, _NEVER, dtype=np.int64),
        np.zeros(count, dtype=np.int64),
        np.zeros(count, dtype=np.float64),
        np.zeros(count, dtype=np.uint8),
    )
