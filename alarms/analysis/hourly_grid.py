"""Registers brought to whole hours, each with the moment at which it became known. Pure.

The grid of a long history is made once; what was known at any moment is then a comparison of times, the same as if
only the readings of that moment had been there: where a late reading came between two others, what these two had told
before stands beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.meterdata.series import HOUR_US, Columns, Exchanges, Flags, Floats, Ints, Registers, Series
from gateway.meterdata.steps import Unrolled, unroll

SNAP_US = 120_000_000
"""a reading so near to a whole hour is taken for one at that hour; what is wrong by it comes back in the next hour"""
SPAN_H = 4
"""readings farther apart do not tell the hours between, only their mean"""
FAR_H = 70 * 24
"""readings farther apart than this are not looked at together"""
ROUNDS = 6
"""so many late readings, one later than the other, may have come between two others"""
AT_ONCE = 1_000_000
"""readings that are brought to hours in one go, so that the memory stays bounded"""
NEVER = np.iinfo(np.int32).max
MINUTE_US = 60_000_000

Minutes = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Provisional:
    """Values that held until a late reading came; columns of equal length."""

    edge: Ints
    column: Columns
    value: Floats
    wide: Flags
    told: Minutes
    until: Minutes
    """minute from which something better was known"""


@dataclass(frozen=True, slots=True, eq=False)
class HourGrid:
    """Values of n assets at e whole hours, the edges of e - 1 hours."""

    assets: tuple[str, ...]
    begin_us: int
    """us UTC of the first edge, a whole hour"""
    value: Floats
    """m3 of registers without their rollovers and exchanges; NaN where readings do not tell, (e, n)"""
    told: Minutes
    """when the readings behind it had arrived, minutes since `begin_us`, `NEVER` where they do not tell, (e, n)"""
    wide: Flags
    """where it lies on a straight line between readings that are far apart, (e, n)"""
    before: Provisional

    @property
    def hours(self) -> int:
        """Number of hours."""
        return max(len(self.value) - 1, 0)

    def at(self, until_us: int, edges: slice) -> tuple[Floats, Flags]:
        """Return the values at some edges as far as they were known at a moment, and which of them are `wide`."""
        minute = int(np.clip((until_us - self.begin_us) // MINUTE_US, 0, NEVER - 1))
        value = np.where(self.told[edges] <= minute, self.value[edges], np.nan)
        wide = self.wide[edges].copy()
        old = self.before
        rows = (old.told <= minute) & (minute < old.until) & (old.edge >= edges.start) & (old.edge < edges.stop)
        at = old.edge[rows] - edges.start, old.column[rows]
        value[at], wide[at] = old.value[rows], old.wide[rows]
        return value, wide

    def hours_until(self, at_us: int) -> int:
        """Return how many hours had ended at a moment."""
        return int(np.clip((at_us - self.begin_us) // HOUR_US, 0, self.hours))


def joined_grids(grids: Sequence[HourGrid], assets: Sequence[str]) -> HourGrid:
    """Return the columns of `assets` of grids with the same edges; assets without readings are known nowhere."""
    place = {name: at for at, name in enumerate(assets)}
    shape = len(grids[0].value), len(assets)
    value, wide = np.full(shape, np.nan), np.zeros(shape, dtype=np.bool_)
    told = np.full(shape, NEVER, dtype=np.int32)
    before: list[Provisional] = []
    for grid in grids:
        to = np.array([place.get(name, -1) for name in grid.assets], dtype=np.int32)
        some = to >= 0
        value[:, to[some]], told[:, to[some]], wide[:, to[some]] = (
            part[:, some] for part in (grid.value, grid.told, grid.wide)
        )
        old = grid.before
        rows = to[old.column] >= 0
        before.append(
            Provisional(
                old.edge[rows], to[old.column[rows]], old.value[rows], old.wide[rows], old.told[rows], old.until[rows]
            )
        )
    return HourGrid(tuple(assets), grids[0].begin_us, value, told, wide, _joined(before))


Unroll = Callable[[Series, slice], tuple[Unrolled, Ints]]


def register_grid(
    series: Series,
    begin_us: int,
    hours: int,
    facts: Callable[[slice], Registers],
    exchanges: Callable[[slice], Exchanges],
) -> HourGrid:
    """Bring registers to the edges of `hours` hours from `begin_us`; rollovers and recorded exchanges are undone.

    `facts` and `exchanges` tell what is known of some of the assets, as their own rows.
    """

    def moments(part: Series, columns: slice) -> tuple[Unrolled, Ints]:
        unrolled = unroll(part.settled(), facts(columns), exchanges(columns))
        return unrolled, _received(unrolled, part)

    return _grid(series, begin_us, hours + 1, moments)


def state_grid(series: Series, begin_us: int, hours: int) -> HourGrid:
    """Bring a state such as a pressure to the edges of hours."""

    def moments(part: Series, _columns: slice) -> tuple[Unrolled, Ints]:
        settled = part.settled()
        breaks = np.zeros(len(settled.time), dtype=np.int64)
        return Unrolled(settled.column, settled.time, settled.value, breaks), settled.received

    return _grid(series, begin_us, hours + 1, moments)


def _grid(series: Series, begin_us: int, edges: int, moments: Unroll) -> HourGrid:
    """Make the grid, block after block of assets."""
    count = len(series.assets)
    value = np.full((edges, count), np.nan)
    told = np.full((edges, count), NEVER, dtype=np.int32)
    wide = np.zeros((edges, count), dtype=np.bool_)
    inside = (series.time >= begin_us - FAR_H * HOUR_US) & (series.time <= begin_us + (edges + FAR_H) * HOUR_US)
    rows = series.take(inside)
    first_row = np.searchsorted(rows.column, np.arange(count + 1))
    before: list[Provisional] = []
    begin = 0
    while begin < count:
        end = int(np.searchsorted(first_row, first_row[begin] + AT_ONCE, side="right")) - 1
        end = min(max(end, begin + 1), count)
        cut = slice(first_row[begin], first_row[end])
        column = (rows.column[cut] - begin).astype(np.int32)
        part = Series(series.assets[begin:end], column, rows.time[cut], rows.received[cut], rows.value[cut])
        if len(part.time):
            block = _Block(begin_us, value[:, begin:end], told[:, begin:end], wide[:, begin:end])
            before += [_moved(old, begin) for old in block.fill(*moments(part, slice(begin, end)))]
        begin = end
    return HourGrid(series.assets, begin_us, value, told, wide, _joined(before))


def _received(unrolled: Unrolled, part: Series) -> Ints:
    """Return when each register had arrived; the registers written down at an exchange at its time."""
    origin = int(min(unrolled.time.min(initial=2**62), part.time.min(initial=2**62)))
    width = int(max(unrolled.time.max(initial=0), part.time.max(initial=0))) - origin + 1
    keys = part.column.astype(np.int64) * width + (part.time - origin)
    wanted = unrolled.column.astype(np.int64) * width + (unrolled.time - origin)
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, part.received[at], unrolled.time + 1)


@dataclass(frozen=True, slots=True, eq=False)
class _Rows:
    """Readings in order, those near to a whole hour at it."""

    column: Columns
    time: Ints
    value: Floats
    breaks: Ints
    received: Ints

    def take(self, rows: Flags) -> _Rows:
        """Return some of them."""
        return _Rows(self.column[rows], self.time[rows], self.value[rows], self.breaks[rows], self.received[rows])


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Values at whole hours; columns of equal length."""

    edge: Ints
    column: Columns
    value: Floats
    wide: Flags
    arrived: Ints

    def take(self, rows: Flags) -> _Cells:
        """Return some of them."""
        return _Cells(self.edge[rows], self.column[rows], self.value[rows], self.wide[rows], self.arrived[rows])


