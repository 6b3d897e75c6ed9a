"""Customers of the simulated city: who they are, and what gas they use in any hour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from gateway.model.network import Meter, MeterKind, MeterRole
from simulators import noise, weather
from simulators.ground import Ground

HEATED, COOKING, COMMERCIAL, UNUSED = range(4)
"""kinds of customers: home with gas heating, home that only cooks, business, account without any use"""

BASE_K, BASE_KPA, CUSTOMER_KPA = 293.15, 101.325, 103.4
HEATING_LIMIT_C = 15.0
FESTIVALS = tuple(
    date.fromisoformat(day) for day in ("2024-02-10", "2025-01-29", "2026-02-17", "2027-02-06", "2028-01-26")
)
"""first day of the spring festival"""

_EPOCH = date(1970, 1, 1)
_ABSENCE_BLOCK_D = 16
_STREAM_DAY, _STREAM_HOUR, _STREAM_AWAY, _STREAM_HABIT = 21, 22, 24, 31


def _shape(*weights: float) -> NDArray[np.float64]:
    table = np.array(weights)
    return np.asarray(table * 24.0 / table.sum(), dtype=np.float64)


_SHAPES = np.stack([
    _shape(4, 3, 3, 3, 4, 6, 9, 9, 7, 6, 5, 5, 5, 5, 5, 5, 6, 8, 9, 9, 9, 8, 6, 5),  # heating
    _shape(0.3, 0.1, 0.1, 0.1, 0.3, 2, 7, 8, 3, 2, 5, 11, 9, 3, 1, 1, 4, 11, 12, 8, 5, 4, 2, 1),  # cooking, hot water
    _shape(1, 0.7, 0.6, 0.7, 1.5, 4, 6, 6, 6, 9, 13, 14, 12, 7, 5, 5, 9, 13, 14, 11, 7, 4, 2, 1.3),  # business
])  # fmt: skip
"""share of each local hour in the day, mean 1"""


@dataclass(frozen=True, slots=True, eq=False)
class Customers:
    """Columns of n customers, in the order of their meters."""

    meters: tuple[Meter, ...]
    zone: NDArray[np.intp]
    """position of the meter's zone among the regulator zones"""
    kind: NDArray[np.int8]
    key: NDArray[np.int64]
    """number of the meter, the place of its random numbers"""
    steady_m3_d: NDArray[np.float64]
    """use that does not depend on the weather, base m3 a day"""
    heat_m3_d_k: NDArray[np.float64]
    """base m3 a day for each kelvin below the heating limit"""
    away: NDArray[np.float64]
    """chance of an absence within 16 days"""
    gain: NDArray[np.float64]
    """what the meter counts for each cubic metre at its own conditions"""
    compensated: NDArray[np.bool_]
    ic_card: NDArray[np.bool_]
    start_m3: NDArray[np.float64]
    """register at the beginning of the history"""
    capacity_m3: NDArray[np.float64]
    """register value at which it rolls over"""
    lump_m3: NDArray[np.float64]
    """what an IC-card customer buys at a time"""

    def __len__(self) -> int:
        """Return the number of customers."""
        return len(self.meters)

    def winter_m3_d(self) -> NDArray[np.float64]:
        """Return the expected use of a day at 1 deg C, base m3."""
        return self.steady_m3_d + self.heat_m3_d_k * (HEATING_LIMIT_C - 1.0)


def build_customers(seed: int, ground: Ground, start: date, business_per_zone: int = 7) -> Customers:
    """Give every place of the plan a customer and a meter; `start` is the first day of the history."""
    rng = np.random.default_rng([seed, 102])
    count = len(ground.places)
    kind = _kinds(ground, business_per_zone, rng)
    business, heated = kind == COMMERCIAL, kind == HEATED
    steady = np.where(business, np.clip(rng.lognormal(np.log(36.0), 0.42, count), 20.0, 66.0), 0.0)
    steady = np.where(~business, np.clip(rng.lognormal(np.log(0.5), 0.3, count), 0.25, 1.1), steady)
    steady = np.where(kind == UNUSED, 0.0, steady)
    heat = np.where(heated, np.clip(rng.lognormal(np.log(0.48), 0.24, count), 0.3, 0.8), 0.0)
    age_d = rng.integers(400, 3300, count)
    ic_card = rng.uniform(size=count) < 0.4
    digits = np.where(business, 6, 5)
    capacity = np.power(10.0, digits).astype(np.float64)
    meters = tuple(
        Meter(
            meter_id=f"M-{index + 1:06d}",
            zone_id=place.zone,
            role=MeterRole.CUSTOMER,
            kind=MeterKind.IC_CARD if ic_card[index] else MeterKind.REMOTE,
            customer_class="commercial" if business[index] else "residential",
            digits=int(digits[index]),
            decimals=3,
            max_flow_m3h=25.0 if business[index] else 6.0,
            temperature_compensated=bool(business[index]),
            installed_on=start - timedelta(days=int(age_d[index])),
            account="open",
            x_m=place.x_m,
            y_m=place.y_m,
        )
        for index, place in enumerate(ground.places)
    )
    yearly = steady * 365.0 + heat * 1000.0
    return Customers(
        meters=meters,
        zone=np.array([ground.regulator_zones.index(place.zone) for place in ground.places], dtype=np.intp),
        kind=kind,
        key=np.arange(1, count + 1, dtype=np.int64),
        steady_m3_d=steady,
        heat_m3_d_k=heat,
        away=np.where(business, 0.0, rng.choice([0.02, 0.05, 0.18], count, p=[0.55, 0.35, 0.1])),
        gain=np.clip(rng.normal(0.996, 0.008, count), 0.972, 1.02),
        compensated=business,
        ic_card=ic_card,
        start_m3=np.asarray(np.round(np.mod(yearly * age_d / 365.0, 0.8 * capacity), 3), dtype=np.float64),
        capacity_m3=capacity,
        lump_m3=np.where(business, 600.0, np.where(heated, 150.0, 40.0)),
    )


