"""What lies around the moments at which no register is known: the readings before and after, and a meter's last steps.

A gap is a step between two far readings. Its volume is known, though its days are not. Only moments that no near
readings tell are kept, so that densely read meters cost nothing here. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.meterdata.series import DAY_US
from gateway.meterdata.steps import Unrolled
from gateway.model.reading import Window

LEVEL_DAYS = 14
"""a meter's present level is taken from at least this many days before its newest reading, if there are so many"""
SELDOM_LEVEL_DAYS = 45
"""the same of one that was read fewer than `FEW` times in those: a single step may hold an absence"""
FEW = 4

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Gaps:
    """Moments without a known register that lie between two readings (k of them), and last steps of n meters."""

    assets: tuple[str, ...]
    row: Ints
    """which of the window's moments, (k,)"""
    column: Ints
    """index into `assets`, (k,)"""
    left_us: Ints
    left_m3: Floats
    right_us: Ints
    right_m3: Floats
    broken: Flags
    """True where an unknown exchange, or what no meter does, lies between the moment before and this one, (k,)"""
    from_us: Ints
    """begin of what tells a meter's present level, (n,)"""
    last_us: Ints
    """its newest reading; not after `from_us` where nothing is told, (n,)"""
    recent_m3: Floats
    """what the register counted from `from_us` to `last_us`, (n,)"""
    past: Window | None = None
    """registers of some well-read meters at gas-day boundaries before the window's first, and at that"""


def gaps_of(unrolled: Unrolled, window: Window, past: Window | None = None) -> Gaps:
    """Return what lies around the unknown moments of a window that was made of `unrolled`."""
    count = len(window.assets)
    row, column = (index.astype(np.int64) for index in np.nonzero(np.isnan(window.value)))
    if len(unrolled.time) == 0:
        none, nothing = np.zeros(count, dtype=np.int64), np.zeros(0, dtype=np.int64)
        empty = np.zeros(0)
        return Gaps(
            window.assets,
            nothing,
            nothing,
            nothing,
            empty,
            nothing,
            empty,
            nothing > 0,
            none,
            none,
            np.zeros(count),
            past,
        )
    find = _Finder(unrolled, window)
    left = find.last_before(column, window.times[row])
    right = np.minimum(left + 1, len(unrolled.time) - 1)
    earlier = find.last_before(column, window.times[np.maximum(row - 1, 0)])
    owns = (left >= 0) & (unrolled.column[left] == column)
    around = owns & (unrolled.column[right] == column) & (right > left)
    around &= unrolled.breaks[right] == unrolled.breaks[left]
    broken = owns & (earlier >= 0) & (unrolled.column[earlier] == column)
    broken &= unrolled.breaks[earlier] != unrolled.breaks[left]
    left, right = left[around], right[around]
    begin, last = find.recent(count)
    return Gaps(
        assets=window.assets,
        row=row[around],
        column=column[around],
        left_us=unrolled.time[left],
        left_m3=unrolled.value[left],
        right_us=unrolled.time[right],
        right_m3=unrolled.value[right],
        broken=broken[around],
        from_us=unrolled.time[begin],
        last_us=unrolled.time[last],
        recent_m3=unrolled.value[last] - unrolled.value[begin],
        past=past,
    )


class _Finder:
    """Finds rows by meter and moment."""

    def __init__(self, unrolled: Unrolled, window: Window) -> None:
        self._rows = unrolled
        self._origin = min(int(unrolled.time.min()), int(window.times.min())) - SELDOM_LEVEL_DAYS * DAY_US - 1
        self._width = max(int(unrolled.time.max()), int(window.times.max())) - self._origin + 2
        if self._width * max(len(window.assets), 1) >= 2**62:
            raise ValueError("the span of time is too long for that many assets")
        self._keys = unrolled.column.astype(np.int64) * self._width + (unrolled.time - self._origin)

    def last_before(self, column: Ints, at_us: Ints) -> NDArray[np.intp]:
        """Return the last row not after each moment; it may be another meter's, or -1."""
        return np.searchsorted(self._keys, column * self._width + (at_us - self._origin), side="right") - 1

    def recent(self, count: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the rows that begin and end what tells each meter's level; the same row where nothing does."""
        rows = self._rows
        number = np.arange(count)
        last = np.searchsorted(rows.column, number, side="right") - 1
        heard = (last >= 0) & (rows.column[np.maximum(last, 0)] == number)
        last = np.where(heard, last, 0)
        begin = self.last_before(number, rows.time[last] - LEVEL_DAYS * DAY_US)
        long_ago = self.last_before(number, rows.time[last] - SELDOM_LEVEL_DAYS * DAY_US)
        begin = np.where(last - begin < FEW, long_ago, begin)
        run = np.searchsorted(rows.breaks, rows.breaks[last], side="left")
        first = np.searchsorted(rows.column, number, side="left")
        begin = np.maximum(np.maximum(begin, run), first)
        return np.where(heard, np.minimum(begin, last), last), last
