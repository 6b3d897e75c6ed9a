"""What meters say of their batteries."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulators import noise, weather
from simulators.meters.habits import Habits, Way
from simulators.meters.troubles import DEATH_BLOCK_H, deaths, touching

LOW_LITHIUM_V, LOW_ALKALINE_V = 3.2, 4.8
"""below these a meter sets its flag of a low battery"""

_STREAM = 480
_WEAKENS_H = 24.0 * 30.0
_FORESEEN_H = 24.0 * 400.0


def battery_v(habits: Habits, hour: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the voltages at hours of shape (rows, 1) or (rows, meters), to 0.01 V; NaN where a person reads.

    A lithium cell holds its voltage, a little less in the cold, and falls in its last weeks; alkaline cells fall all
    the time until somebody changes them.
    """
    key, seed = habits.key, habits.seed
    cold = weather.slow_air_c(seed, hour.astype(np.float64)) - 20.0
    lithium = 3.62 + 0.02 * noise.normal(seed, _STREAM, key) + 0.0015 * cold
    life_h = 24.0 * (250.0 + 350.0 * noise.uniform(seed, _STREAM + 1, key))
    used = np.mod(hour / life_h + noise.uniform(seed, _STREAM + 2, key), 1.0)
    voltage: NDArray[np.float64] = np.where(habits.lithium, lithium, 6.25 - 1.55 * used + 0.003 * cold)
    if voltage.size:
        _weaken(habits, hour, voltage)
    voltage[:, habits.way == Way.WALK] = np.nan
    return np.round(voltage, 2).astype(np.float32)


def _weaken(habits: Habits, hour: NDArray[np.int64], voltage: NDArray[np.float64]) -> None:
    """Let the voltage fall before a battery dies."""
    first, last = float(hour.min()), float(hour.max()) + 1.0
    for spells in touching(deaths, DEATH_BLOCK_H, habits, first, last + _FORESEEN_H):
        at = spells.columns(first, last + _FORESEEN_H)
        left_h = spells.first_hour[at] - (hour if hour.shape[1] == 1 else hour[:, at])
        worst = np.where(habits.lithium[at], 0.9, 1.6)
        fall = np.where((left_h >= 0.0) & (left_h < _FORESEEN_H), np.exp(-np.maximum(left_h, 0.0) / _WEAKENS_H), 0.0)
        voltage[:, at] -= worst * fall


def low_battery(habits: Habits, voltage: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Say where a meter sets its flag."""
    return np.asarray(voltage < np.where(habits.lithium, LOW_LITHIUM_V, LOW_ALKALINE_V), dtype=np.bool_)
