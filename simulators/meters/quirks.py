"""What honest registers do now and then: count a pulse without gas, or go back by one or two for a while."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulators import noise
from simulators.meters.traits import Traits
from simulators.weather import UTC_OFFSET_H

_STREAM = 436
_LOOSE, _STRAY_A_YEAR = 0.02, 25.0
"""share of meters whose pulse contact is loose, and how often it counts without gas: somebody slams a door"""
_OPEN_BACK, _NIGHTS = 0.01, 0.06
"""share of meters without a working check valve, and of the nights on which gas flows back through them"""
_YEAR_H = 8766.0
_NIGHT_FROM, _NIGHT_H = 0, 6


class Quirks:
    """Oddities of some meters. Correctors have none."""

    def __init__(self, seed: int, traits: Traits) -> None:
        """Draw who has which."""
        self._seed, self._key, self._pulse_m3 = seed, traits.key, traits.pulse_m3
        plain = ~traits.corrector
        self.loose = np.flatnonzero(plain & (noise.uniform(seed, _STREAM, traits.key) < _LOOSE))
        """columns of meters that count without gas"""
        self.open_back = np.flatnonzero(plain & (noise.uniform(seed, _STREAM + 1, traits.key) < _OPEN_BACK))
        """columns of meters that go back"""

    def stray_m3(self, hours: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return what the loose ones count in each hour without any gas, shape (hours, loose meters)."""
        draw = noise.uniform(self._seed, _STREAM + 2, self._key[self.loose], hours[:, None])
        return np.asarray((draw < _STRAY_A_YEAR / _YEAR_H) * self._pulse_m3[self.loose], dtype=np.float64)

    def back_m3(self, hours: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return how far the open ones have gone back when each hour begins, shape (hours, open meters).

        Gas that flows back in the night, when the pressure falls, comes again in the morning: nothing is lost.
        """
        night, hour = np.divmod(hours[:, None] + UTC_OFFSET_H - _NIGHT_FROM, 24)
        key = self._key[self.open_back]
        happens = noise.uniform(self._seed, _STREAM + 3, key, night) < _NIGHTS
        depth = 1.0 + 1.4 * noise.uniform(self._seed, _STREAM + 4, key, night)
        first = np.floor(1.0 + (_NIGHT_H - 2) * noise.uniform(self._seed, _STREAM + 5, key, night))
        within = happens & (hour >= first) & (hour < _NIGHT_H)
        return np.asarray(np.where(within, depth * self._pulse_m3[self.open_back], 0.0), dtype=np.float64)
