"""Fills what no reading tells: shares a known register step over days, or follows like days and meters. Pure.

Between two known registers only the way of sharing is estimated: the pieces are differences of whole register
units at the days' boundaries, so they add up to the step exactly. Only measured days feed an estimate, and an
estimate feeds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from gateway.meterdata.series import Flags, Floats, Ints

PEERS = 5
"""measured meters of a class that a day's usual use may be taken from"""
OWN_DAYS = 7
"""measured days that a meter's own level may be taken from"""
LIKE_K = 3.0
"""days whose mean air temperatures differ by no more than this are alike"""


class Method(IntEnum):
    """Where an interval comes from, the surest first."""

    REGISTER = 0
    """two registers, near enough to the interval's ends"""
    INTERPOLATION = 1
    """a straight line across a short run of missing readings"""
    LIKE_DAYS = 2
    """a longer run: shared, or scaled, as the class used gas on these days or on days as cold"""
    FLAT_SHARE = 3
    """a longer run: shared evenly in time"""
    CLASS_PROFILE = 4
    """no register step is known: what the class uses on a usual day"""
    NONE = 5
    """nothing is known"""
    MANUAL = 6
    """a person said so"""


@dataclass(frozen=True, slots=True, eq=False)
class ClassUse:
    """What each customer class uses, from measured days of its meters."""

    on_day: Floats
    """median m3 of (day, class); of days as cold where too few meters were read; NaN where neither is known"""
    usual: Floats
    """median m3 of each class over the days that are known"""


def class_use(use: Floats, group: Ints, groups: int, air_c: Floats | None = None) -> ClassUse:
    """Return the use of each class. `use` is m3 of (day, meter), NaN where not measured; `group` numbers the class."""
    days = use.shape[0]
    on_day = np.full((days, groups), np.nan)
    for number in range(groups):
        own = use[:, group == number]
        enough = np.count_nonzero(np.isfinite(own), axis=1) >= PEERS
        if enough.any():
            on_day[enough, number] = np.nanmedian(own[enough], axis=1)
    filled = on_day if air_c is None else _by_temperature(on_day, air_c)
    return ClassUse(filled, column_median(filled))


def _by_temperature(on_day: Floats, air_c: Floats) -> Floats:
    filled = on_day.copy()
    with np.errstate(invalid="ignore"):
        alike = np.abs(air_c[:, None] - air_c[None, :]) <= LIKE_K
    for day, number in np.argwhere(np.isnan(on_day)):
        like = on_day[alike[day], number]
        if np.isfinite(like).any():
            filled[day, number] = np.nanmedian(like)
    return filled


def column_median(table: Floats, least: int = 1) -> Floats:
    """Return the median of each column's known values, NaN where fewer than `least` are known."""
    result = np.full(table.shape[1], np.nan)
    enough = np.count_nonzero(np.isfinite(table), axis=0) >= least
    if enough.any():
        result[enough] = np.nanmedian(table[:, enough], axis=0)
    return result


def shares(left: Ints, right: Ints, here: Ints, bounds: Ints, weight: Floats) -> tuple[Floats, Flags]:
    """Return for each of n register steps, from `left` to `right` (us), which share of it falls before `here`.

    `weight` is m3 of (day, step), NaN where unknown. The second array is True where every moment of the step lies
    in a day with a weight and not all are zero; elsewhere the share is the share of time.
    """
    known = np.isfinite(weight)
    length = np.diff(bounds).astype(np.float64)[:, None]
    told = _course(right, bounds, known * length) - _course(left, bounds, known * length)
    used = np.where(known, weight, 0.0)
    begin, end, now = (_course(at, bounds, used) for at in (left, right, here))
    weighed = (end > begin) & (told >= (right - left) * (1.0 - 1e-9))
    by_weight = np.clip((now - begin) / np.where(weighed, end - begin, 1.0), 0.0, 1.0)
    by_time = (here - left) / np.maximum(right - left, 1)
    return np.where(weighed, by_weight, by_time), weighed


def _course(at: Ints, bounds: Ints, per_day: Floats) -> Floats:
    """Return for each column the sum of a daily amount up to its moment, each day's spread evenly."""
    total = np.concatenate([np.zeros((1, per_day.shape[1])), np.cumsum(per_day, axis=0)])
    day = np.clip(np.searchsorted(bounds, at, side="right") - 1, 0, len(bounds) - 2)
    inside = np.clip((at - bounds[day]) / (bounds[day + 1] - bounds[day]), 0.0, 1.0)
    column = np.arange(per_day.shape[1])
    return np.asarray(total[day, column] + inside * per_day[day, column])


def without_step(use: Floats, group: Ints, known: ClassUse) -> tuple[Floats, Ints]:
    """Estimate every day as if no register were known: m3 of (day, meter) and a `Method`; NaN and NONE where not.

    A meter with enough measured days is taken at its own level, raised and lowered as its class is on that day.
    """
    own = column_median(use, OWN_DAYS)[None, :]
    usual, on_day = known.usual[group][None, :], known.on_day[:, group]
    with np.errstate(invalid="ignore", divide="ignore"):
        like = np.where(usual > 0, own * on_day / usual, own)
    like_known = np.isfinite(like) & np.isfinite(on_day)
    profile = np.where(np.isfinite(own), own, usual) + np.zeros(use.shape)
    value = np.where(like_known, like, profile)
    method = np.where(like_known, Method.LIKE_DAYS, np.where(np.isfinite(profile), Method.CLASS_PROFILE, Method.NONE))
    return value, method.astype(np.int64)
