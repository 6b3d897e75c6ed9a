"""Readings for a chart of some pixels' width: what is drawn of them looks as if all were drawn. Pure.

Each column of pixels keeps its first, lowest, highest and last reading: a line through these covers the same pixels as
the line through all (M4, Jugel et al., VLDB 2014). Where readings are missing or bad the line is broken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
_REGULAR = 1.2
"""spacings are regular if nine of ten are at most this much longer than the middle one"""
_LATE = 1.75
"""a regular reading is missing after so many spacings"""
_ABSENT = 3.0
"""and an irregular one after so many of the longer ones"""
_FEW = 3
BAD = np.uint8(2 << 6)


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Columns of equal length, sorted by time; a value is NaN exactly where the reading is bad."""

    time_us: Ints
    value: NDArray[np.float64]
    quality: NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.time_us)

    def take(self, rows: NDArray[np.intp]) -> Rows:
        """Return some of the rows."""
        return Rows(self.time_us[rows], self.value[rows], self.quality[rows])

    @staticmethod
    def concat(parts: list[Rows]) -> Rows:
        """Return the rows of all parts, in their order."""
        if not parts:
            return Rows(np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.uint8))
        return Rows(
            np.concatenate([part.time_us for part in parts]),
            np.concatenate([part.value for part in parts]),
            np.concatenate([part.quality for part in parts]),
        )


def drawn(rows: Rows, start_us: int, end_us: int, width: int) -> Rows:
    """Return what to draw of rows with start <= time < end on `width` columns: at most seven rows for each.

    A row that is NaN, a millisecond after the one before, breaks the line.
    """
    seen = np.flatnonzero(~np.isnan(rows.value))
    if not len(seen):
        return rows.take(seen)
    good = rows.take(seen)
    column = (good.time_us - start_us) * width // max(end_us - start_us, 1)
    broken = np.zeros(len(good), dtype=bool)
    broken[1:] = (np.diff(seen) > 1) | (np.diff(good.time_us) > _longest(good.time_us))
    begins = np.flatnonzero(broken)
    # of several breaks within one column the last is kept: the one that may lead to another column
    last = np.append(column[begins - 1][1:] != column[begins - 1][:-1], True) if len(begins) else np.zeros(0, bool)
    begins = begins[last]
    kept = np.unique(np.concatenate([_of_columns(column, good.value), begins, begins - 1]))
    shown = good.take(kept)
    at = np.searchsorted(kept, begins)
    return Rows(
        np.insert(shown.time_us, at, good.time_us[begins - 1] + 1_000),
        np.insert(shown.value, at, np.nan),
        np.insert(shown.quality, at, BAD),
    )


def rates(rows: Rows) -> Rows:
    """Return what a register counted in each hour between two readings, m3/h, at the time of the later one.

    A step backwards tells nothing and is bad.
    """
    seen = np.flatnonzero(~np.isnan(rows.value))
    if len(seen) < 2:
        return Rows.concat([])
    good = rows.take(seen)
    hours = np.diff(good.time_us) / 3.6e9
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = np.diff(good.value) / hours
    known = (rate >= 0) & np.isfinite(rate)
    quality = np.where(known, good.quality[1:], BAD).astype(np.uint8)
    return Rows(good.time_us[1:], np.where(known, rate, np.nan), quality)


def _of_columns(column: Ints, value: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the first, lowest, highest and last row of each column; `column` is sorted."""
    first = np.flatnonzero(np.append(True, column[1:] != column[:-1]))
    last = np.append(first[1:], len(column)) - 1
    by_value = np.lexsort((value, column))
    return np.concatenate([first, last, by_value[first], by_value[last]])


def _longest(times: Ints) -> float:
    """Return the longest spacing after which no reading is missing, us."""
    spacing = np.diff(times)
    if len(spacing) < _FEW:
        return float("inf")
    middle, longer = np.quantile(spacing, (0.5, 0.9))
    return float(_LATE * middle if longer <= _REGULAR * middle else _ABSENT * longer)
