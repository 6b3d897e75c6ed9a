"""Readings of registers and other quantities as sorted columns, and what is known of the registers. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
AHEAD_US = 300_000_000
"""a device time this far after arrival comes from a wrong clock"""

Columns = NDArray[np.int32]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Readings of one quantity of n assets, sorted by asset, source time and received time."""

    assets: tuple[str, ...]
    column: Columns
    """index into `assets`"""
    time: Ints
    """source time, us UTC"""
    received: Ints
    """us UTC"""
    value: Floats

    @staticmethod
    def build(assets: Sequence[str], column: Columns, time: Ints, received: Ints, value: Floats) -> Series:
        """Sort the rows; those that are not finite or come from a clock that runs ahead are left out."""
        usable = np.isfinite(value) & (time <= received + AHEAD_US)
        return Series.ordered(assets, column[usable], time[usable], received[usable], value[usable])

    @staticmethod
    def ordered(assets: Sequence[str], column: Columns, time: Ints, received: Ints, value: Floats) -> Series:
        """Sort the rows and leave none out."""
        order = in_order(column, time, received, value)
        return Series(tuple(assets), column[order], time[order], received[order], value[order])

    def known(self, until_us: int, since_us: int | None = None) -> Series:
        """Return what had arrived by a moment; rows with an older source time than `since_us` are left out."""
        rows = self.received <= until_us
        if since_us is not None:
            rows &= self.time >= since_us
        return self.take(rows)

    def settled(self) -> Series:
        """Return each device time once; where its values disagree none of them is used."""
        starts, low, high = self._moments()
        return self.take(starts[low == high])

    def as_told_first(self) -> Series:
        """Return each device time once, with the value that arrived first."""
        return self.take(self._starts())

    def conflicts(self) -> tuple[Columns, Ints, Floats, Floats]:
        """Return asset, device time, lowest and highest value where one device time has several values."""
        starts, low, high = self._moments()
        odd = low != high
        return self.column[starts[odd]], self.time[starts[odd]], low[odd], high[odd]

    def _moments(self) -> tuple[NDArray[np.intp], Floats, Floats]:
        """Return the first row of each asset and device time, with the lowest and highest value there."""
        starts = self._starts()
        if len(starts) == 0:
            return starts, self.value, self.value
        return starts, np.minimum.reduceat(self.value, starts), np.maximum.reduceat(self.value, starts)

    def _starts(self) -> NDArray[np.intp]:
        """Return the first row of each asset and device time."""
        first = np.ones(len(self.time), dtype=np.bool_)
        first[1:] = (self.column[1:] != self.column[:-1]) | (self.time[1:] != self.time[:-1])
        return np.flatnonzero(first)

    def of_columns(self, columns: NDArray[np.intp]) -> Series:
        """Return the rows of some assets, which are numbered anew."""
        place = np.full(len(self.assets), -1, dtype=np.int64)
        place[columns] = np.arange(len(columns))
        taken = self.take(place[self.column] >= 0)
        names = tuple(self.assets[column] for column in columns)
        return Series(names, place[taken.column].astype(np.int32), taken.time, taken.received, taken.value)

    def take(self, rows: Flags | NDArray[np.intp]) -> Series:
        """Return some rows; they must stay in order."""
        return Series(self.assets, self.column[rows], self.time[rows], self.received[rows], self.value[rows])


def in_order(column: Columns | Ints, time: Ints, received: Ints, value: Floats | Ints) -> NDArray[np.intp]:
    """Return the order by asset, source time, received time and value; quick where rows come nearly in order."""
    if len(time) == 0:
        return np.empty(0, dtype=np.intp)
    origin = int(time.min())
    width = int(time.max()) - origin + 1
    if width * (int(column.max()) + 1) >= 2**62:
        return np.lexsort((value, received, time, column))
    key = column.astype(np.int64) * width + (time - origin)
    order = np.argsort(key, kind="stable")
    key = key[order]
    twin = np.zeros(len(key), dtype=np.bool_)
    twin[1:] = key[1:] == key[:-1]
    twin[:-1] |= twin[1:]
    rows = order[twin]
    order[twin] = rows[np.lexsort((value[rows], received[rows], key[twin]))]
    return order


@dataclass(frozen=True, slots=True, eq=False)
class Registers:
    """What is known of n registers, besides their readings."""

    modulus: Floats
    """value at which the register starts again at zero, m3"""
    max_flow_m3h: Floats
    """what passes at the most; `allowed_m3` says how much more than this is not gas. 0 or NaN = unknown"""
    resolution_m3: Floats
    """smallest step that is sent"""

    def of(self, columns: NDArray[np.intp]) -> Registers:
        """Return what is known of some of them."""
        return Registers(self.modulus[columns], self.max_flow_m3h[columns], self.resolution_m3[columns])


@dataclass(frozen=True, slots=True, eq=False)
class Exchanges:
    """Recorded meter exchanges: register read off the old meter, register of the new one; NaN = not written down."""

    column: Columns
    time: Ints
    old_m3: Floats
    new_m3: Floats

    @staticmethod
    def none() -> Exchanges:
        """Return no exchange."""
        empty = np.empty(0)
        return Exchanges(np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64), empty, empty)

    def known(self, until_us: int) -> Exchanges:
        """Return those that had happened by a moment."""
        return self.take(self.time <= until_us)

    def take(self, rows: Flags) -> Exchanges:
        """Return some of them."""
        return Exchanges(self.column[rows], self.time[rows], self.old_m3[rows], self.new_m3[rows])

    def of(self, columns: NDArray[np.intp], since_us: Ints) -> Exchanges:
        """Return those of some registers, numbered as these, each after its own moment; `columns` increase."""
        at = np.searchsorted(columns, self.column)
        mine = np.flatnonzero(at < len(columns))
        mine = mine[(columns[at[mine]] == self.column[mine]) & (self.time[mine] > since_us[at[mine]])]
        return Exchanges(at[mine].astype(np.int32), self.time[mine], self.old_m3[mine], self.new_m3[mine])
