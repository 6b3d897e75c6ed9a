"""What goes wrong with readings for a time: concentrators, batteries, clocks, people."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators import noise
from simulators.meters.habits import ClockKind, Habits
from simulators.meters.written import wrong_visits

_STREAM = 460
YEAR_H = 8766.0

OUTAGE_BLOCK_H, LONGEST_OUTAGE_H = 1440, 336
DEATH_BLOCK_H = 17_532
RESET_BLOCK_H = 1536
_WRONG_S = 300.0


@dataclass(frozen=True, slots=True, eq=False)
class Spells:
    """At most one time of trouble for each of n meters; `end_hour` is 0 where there is none."""

    first_hour: NDArray[np.float64]
    """hours since 1970 UTC, fractions allowed"""
    end_hour: NDArray[np.float64]
    lost: NDArray[np.bool_]
    """what was to arrive within is gone"""

    def columns(self, first_hour: float, end_hour: float) -> NDArray[np.intp]:
        """Return the meters whose trouble touches a span."""
        return np.flatnonzero((self.first_hour < end_hour) & (self.end_hour > first_hour))


def _spells(
    happens: NDArray[np.bool_], first: NDArray[np.float64], length: NDArray[np.float64], lost: NDArray[np.bool_]
) -> Spells:
    return Spells(np.where(happens, first, 0.0), np.where(happens, first + length, 0.0), lost)


def outages(habits: Habits, block: int) -> Spells:
    """Return when each meter's concentrator is out of order in the n-th 60 days since 1970."""
    group, seed = habits.group, habits.seed
    chance = habits.outages_per_year * OUTAGE_BLOCK_H / YEAR_H
    happens = (group >= 0) & (noise.uniform(seed, _STREAM, group, block) < chance)
    first = OUTAGE_BLOCK_H * (block + noise.uniform(seed, _STREAM + 1, group, block))
    length = habits.outage_hours * np.exp(1.1 * noise.normal(seed, _STREAM + 2, group, block))
    lost = noise.uniform(seed, _STREAM + 3, group, block) < habits.outages_lost
    return _spells(happens, first, np.clip(length, 0.2, LONGEST_OUTAGE_H), lost)


def deaths(habits: Habits, block: int) -> Spells:
    """Return when each meter's battery is dead, from its last reading to the new battery, in the n-th two years."""
    key, seed = habits.key, habits.seed
    happens = noise.uniform(seed, _STREAM + 4, key, block) < habits.deaths_per_year * DEATH_BLOCK_H / YEAR_H
    first = DEATH_BLOCK_H * (block + noise.uniform(seed, _STREAM + 5, key, block))
    length = 24.0 * 50.0 * np.exp(0.7 * noise.normal(seed, _STREAM + 6, key, block))
    return _spells(happens, first, np.clip(length, 120.0, 8760.0), np.ones(len(habits), dtype=np.bool_))


def resets(habits: Habits, block: int) -> Spells:
    """Return when each meter's clock counts from 2000-01-01 in the n-th 64 days; a synced one is soon set again."""
    key, seed = habits.key, habits.seed
    happens = noise.uniform(seed, _STREAM + 7, key, block) < habits.resets_per_year * RESET_BLOCK_H / YEAR_H
    first = np.floor(RESET_BLOCK_H * (block + noise.uniform(seed, _STREAM + 8, key, block)))
    draw = noise.uniform(seed, _STREAM + 9, key, block)
    length = np.where(habits.clock == ClockKind.SYNCED, 2.0 + 46.0 * draw, 72.0 + 888.0 * draw)
    return _spells(happens, first, np.floor(length), np.zeros(len(habits), dtype=np.bool_))


def touching(
    make: Callable[[Habits, int], Spells], block_h: int, habits: Habits, first_hour: float, end_hour: float
) -> Iterator[Spells]:
    """Yield the troubles of one kind that can touch a span, earlier ones first; none outlasts its following block."""
    for block in range(int(first_hour // block_h) - 1, int(end_hour // block_h) + 1):
        spells = make(habits, block)
        if len(spells.columns(first_hour, end_hour)):
            yield spells


@dataclass(frozen=True, slots=True)
class Trouble:
    """One meter's trouble with its readings."""

    column: int
    first_hour: int
    end_hour: int
    cause: str
    """outage, outage_lost, battery, clock_reset, clock_wrong, misread"""


def troubles(habits: Habits, first_hour: int, count: int) -> list[Trouble]:
    """Return what goes wrong with readings within `count` hours, cut to them, by column and time."""
    if count <= 0:
        return []
    end = first_hour + count
    found = []
    for make, block_h, causes in (
        (outages, OUTAGE_BLOCK_H, ("outage", "outage_lost")),
        (deaths, DEATH_BLOCK_H, ("battery", "battery")),
        (resets, RESET_BLOCK_H, ("clock_reset", "clock_reset")),
    ):
        for spells in touching(make, block_h, habits, first_hour, end):
            for column in spells.columns(first_hour, end):
                begin = max(first_hour, int(np.floor(spells.first_hour[column])))
                until = min(end, int(np.ceil(spells.end_hour[column])))
                found.append(Trouble(int(column), begin, until, causes[int(spells.lost[column])]))
    found += [Trouble(column, hour, hour + 1, "misread") for column, hour in wrong_visits(habits, first_hour, count)]
    wrong = np.flatnonzero(np.abs(clock_error_s(habits, np.array([[end]]))[0]) > _WRONG_S)
    found += [Trouble(int(column), first_hour, end, "clock_wrong") for column in wrong]
    return sorted(found, key=lambda one: (one.column, one.first_hour, one.cause))


def clock_error_s(habits: Habits, hour: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how far each meter's clock is ahead of the truth, s, unless it was reset; shape of `hour` x meters."""
    since_sync_s = np.mod(hour * 3600 - habits.upload_s, 86_400)
    since_set_s = 3600.0 * np.maximum(0.0, hour - habits.set_hour)
    elapsed = np.where(habits.clock == ClockKind.NEVER_SYNCED, since_set_s, since_sync_s)
    return np.asarray(habits.clock_off_s + 1e-6 * habits.drift_ppm * elapsed, dtype=np.float64)
