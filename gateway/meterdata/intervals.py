"""Final intervals: what each meter counted on each gas day, in whole register units, and how that is known. Pure.

The result depends on the set of readings alone, not on the order or the number of times in which they came.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from gateway.meterdata.align import neighbours
from gateway.meterdata.estimate import ClassUse, Method, class_use, shares, without_step
from gateway.meterdata.series import DAY_US, HOUR_US, Exchanges, Flags, Floats, Ints, Registers, Series
from gateway.meterdata.steps import Steps, Unrolled, classify, first_of, join

SOON_US = 65 * 60 * 1_000_000
"""a gap this short is none, however often a meter is read"""
OFTEN_US = 2 * HOUR_US
"""a meter read at least this often is an hourly one"""
RUN_HOURLY_US = 3 * HOUR_US
RUN_DAILY_US = 3 * DAY_US


class Status(IntEnum):
    """What an interval is worth."""

    MEASURED = 0
    ESTIMATED = 1
    MISSING = 2


@dataclass(frozen=True, slots=True, eq=False)
class Cadence:
    """How far apart readings may lie, us, per meter."""

    period: Ints
    """usual time between two readings; a day where too few are known"""

    @property
    def near(self) -> Ints:
        """Largest gap that is still no gap."""
        return np.asarray(np.maximum(self.period + self.period // 2, SOON_US))

    @property
    def run(self) -> Ints:
        """Largest gap that a straight line may cross."""
        return np.where(self.period <= OFTEN_US, RUN_HOURLY_US, RUN_DAILY_US)


@dataclass(frozen=True, slots=True, eq=False)
class Intervals:
    """Final intervals of (day, meter), and what they were made of."""

    bounds: Ints
    """us UTC; one more than days"""
    units: Ints
    """whole register units; 0 where the status is MISSING"""
    status: Ints
    method: Ints
    left: Ints
    """us: the reading before the interval's beginning that it rests on, -1 if none"""
    right: Ints
    """us: the reading after the interval's end that it rests on, -1 if none"""
    step_units: Ints
    """register step between the two, whole units; -1 where no step is known"""

    @property
    def measured(self) -> Flags:
        """True where two registers tell the interval."""
        return np.asarray(self.status == Status.MEASURED)

    def use_m3(self, resolution_m3: Floats, *, estimates: bool = False) -> Floats:
        """Return m3 of (day, meter); NaN where not measured, or with `estimates` where missing."""
        known = self.status != Status.MISSING if estimates else self.measured
        return np.where(known, self.units * resolution_m3, np.nan)


@dataclass(frozen=True, slots=True, eq=False)
class Built:
    """Final intervals with what the rules look at besides."""

    intervals: Intervals
    steps: Steps
    unrolled: Unrolled
    cadence: Cadence
    known: ClassUse
    pending: Flags
    """(day, meter): not known yet, and the next reading is not late"""


@dataclass(frozen=True, slots=True, eq=False)
class _Ends:
    """What is known at the boundaries, shape (boundary, meter)."""

    has: Flags
    """a reading at or before and one at or after, with nothing odd between"""
    left: Ints
    right: Ints
    left_units: Ints
    step_units: Ints
    segment: Ints
    method: Ints


def build(
    series: Series,
    registers: Registers,
    exchanges: Exchanges,
    bounds: Ints,
    group: Ints,
    *,
    until_us: int,
    air_c: Floats | None = None,
    fillable: Flags | None = None,
    known: ClassUse | None = None,
) -> Built:
    """Make the intervals between `bounds` (us UTC, increasing) of every asset of the series.

    `group` numbers each asset's customer class from 0; `air_c` is the days' mean air temperature, NaN where unknown.
    Where `fillable` (day, asset) is False, nothing is estimated that no register step stands behind. What a reading
    that is not late at `until_us` may still tell is not estimated either, but pending. `known` is what the classes
    use, where these assets are but a part of them; else it is learnt from the assets.
    """
    settled = series.settled()
    steps = classify(settled, registers, exchanges)
    unrolled = join(steps)
    cadence = cadence_of(settled)
    ends = _ends(unrolled, registers, cadence, bounds, len(series.assets))
    groups = int(group.max()) + 1 if len(group) else 0
    time_share = _share_of_time(ends, bounds)
    measured = _between(ends, time_share, bounds).use_m3(registers.resolution_m3)
    known = class_use(measured, group, groups, air_c) if known is None else known
    ends, share = _weighed(ends, time_share, bounds, known, group)
    result = _between(ends, share, bounds)
    value, method = without_step(measured, group, known)
    wanted = (result.status == Status.MISSING) & (method != Method.NONE)
    wanted &= _was_read(unrolled, bounds, len(series.assets))
    pending = _pending(result, unrolled, cadence, until_us)
    wanted &= ~pending
    if fillable is not None:
        wanted &= fillable
    guess = np.rint(np.where(wanted, value, 0.0) / registers.resolution_m3).astype(np.int64)
    intervals = Intervals(
        bounds,
        np.where(wanted, guess, result.units),
        np.where(wanted, Status.ESTIMATED, result.status),
        np.where(wanted, method, result.method),
        result.left,
        result.right,
        result.step_units,
    )
    return Built(intervals, steps, unrolled, cadence, known, pending)


