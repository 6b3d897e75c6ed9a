"""Credit on IC-card meters: bought in lumps, used up, now and then run out until somebody buys again.

A card meter shuts its valve by itself when its credit is gone. Most open once more for a little emergency credit, which
the next purchase pays back; until then the credit left is negative. Whatever happens, bought less left is what the
register has counted since the meter was new, at the register's own conditions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from simulators import noise, weather
from simulators.customers.absence import away
from simulators.customers.accounts import is_open
from simulators.customers.calendar import Days, DayType, day_types, since_festival
from simulators.customers.kinds import HOMES
from simulators.customers.people import Customers, Floats

Bools = NDArray[np.bool_]

_STREAM = 340
_AWAKE_H = (7, 22)
"""first and last local hour in which somebody puts a card into a meter or buys by telephone"""
_SHOPS_H = (9, 19)
"""first and last local hour in which credit is sold"""
_MEMORY_H = 24.0 * 6.0
"""span over which a customer knows what it uses"""
_FEAST_D, _FEAST_RESERVE_D = 7, 20.0
"""before the spring festival people buy whose credit would not last so long"""
_LATE_RECORDS, _LATE_VALVES = 0.12, 0.08
_FREE_DAY = 1.3
"""how much likelier homes look at their credit on days of rest"""
_NOTHING_M3 = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class CardState:
    """Where n card meters stand at the begin of an hour, m3 at the registers' own conditions."""

    purchased_m3: Floats
    """ever loaded"""
    counted_m3: Floats
    """by the register since it was new, without rollover"""
    emergency: Bools
    """the emergency credit is open"""
    mean_m3h: Floats
    """what the customer is used to use"""

    @property
    def left_m3(self) -> Floats:
        """Credit left; negative by the emergency credit that was used."""
        return self.purchased_m3 - self.counted_m3

    def exchanged(self, columns: NDArray[np.intp]) -> Self:
        """Return the state after some meters were exchanged: the credit left moves to the new meter."""
        purchased, counted = self.purchased_m3.copy(), self.counted_m3.copy()
        purchased[columns] -= counted[columns]
        counted[columns] = 0.0
        return replace(self, purchased_m3=purchased, counted_m3=counted)

    def part(self, columns: NDArray[np.intp]) -> Self:
        """Return the state of some of the meters."""
        return replace(
            self,
            purchased_m3=self.purchased_m3[columns],
            counted_m3=self.counted_m3[columns],
            emergency=self.emergency[columns],
            mean_m3h=self.mean_m3h[columns],
        )


@dataclass(frozen=True, slots=True, eq=False)
class CardHours:
    """What card meters did in h hours."""

    state: CardState
    """after the last hour"""
    share: Floats
    """of each hour's use that the valve let through, (h, n)"""
    closed: Bools
    """the valve is shut at the end of the hour, (h, n)"""
    purchased_m3: Floats
    """ever loaded, at the begin of each hour, (h, n)"""
    counted_m3: Floats
    """by the register since new, at the begin of each hour, (h, n)"""


def first_state(seed: int, customers: Customers) -> CardState:
    """Return the state at the begin of the history: somewhere between two purchases."""
    left = customers.lump_m3 * (0.06 + 0.94 * noise.uniform(seed, _STREAM, customers.key))
    mean = np.maximum(customers.steady_m3_d, 0.3 * customers.winter_m3_d()) / 24.0
    return CardState(
        purchased_m3=customers.start_m3 + np.round(left, 2),
        counted_m3=customers.start_m3.copy(),
        emergency=np.zeros(len(customers), dtype=np.bool_),
        mean_m3h=mean,
    )


def record_is_late(seed: int, key: NDArray[np.int64], hours: NDArray[np.int64]) -> Bools:
    """Say for the first reading after a purchase whether its balance is new and the total of purchases still the old.

    `key` and `hours` belong together, (n,). The next reading has both.
    """
    return noise.uniform(seed, _STREAM + 10, key, hours) < _LATE_RECORDS


def valve_is_late(seed: int, key: NDArray[np.int64], hours: NDArray[np.int64]) -> Bools:
    """Say for the first reading after a card's valve has moved whether it still shows the valve as it was, (n,)."""
    return noise.uniform(seed, _STREAM + 11, key, hours) < _LATE_VALVES


@dataclass(frozen=True, slots=True, eq=False)
class _People:
    """How each of n customers deals with its card."""

    reserve_d: Floats
    """buys when the credit would last shorter than so many days"""
    watches: Floats
    """chance a day of looking at the meter"""
    by_phone: Bools
    """may buy without a shop"""
    emergency_m3: Floats
    rests: Bools
    """does not buy in advance on days of rest"""


