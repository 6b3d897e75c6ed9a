"""Hours put together to blocks that grow longer with their age, and what is known of their noise. Pure.

A leak is a constant flow: all that matters of an old day is its sum, while of the last day it matters when the loss
began. So few numbers hold four weeks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.hourly import Hours
from gateway.meterdata.series import Flags, Floats, Ints

SIZES_H: NDArray[np.int64] = np.array([24] * 23 + [6] * 16 + [2] * 12)
"""oldest first; 28 days in all"""
WINDOW_H = int(SIZES_H.sum())
ENDS_H: NDArray[np.int64] = np.cumsum(SIZES_H)
AGE_H: NDArray[np.float64] = WINDOW_H - ENDS_H + SIZES_H / 2.0
"""how long ago each block's middle was"""
OLD_H = 3 * 24
"""hours that do not count for the usual course of a day"""
CLIP = 5.0
LEAST_WHITE = 0.1
AT_NIGHT = 0.2
"""share of the mean variance of an hour that is there without any flow"""


@dataclass(frozen=True, slots=True, eq=False)
class Blocks:
    """Sums over b blocks of z zones; hours that are not known count nowhere."""

    ends_us: int
    """end of the newest block"""
    hours: Floats
    """known hours, (b, z)"""
    loss: Floats
    """less the usual course over the day, m3, (b, z)"""
    flow: Floats
    """gas that came, m3; of zones without own customers what passed through, (b, z)"""
    white: Floats
    """variance of what differs from hour to hour, m3 squared, (b, z)"""
    guess: Floats
    """standard deviation of what is guessed of customers not yet known, alike for a day, m3, (b, z)"""
    register: Floats
    """variance of where registers stood at a block's edge: what is wrong there comes back, m3 squared, (z,)"""

    @property
    def known(self) -> Flags:
        """Blocks of which anything is known, (b, z)."""
        return np.asarray((self.hours > 0) & (self.flow > 0))


def blocks_of(hours: Hours, register_variance: Floats) -> Blocks:
    """Sum the hours of all zones; `register_variance` is that of all registers of a zone together, (z,)."""
    loss, flow = _window(hours.zones("loss"), np.nan), _window(hours.zones("flow"), 0.0)
    ok = np.isfinite(loss) & (flow > 0)
    flow = np.where(ok, flow, 0.0)
    around, noise, back = _course(np.where(ok, loss, np.nan), flow)
    register = np.maximum(register_variance, back)
    steady = np.maximum(noise - 2.0 * register, LEAST_WHITE * noise)
    mean = flow.sum(axis=0) / np.maximum(ok.sum(axis=0), 1)
    white = steady * (AT_NIGHT + (1.0 - AT_NIGHT) * flow / np.maximum(mean, 1e-9))
    white = white + _window(hours.zones("shared_variance"), 0.0)
    return Blocks(
        ends_us=int(hours.ends_us[-1]),
        hours=_sum(ok.astype(np.float64)),
        loss=_sum(np.where(ok, loss - around, 0.0)),
        flow=_sum(flow),
        white=_sum(np.where(ok, white, 0.0)),
        guess=_sum(np.where(ok, _window(hours.zones("guess_sigma"), 0.0), 0.0)),
        register=register,
    )


def customers_of(hours: Hours, columns: Ints) -> tuple[Floats, Floats]:
    """Return what customers used in the hours that are known, and what they would have used, (b, m).

    The second is what their class did then, each one's mean being 1 m3/h.
    """
    use, course = (_window(part, np.nan) for part in hours.customers(columns))
    told = np.isfinite(use)
    return _sum(np.where(told, use, 0.0)), _sum(np.where(told, course, 0.0))


def _window(values: Floats, missing: float) -> Floats:
    """Return the last hours; those before the history are missing."""
    recent = values[-WINDOW_H:]
    lead = np.full((WINDOW_H - len(recent), values.shape[1]), missing)
    return np.concatenate([lead, recent])


def _sum(values: Floats) -> Floats:
    return np.asarray(np.add.reduceat(values, np.append(0, ENDS_H[:-1]), axis=0))


def _course(loss: Floats, flow: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the usual course of the loss over the day (h, z), the noise of an hour, and what of it comes back, (z,).

    What is wrong by when registers are read, or by how finely they count, is wrong the other way in the next hour: it
    shows as a negative correlation of neighbours.
    """
    zones = loss.shape[1]
    by_day = loss.reshape(-1, 24, zones)
    known = np.isfinite(by_day)
    count = known.sum(axis=1, keepdims=True)
    mean = np.where(count >= 6, np.nansum(by_day, axis=1, keepdims=True) / np.maximum(count, 1), np.nan)
    rate = np.nansum(loss, axis=0) / np.maximum(flow.sum(axis=0), 1e-9)
    moved = (rate * flow).reshape(by_day.shape)
    moved = moved - np.where(known, moved, 0.0).sum(axis=1, keepdims=True) / np.maximum(count, 1)
    off = (by_day - mean - moved).reshape(loss.shape)
    middle = _median(off)
    spread = 1.4826 * _median(np.abs(off - middle)) + 1e-6
    clipped = np.where(np.isfinite(off), np.clip(off - middle, -CLIP * spread, CLIP * spread), 0.0)
    seen = np.isfinite(off)
    noise = (clipped**2).sum(axis=0) / np.maximum(seen.sum(axis=0), 1) + 1e-9
    pairs = (seen[1:] & seen[:-1]).sum(axis=0)
    back = -(clipped[1:] * clipped[:-1]).sum(axis=0) / np.maximum(pairs, 1)
    course = _usual(off[:-OLD_H], noise)
    return np.tile(course, (len(loss) // 24, 1)), noise, np.clip(back, 0.0, 0.45 * noise)


def _usual(off: Floats, noise: Floats) -> Floats:
    """Return what the loss of each hour of the day usually differs by, as far as it is more than noise, (24, z)."""
    by_day = off.reshape(-1, 24, off.shape[1])
    count = np.isfinite(by_day).sum(axis=0)
    middle = np.nan_to_num(_median(by_day))
    sure = 1.0 - (1.57 * noise / np.maximum(count, 1)) / np.maximum(middle**2, 1e-12)
    course = np.where(count >= 5, middle * np.maximum(sure, 0.0), 0.0)
    return np.asarray(course - course.mean(axis=0))


def _median(values: Floats) -> Floats:
    """Return the median over the first axis; NaN where nothing is known."""
    ordered = np.sort(values, axis=0)
    count = np.isfinite(values).sum(axis=0)
    low, high = np.maximum((count - 1) // 2, 0), np.minimum(count // 2, len(values) - 1)
    pick: Ints = np.stack([low, high])
    return np.asarray(np.take_along_axis(ordered, pick, axis=0).mean(axis=0))
