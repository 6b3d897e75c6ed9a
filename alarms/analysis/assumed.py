"""What customers are taken to use of whom no reading tells anything: what is usual for their class and size. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.filling import Course, Filling

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MOST_LARGER = 20.0
"""so many times as much as the mean of its class a customer is taken to use because of its larger meter"""


def assumed(
    filling: Filling, course: Course, size: Floats, shut: Flags, *, unread_sigma: float
) -> tuple[Floats, Floats]:
    """Let customers of whom nothing is known use what is usual, and nothing while they are shut."""
    never = np.isnan(filling.use)
    filled, variance = filling.use.copy(), np.nan_to_num(filling.variance)
    some = np.flatnonzero(never.any(axis=0))
    if len(some):
        usual, unknown = _usual(filling, course, size, some) * ~shut[:, some], never[:, some]
        filled[:, some] = np.where(unknown, usual, filled[:, some])
        variance[:, some] = np.where(unknown, (unread_sigma * usual) ** 2, variance[:, some])
    return filled, variance


def _usual(filling: Filling, course: Course, size: Floats, chosen: NDArray[np.int64]) -> Floats:
    """Return what customers of the class and size of meter of some use, base m3, (d, c)."""
    read = np.isfinite(filling.use).any(axis=0) & (size > 0)
    groups = len(course.mean_m3)
    mean_size = np.full(groups, float(size[read].mean()) if read.any() else 1.0)
    for group in range(groups - 1):
        own = read & (course.group == group)
        mean_size[group] = float(size[own].mean()) if own.any() else mean_size[group]
    own_group = course.group[chosen]
    larger = np.where(size[chosen] > 0, np.clip(size[chosen] / mean_size[own_group], 0.2, MOST_LARGER), 1.0)
    daily = course.daily[-len(filling.use) :] * course.mean_m3[None, :]
    return np.asarray(daily[:, own_group] * larger[None, :])