@dataclass(frozen=True, slots=True, eq=False)
class _Block:
    """The part of a grid that is being filled; its arrays are written to."""

    begin_us: int
    value: Floats
    told: Minutes
    wide: Flags

    def fill(self, unrolled: Unrolled, received: Ints) -> list[Provisional]:
        """Write what all readings tell; return what was told before the late ones among them came."""
        rows = _Rows(unrolled.column, _snapped(unrolled.time), unrolled.value, unrolled.breaks, received)
        for cells in (_between(rows, self.begin_us, None), _exact(rows, self.begin_us)):
            here, told = self._inside(cells)
            at = here.edge, here.column
            self.value[at], self.told[at], self.wide[at] = here.value, told, here.wide
        newest = self.told.copy()
        before: list[Provisional] = []
        for _ in range(ROUNDS):
            late = _late(rows.column, rows.received)
            if not late.any():
                break
            # of the rows that are kept, those right after a late one make a new pair with the one before
            odd = np.zeros(len(self.told[0]), dtype=np.bool_)
            odd[rows.column[late]] = True
            kept = ~late & odd[rows.column]
            fresh = np.append(False, late[:-1])[kept]
            rows = rows.take(kept)
            here, told = self._inside(_between(rows, self.begin_us, fresh))
            until = newest[here.edge, here.column]
            useful = told < until
            here, told = here.take(useful), told[useful]
            before.append(Provisional(here.edge, here.column, here.value, here.wide, told, until[useful]))
            newest[here.edge, here.column] = told
        return before

    def _inside(self, cells: _Cells) -> tuple[_Cells, Minutes]:
        """Return the cells that lie in the grid, and the minutes in which they became known."""
        here = cells.take((cells.edge >= 0) & (cells.edge < len(self.value)))
        minute = -np.floor_divide(self.begin_us - here.arrived, MINUTE_US)
        return here, np.clip(minute, 0, NEVER - 1).astype(np.int32)


