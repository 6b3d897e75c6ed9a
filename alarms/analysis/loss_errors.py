"""How wrong the volumes of a balance may be, by cause. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from alarms.analysis.city import KELVIN, CityModel, uncompensated_of
from alarms.analysis.filling import Filling
from alarms.analysis.loss_config import LossConfig
from gateway.model.network import Meter

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class TermVariances:
    """Variances of a loss, m3 squared, (d, z)."""

    skew: Floats
    """of bringing registers to the ends of the day, and of their resolution"""
    unread: Floats
    """of what is expected of customers that were not read, and of sharing far steps over their days"""
    weather: Floats
    """of the air pressure and gas temperature of the day"""
    linepack: Floats
    temperature: Floats
    """of the gas temperature that all meters without compensation share, alike every day"""
    gain: Floats
    """of every meter's own gain, alike every day"""

    @property
    def noise(self) -> Floats:
        """What differs from day to day."""
        return self.skew + self.unread + self.weather + self.linepack

    @property
    def steady(self) -> Floats:
        """What is alike every day."""
        return self.temperature + self.gain


@dataclass(frozen=True, slots=True, eq=False)
class Errors:
    """Variances of what customers were counted with, for any grouping of them (rows of `members`, (z, n))."""

    city: CityModel
    config: LossConfig
    meters: Sequence[Meter]
    filled: Floats
    """volumes that were known or assumed, (d, n)"""
    variance: Floats
    """of them, without what meters get wrong every day, (d, n)"""
    filling: Filling
    blind: Floats | None = None
    """of `filled`, what meters counted that do not know their pressure, (d, n)"""
    weather: Floats | None = None
    """variance of the share by which those are wrong, alike for all, (d,)"""

    def skew(self, members: sparse.csr_array) -> Floats:
        """Return what the ends of the day add for registers that were read, (d, z)."""
        return np.asarray(np.where(self.filling.measured, self.variance, 0.0) @ members.T)

    def unread(self, members: sparse.csr_array) -> Floats:
        """Return what customers add that were not read on that day, (d, z)."""
        alike = (self.filling.common * self.filled) @ members.T
        return np.asarray(np.where(self.filling.measured, 0.0, self.variance) @ members.T + alike**2)

    def terms(self, members: sparse.csr_array, skew: Floats, linepack: Floats, gain: Floats) -> TermVariances:
        """Return all variances; `skew`, `linepack` and `gain` are those of the supply, (d, z)."""
        temperature = self.city.temperature
        gas_sigma = temperature.sigma_k / (temperature.home_c + KELVIN)
        warm = (self.filled * uncompensated_of(self.meters)[None, :]) @ members.T
        gains = (self.config.meter_gain_sigma * self.filled) ** 2 @ members.T
        unsure = np.zeros(warm.shape)
        if self.blind is not None and self.weather is not None:
            unsure = self.weather[:, None] * (self.blind @ members.T) ** 2
        return TermVariances(
            skew=self.skew(members) + skew,
            unread=self.unread(members),
            weather=unsure,
            linepack=linepack,
            temperature=(gas_sigma * warm) ** 2,
            gain=gains + gain,
        )
