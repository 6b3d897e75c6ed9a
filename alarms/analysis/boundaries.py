"""Registers at gas-day boundaries, kept from pass to pass and revised only where new readings touch them. Pure.

What a register is at a boundary depends on a few readings around it. So a new reading changes the boundaries after
the third reading before it and none before, and bringing these few to the grid anew gives what bringing all readings
there would.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alarms.analysis.holes import Holes
from gateway.meterdata.align import Cells, on_lines
from gateway.meterdata.arrivals import ALWAYS_US, Arrivals, Indices
from gateway.meterdata.series import Columns, Exchanges, Flags, Floats, Ints, Registers
from gateway.meterdata.steps import Unrolled, unroll

REGISTER_SPAN_H = 72.0
"""registers are joined by straight lines over at most this"""
BURST_H = 4.0
"""over this many hours a customer's use is about one independent burst: who cooks or is away is so for hours"""
SETTLED = 3
"""readings between a boundary that stays and the first new reading"""
AROUND = 6
"""readings before a boundary that stays, from which the steps after it are told as from all"""
_SEAM, _LEAD = 4, 16
"""rows that are looked at for those readings, as some may have come twice"""


class Boundaries:
    """n registers at b boundaries, as if they never rolled over and never were exchanged."""

    def __init__(self, rows: Arrivals, facts: Registers, exchanges: Callable[[int], Exchanges]) -> None:
        """Begin without boundaries; `exchanges` gives those that were known at a moment."""
        self._rows, self._facts, self._exchanges = rows, facts, exchanges
        self._done_us = ALWAYS_US
        count = len(rows.series.assets)
        self.times: Ints = np.empty(0, dtype=np.int64)
        """us UTC, (b,)"""
        self.value: Floats = np.empty((0, count))
        """m3; NaN where readings do not tell it, (b, n)"""
        self.variance: Floats = np.empty((0, count))
        """m3 squared, (b, n)"""
        self.broken: Flags = np.empty((0, count), dtype=np.bool_)
        """whether a register did what no meter does since the boundary before, (b, n)"""
        self.last_us: Ints = np.full(count, ALWAYS_US)
        """time of the newest reading, (n,)"""
        self.last_m3: Floats = np.zeros(count)
        self.holes = Holes.none()
        """what lies around the boundaries at which a register is unknown"""

    def advance(self, times: Ints, until_us: int) -> None:
        """Take in what arrived by a moment; `times` holds the boundaries so far and those that came to them."""
        shape = len(times) - len(self.times), self.value.shape[1]
        # what a register did since the last boundary is told of the next one, though nothing came since
        waiting = self.last_us > self.times[-1] if shape[0] and len(self.times) else np.zeros(shape[1], dtype=np.bool_)
        self.times = times
        self.value = np.concatenate([self.value, np.full(shape, np.nan)])
        self.variance = np.concatenate([self.variance, np.full(shape, np.nan)])
        self.broken = np.concatenate([self.broken, np.zeros(shape, dtype=np.bool_)])
        columns, first_us = self._touched(until_us, waiting)
        if len(columns):
            again = columns[self._revise(columns, first_us, until_us)]
            if len(again):
                self._revise(again, np.full(len(again), ALWAYS_US), until_us)
        self._done_us = until_us

    def _touched(self, until_us: int, waiting: Flags) -> tuple[Indices, Ints]:
        """Return which registers have something new, a reading or an exchange, or waited for a boundary; since when."""
        oldest = np.where(waiting, self.last_us, 2**62)
        columns, first_us = self._rows.touched(self._done_us, until_us)
        oldest[columns] = first_us
        known = self._exchanges(until_us)
        new = known.time > self._done_us
        np.minimum.at(oldest, known.column[new], known.time[new] - 1)
        columns = np.flatnonzero((oldest < 2**62) & (np.diff(self._rows.starts) > 0))
        return columns, oldest[columns]

    def _revise(self, columns: Indices, first_us: Ints, until_us: int) -> Flags:
        """Bring what follows new readings to the grid; return for which registers that takes older rows as well."""
        rows = self._rows
        stays, first_row = self._stays(columns, first_us)
        series = rows.take(columns, first_row, until_us).settled()
        whole = first_row == rows.starts[columns]
        again = self._too_few(stays, first_us, whole, column=series.column, time=series.time)
        begins = _first_us(series.column, series.time, len(columns))
        begins[whole] = ALWAYS_US
        unrolled = unroll(series, self._facts.of(columns), self._exchanges(until_us).of(columns, begins))
        count = len(self.times) - np.maximum(stays, 0)
        column = np.repeat(np.arange(len(columns)), count)
        row = np.arange(len(column)) + np.repeat(np.maximum(stays, 0) - (np.cumsum(count) - count), count)
        cells = on_lines(
            unrolled, column, self.times[row], self._facts.of(columns), span_h=REGISTER_SPAN_H, burst_h=BURST_H
        )
        first = np.cumsum(count) - count
        lift = np.where(stays < 0, 0.0, self.value[np.maximum(stays, 0), columns] - cells.value[first])
        again |= np.isnan(lift)
        self._write(cells, unrolled, columns=columns, stays=stays, lift=lift, done=~again, row=row, column=column)
        return again

    def _write(
        self,
        cells: Cells,
        unrolled: Unrolled,
        *,
        columns: Indices,
        stays: Ints,
        lift: Floats,
        done: Flags,
        row: Ints,
        column: Indices,
    ) -> None:
        """Keep the cells of the registers that are `done`, all but those of the boundary that stays."""
        follows = np.zeros(len(column), dtype=np.bool_)
        follows[1:] = column[1:] == column[:-1]
        broken = np.zeros(len(column), dtype=np.bool_)
        broken[1:] = follows[1:] & (cells.breaks[1:] != cells.breaks[:-1]) & (cells.breaks[:-1] >= 0)
        mine = np.flatnonzero(done[column] & (follows | (stays[column] < 0)))
        at, lifted = (row[mine], columns[column[mine]]), lift[column[mine]]
        # no difference of two neighbouring boundaries spans a break
        self.value[at] = np.where(broken[mine], np.nan, cells.value[mine] + lifted)
        self.variance[at] = np.where(broken[mine], np.nan, cells.variance[mine])
        self.broken[at] = broken[mine]
        stay = np.full(self.value.shape[1], len(self.times), dtype=np.int64)
        stay[columns[done]] = stays[done]
        hole = mine[np.isnan(self.value[at]) & cells.joined[mine]]
        left, more = cells.left[hole], lift[column[hole]]
        self.holes = self.holes.up_to(stay).joined(
            Holes(
                row[hole],
                columns[column[hole]],
                unrolled.time[left],
                unrolled.value[left] + more,
                unrolled.time[left + 1],
                unrolled.value[left + 1] + more,
            )
        )
        last = np.searchsorted(unrolled.column, np.arange(len(columns)), side="right") - 1
        some = done & (last >= 0)
        some[some] = unrolled.column[last[some]] == np.flatnonzero(some)
        self.last_us[columns[done]] = ALWAYS_US
        self.last_us[columns[some]] = unrolled.time[last[some]]
        self.last_m3[columns[some]] = unrolled.value[last[some]] + lift[some]

    def _stays(self, columns: Indices, first_us: Ints) -> tuple[Ints, Indices]:
        """Return each register's last boundary that no new reading changes, -1 for none, and where to begin."""
        rows, starts = self._rows, self._rows.starts[columns]
        seam = rows.row_at(columns, first_us) - _SEAM
        time = rows.series.time[np.maximum(seam, starts)]
        stays = np.where(seam >= starts, np.searchsorted(self.times, time, side="right") - 1, -1)
        begin = rows.row_at(columns, self.times[np.maximum(stays, 0)]) - _LEAD
        return stays, np.where(stays >= 0, np.maximum(begin, starts), starts)

    def _too_few(self, stays: Ints, first_us: Ints, whole: Flags, *, column: Columns, time: Ints) -> Flags:
        """Mark the registers of which too few readings had arrived to tell that the boundary stays."""
        edge = self.times[np.maximum(stays, 0)]
        before = np.bincount(column[time < edge[column]], minlength=len(stays))
        inside = (time >= edge[column]) & (time < first_us[column])
        between = np.bincount(column[inside], minlength=len(stays))
        return np.asarray((stays >= 0) & ((between < SETTLED) | ((before < AROUND) & ~whole)))


def _first_us(column: Columns, time: Ints, count: int) -> Ints:
    """Return the first time of each column of sorted rows; far in the past where it has none."""
    first = np.full(count, ALWAYS_US, dtype=np.int64)
    at = np.searchsorted(column, np.arange(count))
    some = np.flatnonzero(at < len(column))
    some = some[column[at[some]] == some]
    first[some] = time[at[some]]
    return first
