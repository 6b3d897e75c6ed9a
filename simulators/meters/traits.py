"""What each meter is like: its size, its error and how it ages, where it hangs, what one pulse stands for."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gateway.model.network import MeterKind
from simulators import noise
from simulators.customers import BASE_KPA, CUSTOMER_KPA, Customers

Floats = NDArray[np.float64]

SUPPLY_KEY = 1 << 40
"""the n-th supply meter's place among the random numbers is this plus n"""

_STREAM = 400
_EPOCH = date(1970, 1, 1)
_OUTDOOR = 0.35
"""share of homes whose meter hangs outside"""
_WEARERS = 0.04
"""share of meters that age several times as fast as the others"""


@dataclass(frozen=True, slots=True, eq=False)
class Traits:
    """Columns of n meters. Errors are shares: 0.01 counts one per cent too much."""

    key: NDArray[np.int64]
    """place of the meter's random numbers"""
    max_flow_m3h: Floats
    start_flow_m3h: Floats
    """flow below which the new meter counts nothing"""
    burner_m3h: Floats
    """flow of the customer's usual appliance: an hour's use passes at this rate in a part of the hour"""
    gain: Floats
    """error of the new meter at a third of its largest flow"""
    drift_per_year: Floats
    """change of the gain with age"""
    tilt: Floats
    """error at the largest flow less that at a third of it"""
    slip_m3h: Floats
    """gas that passes the valves of the new meter uncounted"""
    wear_per_year: Floats
    """growth of starting flow and slip each year, as a share"""
    limit: Floats
    """largest gain, either way, that a meter in service keeps"""
    installed_day: Floats
    """days since 1970"""
    compensated: NDArray[np.bool_]
    """for temperature"""
    corrector: NDArray[np.bool_]
    """counts at base conditions"""
    outdoor: NDArray[np.bool_]
    place_c: Floats
    """how much warmer than usual its place is"""
    gauge_kpa: Floats
    """mean gauge pressure in it"""
    pulse_m3: Floats
    capacity_m3: Floats
    """register value at which it rolls over"""

    def __len__(self) -> int:
        """Return the number of meters."""
        return len(self.key)

    def part(self, columns: ArrayLike) -> Self:
        """Return some of the meters."""
        at = positions(columns)
        return replace(self, **{field.name: getattr(self, field.name)[at] for field in fields(self)})


def meter_traits(seed: int, customers: Customers) -> Traits:
    """Return what the customers' meters are like."""
    meters = customers.meters
    corrector = np.array([meter.kind is MeterKind.CORRECTOR for meter in meters], dtype=np.bool_)
    return _traits(
        seed,
        key=np.asarray(customers.key, dtype=np.int64),
        max_flow=np.array([meter.max_flow_m3h for meter in meters], dtype=np.float64),
        installed_day=np.array([(meter.installed_on - _EPOCH).days for meter in meters], dtype=np.float64),
        corrector=corrector,
        compensated=corrector | np.array([meter.temperature_compensated for meter in meters], dtype=np.bool_),
        digits=np.array([meter.digits for meter in meters], dtype=np.int64),
        decimals=np.array([meter.decimals for meter in meters], dtype=np.int64),
    )


def supply_traits(
    seed: int, numbers: ArrayLike, max_flow_m3h: ArrayLike, installed: date, *, digits: int = 8, decimals: int = 2
) -> Traits:
    """Return what the correctors of supply meters are like; `numbers` are their places from 0."""
    number = np.atleast_1d(np.asarray(numbers, dtype=np.int64))
    count = len(number)
    return _traits(
        seed,
        key=SUPPLY_KEY + number,
        max_flow=np.broadcast_to(np.asarray(max_flow_m3h, dtype=np.float64), (count,)),
        installed_day=np.full(count, float((installed - _EPOCH).days)),
        corrector=np.ones(count, dtype=np.bool_),
        compensated=np.ones(count, dtype=np.bool_),
        digits=np.full(count, digits),
        decimals=np.full(count, decimals),
    )


def exchanged(seed: int, traits: Traits, day: Floats) -> Traits:
    """Return new meters of the same make in the same places, installed on `day` (days since 1970)."""
    return replace(traits, installed_day=day, **_errors(seed, traits.key, traits.corrector, _sized(traits), 1))


