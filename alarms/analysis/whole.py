"""The balances of what stands above all parts of a large city, from its own and from what each part sums up. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
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


def whole(top: Balance, parts: Sequence[UnitSums], elsewhere: Collection[str], temperature: GasTemperature) -> Balance:
    """Return the balances above all parts with what the parts hold, without the zones that are balanced `elsewhere`.

    `top` is the balance of what stands above; the zones of the parts have no customers there. What nobody knows of a
    part, or of one of its days, is unknown of everything above it, and no share of it was read.
    """
    tree = top.tree
    row = {zone: index for index, zone in enumerate(tree.zones)}
    rows = np.array([at for zone, at in row.items() if zone not in elsewhere], dtype=np.int64)
    told_of = {zone for part in parts for zone in part.zones}
    missing = [row[zone] for zone in elsewhere if zone in row and zone not in told_of]
    unknown = np.asarray(tree.above[rows][:, missing].sum(axis=1)) > 0

    def added(own: Floats, name: str) -> Floats:
        total = own[:, rows].copy()
        for part in parts:
            known = np.array([at for at, zone in enumerate(part.zones) if zone in row], dtype=np.int64)
            over = tree.above[rows][:, [row[part.zones[at]] for at in known]]
            total += _by_day(top.days, part.days, _column(part, name)[:, known]) @ over.T
        return np.where(unknown, np.nan, total)

    metered = added(top.metered, "metered")
    own_customers = np.asarray(tree.holds.sum(axis=1), dtype=np.float64)
    customers = own_customers[rows]
    for part in parts:
        known = [at for at, zone in enumerate(part.zones) if zone in row]
        customers = customers + tree.above[rows][:, [row[part.zones[at]] for at in known]] @ part.customers[known]
    read = added(top.coverage * own_customers, "read")
    coverage = np.nan_to_num(_share(read, np.broadcast_to(customers, read.shape)))
    told = added(top.volume_coverage * top.metered, "told")
    warm = added(top.held.warm, "warm")
    return replace(
        top,
        tree=replace(
            tree,
            zones=tuple(tree.zones[at] for at in rows),
            measured=tree.measured[rows],
            own_supply=tree.own_supply[rows],
        ),
        supply=top.supply[:, rows],
        metered=metered,
        gained=added(top.gained, "gained"),
        own_loss=top.own_loss[:, rows],
        own_terms=top.own_terms.of(rows),
        counted=added(top.counted, "counted"),
        unread=added(top.unread, "expected"),
        coverage=coverage,
        volume_coverage=np.where(np.isfinite(metered), _share(told, metered, coverage), 0.0),
        customers=np.maximum(customers, unknown).astype(np.int64),
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
