"""How wrong the volumes of a balance may be, by cause. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from alarms.analysis.city import KELVIN, GasTemperature, uncompensated_of
from alarms.analysis.filling import Filling
from alarms.analysis.groups import Groups
from gateway.model.network import Meter, MeterKind

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

    def of(self, zones: NDArray[np.int64]) -> TermVariances:
        """Return those of some zones."""
        return TermVariances(*(getattr(self, one.name)[:, zones] for one in fields(self)))

    def until(self, days: int) -> TermVariances:
        """Return those of the first so many days."""
        return TermVariances(*(getattr(self, one.name)[:days] for one in fields(self)))

    @property
    def noise(self) -> Floats:
        """What differs from day to day."""
        return self.skew + self.unread + self.weather + self.linepack

    @property
    def steady(self) -> Floats:
        """What is alike every day."""
        return self.temperature + self.gain


@dataclass(frozen=True, slots=True, eq=False)
class CustomerSums:
    """Sums over the customers of each zone that makes up a balance, (d, z); what zones hold together adds up."""

    skew: Floats
    """variance of what was read, m3 squared"""
    unread: Floats
    """variance of what was not read on that day, m3 squared"""
    alike: Floats
    """standard deviations that unread customers share, m3"""
    gain: Floats
    """variance by the gain of each meter, m3 squared"""
    warm: Floats
    """volume of meters without compensation, m3"""
    blind: Floats
    """volume of meters that do not know their pressure, m3"""

    def held_by(self, above: sparse.csr_array) -> CustomerSums:
        """Return the sums over the customers that larger balances hold; `above` is (z, z)."""
        up = above.T
        return CustomerSums(
            self.skew @ up, self.unread @ up, self.alike @ up, self.gain @ up, self.warm @ up, self.blind @ up
        )

    def of(self, zones: NDArray[np.int64]) -> CustomerSums:
        """Return those of some zones."""
        return CustomerSums(*(getattr(self, one.name)[:, zones] for one in fields(self)))

    def until(self, days: int) -> CustomerSums:
        """Return those of the first so many days."""
        return CustomerSums(*(getattr(self, one.name)[:days] for one in fields(self)))

    @property
    def noise(self) -> Floats:
        """Variance of what customers used on a day, without the weather's, m3 squared."""
        return np.asarray(self.skew + self.unread + self.alike**2)

    def terms(self, temperature: GasTemperature, weather: Floats, supply: SupplyVariances) -> TermVariances:
        """Return the variances of the loss; `weather` is that of the share that blind meters are wrong by, (d,)."""
        return TermVariances(
            skew=self.skew + supply.skew,
            unread=self.unread + self.alike**2,
            weather=weather[:, None] * self.blind**2,
            linepack=supply.linepack,
            temperature=(temperature.sigma_k / (temperature.home_c + KELVIN) * self.warm) ** 2,
            gain=self.gain + supply.gain,
        )


@dataclass(frozen=True, slots=True, eq=False)
class SupplyVariances:
    """Variances of what came into each zone and stayed in its pipes, m3 squared, (d, z)."""

    skew: Floats
    linepack: Floats
    gain: Floats


def customer_sums(
    volumes: Floats, variance: Floats, filling: Filling, meters: Sequence[Meter], own: Groups, *, gain: float
) -> CustomerSums:
    """Sum over the customers of zones.

    `volumes` are base m3 that were known or assumed, (d, n), and `variance` theirs, without what meters get wrong
    every day, which is the share `gain` of each one's volume.
    """
    read = filling.measured
    blind = np.array([meter.kind is not MeterKind.CORRECTOR for meter in meters], dtype=np.bool_)
    return CustomerSums(
        skew=own.sums(np.where(read, variance, 0.0)),
        unread=own.sums(np.where(read, 0.0, variance)),
        alike=own.sums(filling.common * volumes),
        gain=gain**2 * own.sums(volumes**2),
        warm=own.sums(volumes * uncompensated_of(meters)[None, :]),
        blind=own.sums(np.where(filling.known & blind, volumes, 0.0)),
    )
