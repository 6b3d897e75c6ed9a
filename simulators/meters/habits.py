"""How each meter's readings reach the company: by which way, at which hour, and with which troubles."""

from __future__ import annotations

import tomllib
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from enum import IntEnum
from functools import cache
from importlib.resources import files
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gateway.model.network import MeterKind
from simulators import noise
from simulators.customers import Customers
from simulators.meters.traits import SUPPLY_KEY, Floats, pick, positions

_STREAM = 440
_EPOCH = date(1970, 1, 1)
_BEHIND_ONE = 40
"""meters behind one concentrator, where no building has its own"""
_NO_GROUP = -1


class Way(IntEnum):
    """How a meter is read."""

    HOURLY = 0
    DAILY_24 = 1
    DAILY_1 = 2
    WALK = 3
    CARD = 4


_NAMES = {"hourly": Way.HOURLY, "daily_24": Way.DAILY_24, "daily_1": Way.DAILY_1, "walk": Way.WALK, "card": Way.CARD}


class ClockKind(IntEnum):
    """How a meter's clock is kept."""

    SYNCED = 0
    NEVER_SYNCED = 1
    HOURS_OFF = 2


_CLOCKS = {"synced": ClockKind.SYNCED, "never_synced": ClockKind.NEVER_SYNCED, "hours_off": ClockKind.HOURS_OFF}


@dataclass(frozen=True, slots=True, eq=False)
class Habits:
    """Columns of n meters. A function of the seed and each meter's key, whichever others stand beside it."""

    seed: int
    key: NDArray[np.int64]
    way: NDArray[np.int8]
    """of kind `Way`"""
    prompt: NDArray[np.bool_]
    """its readings usually arrive within minutes"""
    group: NDArray[np.int64]
    """number of its concentrator, -1 without one"""
    upload_s: NDArray[np.int64]
    """hourly: seconds after the hour; daily: second of the local day; visits: the day of the first, in seconds"""
    every_d: NDArray[np.int64]
    """days between two visits of a person or a card"""
    lost: Floats
    """chance that an upload never arrives"""
    failed: Floats
    """chance that an upload fails and is made up for later"""
    doubled: Floats
    """chance that an upload arrives twice"""
    outages_per_year: Floats
    outage_hours: Floats
    outages_lost: Floats
    deaths_per_year: Floats
    """of batteries"""
    resets_per_year: Floats
    """of clocks"""
    clock: NDArray[np.int8]
    """of kind `ClockKind`"""
    clock_off_s: Floats
    """what the clock is always ahead of the truth"""
    drift_ppm: Floats
    set_hour: Floats
    """hours since 1970 when a clock that is never synced was last set"""
    lithium: NDArray[np.bool_]
    """True: one lithium cell of 3.6 V; False: four alkaline cells of 1.5 V"""

    def __len__(self) -> int:
        """Return the number of meters."""
        return len(self.key)

    def part(self, columns: ArrayLike) -> Self:
        """Return some of the meters."""
        at = positions(columns)
        return replace(self, **{f.name: getattr(self, f.name)[at] for f in fields(self) if f.name != "seed"})


@cache
def mixes() -> Mapping[str, Mapping[str, Any]]:
    """Return the named mixes of `mixes.toml`."""
    return tomllib.loads((files("simulators.meters") / "mixes.toml").read_text(encoding="utf-8"))


