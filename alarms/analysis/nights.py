"""Nights in which a register rests while gas is used by day, as a meter that is bypassed at night leaves them. Pure.

A register that is read by the hour tells nights from days. Behind a bypass that is open at night only it moves by day
as before, and from some evening on never between evening and morning. Honest customers change their habits as well,
and many do so together when heating ends: nights are compared with the customer's own ones before and with how many
others used gas in the same nights, and what the sign is worth follows from how often it is seen (`marks.Known`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, time, timedelta

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.hourly_grid import MINUTE_US, NEVER
from gateway.meterdata.series import DAY_US, HOUR_US, Floats, Ints, Series
from gateway.model.gasday import GasDay
from gateway.model.reading import from_us

EVENINGS_H, MORNING_H = (20, 22, 24), 5
"""local hours: a night lasts from one of the evenings, each looked at for itself, to the morning"""
LONGEST_US = (24 - EVENINGS_H[0] + MORNING_H) * HOUR_US
"""of a night, and so long at the most between its first reading, within an hour, and its last one"""
USED_M3, MOVED_M3 = 0.05, 1e-6
"""that are counted by day, so that the night tells anything, and by night, so that it was none of rest"""
UNKNOWN, MOVED, RESTED = 0, 1, 2
LEAST_BEFORE, LEAST_SINCE = 14, 10
"""nights that tell of a customer before it began to rest, and since"""
BEFORE_D = 60
"""so far back nights tell what is usual"""
RESTS, HABIT = 0.99, 0.05
"""share of nights in which a register rests behind a bypass, and in which who uses none at night any more does once"""
MOSTLY, MOST = 0.7, 0.95
"""share of nights in which a customer would use gas as before and as others do: at least, to tell anything, and most"""
LEAST = 12.0
"""log likelihood ratio from which nights are told to have changed"""
STILL = 0.5
"""share of the use by day before that must still be counted: who is away or heats no more uses less by day too"""
LATELY_D, LATELY = 14, 0.7
"""share of the nights of so many days that must have been of rest, to look any closer"""
PEERS_D = 7
"""days over which the nights of others are taken together"""
MOST_READ = 60
"""readings near to an hour that are looked at, one a minute: a meter that sends more costs no more"""
SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Nights:
    """What registers did in e nights, n of them, as seen from w evening hours."""

    assets: tuple[str, ...]
    evening_us: Ints
    """us UTC at which each night begins at the earliest, (e,)"""
    state: NDArray[np.int8]
    """`MOVED`, `RESTED`, or `UNKNOWN`, as it is where no gas was used by day either, (w, e, n)"""
    by_day_m3: NDArray[np.float32]
    """what was counted from the morning to the first evening hour that tells, 0 where none does, (e, n)"""
    told: NDArray[np.int32]
    """when the readings behind it had arrived, minutes since 1970, (w, e, n)"""

    @classmethod
    def of(cls, registers: Iterable[Series], gas_day: GasDay) -> Nights | None:
        """Take them from registers; None where none is read often enough."""
        found = [_nights(part, gas_day) for part in (_often(part) for part in registers) if len(part.assets)]
        if not found:
            return None
        evenings = np.unique(np.concatenate([part.evening_us for part in found]))
        return cls(
            tuple(name for part in found for name in part.assets),
            evenings,
            np.concatenate([_on(part.state, part.evening_us, evenings, UNKNOWN) for part in found], axis=2),
            np.concatenate([_on(part.by_day_m3[None], part.evening_us, evenings, 0)[0] for part in found], axis=1),
            np.concatenate([_on(part.told, part.evening_us, evenings, NEVER) for part in found], axis=2),
        )

    def known(self, until_us: int) -> Nights:
        """Return what had arrived by a moment."""
        arrived = self.told <= until_us // MINUTE_US
        return replace(self, state=np.where(arrived, self.state, np.int8(UNKNOWN)))

    def turned_quiet(self, customers: Sequence[str], bounds: Ints) -> Floats:
        """Return by how much likelier a bypass is than new habits, where nights began to rest and do so still, (d, n).

        The log of a factor, on the gas day of the first of these nights; -inf everywhere else.
        """
        days = max(len(bounds) - 1, 0)
        result = np.full((days, len(customers)), -np.inf)
        inside = (self.evening_us >= bounds[0]) & (self.evening_us < bounds[-1]) if days else np.zeros(0, np.bool_)
        if not inside.any():
            return result
        night_of = np.searchsorted(bounds, self.evening_us[inside], side="right") - 1
        place = {name: at for at, name in enumerate(customers)}
        columns = np.array([place.get(name, -1) for name in self.assets], dtype=np.int64)
        mine = np.flatnonzero(columns >= 0)
        best, since, odds = np.full(len(mine), LEAST), np.full(len(mine), -1), np.zeros(len(mine))
        by_day = self.by_day_m3[inside][:, mine]
        for state in self.state[:, inside][:, :, mine]:
            sure, first, lasting = _changed(state, by_day)
            better = sure > best
            best, since, odds = (np.where(better, *pair) for pair in ((sure, best), (first, since), (lasting, odds)))
        told = since >= 0
        result[night_of[since[told]], columns[mine[told]]] = odds[told]
        return result


def _changed(state: NDArray[np.int8], by_day: NDArray[np.float32]) -> tuple[Floats, Ints, Floats]:
    """Return how sure it is that registers rest at night since some night, and which, and that they do by a bypass.

    (n,) each; log likelihood ratios to nights as before, and to habits that changed.
    """
    nights, count = state.shape
    sure, first, lasting = np.full(count, -np.inf), np.full(count, -1, dtype=np.int64), np.zeros(count)
    seen, moved = state != UNKNOWN, state == MOVED
    lately = seen[-LATELY_D:].sum(axis=0)
    some = np.flatnonzero((lately > 0) & (moved[-LATELY_D:].sum(axis=0) <= (1.0 - LATELY) * lately))
    if not len(some):
        return sure, first, lasting
    others = _together(moved.sum(axis=1), seen.sum(axis=1))
    seen, moved = seen[:, some], moved[:, some]
    of_others, by_day = np.where(seen, others[:, None], 0.0), np.where(seen, by_day[:, some], 0.0)
    sums = [_sums(part) for part in (seen, moved, of_others, by_day)]
    back = np.maximum(np.arange(nights) - BEFORE_D, 0)
    before, used, then, day_before = (part[:-1] - part[back] for part in sums)
    since, still, now, day_since = (part[-1] - part[:-1] for part in sums)
    # fewer use gas at night in summer than in winter; that more do says nothing of this customer
    fewer = np.minimum((now / np.maximum(since, 1.0)) / np.maximum(then / np.maximum(before, 1.0), 1e-9), 1.0)
    honest = np.clip(used / np.maximum(before, 1.0) * fewer, 1.0 - MOST, MOST)
    ratio = (since - still) * np.log(RESTS / (1.0 - honest)) + still * np.log((1.0 - RESTS) / honest)
    possible = (before >= LEAST_BEFORE) & (since >= LEAST_SINCE) & (honest >= MOSTLY) & seen & ~moved
    possible &= day_since * before >= STILL * day_before * since
    ratio = np.where(possible, ratio, -np.inf)
    bypass = (since - still) * np.log(RESTS / (1.0 - HABIT)) + still * np.log((1.0 - RESTS) / HABIT)
    at, column = (ratio + bypass).argmax(axis=0), np.arange(len(some))
    first[some], sure[some] = at, ratio[at, column]
    lasting[some] = bypass[at, column]
    return sure, first, lasting


def _together(moved: Ints, seen: Ints) -> Floats:
    """Return the share of all that used gas in the nights up to each one, (e,)."""
    back = np.maximum(np.arange(len(seen)) + 1 - PEERS_D, 0)
    used, known = (part[1:] - part[back] for part in (_sums(moved), _sums(seen)))
    return np.asarray((used + 1.0) / (known + 2.0))


def _sums(part: NDArray[np.generic]) -> Floats:
    """Return the sums of all rows before each one and of all of them, (e + 1, ...)."""
    return np.concatenate([np.zeros((1, *part.shape[1:])), np.cumsum(part, axis=0, dtype=np.float64)])


def _often(part: Series) -> Series:
    """Return the registers that are read often enough, each moment as it was told first.

    None is left out of which the nights could ever tell anything: each of them takes two readings.
    """
    within = (part.column[1:] == part.column[:-1]) & (np.diff(part.time) <= LONGEST_US)
    often = np.bincount(part.column[1:][within], minlength=len(part.assets)) >= LEAST_BEFORE + LEAST_SINCE
    return part.of_columns(np.flatnonzero(often)).as_told_first()


def _nights(part: Series, gas_day: GasDay) -> Nights:
    """Return the nights of registers that are read often."""
    since = int(part.time.min()) // DAY_US
    # a clock that is years off adds its own days, not the years between
    told_on = np.flatnonzero(np.bincount(part.time // DAY_US - since)) + since
    days = [from_us(int(number) * DAY_US).date() for number in np.union1d(told_on - 1, told_on)]
    lookup = _Lookup.of(part)
    evenings = [_at_hour(days, hour, gas_day) for hour in EVENINGS_H]
    begun, begun_told = lookup.after(_at_hour(days, MORNING_H, gas_day))
    over, over_told = lookup.before(_at_hour(days, 24 + MORNING_H, gas_day))
    shape = len(EVENINGS_H), len(days), len(part.assets)
    state, told = np.zeros(shape, dtype=np.int8), np.full(shape, NEVER, dtype=np.int32)
    by_day_m3 = np.zeros(shape[1:], dtype=np.float32)
    for at, evening in enumerate(evenings):
        dusk, dusk_told = lookup.after(evening)
        by_day, by_night = dusk - begun, over - dusk
        tells = (by_day >= USED_M3) & (by_night >= 0.0)
        state[at] = np.where(tells, np.where(by_night > MOVED_M3, MOVED, RESTED), UNKNOWN)
        told[at] = np.where(tells, np.maximum(np.maximum(begun_told, dusk_told), over_told), NEVER)
        by_day_m3 = np.where(tells & (by_day_m3 == 0.0), by_day, by_day_m3).astype(np.float32)
    return Nights(part.assets, evenings[0], state, by_day_m3, told)


def _at_hour(days: Sequence[date], hour: int, gas_day: GasDay) -> Ints:
    """Return a local hour of some days, from 24 on of the next ones, us UTC."""
    more, hour = divmod(hour, 24)
    local = replace(gas_day, start=time(hour))
    return np.array([local.begins_us(day + timedelta(days=more)) for day in days])


def _on(values: NDArray[np.generic], own: Ints, every: Ints, missing: int) -> NDArray[np.generic]:
    """Return values of (w, own nights, n) by all nights."""
    result = np.full((len(values), len(every), values.shape[2]), missing, dtype=values.dtype)
    result[:, np.searchsorted(every, own)] = values
    return result


@dataclass(frozen=True, slots=True, eq=False)
class _Lookup:
    """Finds what registers said near a moment."""

    part: Series
    key: Ints
    """ordered by register and second"""
    begin_s: int
    width_s: int

    @classmethod
    def of(cls, part: Series) -> _Lookup:
        """Order the rows of a series, which are in order already."""
        begin, end = (
            int(moment) // SECOND_US for moment in (part.time.min() - 2 * DAY_US, part.time.max() + 4 * DAY_US)
        )
        key = part.column.astype(np.int64) * (end - begin) + (part.time // SECOND_US - begin)
        return cls(part, key, begin, end - begin)

    def after(self, moments: Ints) -> tuple[Floats, Ints]:
        """Return what was read within an hour from each moment on, NaN for nothing, and the minute it came, (e, n)."""
        return self._near(moments, np.searchsorted(self.key, self._wanted(moments), side="left"), 1)

    def before(self, moments: Ints) -> tuple[Floats, Ints]:
        """Return what was read within an hour before each moment, NaN for nothing, and the minute it came, (e, n)."""
        return self._near(moments, np.searchsorted(self.key, self._wanted(moments), side="right") - 1, -1)

    def _wanted(self, moments: Ints) -> Ints:
        columns = np.arange(len(self.part.assets), dtype=np.int64)
        return columns[None, :] * self.width_s + (moments // SECOND_US - self.begin_s)[:, None]

    def _near(self, moments: Ints, rows: NDArray[np.intp], step: int) -> tuple[Floats, Ints]:
        """Take of several readings the one that came first: none that comes later changes what was known."""
        part, column = self.part, np.arange(len(self.part.assets))[None, :]
        value, came = np.full(rows.shape, np.nan), np.full(rows.shape, np.iinfo(np.int64).max)
        for _ in range(MOST_READ):
            at = np.clip(rows, 0, len(self.key) - 1)
            fits = (at == rows) & (part.column[at] == column)
            fits &= np.abs(part.time[at] - moments[:, None]) <= HOUR_US
            if not fits.any():
                break
            first = fits & (part.received[at] < came)
            value, came = np.where(first, part.value[at], value), np.where(first, part.received[at], came)
            rows = rows + step
        return value, -(-came // MINUTE_US)