def cadence_of(settled: Series) -> Cadence:
    """Return each meter's usual time between readings: the median of its gaps, a day below three of them."""
    period = np.full(len(settled.assets), DAY_US, dtype=np.int64)
    inner = ~first_of(settled.column)
    gap = np.diff(settled.time, prepend=settled.time[:1])[inner]
    column = settled.column[inner]
    order = np.lexsort((gap, column))
    gap, column = gap[order], column[order]
    starts = np.flatnonzero(first_of(column))
    count = np.diff(np.append(starts, len(column)))
    enough = count >= 3
    period[column[starts[enough]]] = gap[(starts + count // 2)[enough]]
    return Cadence(period)


def _ends(unrolled: Unrolled, registers: Registers, cadence: Cadence, bounds: Ints, assets: int) -> _Ends:
    shape = (len(bounds), assets)
    if len(unrolled.time) == 0:
        none = np.full(shape, -1, dtype=np.int64)
        return _Ends(np.zeros(shape, dtype=np.bool_), none, none, none, none, none, np.full(shape, Method.NONE))
    left, has_left, has_right = neighbours(unrolled.column, unrolled.time, bounds, assets)
    exact = has_left & (unrolled.time[left] == bounds[:, None])
    right = np.where(exact, left, np.minimum(left + 1, len(unrolled.time) - 1))
    has = exact | (has_left & has_right & (unrolled.breaks[left] == unrolled.breaks[right]))
    units = np.rint(unrolled.value / registers.resolution_m3[unrolled.column]).astype(np.int64)
    step = units[right] - units[left]
    gap = unrolled.time[right] - unrolled.time[left]
    method = np.select(
        # a register that stood still did so all the time between
        [~has, exact | (gap <= cadence.near) | (step == 0), gap <= cadence.run],
        [Method.NONE, Method.REGISTER, Method.INTERPOLATION],
        Method.FLAT_SHARE,
    )
    return _Ends(
        has,
        np.where(has, unrolled.time[left], -1),
        np.where(has, unrolled.time[right], -1),
        np.where(has, units[left], -1),
        np.where(has, step, -1),
        np.where(has, unrolled.breaks[left], -1),
        method,
    )


def _share_of_time(ends: _Ends, bounds: Ints) -> Floats:
    return np.asarray((bounds[:, None] - ends.left) / np.maximum(ends.right - ends.left, 1))


def _weighed(ends: _Ends, time_share: Floats, bounds: Ints, known: ClassUse, group: Ints) -> tuple[_Ends, Floats]:
    """Share the steps of long gaps as the class used gas, where that is known."""
    long = ends.has & (ends.method == Method.FLAT_SHARE)
    if not long.any() or not known.on_day.size:
        return ends, time_share
    at, column = np.nonzero(long)
    left, right = ends.left[at, column], ends.right[at, column]
    by_class, weighed = shares(left, right, bounds[at], bounds, known.on_day[:, group[column]])
    share, method = time_share.copy(), ends.method.copy()
    share[at[weighed], column[weighed]] = by_class[weighed]
    method[at[weighed], column[weighed]] = Method.LIKE_DAYS
    return (
        _Ends(ends.has, ends.left, ends.right, ends.left_units, ends.step_units, ends.segment, method),
        share,
    )


def _between(ends: _Ends, share: Floats, bounds: Ints) -> Intervals:
    """Return the differences of neighbouring boundaries: whole units, so that pieces add up to the steps."""
    at = ends.left_units + np.rint(np.where(ends.has, share, 0.0) * ends.step_units).astype(np.int64)
    whole = ends.has[1:] & ends.has[:-1] & (ends.segment[1:] == ends.segment[:-1])
    method = np.where(whole, np.maximum(ends.method[1:], ends.method[:-1]), Method.NONE)
    status = np.where(whole, np.where(method == Method.REGISTER, Status.MEASURED, Status.ESTIMATED), Status.MISSING)
    step = ends.left_units[1:] + ends.step_units[1:] - ends.left_units[:-1]
    return Intervals(
        bounds,
        np.where(whole, at[1:] - at[:-1], 0),
        status,
        method,
        np.where(whole, ends.left[:-1], -1),
        np.where(whole, ends.right[1:], -1),
        np.where(whole, step, -1),
    )


def _was_read(unrolled: Unrolled, bounds: Ints, assets: int) -> Flags:
    """Mark the days that begin after a meter's first reading: before it nothing is known of a meter."""
    first = np.full(assets, np.iinfo(np.int64).max)
    starts = np.flatnonzero(first_of(unrolled.column))
    first[unrolled.column[starts]] = unrolled.time[starts]
    return np.asarray(bounds[:-1, None] >= first[None, :])


def _pending(result: Intervals, unrolled: Unrolled, cadence: Cadence, until_us: int) -> Flags:
    """Mark the days after which no reading has come yet, of meters whose next reading is not late."""
    newest = np.full(result.units.shape[1], np.iinfo(np.int64).min)
    np.maximum.at(newest, unrolled.column, unrolled.time)
    due = newest >= until_us - cadence.near
    return np.asarray((result.status == Status.MISSING) & due & (result.bounds[1:, None] > newest))