def build_habits(seed: int, customers: Customers, mix: str | Sequence[str] = "mixed") -> Habits:
    """Draw the habits of customers' meters; `mix` names one of `mixes()` for all or for each of them.

    Raises ValueError for an unknown mix.
    """
    meters = customers.meters
    count = len(meters)
    names = [mix] * count if isinstance(mix, str) else list(mix)
    unknown = {mix} - set(mixes()) if isinstance(mix, str) else set(names) - set(mixes())
    if unknown or len(names) != count:
        raise ValueError(f"no mix {', '.join(sorted(unknown))}; there are {', '.join(mixes())}" if unknown else
                         f"{len(names)} mixes for {count} meters")  # fmt: skip
    key = np.asarray(customers.key, dtype=np.int64)
    number = np.array([list(mixes()).index(name) for name in names], dtype=np.int64)
    ic_card = np.array([meter.kind is MeterKind.IC_CARD for meter in meters], dtype=np.bool_)
    corrector = np.array([meter.kind is MeterKind.CORRECTOR for meter in meters], dtype=np.bool_)
    installed = np.array([(meter.installed_on - _EPOCH).days for meter in meters], dtype=np.float64)
    way = np.where(corrector, Way.HOURLY, _ways(seed, key, number, ic_card)).astype(np.int8)
    group = _groups([meter.zone_id for meter in meters], key)
    return _drawn(seed, key, number, way, group=np.where(way >= Way.WALK, _NO_GROUP, group), ic_card=ic_card,
                  installed=installed)  # fmt: skip


def supply_habits(seed: int, numbers: ArrayLike, installed: date = date(2022, 6, 1)) -> Habits:
    """Return the habits of supply meters, which a station's terminal unit reads each hour; numbers count from 0."""
    number = np.atleast_1d(np.asarray(numbers, dtype=np.int64))
    key, count = SUPPLY_KEY + number, len(number)
    drawn = _drawn(
        seed, key, np.zeros(count, dtype=np.int64), np.zeros(count, dtype=np.int8),
        group=SUPPLY_KEY + number, ic_card=np.zeros(count, dtype=np.bool_),
        installed=np.full(count, float((installed - _EPOCH).days)),
    )  # fmt: skip
    none = np.zeros(count)
    return replace(
        drawn,
        prompt=np.ones(count, dtype=np.bool_),
        upload_s=np.full(count, 2, dtype=np.int64),
        lost=none + 1e-4,
        failed=none + 0.002,
        doubled=none + 0.001,
        deaths_per_year=none,
        resets_per_year=none,
        clock=np.zeros(count, dtype=np.int8),
        clock_off_s=none,
    )


def _ways(seed: int, key: NDArray[np.int64], mix: NDArray[np.int64], ic_card: NDArray[np.bool_]) -> NDArray[np.int8]:
    draw = noise.uniform(seed, _STREAM, key)
    way = np.zeros(len(key), dtype=np.int8)
    for number, figures in enumerate(mixes().values()):
        for name, kind in (("ic_card", ic_card), ("remote", ~ic_card)):
            mine = (mix == number) & kind
            kinds = np.array([_NAMES[way] for way in figures[name]], dtype=np.int8)
            way[mine] = kinds[pick(list(figures[name].values()), draw[mine])]
    return way


