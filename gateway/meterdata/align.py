"""Brings readings to a common grid: registers to gas-day boundaries or hours, other quantities likewise. Pure.

A register only grows. Between two readings it is taken to grow evenly, and the variance that this adds is carried
along; where the readings lie too far apart, or the register did what no meter does, the grid holds NaN.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.meterdata.series import HOUR_US, Columns, Exchanges, Flags, Floats, Ints, Registers, Series
from gateway.meterdata.steps import Unrolled, in_grains, unroll
from gateway.model.quantity import Quantity
from gateway.model.reading import Window

BURST_H = 1.0
"""gas is used in bursts: over this many hours a meter's use is about one independent burst"""


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
    return along(unrolled, times, registers, series.assets, quantity, span_h=span_h)


def along(
    unrolled: Unrolled,
    times: Ints,
    registers: Registers,
    assets: tuple[str, ...],
    quantity: Quantity,
    *,
    span_h: float,
    burst_h: float = BURST_H,
) -> Window:
    """Do what `at_times` does, with registers that are unrolled already; `burst_h` is what `BURST_H` is there."""
    column = np.broadcast_to(np.arange(len(assets)), (len(times), len(assets)))
    cells = on_lines(unrolled, column, times[:, None], registers, span_h=span_h, burst_h=burst_h)
    unknown = np.zeros(column.shape, dtype=np.bool_)
    unknown[1:] = (cells.breaks[1:] != cells.breaks[:-1]) & (cells.breaks[:-1] >= 0)
    value, variance = np.where(unknown, np.nan, cells.value), np.where(unknown, np.nan, cells.variance)
    return Window(quantity, times, assets, value, variance)


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Registers at moments, NaN where they are unknown; all arrays have one shape."""

    value: Floats
    variance: Floats
    breaks: Ints
    """number of the break after which the reading before each moment came; -1 where there is no such reading"""
    left: NDArray[np.intp]
    """row of the last reading not after the moment; right behind it stands the next one"""
    joined: Flags
    """whether there is a reading before and one after, with no break between them"""


def on_lines(
    unrolled: Unrolled,
    column: NDArray[np.intp],
    times: Ints,
    registers: Registers,
    *,
    span_h: float,
    burst_h: float = BURST_H,
) -> Cells:
    """Read registers off the straight lines between readings, `column` and `times` broadcast against each other."""
    if len(unrolled.time) == 0:
        nothing = np.full(np.broadcast_shapes(column.shape, times.shape), np.nan)
        none = np.full(nothing.shape, -1, dtype=np.int64)
        return Cells(nothing, nothing, none, none, none >= 0)
    left, has_left, has_right = _around(unrolled.column, unrolled.time, column, times)
    right = np.minimum(left + 1, len(unrolled.time) - 1)
    gap = unrolled.time[right] - unrolled.time[left]
    step = unrolled.value[right] - unrolled.value[left]
    resolution = registers.resolution_m3[column]
    exact = has_left & (unrolled.time[left] == times)
    share = np.where(has_right & (gap > 0), (times - unrolled.time[left]) / np.maximum(gap, 1), 0.0)
    near = (gap <= span_h * HOUR_US) | (np.abs(step) <= 0.5 * resolution)
    joined = has_left & has_right & (unrolled.breaks[right] == unrolled.breaks[left])
    good = exact | (joined & near)
    grown = np.where(exact, 0.0, in_grains(share * step))
    spread = np.where(exact, 0.0, step**2 * share * (1.0 - share)) / (1.0 + gap / HOUR_US / burst_h)
    return Cells(
        np.where(good, unrolled.value[left] + grown, np.nan),
        np.where(good, spread + resolution**2 / 12.0, np.nan),
        np.where(has_left, unrolled.breaks[left], -1),
        left,
        joined,
    )


def neighbours(column: Columns, time: Ints, times: Ints, assets: int) -> tuple[NDArray[np.intp], Flags, Flags]:
    """Return for each moment and asset the last row not after it, and whether rows before and after exist."""
    return _around(column, time, np.arange(assets)[None, :], times[:, None])


def _around(column: Columns, time: Ints, of: NDArray[np.intp], times: Ints) -> tuple[NDArray[np.intp], Flags, Flags]:
    """Return for moments of assets the last row not after each, and whether rows before and after exist."""
    origin = min(int(time.min()), int(times.min(initial=2**62)))
    width = max(int(time.max()), int(times.max(initial=-(2**62)))) - origin + 2
    if width * (int(of.max(initial=0)) + 1) >= 2**62:
        raise ValueError("the span of time is too long for that many assets")
    keys = column.astype(np.int64) * width + (time - origin)
    after = np.searchsorted(keys, of * width + (times - origin), side="right")
    left = np.maximum(after - 1, 0)
    has_left = (after > 0) & (column[left] == of)
    has_right = (after < len(column)) & (column[np.minimum(after, len(column) - 1)] == of)
    return left, has_left, has_right


def held(series: Series, times: Ints, quantity: Quantity, *, span_h: float = 72.0) -> Window:
    """Bring a quantity that stays until it is sent anew (valve, credit) to the moments `times`; NaN when too old."""
    settled = series.settled()
    shape = (len(times), len(series.assets))
    if len(settled.time) == 0:
        return Window(quantity, times, series.assets, np.full(shape, np.nan), np.full(shape, np.nan))
    left, has_left, _ = neighbours(settled.column, settled.time, times, shape[1])
    fresh = has_left & (times[:, None] - settled.time[left] <= span_h * HOUR_US)
    value = np.where(fresh, settled.value[left], np.nan)
    return Window(quantity, times, series.assets, value, np.where(fresh, 0.0, np.nan))


def between(series: Series, times: Ints, quantity: Quantity, *, span_h: float = 2.0) -> Window:
    """Bring a state such as a pressure to the moments `times` by straight lines over at most `span_h` hours."""
    settled = series.settled()
    shape = (len(times), len(series.assets))
    if len(settled.time) == 0:
        return Window(quantity, times, series.assets, np.full(shape, np.nan), np.full(shape, np.nan))
    left, has_left, has_right = neighbours(settled.column, settled.time, times, shape[1])
    right = np.minimum(left + 1, len(settled.time) - 1)
    gap = settled.time[right] - settled.time[left]
    exact = has_left & (settled.time[left] == times[:, None])
    good = exact | (has_left & has_right & (gap <= span_h * HOUR_US))
    share = np.where(exact, 0.0, (times[:, None] - settled.time[left]) / np.maximum(gap, 1))
    step = settled.value[right] - settled.value[left]
    value = np.where(good, settled.value[left] + np.where(exact, 0.0, share * step), np.nan)
    spread = np.where(exact, 0.0, step**2 * share * (1.0 - share))
    return Window(quantity, times, series.assets, value, np.where(good, spread, np.nan))