def _whole(rows: _Rows) -> Flags:
    """Mark the readings that belong with the ones right before them, all but the first, (n - 1,)."""
    return np.asarray((rows.column[1:] == rows.column[:-1]) & (rows.breaks[1:] == rows.breaks[:-1]))


def _between(rows: _Rows, begin_us: int, fresh: Flags | None) -> _Cells:
    """Return what straight lines between neighbouring readings tell; with `fresh` only lines to a marked one."""
    left_hour, right_hour = (np.floor_divide(part - begin_us, HOUR_US) for part in (rows.time[:-1], rows.time[1:]))
    joined = _whole(rows) & (rows.time[1:] - rows.time[:-1] <= FAR_H * HOUR_US)
    if fresh is not None:
        joined &= fresh[1:]
    count = np.where(joined, right_hour - left_hour, 0)
    pair = np.repeat(np.arange(len(count)), count)
    edge = left_hour[pair] + 1 + np.arange(len(pair)) - np.repeat(np.cumsum(count) - count, count)
    gap = rows.time[pair + 1] - rows.time[pair]
    share = (begin_us + edge * HOUR_US - rows.time[pair]) / np.maximum(gap, 1)
    level = rows.value[pair] + share * (rows.value[pair + 1] - rows.value[pair])
    arrived = np.maximum(rows.received[pair], rows.received[pair + 1])
    return _Cells(edge, rows.column[pair], level, gap > SPAN_H * HOUR_US, arrived)


def _exact(rows: _Rows, begin_us: int) -> _Cells:
    """Return the readings at whole hours, which tell them alone.

    The first one after a break is left out, so that no two values can be compared across one.
    """
    fits = np.ones(len(rows.time), dtype=np.bool_)
    fits[1:] = _whole(rows) | (rows.column[1:] != rows.column[:-1])
    here = rows.take(fits & ((rows.time - begin_us) % HOUR_US == 0))
    edge = np.floor_divide(here.time - begin_us, HOUR_US)
    return _Cells(edge, here.column, here.value, np.zeros(len(edge), dtype=np.bool_), here.received)


def _late(column: Columns, received: Ints) -> Flags:
    """Mark the readings that came last of those that stand in a row and all came after later ones of their meter."""
    none = np.zeros(len(column), dtype=np.bool_)
    if len(column) < 2:
        return none
    # the earliest arrival of all later readings, made so that those of other meters are later than any of this one
    width = int(received.max() - received.min()) + 1
    key = column.astype(np.int64) * width + (received - received.min())
    later = np.minimum.accumulate(key[::-1])[::-1]
    behind = none.copy()
    behind[:-1] = (key[:-1] > later[1:]) & (column[:-1] == column[1:])
    new = np.ones(len(column), dtype=np.bool_)
    new[1:] = (behind[1:] != behind[:-1]) | (column[1:] != column[:-1])
    starts = np.flatnonzero(new)
    last = np.maximum.reduceat(received, starts)
    return np.asarray(behind & (received == last[np.cumsum(new) - 1]))


def _snapped(time: Ints) -> Ints:
    """Move readings that are near to a whole hour onto it."""
    hour = np.floor_divide(time + HOUR_US // 2, HOUR_US) * HOUR_US
    return np.where(np.abs(time - hour) <= SNAP_US, hour, time)


def _moved(old: Provisional, columns: int) -> Provisional:
    """Return values whose columns count from another one."""
    return Provisional(old.edge, (old.column + columns).astype(np.int32), old.value, old.wide, old.told, old.until)


def _joined(parts: Sequence[Provisional]) -> Provisional:
    none = np.empty(0, dtype=np.int64)
    minutes = np.empty(0, dtype=np.int32)
    empty = Provisional(none, minutes, np.empty(0), np.empty(0, dtype=np.bool_), minutes, minutes)
    every = [empty, *parts]
    return Provisional(
        np.concatenate([part.edge for part in every]),
        np.concatenate([part.column for part in every]),
        np.concatenate([part.value for part in every]),
        np.concatenate([part.wide for part in every]),
        np.concatenate([part.told for part in every]),
        np.concatenate([part.until for part in every]),
    )