def _kinds(ground: Ground, business_per_zone: int, rng: np.random.Generator) -> NDArray[np.int8]:
    """Put the businesses next to the regulators, where the main streets are; draw the rest."""
    kinds = rng.choice([HEATED, COOKING, UNUSED], size=len(ground.places), p=[0.85, 0.125, 0.025]).astype(np.int8)
    for zone in ground.regulator_zones:
        site = ground.regulator_of(zone)
        members = [i for i, place in enumerate(ground.places) if place.zone == zone]
        members.sort(key=lambda i: (ground.places[i].x_m - site.x_m) ** 2 + (ground.places[i].y_m - site.y_m) ** 2)
        kinds[members[: min(business_per_zone, len(members) // 4)]] = COMMERCIAL
    return kinds


def hourly_use(seed: int, customers: Customers, hours: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what each customer burns in each hour, base m3, shape (hours, customers).

    Hours count from 1970 UTC. The result for an hour does not depend on which others are asked for.
    """
    local = hours + weather.UTC_OFFSET_H
    day, hour_of_day = np.divmod(local, 24)
    days, row = np.unique(day, return_inverse=True)
    key = customers.key[None, :]
    present = ~_away(seed, customers, days)[row]
    cold = np.maximum(0.0, HEATING_LIMIT_C - weather.slow_air_c(seed, hours - 6.0))[:, None]
    business = customers.kind == COMMERCIAL
    spread = np.where(business, 0.07, 0.16)
    mood = np.exp(spread * noise.normal(seed, _STREAM_DAY, key, days[:, None]) - spread**2 / 2.0)[row]
    flicker = np.exp(0.45 * noise.normal(seed, _STREAM_HOUR, key, hours[:, None]) - 0.10125)
    weekend = ((days + 3) % 7 >= 5)[row][:, None]
    habit = np.where(business, 0.75 + 0.4 * noise.uniform(seed, _STREAM_HABIT, customers.key), 1.08)
    steady_shape = np.where(business, _SHAPES[2][hour_of_day][:, None], _SHAPES[1][hour_of_day][:, None])
    steady = customers.steady_m3_d * steady_shape * np.where(weekend, habit, 1.0)
    heating = customers.heat_m3_d_k * cold * _SHAPES[0][hour_of_day][:, None]
    return np.asarray(np.where(present, (steady + heating) * mood * flicker / 24.0, 0.0), dtype=np.float64)


def _away(seed: int, customers: Customers, days: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Say who is away on which local day; absences are runs of days, more of them at the spring festival."""
    away = np.zeros((len(days), len(customers)), dtype=np.bool_)
    key = customers.key[None, :]
    for back in (0, 1):
        block = days // _ABSENCE_BLOCK_D - back
        place = block[:, None]
        goes = noise.uniform(seed, _STREAM_AWAY, key, place) < customers.away
        first = place * _ABSENCE_BLOCK_D + np.floor(
            _ABSENCE_BLOCK_D * noise.uniform(seed, _STREAM_AWAY + 1, key, place)
        )
        length = 2.0 + np.floor(13.0 * noise.uniform(seed, _STREAM_AWAY + 2, key, place) ** 2)
        away |= goes & (days[:, None] >= first) & (days[:, None] < first + length)
    for feast in FESTIVALS:
        number = (feast - _EPOCH).days
        goes = noise.uniform(seed, _STREAM_AWAY + 3, key, number) < 0.3 * (customers.away > 0.0)
        length = 4.0 + np.floor(6.0 * noise.uniform(seed, _STREAM_AWAY + 4, key, number))
        away |= goes & (days[:, None] >= number - 1) & (days[:, None] < number - 1 + length)
    return away


def meter_factor(seed: int, customers: Customers, hours: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what a meter counts for each base m3 that passes it in an hour, shape (hours, customers)."""
    gas_k = weather.meter_gas_c(seed, hours + 0.5)[:, None] + 273.15
    volume = BASE_KPA / CUSTOMER_KPA * np.where(customers.compensated, 1.0, gas_k / BASE_K)
    return np.asarray(customers.gain * volume, dtype=np.float64)


def credit(customers: Customers, used_m3: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (credit left, credit ever bought) of IC-card meters, m3, for what their registers counted since new.

    A customer buys when a tenth of a purchase is left, so that bought - left = used.
    """
    lump = customers.lump_m3
    bought = lump * (np.floor((used_m3 + 0.1 * lump) / lump) + 1.0)
    return bought - used_m3, bought


def indices_of(customers: Customers, meter_ids: Sequence[str]) -> NDArray[np.intp]:
    """Return the columns of meters. Raises KeyError for an unknown one."""
    column = {meter.meter_id: index for index, meter in enumerate(customers.meters)}
    return np.array([column[meter_id] for meter_id in meter_ids], dtype=np.intp)
