"""Brings readings to a common grid: registers to gas-day boundaries or hours, other quantities likewise. Pure.

A register only grows. Between two readings it is taken to grow evenly, and the variance that this adds is carried
along; where the readings lie too far apart, or the register did what no meter does, the grid holds NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.model.quantity import Quantity
from gateway.model.reading import Window

HOUR_US = 3_600_000_000
AHEAD_US = 300_000_000
"""a device time this far after arrival comes from a wrong clock"""
BURST_H = 1.0
"""gas is used in bursts: over this many hours a meter's use is about one independent burst"""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Readings of one quantity of n assets, sorted by asset, source time and received time."""

    assets: tuple[str, ...]
    column: NDArray[np.int32]
    """index into `assets`"""
    time: Ints
    """source time, us UTC"""
    received: Ints
    """us UTC"""
    value: Floats

    @staticmethod
    def build(assets: Sequence[str], column: NDArray[np.int32], time: Ints, received: Ints, value: Floats) -> Series:
        """Sort the rows; those that are not finite or come from a clock that runs ahead are left out."""
        usable = np.isfinite(value) & (time <= received + AHEAD_US)
        column, time, received, value = column[usable], time[usable], received[usable], value[usable]
        order = np.lexsort((received, time, column))
        return Series(tuple(assets), column[order], time[order], received[order], value[order])

    def known(self, until_us: int, since_us: int | None = None) -> Series:
        """Return what had arrived by a moment; rows with an older source time than `since_us` are left out."""
        rows = self.received <= until_us
        if since_us is not None:
            rows &= self.time >= since_us
        return self._take(rows)

    def settled(self) -> Series:
        """Return each device time once; where its values disagree none of them is used."""
        if len(self.time) == 0:
            return self
        first = np.ones(len(self.time), dtype=np.bool_)
        first[1:] = (self.column[1:] != self.column[:-1]) | (self.time[1:] != self.time[:-1])
        starts = np.flatnonzero(first)
        agree = np.maximum.reduceat(self.value, starts) == np.minimum.reduceat(self.value, starts)
        return self._take(starts[agree])

    def _take(self, rows: Flags | NDArray[np.intp]) -> Series:
        return Series(self.assets, self.column[rows], self.time[rows], self.received[rows], self.value[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Registers:
    """What is known of n registers, besides their readings."""

    modulus: Floats
    """value at which the register starts again at zero, m3"""
    max_flow_m3h: Floats
    """more than 1.2 times this is not gas; 0 or NaN = unknown"""
    resolution_m3: Floats
    """smallest step that is sent"""


@dataclass(frozen=True, slots=True, eq=False)
class Exchanges:
    """Recorded meter exchanges: register read off the old meter, register of the new one; NaN = not written down."""

    column: NDArray[np.int32]
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
        rows = self.time <= until_us
        return Exchanges(self.column[rows], self.time[rows], self.old_m3[rows], self.new_m3[rows])


@dataclass(frozen=True, slots=True, eq=False)
class Unrolled:
    """Registers as if they never rolled over and never were exchanged."""

    column: NDArray[np.int32]
    time: Ints
    value: Floats
    breaks: NDArray[np.int64]
    """number of steps so far that no meter makes; steps across one are unknown"""


def unroll(series: Series, registers: Registers, exchanges: Exchanges) -> Unrolled:
    """Join the pieces of each register: rollovers and recorded exchanges are undone, lone spikes left out.

    A step back that is no rollover, and one faster than the meter can count, is a break.
    """
    column, time, value, fresh = _with_exchanges(series, exchanges)
    step, fine = _steps(column, time, value, fresh, registers)
    spike = _spikes(column, time, value, fine, registers)
    if spike.any():
        keep = ~spike
        column, time, value, fresh = column[keep], time[keep], value[keep], fresh[keep]
        step, fine = _steps(column, time, value, fresh, registers)
    total = np.cumsum(np.where(fine, step, 0.0))
    starts = np.flatnonzero(_first(column))
    base = np.repeat(value[starts] - total[starts], np.diff(np.append(starts, len(column))))
    return Unrolled(column, time, total + base, np.cumsum(~fine))


def _first(column: NDArray[np.int32]) -> Flags:
    first = np.ones(len(column), dtype=np.bool_)
    first[1:] = column[1:] != column[:-1]
    return first


def _with_exchanges(series: Series, exchanges: Exchanges) -> tuple[NDArray[np.int32], Ints, Floats, Flags]:
    """Add the two registers of each exchange as readings; `fresh` marks where a new meter begins."""
    extra = len(exchanges.time)
    column = np.concatenate([series.column, exchanges.column, exchanges.column])
    time = np.concatenate([series.time, exchanges.time - 1, exchanges.time])
    value = np.concatenate([series.value, exchanges.old_m3, exchanges.new_m3])
    fresh = np.zeros(len(time), dtype=np.bool_)
    fresh[len(time) - extra :] = True
    if extra:
        order = np.lexsort((~fresh, time, column))
        column, time, value, fresh = column[order], time[order], value[order], fresh[order]
    return column, time, value, fresh


def _allowed(column: NDArray[np.int32], gap_us: Ints, registers: Registers) -> Floats:
    flow = registers.max_flow_m3h[column]
    most = np.where(flow > 0, 1.2 * flow, np.inf)
    # readings are stamped to the minute at best: a short gap may hold a minute more of flow than it seems
    hours = gap_us / HOUR_US + 1.0 / 60.0
    return np.asarray(most * hours + 2.0 * registers.resolution_m3[column])


def _steps(
    column: NDArray[np.int32], time: Ints, value: Floats, fresh: Flags, registers: Registers
) -> tuple[Floats, Flags]:
    """Return the true step into each row and whether it is one that a meter makes."""
    step = np.diff(value, prepend=value[:1])
    gap = np.diff(time, prepend=time[:1])
    allowed = _allowed(column, gap, registers)
    resolution = registers.resolution_m3[column]
    rolled = step + registers.modulus[column]
    is_roll = (step < -resolution) & (rolled >= 0) & (rolled <= allowed)
    step = np.where(is_roll, rolled, step)
    fine = (step >= -resolution) & (step <= allowed)
    step = np.maximum(step, 0.0)
    unknown = np.isnan(value) | np.concatenate([[False], np.isnan(value[:-1])]) if len(value) else np.isnan(value)
    new = _first(column) | (fresh & ~unknown)
    return np.where(new, 0.0, step), (fine & ~unknown) | new


def _spikes(column: NDArray[np.int32], time: Ints, value: Floats, fine: Flags, registers: Registers) -> Flags:
    """Mark lone rows that are off while their neighbours fit each other."""
    spike = np.zeros(len(value), dtype=np.bool_)
    if len(value) < 3:
        return spike
    across = value[2:] - value[:-2]
    gap = time[2:] - time[:-2]
    inside = (column[2:] == column[:-2]) & (across >= 0) & (across <= _allowed(column[2:], gap, registers))
    spike[1:-1] = inside & ~(fine[1:-1] & fine[2:])
    spike[1:] &= ~spike[:-1]
    return spike


def at_times(
    series: Series, times: Ints, registers: Registers, exchanges: Exchanges, quantity: Quantity, *, span_h: float = 72.0
) -> Window:
    """Bring registers to the moments `times` (us UTC, increasing), by straight lines between the readings around.

    Nothing is filled across more than `span_h` hours, except where the register did not move: it only grows, so it
    stood still all the time between. The first moment after a break is NaN, so that no difference of two
    neighbouring moments spans one. The variance (m3 squared) holds what the straight line may be wrong by, for
    gas that is used in bursts, and the register's resolution.
    """
    unrolled = unroll(series.settled(), registers, exchanges)
    shape = (len(times), len(series.assets))
    if len(unrolled.time) == 0:
        return Window(quantity, times, series.assets, np.full(shape, np.nan), np.full(shape, np.nan))
    left, has_left, has_right = _neighbours(unrolled.column, unrolled.time, times, shape[1])
    right = np.minimum(left + 1, len(unrolled.time) - 1)
    gap = unrolled.time[right] - unrolled.time[left]
    step = unrolled.value[right] - unrolled.value[left]
    resolution = registers.resolution_m3[None, :]
    exact = has_left & (unrolled.time[left] == times[:, None])
    share = np.where(has_right & (gap > 0), (times[:, None] - unrolled.time[left]) / np.maximum(gap, 1), 0.0)
    whole = unrolled.breaks[right] == unrolled.breaks[left]
    near = (gap <= span_h * HOUR_US) | (np.abs(step) <= 0.5 * resolution)
    good = exact | (has_left & has_right & near & whole)
    good &= ~_after_break(np.where(has_left, unrolled.breaks[left], -1))
    value = np.where(good, unrolled.value[left] + np.where(exact, 0.0, share * step), np.nan)
    bursts = 1.0 + gap / HOUR_US / BURST_H
    spread = np.where(exact, 0.0, step**2 * share * (1.0 - share) / bursts)
    return Window(quantity, times, series.assets, value, np.where(good, spread + resolution**2 / 12.0, np.nan))


def _after_break(breaks: NDArray[np.int64]) -> Flags:
    after = np.zeros(breaks.shape, dtype=np.bool_)
    after[1:] = (breaks[1:] != breaks[:-1]) & (breaks[:-1] >= 0)
    return after


def _neighbours(
    column: NDArray[np.int32], time: Ints, times: Ints, assets: int
) -> tuple[NDArray[np.intp], Flags, Flags]:
    """Return for each moment and asset the last row not after it, and whether rows before and after exist."""
    origin = min(int(time.min()), int(times.min()))
    width = max(int(time.max()), int(times.max())) - origin + 2
    if width * max(assets, 1) >= 2**62:
        raise ValueError("the span of time is too long for that many assets")
    keys = column.astype(np.int64) * width + (time - origin)
    wanted = np.arange(assets, dtype=np.int64)[None, :] * width + (times - origin)[:, None]
    after = np.searchsorted(keys, wanted, side="right")
    left = np.maximum(after - 1, 0)
    of_asset = np.arange(assets)[None, :]
    has_left = (after > 0) & (column[left] == of_asset)
    has_right = (after < len(column)) & (column[np.minimum(after, len(column) - 1)] == of_asset)
    return left, has_left, has_right


def held(series: Series, times: Ints, quantity: Quantity, *, span_h: float = 72.0) -> Window:
    """Bring a quantity that stays until it is sent anew (valve, credit) to the moments `times`; NaN when too old."""
    settled = series.settled()
    shape = (len(times), len(series.assets))
    if len(settled.time) == 0:
        return Window(quantity, times, series.assets, np.full(shape, np.nan), np.full(shape, np.nan))
    left, has_left, _ = _neighbours(settled.column, settled.time, times, shape[1])
    fresh = has_left & (times[:, None] - settled.time[left] <= span_h * HOUR_US)
    value = np.where(fresh, settled.value[left], np.nan)
    return Window(quantity, times, series.assets, value, np.where(fresh, 0.0, np.nan))


def between(series: Series, times: Ints, quantity: Quantity, *, span_h: float = 2.0) -> Window:
    """Bring a state such as a pressure to the moments `times` by straight lines over at most `span_h` hours."""
    settled = series.settled()
    shape = (len(times), len(series.assets))
    if len(settled.time) == 0:
        return Window(quantity, times, series.assets, np.full(shape, np.nan), np.full(shape, np.nan))
    left, has_left, has_right = _neighbours(settled.column, settled.time, times, shape[1])
    right = np.minimum(left + 1, len(settled.time) - 1)
    gap = settled.time[right] - settled.time[left]
    exact = has_left & (settled.time[left] == times[:, None])
    good = exact | (has_left & has_right & (gap <= span_h * HOUR_US))
    share = np.where(exact, 0.0, (times[:, None] - settled.time[left]) / np.maximum(gap, 1))
    step = settled.value[right] - settled.value[left]
    value = np.where(good, settled.value[left] + np.where(exact, 0.0, share * step), np.nan)
    spread = np.where(exact, 0.0, step**2 * share * (1.0 - share))
    return Window(quantity, times, series.assets, value, np.where(good, spread, np.nan))
