"""What each customer usually does at each hour of the day, and by how much its days differ. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.meterdata.series import Flags, Floats

LEAST_DAYS = 7
"""known days that tell what is usual"""
DAY_H = 24
WHOLE_DAY_H = 18
"""known hours that make a day's mean"""
WEEK_D = 7
WEEK_FROM_D = 14
"""known days of which a week is learned"""
PLAINLY = 0.5
"""share of the variance of its days that a customer's own week may leave, to be believed"""


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """Sums over some whole days of n customers."""

    first_day: int
    """number of the first of them, counted from one that is the same for all tallies"""
    daily: NDArray[np.float32]
    """mean hour of each day, m3, NaN where the day is not known, (days, n)"""
    total: NDArray[np.float32]
    """m3 in the known hours, by hour of the day, (24, n)"""
    count: NDArray[np.float32]
    """known hours, (24, n)"""

    @staticmethod
    def of(use: Floats, mean: Flags, first_day: int) -> Tally:
        """Count hours, (h, n), NaN where unknown; those of which only a mean is known tell nothing of the course."""
        days = use[: len(use) // DAY_H * DAY_H].reshape(-1, DAY_H, use.shape[1])
        known = np.isfinite(days)
        hours = known.sum(axis=1)
        daily = np.where(known, days, 0.0).sum(axis=1) / np.maximum(hours, 1)
        fine = known & ~mean[: days.shape[0] * DAY_H].reshape(days.shape)
        total = np.where(fine, days, 0.0).sum(axis=0)
        return Tally(
            first_day,
            np.where(hours >= WHOLE_DAY_H, daily, np.nan).astype(np.float32),
            total.astype(np.float32),
            fine.sum(axis=0).astype(np.float32),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Usual:
    """What is usual of n customers."""

    course: Floats
    """use by hour of the day, relative to the mean hour; NaN where too little is known, (24, n)"""
    week: Floats
    """use by number of the day modulo 7, relative to the mean day; 1 where no week shows, (7, n)"""
    weekly: Flags
    """whether an own week shows, (n,)"""
    wander: Floats
    """standard deviation of the days' mean hours about that, m3; 0 where too few are known, (n,)"""

    @staticmethod
    def of(tallies: Sequence[Tally], customers: int) -> Usual:
        """Put tallies together that begin at the same hour of the day."""
        daily = np.concatenate([np.empty((0, customers), dtype=np.float32), *(one.daily for one in tallies)])
        number = np.concatenate(
            [np.empty(0, dtype=np.int64), *(one.first_day + np.arange(len(one.daily)) for one in tallies)]
        )
        days = np.isfinite(daily).sum(axis=0)
        middle, square = _spread(daily)
        by_day, apart = np.ones((WEEK_D, customers)), np.full((WEEK_D, customers), np.nan)
        for day in range(WEEK_D):
            own = daily[number % WEEK_D == day]
            mean, apart[day] = _spread(own)
            # a day tells of another one of its number only by those that are not itself
            count = np.isfinite(own).sum(axis=0)
            apart[day] *= np.where(count > 1, count / np.maximum(count - 1, 1), np.nan)
            by_day[day] = mean / np.where(middle > 0, middle, 1.0)
        left = apart.mean(axis=0)
        weekly = (days >= WEEK_FROM_D) & (middle > 0) & (left < PLAINLY * square)
        total, count = np.zeros((DAY_H, customers)), np.zeros((DAY_H, customers))
        for one in tallies:
            total += one.total
            count += one.count
        hour = total / np.maximum(count, 1.0)
        mean = hour.mean(axis=0)
        told = (count.min(axis=0) >= LEAST_DAYS) & (mean > 0)
        course = np.where(told, hour / np.where(told, mean, 1.0), np.nan)
        wander = np.sqrt(np.where(weekly, left, square))
        return Usual(course, np.where(weekly, by_day, 1.0), weekly, np.where(days >= LEAST_DAYS, wander, 0.0))


def _spread(daily: Floats) -> tuple[Floats, Floats]:
    """Return the mean of each customer's known days and their variance, (n,)."""
    known = np.isfinite(daily)
    days = known.sum(axis=0)
    middle = np.where(known, daily, 0.0).sum(axis=0) / np.maximum(days, 1)
    return middle, np.where(known, (daily - middle) ** 2, 0.0).sum(axis=0) / np.maximum(days - 1, 1)
