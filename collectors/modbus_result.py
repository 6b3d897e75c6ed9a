"""The rows of one poll, filled as replies come."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from gateway.model.reading import ReadingBatch, Reason, Severity, quality

Rows = NDArray[np.intp] | slice
_NO_SOURCE_TIME = quality(Severity.UNCERTAIN, Reason.NO_SOURCE_TIME)
_BAD = quality(Severity.BAD)


class Result:
    """Columns for all points of a unit; only rows that were filled end up in the batch."""

    def __init__(self, count: int) -> None:
        """Make one for `count` points, none of them filled."""
        self.answered = False
        """whether the device said anything"""
        self.sessions: set[int] = set()
        """connections over which values came"""
        self._count = count
        self._whole: tuple[NDArray[np.float64], NDArray[np.uint8], int] | None = None
        """values, qualities and arrival of the one reply that filled every row: by far the most frequent case"""
        self._filled: NDArray[np.bool_] | None = None

    def put_all(self, rows: Rows, values: NDArray[np.float64], marks: NDArray[np.uint8], arrived_us: int) -> None:
        """Put what one reply brought."""
        if self._filled is None and self._whole is None and len(values) == self._count:
            if not isinstance(rows, slice):
                order = np.argsort(rows)
                values, marks = values[order], marks[order]
            self._whole = values, marks, arrived_us
            return
        self._spread()
        self._put(rows, values, marks, arrived_us)

    def put_bad(self, rows: Sequence[int], reason: Reason, time_us: int) -> None:
        """Put BAD rows."""
        if len(rows):
            self._spread()
            self._put(np.array(rows, np.intp), np.nan, _BAD | reason, time_us)

    def put_clock(self, rows: Rows, shown_us: int | None) -> None:
        """Give rows that were put the time that the device's clock shows; None = it shows none."""
        self._spread()
        if shown_us is not None:
            self._source[rows] = shown_us
            return
        marks = self._quality[rows]
        self._quality[rows] = np.where(marks < _NO_SOURCE_TIME & 0xC0, np.uint8(_NO_SOURCE_TIME), marks)

    def batch(self, indices: NDArray[np.uint32]) -> ReadingBatch:
        """Return the rows that were filled, under the points' indices."""
        if self._whole is not None:
            values, marks, arrived_us = self._whole
            time = np.full(self._count, arrived_us, np.int64)
            return ReadingBatch(indices, time, time, values, marks)
        if self._filled is None:
            return ReadingBatch.empty()
        batch = ReadingBatch(indices, self._source, self._received, self._value, self._quality)
        return batch if self._filled.all() else batch.take(self._filled)

    def _put(
        self, rows: Rows, values: NDArray[np.float64] | float, marks: NDArray[np.uint8] | int, time_us: int
    ) -> None:
        assert self._filled is not None
        self._value[rows], self._quality[rows], self._filled[rows] = values, marks, True
        self._source[rows] = self._received[rows] = time_us

    def _spread(self) -> None:
        """Make columns into which rows can be put one by one."""
        if self._filled is not None:
            return
        self._value, self._quality = np.full(self._count, np.nan), np.zeros(self._count, np.uint8)
        self._source, self._received = np.zeros(self._count, np.int64), np.zeros(self._count, np.int64)
        self._filled = np.zeros(self._count, np.bool_)
        if self._whole is not None:
            values, marks, arrived_us = self._whole
            self._whole = None
            self._put(slice(None), values, marks, arrived_us)