def _traits(
    seed: int,
    *,
    key: NDArray[np.int64],
    max_flow: Floats,
    installed_day: Floats,
    corrector: NDArray[np.bool_],
    compensated: NDArray[np.bool_],
    digits: NDArray[np.int64],
    decimals: NDArray[np.int64],
) -> Traits:
    max_flow = np.where(max_flow > 0.0, max_flow, _column("max_flow_m3h")[0])
    start_flow, burner = _of_size(max_flow, "start_flow_m3h"), _of_size(max_flow, "burner_m3h")
    smallest = np.power(10.0, -decimals)
    mean_gauge = CUSTOMER_KPA - BASE_KPA
    return Traits(
        key=key,
        max_flow_m3h=max_flow,
        burner_m3h=burner * (0.6 + 0.8 * noise.uniform(seed, _STREAM, key)),
        installed_day=installed_day,
        compensated=compensated,
        corrector=corrector,
        outdoor=noise.uniform(seed, _STREAM + 1, key) < _OUTDOOR,
        place_c=1.5 * noise.normal(seed, _STREAM + 2, key),
        gauge_kpa=np.maximum(0.5, mean_gauge + 0.12 * noise.normal(seed, _STREAM + 3, key)),
        pulse_m3=np.maximum(_pulses(seed, key, max_flow), smallest),
        capacity_m3=np.power(10.0, digits),
        **_errors(seed, key, corrector, start_flow, 0),
    )


def _sized(traits: Traits) -> Floats:
    return _of_size(traits.max_flow_m3h, "start_flow_m3h")


def _errors(
    seed: int, key: NDArray[np.int64], corrector: NDArray[np.bool_], start_flow: Floats, generation: int
) -> dict[str, Any]:
    """Draw the errors of new meters.

    Class 1.5 allows 1.5 % from a tenth of the largest flow up and 3 % below, class 1.0 (correctors) 1 % and 2 %
    (OIML R 137); meters in service may have twice that. How fast meters age differs by make and gas; the spread
    here, 0.12 % a year and four times that for a few, is an assumption.
    """
    place = np.full(len(key), generation, dtype=np.int64)
    wearer = noise.uniform(seed, _STREAM + 10, key, place) < _WEARERS
    haste = np.where(wearer, 4.0, 1.0)
    gain = np.where(corrector, 0.0, -0.001) + np.where(corrector, 0.003, 0.006) * noise.normal(
        seed, _STREAM + 11, key, place
    )
    class_limit = np.where(corrector, 0.01, 0.015)
    drift = (-0.0003 + 0.0012 * noise.normal(seed, _STREAM + 12, key, place)) * haste
    return {
        "start_flow_m3h": start_flow * (0.3 + 0.6 * noise.uniform(seed, _STREAM + 13, key, place)),
        "gain": np.clip(gain, -class_limit, class_limit),
        "drift_per_year": np.where(corrector, 0.25, 1.0) * drift,
        "tilt": 0.003 * noise.normal(seed, _STREAM + 14, key, place),
        "slip_m3h": start_flow * (0.04 + 0.12 * noise.uniform(seed, _STREAM + 15, key, place)),
        "wear_per_year": 0.06 * haste * noise.uniform(seed, _STREAM + 16, key, place),
        "limit": 2.0 * class_limit,
    }


def _pulses(seed: int, key: NDArray[np.int64], max_flow: Floats) -> Floats:
    """Draw how much gas one pulse stands for, m3."""
    draw = noise.uniform(seed, _STREAM + 4, key)
    row = _size_row(max_flow)
    pulse = np.empty(len(key))
    for number, size in enumerate(_sizes()):
        litres = np.array([float(litres) for litres in size["pulses_l"]])
        edges = np.cumsum(list(size["pulses_l"].values()))
        mine = row == number
        pulse[mine] = litres[np.minimum(np.searchsorted(edges, draw[mine]), len(litres) - 1)] / 1000.0
    return pulse


@cache
def _sizes() -> tuple[dict[str, Any], ...]:
    text = (files("simulators.meters") / "sizes.toml").read_text(encoding="utf-8")
    return tuple(tomllib.loads(text)["size"])


def _column(name: str) -> Floats:
    return np.array([size[name] for size in _sizes()], dtype=np.float64)


def _size_row(max_flow: Floats) -> NDArray[np.intp]:
    return np.minimum(np.searchsorted(_column("max_flow_m3h"), max_flow - 1e-9), len(_sizes()) - 1)


def _of_size(max_flow: Floats, name: str) -> Floats:
    """Return a property of meters by their size; beyond the last size it grows with the largest flow."""
    beyond = np.maximum(1.0, max_flow / _column("max_flow_m3h")[-1])
    return np.asarray(_column(name)[_size_row(max_flow)] * beyond, dtype=np.float64)


def positions(columns: ArrayLike) -> NDArray[Any]:
    """Return a choice of columns, by number or by truth, as an index; an empty list chooses none."""
    at = np.asarray(columns)
    return at if at.size else np.empty(0, dtype=np.intp)


def pick(shares: Sequence[float], draw: Floats) -> NDArray[np.intp]:
    """Return which of some shares, which need not sum to 1, each number in (0, 1) falls into."""
    edges = np.cumsum(np.asarray(shares, dtype=np.float64))
    if not len(edges) or not edges[-1] > 0.0:
        raise ValueError("shares must have a positive sum")
    return np.minimum(np.searchsorted(edges / edges[-1], draw), len(edges) - 1)
