"""Temperature and pressure of the gas in the meters, which decide how large a cubic metre is there."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulators import noise, weather
from simulators.customers import BASE_KPA
from simulators.meters.traits import Traits

_STREAM = 420
BAROMETER_KPA = 0.5
"""standard deviation of the air pressure over days; a regulator holds the gauge pressure, so the gas follows"""


def indoor_c(seed: int, hours: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the gas temperature in a meter inside a home, deg C: the air of half a day ago, much damped."""
    return np.asarray(14.2 + 0.2 * weather.slow_air_c(seed, hours + 0.5 - 12.0), dtype=np.float64)


def outdoor_c(seed: int, hours: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the gas temperature in a meter outside, deg C: mostly the air, partly the ground the gas comes from."""
    air = weather.air_c(seed, hours + 0.5 - 1.5)
    return np.asarray(0.65 * air + 0.35 * weather.ground_c(hours + 0.5), dtype=np.float64)


def air_pressure_kpa(seed: int, hours: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the air pressure, kPa."""
    swing = 0.85 * noise.wander(seed, _STREAM, hours + 0.5, 90.0) + 0.53 * noise.wander(
        seed, _STREAM + 1, hours + 0.5, 31.0
    )
    return np.asarray(BASE_KPA + BAROMETER_KPA * np.clip(swing, -3.0, 3.0), dtype=np.float64)


def gas_k(seed: int, traits: Traits, hours: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the gas temperature in every meter, kelvin, shape (hours, meters)."""
    inside, outside = indoor_c(seed, hours)[:, None], outdoor_c(seed, hours)[:, None]
    return np.asarray(np.where(traits.outdoor, outside, inside) + (traits.place_c + 273.15), dtype=np.float64)