def _groups(zones: Sequence[str], key: NDArray[np.int64]) -> NDArray[np.int64]:
    """Put the meters of a small zone, a building, behind one concentrator and part larger zones by their keys."""
    size = Counter(zones)
    code = {zone: zlib.crc32(zone.encode()) << 24 for zone in size}
    shared = np.array([size[zone] > _BEHIND_ONE for zone in zones], dtype=np.bool_)
    base = np.array([code[zone] for zone in zones], dtype=np.int64)
    return base + np.where(shared, 1 + key // _BEHIND_ONE % (1 << 23), 0)


def _column(name: str, mix: NDArray[np.int64]) -> Floats:
    return np.array([figures[name] for figures in mixes().values()], dtype=np.float64)[mix]


def _drawn(
    seed: int,
    key: NDArray[np.int64],
    mix: NDArray[np.int64],
    way: NDArray[np.int8],
    *,
    group: NDArray[np.int64],
    ic_card: NDArray[np.bool_],
    installed: Floats,
) -> Habits:
    dead_spot = noise.uniform(seed, _STREAM + 1, key) < _column("dead_spots", mix)
    badness = np.exp(0.6 * noise.normal(seed, _STREAM + 2, key))
    lost, failed = _column("lost", mix), _column("failed", mix)
    clock, off_s = _clocks(seed, key, mix)
    by_itself = way <= Way.DAILY_1
    set_age_d = 30.0 + 900.0 * noise.uniform(seed, _STREAM + 7, key) ** 2
    return Habits(
        seed=seed,
        key=key,
        way=way,
        prompt=way == Way.HOURLY,
        group=group,
        upload_s=_upload_s(seed, key, way, ic_card),
        every_d=_every_d(seed, key, way),
        lost=np.where(by_itself, np.minimum(0.6, np.where(dead_spot, lost[:, 1], lost[:, 0]) * badness), 0.0),
        failed=np.where(by_itself, np.minimum(0.7, np.where(dead_spot, failed[:, 1], failed[:, 0]) * badness), 0.0),
        doubled=np.minimum(0.5, _column("doubled", mix) * np.exp(0.8 * noise.normal(seed, _STREAM + 8, key))),
        outages_per_year=_column("outages_per_year", mix),
        outage_hours=_column("outage_hours", mix),
        outages_lost=_column("outages_lost", mix),
        deaths_per_year=np.where(by_itself, _column("battery_deaths_per_year", mix), 0.0),
        resets_per_year=np.where(way == Way.WALK, 0.0, _column("clock_resets_per_year", mix)),
        clock=np.where(way == Way.WALK, ClockKind.SYNCED, clock).astype(np.int8),
        clock_off_s=np.where(way == Way.WALK, 0.0, off_s),
        drift_ppm=-6.0 + 9.0 * noise.normal(seed, _STREAM + 6, key),
        set_hour=24.0 * (installed + set_age_d),
        lithium=~ic_card,
    )


def _upload_s(
    seed: int, key: NDArray[np.int64], way: NDArray[np.int8], ic_card: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Draw when a meter sends: hourly ones after the hour, daily ones mostly at night, visits from some day on."""
    draw = noise.uniform(seed, _STREAM + 3, key)
    after_hour = np.where(ic_card, 2.0 + 88.0 * draw, 20.0 + 880.0 * draw)
    at_night = noise.uniform(seed, _STREAM + 4, key) < 0.7
    of_day = np.where(at_night, 300.0 + 17_700.0 * draw, 86_399.0 * draw)
    first_day = 86_400.0 * np.floor(64.0 * draw)
    kinds = [way == Way.HOURLY, (way == Way.DAILY_24) | (way == Way.DAILY_1)]
    return np.asarray(np.select(kinds, [after_hour, of_day], first_day), dtype=np.int64)


def _every_d(seed: int, key: NDArray[np.int64], way: NDArray[np.int8]) -> NDArray[np.int64]:
    """Draw the days between two visits: a round each one or two months, a card when the credit needs it."""
    draw = noise.uniform(seed, _STREAM + 5, key)
    walk = np.where(draw < 0.4, 30.0, 61.0)
    card = np.floor(15.0 + 60.0 * draw**1.5)
    return np.asarray(np.where(way == Way.WALK, walk, card), dtype=np.int64)


def _clocks(seed: int, key: NDArray[np.int64], mix: NDArray[np.int64]) -> tuple[NDArray[np.int8], Floats]:
    """Draw (kind of clock, what it is always ahead of the truth, s)."""
    draw = noise.uniform(seed, _STREAM + 9, key)
    clock = np.zeros(len(key), dtype=np.int8)
    for number, figures in enumerate(mixes().values()):
        kinds = np.array([_CLOCKS[name] for name in figures["clocks"]], dtype=np.int8)
        mine = mix == number
        clock[mine] = kinds[pick(list(figures["clocks"].values()), draw[mine])]
    wrong_h = np.array([8.0, -8.0, 1.0, -1.0, 12.0, 24.0])
    off_h = wrong_h[np.floor(6.0 * noise.uniform(seed, _STREAM + 10, key)).astype(np.intp)]
    usual_s = 0.8 * noise.normal(seed, _STREAM + 11, key)
    return clock, np.asarray(np.where(clock == ClockKind.HOURS_OFF, 3600.0 * off_h, 0.0) + usual_s, dtype=np.float64)
