"""What customers burn: a day's gas from the weather and their habits, spread over its hours in bursts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from simulators import noise, weather
from simulators.customers import climate as climates
from simulators.customers.absence import away
from simulators.customers.accounts import household_factor, is_open
from simulators.customers.calendar import Days, DayType, day_types, into_heating_season, school_is_out
from simulators.customers.kinds import shapes
from simulators.customers.people import WINTER_C, Customers, Floats
from simulators.customers.settle import Season

_STREAM = 240
_VALUES_AT_ONCE = 400_000
"""values of hours that are made together, so that they stay in the processor's cache"""
_FULL_H = 22.0
"""hours of full load that a day can have"""
_RAMP_D = 6.0
"""days that a heating plant needs for its full load"""
_MORE_WITH_LOAD, _DISORDER, _UNEVEN = np.float32(0.45), np.float32(0.5), np.float32(0.7)
"""of a boiler's hours: how many more with a larger load, how far from the schedule, how unequal"""


def hourly_use(
    seed: int, customers: Customers, hours: NDArray[np.int64], climate: climates.Climate | None = None
) -> Floats:
    """Return what each customer burns in each hour, base m3, shape (hours, customers).

    Hours count from 1970 UTC. The result for an hour does not depend on which others are asked for. Whole local days
    are computed for it, so ask for many hours of a day at once. `climate` is the simulated city's if it is not given.
    """
    felt = climate or climates.simulated(seed)
    day, hour_of_day = np.divmod(np.asarray(hours, dtype=np.int64) + weather.UTC_OFFSET_H, 24)
    days, row = np.unique(day, return_inverse=True)
    use = np.empty((len(hours), len(customers)))
    habits = _Habits(customers)
    for piece, numbers in _pieces(days, len(customers)):
        made = _hours_of(seed, customers, habits, piece, felt)
        asked = np.flatnonzero((row >= numbers.start) & (row < numbers.stop))
        use[asked] = made[row[asked] - numbers.start, hour_of_day[asked]]
    return use


