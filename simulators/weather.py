"""Air and gas temperature of the simulated city, as functions of the hour."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators import noise

UTC_OFFSET_H = 8
"""the simulated city keeps China Standard Time, which has no summer time"""

Hours = NDArray[np.floating[Any]] | NDArray[np.int64]
"""hours since 1970 UTC"""

_STREAM = 11


def slow_air_c(seed: int, hour: Hours) -> NDArray[np.float64]:
    """Return the air temperature without its daily swing, deg C, at hours since 1970 UTC (fractions allowed)."""
    day = hour / 24.0
    season = 14.0 - 13.5 * np.cos(2.0 * np.pi * (day - 20.0) / 365.2425)
    return np.asarray(
        season
        + 2.4 * noise.wander(seed, _STREAM, hour, 60.0)
        + 1.6 * noise.wander(seed, _STREAM + 1, hour, 190.0)
        + 0.5 * noise.wander(seed, _STREAM + 2, hour, 17.0),
        dtype=np.float64,
    )


def air_c(seed: int, hour: Hours) -> NDArray[np.float64]:
    """Return the air temperature in deg C; coldest about 05:00 local time."""
    local = (hour + UTC_OFFSET_H) % 24.0
    return np.asarray(slow_air_c(seed, hour) - 3.8 * np.cos(2.0 * np.pi * (local - 5.0) / 24.0), dtype=np.float64)


def day_mean_c(seed: int, first_hour: int) -> float:
    """Return the mean air temperature of the 24 hours that begin with `first_hour`."""
    return float(air_c(seed, first_hour + np.arange(24) + 0.5).mean())


def ground_c(hour: Hours) -> NDArray[np.float64]:
    """Return the temperature of gas in buried pipes, deg C: the season, damped and six weeks late."""
    return np.asarray(14.5 - 6.5 * np.cos(2.0 * np.pi * (hour / 24.0 - 62.0) / 365.2425), dtype=np.float64)
