"""Levels that wander: the loss of a zone from day to day, told from noisy days by a Kalman smoother. Pure.

The level is a random walk seen in white noise (Durbin and Koopman, Time Series Analysis by State Space Methods, 2012,
chapter 2); many such series are smoothed at once, day by day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Level:
    """Smoothed levels, shape (d, ...), and how likely the series are under their variances, shape (...)."""

    mean: Floats
    variance: Floats
    log_likelihood: Floats


def level(
    seen: Floats, noise: Floats, step: Floats, *, decay: float = 1.0, mean: float = 0.0, prior: float = 1.0
) -> Level:
    """Return the levels behind series of d days.

    `seen` (d, ...) is NaN where unknown; `noise` are its variances and `step` (...) those of the level's daily steps,
    of shapes that broadcast. The level keeps `decay` of itself from day to day and starts at `mean` with the variance
    `prior`. Days before an unknown day and after it both tell of it.
    """
    shape = np.broadcast_shapes(seen.shape, noise.shape, (1, *step.shape))
    known = np.isfinite(seen)
    value, weight = np.where(known, seen, 0.0), known.astype(np.float64)
    told, spread, before, before_spread = (np.empty(shape) for _ in range(4))
    now, var = np.full(shape[1:], mean), np.full(shape[1:], prior)
    likelihood = np.zeros(shape[1:])
    for day in range(len(seen)):
        if day:
            now, var = decay * now, decay**2 * var + step
        before[day], before_spread[day] = now, var
        total = var + noise[day]
        off = value[day] - now
        likelihood -= 0.5 * weight[day] * (np.log(total) + off**2 / total)
        gain = weight[day] * var / total
        now, var = now + gain * off, var * (1.0 - gain)
        told[day], spread[day] = now, var
    for day in range(len(seen) - 2, -1, -1):
        back = decay * spread[day] / before_spread[day + 1]
        told[day] += back * (told[day + 1] - before[day + 1])
        spread[day] += back**2 * (spread[day + 1] - before_spread[day + 1])
    return Level(told, spread, likelihood)
