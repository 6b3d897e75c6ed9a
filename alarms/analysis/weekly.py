"""What a business is expected to use by its own week: few others close on its days. Pure."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

PAUSE_D = 4
"""days in a row without use that are no weekly closing days"""
LEAST_D = 21
"""known days of which a week is learned"""
LIKE_OTHERS = 0.5
"""so many weeks' worth of belief that a weekday is like the others"""
PLAINLY = 0.05
"""by how much more of the variance its own week must explain than its peers' course"""


def weekly(use: Floats, shape: Floats, rests: Ints, days: Sequence[date], business: Flags) -> Floats:
    """Return the course that each customer follows: for a business its own week where that tells more, (d, n).

    `use`, `shape` (what peers did) and `rests` (runs of days without use) are (d, n), `business` is (n,). The week is
    the median of each weekday; it goes alone or times the peers' course. Days on which a business rests for longer
    tell nothing of it.
    """
    own = np.flatnonzero(business)
    if not len(own) or len(days) < LEAST_D:
        return shape
    used, peers = use[:, own], shape[:, own]
    busy = np.isfinite(used) & (whole(rests[:, own]) < PAUSE_D)
    week = _week(np.where(busy, used, np.nan), np.array([day.weekday() for day in days]))
    told = _explained(used, peers, busy)
    best = peers
    least = PLAINLY
    for course in (week, week * peers):
        tells = _explained(used, course, busy)
        better = (busy.sum(axis=0) >= LEAST_D) & (tells >= told + least)
        best, told = np.where(better, course, best), np.where(better, tells, told)
        least = 0.0
    result = shape.copy()
    result[:, own] = best
    return result


def whole(rests: Ints) -> Ints:
    """Return for each day the whole length, as far as it is known, of the rest that it lies in, (d, n)."""
    result = rests.copy()
    for day in range(len(rests) - 2, -1, -1):
        goes_on = (rests[day] > 0) & (rests[day + 1] >= rests[day])
        result[day] = np.where(goes_on, result[day + 1], rests[day])
    return result


def _week(used: Floats, weekday: Ints) -> Floats:
    """Return each customer's usual use of each day's weekday, relative to its mean, (d, n)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a weekday that is never known is as the others
        mean = np.nanmean(used, axis=0)
        result = np.ones(used.shape)
        for number in range(7):
            own = used[weekday == number]
            count = np.isfinite(own).sum(axis=0)
            middle = np.where(count > 0, np.nanmedian(own, axis=0), mean)
            usual = (count * middle + LIKE_OTHERS * mean) / (count + LIKE_OTHERS)
            result[weekday == number] = np.where(mean > 0, usual / np.maximum(mean, 1e-9), 1.0)
    return result


def _explained(used: Floats, course: Floats, busy: Flags) -> Floats:
    """Return the share of the variance of each customer's use that goes along with a course, (n,)."""
    count = np.maximum(busy.sum(axis=0), 1)
    one, other = (np.where(busy, values, 0.0) for values in (used, course))
    one, other = (np.where(busy, values - values.sum(axis=0) / count, 0.0) for values in (one, other))
    along = np.maximum((one * other).sum(axis=0), 0.0)
    return np.asarray(along**2 / np.maximum((one**2).sum(axis=0) * (other**2).sum(axis=0), 1e-12))
