"""The balances of what stands above all parts of a large city, from its own and from what each part sums up. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.city import KELVIN, GasTemperature
from alarms.analysis.loss import Balance
from alarms.analysis.loss_errors import CustomerSums, TermVariances

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class UnitSums:
    """What the topmost zones of a part add to the balances above them; d days, u zones, base m3."""

    zones: tuple[str, ...]
    days: tuple[date, ...]
    metered: Floats
    """(d, u), as all that follow but the last"""
    gained: Floats
    gained_variance: Floats
    counted: Floats
    expected: Floats
    """of `metered`, what is expected of customers that were not read"""
    read: Floats
    """customers that were read"""
    told: Floats
    """of `metered`, what readings tell"""
    held: CustomerSums
    weathered: Floats
    """standard deviation by the pressure and the gas temperature of the day, which all meters share"""
    customers: Floats
    """(u,)"""


def sums_of(result: Balance, units: Sequence[str]) -> UnitSums:
    """Return what some zones of a balance add to those above."""
    row = {zone: index for index, zone in enumerate(result.tree.zones)}
    names = tuple(zone for zone in units if zone in row)
    at = np.array([row[zone] for zone in names], dtype=np.int64)
    customers = np.asarray(result.tree.holds.sum(axis=1), dtype=np.float64)[at]
    return UnitSums(
        zones=names,
        days=result.days,
        metered=result.metered[:, at],
        gained=result.gained[:, at],
        gained_variance=result.terms.linepack[:, at],
        counted=result.counted[:, at],
        expected=result.unread[:, at],
        read=result.coverage[:, at] * customers,
        told=result.volume_coverage[:, at] * result.metered[:, at],
        held=result.held.of(at),
        weathered=np.sqrt(result.terms.weather[:, at]),
        customers=customers,
    )


def whole(top: Balance, parts: Sequence[UnitSums], temperature: GasTemperature) -> Balance:
    """Return the balances above all parts with what the parts hold; days that a part does not know are unknown.

    `top` is the balance of what stands above, in which the zones of the parts have no customers.
    """
    tree = top.tree
    row = {zone: index for index, zone in enumerate(tree.zones)}
    up = tree.above.toarray()

    def added(own: Floats, name: str) -> Floats:
        total = own.copy()
        for part in parts:
            values = _by_day(top.days, part.days, _column(part, name))
            known = [(row[zone], at) for at, zone in enumerate(part.zones) if zone in row]
            for zone, at in known:
                total += values[:, at, None] * up[None, :, zone]
        return total

    metered, gained = added(top.metered, "metered"), added(top.gained, "gained")
    own_customers = np.asarray(tree.holds.sum(axis=1), dtype=np.float64)
    below = np.zeros(len(row))
    for part in parts:
        for zone, number in zip(part.zones, part.customers.tolist(), strict=True):
            if zone in row:
                below += number * up[:, row[zone]]
    customers = own_customers + below
    read = added(top.coverage * own_customers, "read")
    told = added(top.volume_coverage * top.metered, "told")
    warm = added(top.held.warm, "warm")
    coverage = _share(read, np.broadcast_to(customers, read.shape))
    return replace(
        top,
        metered=metered,
        gained=gained,
        counted=added(top.counted, "counted"),
        unread=added(top.unread, "expected"),
        coverage=coverage,
        volume_coverage=_share(told, metered, coverage),
        customers=customers.astype(np.int64),
        terms=TermVariances(
            skew=added(top.terms.skew, "skew"),
            unread=added(top.held.unread, "unread") + added(top.held.alike, "alike") ** 2,
            weather=added(np.sqrt(top.terms.weather), "weathered") ** 2,
            linepack=added(top.terms.linepack, "gained_variance"),
            temperature=(temperature.sigma_k / (temperature.home_c + KELVIN) * warm) ** 2,
            gain=added(top.terms.gain, "gain"),
        ),
    )


def _column(part: UnitSums, name: str) -> Floats:
    of = part.held if name in {"skew", "unread", "alike", "gain", "warm"} else part
    return np.asarray(getattr(of, name), dtype=np.float64)


def _by_day(days: Sequence[date], of: Sequence[date], values: Floats) -> Floats:
    """Return values on other days, NaN where they are not known."""
    place = {day: index for index, day in enumerate(of)}
    at = np.array([place.get(day, -1) for day in days], dtype=np.int64)
    if not len(of):
        return np.full((len(days), values.shape[1]), np.nan)
    return np.where(at[:, None] >= 0, values[at], np.nan)


def _share(part: Floats, of: Floats, otherwise: Floats | float = 1.0) -> Floats:
    return np.where(of > 0, part / np.where(of > 0, of, 1.0), otherwise)
