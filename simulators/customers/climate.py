"""How cold a day feels to a building: the air with its lag, sun and wind in one figure."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from simulators import noise, weather

Climate = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""from local days since 1970 to the effective temperature of each, deg C"""

LAG = 0.5
"""share of a day's effective air temperature and sun that is the day before's"""
SUN_K_PER_100_W_M2 = 2.05
WIND_K_PER_M_S = 0.38
"""fitted to the daily sum of measured household loads, see docs/simulator.md"""
_UNEXPLAINED_K = 0.6
"""common to all customers of a city; without it the measured sum strays a tenth from what weather explains"""
_BACK_D = 9
_STREAM = 15


def effective_c(
    air_c: NDArray[np.float64], sun_w_m2: NDArray[np.float64], wind_m_s: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the effective temperature of consecutive days from their means, deg C; the first days lack their past."""
    warmth = air_c + SUN_K_PER_100_W_M2 * sun_w_m2 / 100.0
    lagged = warmth.copy()
    for day in range(1, len(lagged)):
        lagged[day] = LAG * lagged[day - 1] + (1.0 - LAG) * warmth[day]
    return np.asarray(lagged - WIND_K_PER_M_S * wind_m_s, dtype=np.float64)


def simulated(seed: int) -> Climate:
    """Return the climate of a simulated city."""

    def of_days(days: NDArray[np.int64]) -> NDArray[np.float64]:
        back = np.arange(_BACK_D)
        before = days[:, None] - back
        weight = LAG**back * np.where(back < _BACK_D - 1, 1.0 - LAG, 1.0)
        noon = before * 24.0 + 12.0 - weather.UTC_OFFSET_H
        air = weather.slow_air_c(seed, noon)
        season = 165.0 - 70.0 * np.cos(2.0 * np.pi * (before + 10.0) / 365.2425)
        cloud = noise.wander(seed, _STREAM, before.astype(np.float64), 2.3)
        warmth = air + SUN_K_PER_100_W_M2 / 100.0 * season * np.clip(1.0 + 0.35 * cloud, 0.25, 1.4)
        wind = 2.8 * np.exp(0.35 * noise.wander(seed, _STREAM + 1, days.astype(np.float64), 1.7))
        rest = _UNEXPLAINED_K * noise.wander(seed, _STREAM + 2, days.astype(np.float64), 2.0)
        return np.asarray((warmth * weight).sum(axis=1) - WIND_K_PER_M_S * wind + rest, dtype=np.float64)

    return of_days
