"""Readings in two orders: by asset and device time, and by arrival, so that what is new can be found quickly. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gateway.meterdata.series import AHEAD_US, Ints, Series

Indices = NDArray[np.intp]
ALWAYS_US = -(2**62)
"""before any moment"""


def first_at(time: Ints, low: Indices, high: Indices, at_us: Ints) -> Indices:
    """Return in each range of rows, sorted by time, the first row at or after a moment; the range's end if none is."""
    while (open_ := low < high).any():
        middle = (low + high) // 2
        before = open_ & (time[np.where(open_, middle, 0)] < at_us)
        low, high = np.where(before, middle + 1, low), np.where(open_ & ~before, middle, high)
    return low


def in_ranges(low: Indices, high: Indices) -> tuple[Indices, Indices]:
    """Return all rows of ranges of rows, one range after the other, and to which range each belongs."""
    count = np.maximum(high - low, 0)
    number = np.repeat(np.arange(len(count)), count)
    return np.arange(len(number)) + np.repeat(low - (np.cumsum(count) - count), count), number


class Arrivals:
    """Rows of one quantity, and in which order they arrived."""

    def __init__(self, series: Series) -> None:
        """Sort the rows by arrival as well."""
        self.series = series
        self.starts: Indices = np.searchsorted(series.column, np.arange(len(series.assets) + 1))
        """the first row of each asset, and one past the last"""
        self._order = np.argsort(series.received, kind="stable")

    def touched(self, after_us: int, until_us: int) -> tuple[Indices, Ints]:
        """Return the assets of which something arrived after one moment and by another, and its oldest device time.

        Rows whose device time is later than the first moment are new as well: a moment before, they lay ahead.
        """
        rows = self._arrived(max(after_us - AHEAD_US, ALWAYS_US), until_us)
        oldest = np.full(len(self.series.assets), 2**62, dtype=np.int64)
        np.minimum.at(oldest, self.series.column[rows], self.series.time[rows])
        columns = np.flatnonzero(oldest < 2**62)
        return columns, oldest[columns]

    def oldest(self, after_us: int, until_us: int, most_us: int) -> int:
        """Return the oldest device time that arrived after one moment and by another, 2**62 for none.

        What was more than `most_us` old when it arrived does not count: it may come from a wrong clock.
        """
        rows = self._arrived(after_us, until_us)
        time, received = self.series.time[rows], self.series.received[rows]
        return int(time[time >= received - most_us].min(initial=2**62))

    def _arrived(self, after_us: int, until_us: int) -> Indices:
        first, last = np.searchsorted(self.series.received, [after_us, until_us], side="right", sorter=self._order)
        return self._order[first:last]

    def row_at(self, columns: Indices, at_us: Ints) -> Indices:
        """Return the first row of each asset at or after its moment, or one past its last row."""
        return first_at(self.series.time, self.starts[columns], self.starts[columns + 1], at_us)

    def take(self, columns: Indices, first_row: Indices, until_us: int) -> Series:
        """Return what had arrived by a moment of some assets, each from one of its rows on, numbered as these."""
        rows, number = in_ranges(first_row, self.starts[columns + 1])
        known = self.series.received[rows] <= until_us
        rows, number = rows[known], number[known]
        series = self.series
        assets = tuple(series.assets[column] for column in columns)
        return Series(assets, number.astype(np.int32), series.time[rows], series.received[rows], series.value[rows])
