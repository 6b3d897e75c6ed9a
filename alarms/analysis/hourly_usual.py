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


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """Sums over some whole days of n customers."""

    daily: NDArray[np.float32]
    """mean hour of each day, m3, NaN where the day is not known, (days, n)"""
    total: NDArray[np.float32]
    """m3 in the known hours, by hour of the day, (24, n)"""
    count: NDArray[np.float32]
    """known hours, (24, n)"""

    @staticmethod
    def of(use: Floats, mean: Flags) -> Tally:
        """Count hours, (h, n), NaN where unknown; those of which only a mean is known tell nothing of the course."""
        days = use[: len(use) // DAY_H * DAY_H].reshape(-1, DAY_H, use.shape[1])
        known = np.isfinite(days)
        hours = known.sum(axis=1)
        daily = np.where(known, days, 0.0).sum(axis=1) / np.maximum(hours, 1)
        fine = known & ~mean[: days.shape[0] * DAY_H].reshape(days.shape)
        total = np.where(fine, days, 0.0).sum(axis=0)
        return Tally(
            np.where(hours >= WHOLE_DAY_H, daily, np.nan).astype(np.float32),
            total.astype(np.float32),
            fine.sum(axis=0).astype(np.float32),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Usual:
    """What is usual of n customers."""

    course: Floats
    """use by hour of the day, relative to the mean hour; NaN where too little is known, (24, n)"""
    wander: Floats
    """standard deviation of the days' mean hours, m3; 0 where too few are known, (n,)"""

    @staticmethod
    def of(tallies: Sequence[Tally], customers: int) -> Usual:
        """Put tallies together that begin at the same hour of the day."""
        daily = np.concatenate([np.empty((0, customers), dtype=np.float32), *(one.daily for one in tallies)])
        known = np.isfinite(daily)
        days = known.sum(axis=0)
        middle = np.where(known, daily, 0.0).sum(axis=0) / np.maximum(days, 1)
        square = np.where(known, (daily - middle) ** 2, 0.0).sum(axis=0) / np.maximum(days - 1, 1)
        total, count = np.zeros((DAY_H, customers)), np.zeros((DAY_H, customers))
        for one in tallies:
            total += one.total
            count += one.count
        hour = total / np.maximum(count, 1.0)
        mean = hour.mean(axis=0)
        told = (count.min(axis=0) >= LEAST_DAYS) & (mean > 0)
        course = np.where(told, hour / np.where(told, mean, 1.0), np.nan)
        return Usual(course, np.where(days >= LEAST_DAYS, np.sqrt(square), 0.0))