def _pieces(days: Days, customers: int) -> Iterator[tuple[Days, range]]:
    step = max(1, _VALUES_AT_ONCE // max(1, 24 * customers))
    for first in range(0, len(days), step):
        yield days[first : first + step], range(first, min(first + step, len(days)))


def daily_use(
    seed: int, customers: Customers, days: Days, climate: climates.Climate | None = None
) -> tuple[Floats, Floats]:
    """Return what each customer burns on each local day since 1970, base m3: (steady, for heating), each (days, n).

    Small flames burn beside it.
    """
    steady, heat, _ = _daily(seed, customers, days, climate or climates.simulated(seed))
    return steady, heat


def _daily(
    seed: int, customers: Customers, days: Days, climate: climates.Climate
) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Return also who is there, (days, n)."""
    if not len(days) or not len(customers):
        empty = np.zeros((len(days), len(customers)))
        return empty, empty.copy(), empty > 0.0
    felt_c = climate(days)
    key, day = customers.key[None, :], days[:, None]
    gone, opened = away(seed, customers, days), is_open(seed, customers, days)
    factor = np.where(opened, household_factor(seed, customers, days), 0.0)
    swing = customers.mood * _swing(seed, 0, customers, days)
    mood = np.exp(swing - customers.mood**2 / 2.0)
    steady = customers.steady_m3_d * mood * _of_day_type(customers, days) * _of_season(days)[:, None]
    idle = noise.uniform(seed, _STREAM + 8, key, day) < customers.idle
    steady = np.where(gone | idle, 0.0, steady)
    doubt_c = customers.unsure_k * noise.normal(seed, _STREAM + 9, key, day)
    cold = np.maximum(0.0, customers.limit_c - felt_c[:, None] - doubt_c)
    kept_on = np.where(gone, np.where(customers.frost, 0.3, 0.0), 1.0)
    follows = customers.heat_mood
    heat = customers.heat_m3_d_k * cold * np.exp(follows * swing - (follows * customers.mood) ** 2 / 2.0)
    heat = heat * kept_on * _season_share(customers, days)
    most = _FULL_H * customers.most_m3h
    steady = np.minimum(steady * factor, most)
    return steady, np.minimum(heat * factor, most - steady), ~gone & opened


def _swing(seed: int, number: int, customers: Customers, days: Days) -> Floats:
    """Return the day-to-day variation, of unit variance: partly new every day, partly lasting for days."""
    lasting = customers.persistence
    new = noise.normal(seed, _STREAM + number, customers.key[None, :], days[:, None])
    span = 5.0
    at = days / span
    knot = np.floor(at).astype(np.int64)
    share = (at - knot)[:, None]
    left = noise.normal(seed, _STREAM + number + 1, customers.key[None, :], knot[:, None])
    right = noise.normal(seed, _STREAM + number + 1, customers.key[None, :], knot[:, None] + 1)
    slow = (left * (1.0 - share) + right * share) / np.sqrt((1.0 - share) ** 2 + share**2)
    return np.asarray(np.sqrt(1.0 - lasting) * new + np.sqrt(lasting) * slow, dtype=np.float64)


def _of_day_type(customers: Customers, days: Days) -> Floats:
    table = np.stack([np.ones(len(customers)), customers.rest_use, customers.festival_use])
    return np.asarray(table[day_types(days)] * np.where(school_is_out(days)[:, None], customers.term_use, 1.0))


def _of_season(days: Days) -> Floats:
    """Return the factor on hot water and cooking: water from the mains is colder in winter."""
    return np.asarray(1.0 + 0.12 * np.cos(2.0 * np.pi * (days - 25.0) / 365.2425), dtype=np.float64)


def _season_share(customers: Customers, days: Days) -> Floats:
    """Return which share of its heating a customer may run on each day."""
    since, left = (column[:, None] for column in into_heating_season(days))
    early, late = customers.season_shift_d[:, 0], customers.season_shift_d[:, 1]
    personal = ((since >= -early) & (left >= -late)).astype(np.float64)
    official = np.clip(np.minimum((since + 1) / _RAMP_D, (left + 2) / 3.0), 0.0, 1.0)
    share = np.where(customers.season == Season.OFFICIAL, official, personal)
    return np.asarray(np.where(customers.season == Season.NONE, 1.0, share), dtype=np.float64)


class _Habits:
    """Tables of customers' hours, shared by all days: float32, (24, n) or (day types, 24, n)."""

    def __init__(self, customers: Customers) -> None:
        every = np.stack(list(shapes().values()))
        hour = (np.arange(24)[:, None] - customers.shift_h) % 24
        weight = np.stack([every[customers.shape[:, kind], hour] for kind in DayType])
        self.chance = np.minimum(1.0, weight * customers.active_h / 24.0).astype(np.float32)
        """that gas is used in an hour"""
        self.height = (weight / np.maximum(self.chance, 1e-9)).astype(np.float32)
        """what is used then, against the mean hour"""
        self.heating = every[customers.heating_shape, hour].astype(np.float32)
        self.burst = customers.burst.astype(np.float32)
        self.rank = ((self.heating.argsort(axis=0).argsort(axis=0) + 0.5) / 24.0).astype(np.float32)
        """order in which hours are heated: 1 before all others"""
        self.burning = customers.burning.astype(np.float32)
        largest = customers.heat_m3_d_k * np.maximum(1.0, customers.limit_c - WINTER_C)
        self.largest = np.maximum(largest, 1e-9)


def _hours_of(seed: int, customers: Customers, habits: _Habits, days: Days, climate: climates.Climate) -> Floats:
    """Return the use of whole local days, (days, 24, n)."""
    steady, heat, there = _daily(seed, customers, days, climate)
    types = day_types(days)
    hour = days[:, None] * 24 + np.arange(24)
    bits = noise.bits(seed, _STREAM + 12, customers.key[None, None, :], hour[:, :, None])
    one, other = _unit(bits >> np.uint64(41)), _unit((bits >> np.uint64(12)) & np.uint64(0x7FFFFF))
    use = _bursts(habits, types, one) * steady[:, None, :]
    heated = np.flatnonzero(heat.any(axis=0))
    if len(heated):
        use[:, :, heated] += _cycles(habits, heated, heat[:, heated], other[:, :, heated])
    _flatten(use, customers.most_m3h)
    flames = np.flatnonzero(customers.pilot_m3h > 0.0)
    if len(flames):
        last = ((bits[:, :, flames] & np.uint64(0xFFF)).astype(np.float64) + 0.5) / 4096.0
        lit = np.where(customers.pilot_share < 1.0, there, there | is_open(seed, customers, days))[:, None, flames]
        use[:, :, flames] += np.where(lit & (last < customers.pilot_share[flames]), customers.pilot_m3h[flames], 0.0)
    return use


def _flatten(use: Floats, most_m3h: Floats) -> None:
    """Move what the burners cannot take in an hour to hours with room; the day keeps its gas. (days, 24, n)."""
    day, column = np.nonzero((use > most_m3h).any(axis=1))
    if not len(day):
        return
    hours, most = use[day, :, column], most_m3h[column][:, None]
    room = np.maximum(0.0, most - hours)
    excess = np.maximum(0.0, hours - most).sum(axis=1, keepdims=True)
    moved = np.minimum(hours, most) + room * excess / room.sum(axis=1, keepdims=True)
    use[day, :, column] = moved


def _unit(bits: NDArray[np.uint64]) -> NDArray[np.float32]:
    """Return numbers in (0, 1) from 23 random bits each: with one more, half a step below 1 would be 1 in float32."""
    return (bits.astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-23)


def _bursts(habits: _Habits, types: NDArray[np.int64], drawn: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the share of the day's steady use in each hour: none in most, (days, 24, n)."""
    relative = drawn / np.maximum(habits.chance[types], np.float32(1e-9))
    on = relative < 1.0
    weight = np.where(on, habits.height[types] * (1.0 - habits.burst * (1.0 + np.log(np.minimum(relative, 1.0)))), 0.0)
    total = weight.sum(axis=1, dtype=np.float64)
    day, column = np.nonzero(total <= 0.0)
    if len(day):
        weight[day, relative[day, :, column].argmin(axis=1), column] = 1.0
        total[day, column] = 1.0
    return np.asarray(weight / total[:, None, :], dtype=np.float64)


def _cycles(
    habits: _Habits, columns: NDArray[np.intp], heat: Floats, drawn: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return the heating of each hour: a boiler rests in many, a plant in none, (days, 24, columns)."""
    load = (heat / habits.largest[columns]).astype(np.float32)[:, None, :]
    burning = habits.burning[columns]
    never_rests = burning >= 1.0
    share = np.where(never_rests, 2.0, burning + _MORE_WITH_LOAD * (load - 0.5))
    first = habits.rank[:, columns] + _DISORDER * (drawn - np.float32(0.5))
    shape = habits.heating[:, columns]
    even = shape * (np.float32(0.93) + np.float32(0.14) * drawn)
    height = np.where(never_rests, even, np.sqrt(shape) * (-np.log1p(-drawn)) ** _UNEVEN)
    weight = np.where(first > 1.0 - share, height, 0.0)
    total = weight.sum(axis=1, dtype=np.float64)
    day, column = np.nonzero((total <= 0.0) & (heat > 0.0))
    if len(day):
        weight[day, first[day, :, column].argmax(axis=1), column] = 1.0
        total[day, column] = 1.0
    return np.asarray(weight * (heat / np.maximum(total, 1e-30))[:, None, :], dtype=np.float64)