def _people(seed: int, customers: Customers) -> _People:
    key = customers.key
    forgetful = noise.uniform(seed, _STREAM + 1, key) < 0.15
    reserve = np.clip(7.0 * np.exp(0.7 * noise.normal(seed, _STREAM + 2, key)), 1.0, 40.0)
    home = np.isin(customers.kind, HOMES)
    lends = noise.uniform(seed, _STREAM + 3, key) < 0.75
    return _People(
        reserve_d=np.where(forgetful, 0.2, reserve),
        watches=0.15 + 0.85 * noise.uniform(seed, _STREAM + 4, key),
        by_phone=noise.uniform(seed, _STREAM + 5, key) < 0.35,
        emergency_m3=np.where(home & lends, np.minimum(10.0, 0.05 * customers.lump_m3 + 2.0), 0.0),
        rests=~home,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Day:
    """What each customer may do on one local day."""

    looks: Bools
    can_buy: Bools
    present: Bools
    shop_h: NDArray[np.int64]
    lumps: Floats
    feast_soon: bool


def _days(seed: int, customers: Customers, people: _People, days: Days) -> list[_Day]:
    key, day = customers.key[None, :], days[:, None]
    present = ~away(seed, customers, days)
    forgets = noise.uniform(seed, _STREAM + 6, key, day) < 0.12
    opened = is_open(seed, customers, days)
    resting = (day_types(days) != DayType.WORK)[:, None] & people.rests
    first, last = _SHOPS_H
    hour = first + np.floor((last - first + 1) * noise.uniform(seed, _STREAM + 7, key, day)).astype(np.int64)
    kind = noise.uniform(seed, _STREAM + 8, key, day)
    lumps = np.where(kind < 0.12, 0.5, np.where(kind < 0.85, 1.0, 2.0))
    free = np.where(people.rests | (day_types(days) == DayType.WORK)[:, None], 0.9, _FREE_DAY)
    looks = noise.uniform(seed, _STREAM + 9, key, day) < people.watches * free
    until_feast = -since_festival(days)
    return [
        _Day(
            (looks & ~resting)[n],
            (present & opened & ~forgets)[n],
            present[n] & opened[n],
            hour[n],
            lumps[n],
            bool(0 < until_feast[n] <= _FEAST_D),
        )
        for n in range(len(days))
    ]


def step(seed: int, customers: Customers, first_hour: int, state: CardState, counted_m3: Floats) -> CardHours:
    """Go on by h hours from `first_hour` (since 1970 UTC).

    `customers` are those with card meters (`customers.part`), `counted_m3` is what their registers would count with
    open valves, (h, n). The result does not depend on how a time is cut into spans.
    """
    hours, n = counted_m3.shape
    local = np.arange(first_hour, first_hour + hours, dtype=np.int64) + weather.UTC_OFFSET_H
    days, row = np.unique(local // 24, return_inverse=True)
    people = _people(seed, customers)
    plans = _days(seed, customers, people, days) if hours else []
    share, closed = np.ones((hours, n)), np.zeros((hours, n), dtype=np.bool_)
    purchased, counted = np.empty((hours, n)), np.empty((hours, n))
    for index in range(hours):
        purchased[index], counted[index] = state.purchased_m3, state.counted_m3
        room = np.maximum(0.0, state.left_m3 + np.where(state.emergency, people.emergency_m3, 0.0))
        wanted = counted_m3[index]
        lets = np.where(wanted > room, room / np.maximum(wanted, _NOTHING_M3), 1.0)
        share[index] = np.where(room <= _NOTHING_M3, 0.0, lets)
        used = wanted * share[index]
        mean = state.mean_m3h + (used - state.mean_m3h) / _MEMORY_H
        state = replace(state, counted_m3=state.counted_m3 + used, mean_m3h=mean)
        state = _act(customers, people, plans[row[index]], int(local[index] % 24), state)
        left = state.left_m3 + np.where(state.emergency, people.emergency_m3, 0.0)
        closed[index] = left <= _NOTHING_M3
    return CardHours(state, share, closed, purchased, counted)


def _act(customers: Customers, people: _People, day: _Day, hour: int, state: CardState) -> CardState:
    """Let customers buy, or open their emergency credit, at the end of a local hour."""
    if not _AWAKE_H[0] <= hour <= _AWAKE_H[1]:
        return state
    left = state.left_m3
    out = left <= _NOTHING_M3
    reserve = np.maximum(people.reserve_d, _FEAST_RESERVE_D) if day.feast_soon else people.reserve_d
    low = left < reserve * 24.0 * state.mean_m3h
    buys = day.can_buy & (hour == day.shop_h) & ((day.looks & low) | out)
    buys |= day.can_buy & people.by_phone & out
    bought = np.where(buys, customers.lump_m3 * day.lumps, 0.0)
    emergency = (state.emergency | (out & day.present & (people.emergency_m3 > 0.0))) & ~buys
    return replace(state, purchased_m3=state.purchased_m3 + bought, emergency=emergency)
