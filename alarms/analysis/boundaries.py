"""Registers at gas-day boundaries, kept from pass to pass and revised only where new readings touch them. Pure.

What a register is at a boundary depends on a few readings around it. So a new reading changes the boundaries after
the third reading before it and none before, and bringing these few to the grid anew gives what bringing all readings
there would. Only what near readings tell is kept; a meter with a boundary that they do not tell is looked at as a
whole when it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gateway.meterdata.align import on_lines
from gateway.meterdata.arrivals import ALWAYS_US, Arrivals, Indices
from gateway.meterdata.series import Exchanges, Flags, Floats, Ints, Registers
from gateway.meterdata.steps import unroll

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
    """Steps of n registers from boundary to boundary, and the variance of the register at each."""

    def __init__(self, rows: Arrivals, facts: Registers, exchanges: Callable[[int], Exchanges]) -> None:
        """Begin without boundaries; `exchanges` gives those that were known at a moment."""
        self._rows, self._facts, self._exchanges = rows, facts, exchanges
        self._done_us = ALWAYS_US
        count = len(rows.series.assets)
        self.times: Ints = np.empty(0, dtype=np.int64)
        """us UTC, (b,)"""
        self.step: Floats = np.empty((0, count))
        """m3 since the boundary before; NaN where one of the two is unknown, (b, n)"""
        self.variance: Floats = np.empty((0, count))
        """of the register, m3 squared; NaN where it is unknown, (b, n)"""

    def advance(self, times: Ints, until_us: int) -> None:
        """Take in what arrived by a moment; `times` holds the boundaries so far and those that came to them."""
        more = np.full((len(times) - len(self.times), self.step.shape[1]), np.nan)
        self.times = times
        self.step, self.variance = np.concatenate([self.step, more]), np.concatenate([self.variance, more])
        columns, first_us = self._touched(until_us)
        if len(columns):
            again = columns[self._revise(columns, first_us, until_us)]
            if len(again):
                self._revise(again, np.full(len(again), ALWAYS_US), until_us)
        self._done_us = until_us

    def _touched(self, until_us: int) -> tuple[Indices, Ints]:
        """Return which registers have something new, a reading or an exchange, and since when."""
        columns, first_us = self._rows.touched(self._done_us, until_us)
        known = self._exchanges(until_us)
        new = known.time > self._done_us
        if not new.any():
            return columns, first_us
        oldest = np.full(self.step.shape[1], 2**62, dtype=np.int64)
        oldest[columns] = first_us
        np.minimum.at(oldest, known.column[new], known.time[new] - 1)
        some = np.diff(self._rows.starts) > 0
        columns = np.flatnonzero((oldest < 2**62) & some)
        return columns, oldest[columns]

    def _revise(self, columns: Indices, first_us: Ints, until_us: int) -> Flags:
        """Bring what follows new readings to the grid; return for which registers that takes older rows as well."""
        rows = self._rows
        stays, first_row = self._stays(columns, first_us)
        series = rows.take(columns, first_row, until_us).settled()
        again = self._too_few(columns, stays, first_us, first_row=first_row, column=series.column, time=series.time)
        keep = ~again[series.column]
        series = series.take(keep)
        begins = _first_us(series.column, series.time, len(columns))
        begins[first_row == rows.starts[columns]] = ALWAYS_US
        exchanges = self._exchanges(until_us).of(columns, begins)
        facts = self._facts.of(columns)
        done = np.flatnonzero(~again)
        begin = np.maximum(stays[done], 0)
        count = len(self.times) - begin
        column = np.repeat(done, count)
        row = np.arange(len(column)) + np.repeat(begin - (np.cumsum(count) - count), count)
        cells = on_lines(
            unroll(series, facts, exchanges),
            column,
            self.times[row],
            facts,
            span_h=REGISTER_SPAN_H,
            burst_h=BURST_H,
            bridged=False,
        )
        follows = np.zeros(len(column), dtype=np.bool_)
        follows[1:] = column[1:] == column[:-1]
        broken = np.zeros(len(column), dtype=np.bool_)
        broken[1:] = follows[1:] & (cells.breaks[1:] != cells.breaks[:-1]) & (cells.breaks[:-1] >= 0)
        # a boundary that stays unknown, since it is the first one after a break, begins no step
        broken |= ~follows & (stays[column] >= 0) & np.isnan(self.variance[row, columns[column]])
        value = np.where(broken, np.nan, cells.value)
        step = np.full(len(value), np.nan)
        step[1:] = np.where(follows[1:], np.diff(value), np.nan)
        written = follows | (np.repeat(stays[done], count) < 0)
        at = row[written], columns[column[written]]
        self.step[at] = step[written]
        self.variance[at] = np.where(broken, np.nan, cells.variance)[written]
        return again

    def _stays(self, columns: Indices, first_us: Ints) -> tuple[Ints, Indices]:
        """Return each register's last boundary that no new reading changes, -1 for none, and where to begin."""
        rows, starts = self._rows, self._rows.starts[columns]
        seam = rows.row_at(columns, first_us) - _SEAM
        time = rows.series.time[np.maximum(seam, starts)]
        stays = np.where(seam >= starts, np.searchsorted(self.times, time, side="right") - 1, -1)
        begin = rows.row_at(columns, self.times[np.maximum(stays, 0)]) - _LEAD
        return stays, np.where(stays >= 0, np.maximum(begin, starts), starts)

    def _too_few(
        self,
        columns: Indices,
        stays: Ints,
        first_us: Ints,
        *,
        first_row: Indices,
        column: NDArray[np.int32],
        time: Ints,
    ) -> Flags:
        """Mark the registers of which too few readings had arrived to tell that the boundary stays."""
        edge = self.times[np.maximum(stays, 0)]
        before = np.bincount(column[time < edge[column]], minlength=len(columns))
        inside = (time >= edge[column]) & (time < first_us[column])
        between = np.bincount(column[inside], minlength=len(columns))
        whole = first_row == self._rows.starts[columns]
        return np.asarray((stays >= 0) & ((between < SETTLED) | ((before < AROUND) & ~whole)))


def _first_us(column: NDArray[np.int32], time: Ints, count: int) -> Ints:
    """Return the first time of each column of sorted rows; far in the past where it has none."""
    first = np.full(count, ALWAYS_US, dtype=np.int64)
    at = np.searchsorted(column, np.arange(count))
    some = np.flatnonzero(at < len(column))
    some = some[column[at[some]] == some]
    first[some] = time[at[some]]
    return first
