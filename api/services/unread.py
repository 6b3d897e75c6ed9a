"""Meters that were not read for long, and meters past their life."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice

import numpy as np

from api.deps import Parts
from api.services.newest import indices_of
from gateway.model.network import Meter, MeterRole
from gateway.model.reading import PointId, from_us, point_id

CLASSES = {"over_12": 365, "6_12": 183, "4_6": 122}
"""days without a reading that begin each class (document 004), the longest first"""
NEVER, FAILING = "never", "failing"
"""classes of meters of which no reading ever came, and whose newest attempt failed: since when is not known"""
LIFE_YEARS = 10
HOMES = frozenset({"residential", ""})
MOST = 500
"""meters listed of each class, those that wait longest"""
KEEP_S = 1800.0
"""real seconds for which a result is shown: going through a large city takes half a minute"""
_AT_ONCE = 20_000
_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class UnreadMeter:
    """A meter that waits for a reading."""

    meter: str
    zone: str
    zone_name: str
    customer_class: str
    kind: str
    last_read: datetime | None
    """None if none is known"""
    days: int | None


@dataclass(frozen=True, slots=True)
class OldMeter:
    """A home's meter past its life."""

    meter: str
    zone: str
    zone_name: str
    installed_on: date
    years: float


@dataclass(frozen=True, slots=True)
class Waiting:
    """What was found at a moment."""

    at: datetime
    counts: Mapping[str, int]
    """meters in each class"""
    unread: Mapping[str, Sequence[UnreadMeter]]
    old_count: int
    old: Sequence[OldMeter]
    """the oldest first"""


@dataclass
class WaitingMeters:
    """Looks at most every half hour; who asks meanwhile gets what was found."""

    parts: Parts
    _found: Waiting | None = None
    _until: float = 0.0
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def look(self) -> Waiting:
        """Return what waits. Raises TransientError while the store does not answer."""
        async with self._lock:
            if self._found is None or time.monotonic() >= self._until:
                self._found = await _look(self.parts)
                self._until = time.monotonic() + KEEP_S
            return self._found


async def _look(parts: Parts) -> Waiting:
    now_us = parts.clock.now_us()
    today = parts.site.gas_day.of(parts.clock.now())
    counts = dict.fromkeys((*CLASSES, NEVER, FAILING), 0)
    longest: dict[str, list[tuple[int, str]]] = {name: [] for name in counts}
    old: list[tuple[int, str]] = []
    old_count = 0
    customers = _customers(parts)
    while some := await asyncio.to_thread(lambda: list(islice(customers, _AT_ONCE))):
        times = await _last_read(parts, some)
        for meter, at in zip(some, times, strict=True):
            name, age_us = _class_of(at, now_us)
            if name:
                counts[name] += 1
                _keep(longest[name], (age_us, meter.meter_id))
            if meter.customer_class in HOMES and _anniversary(meter.installed_on) <= today:
                old_count += 1
                _keep(old, (-meter.installed_on.toordinal(), meter.meter_id))
    return Waiting(
        parts.clock.now(),
        counts,
        {name: [_unread(parts, key, age, now_us) for age, key in sorted(kept, reverse=True)]
         for name, kept in longest.items()},
        old_count,
        [_old(parts, key, today) for _, key in sorted(old, reverse=True)],
    )  # fmt: skip


def _customers(parts: Parts) -> Iterator[Meter]:
    return (one for one in parts.network.meters.values() if one.role is MeterRole.CUSTOMER and one.account != "closed")


async def _last_read(parts: Parts, meters: Sequence[Meter]) -> list[int | None]:
    """Return when each was read last, us UTC; None if never, -1 if the newest attempt failed."""
    points = {point_id(meter.meter_id, meter.register): n for n, meter in enumerate(meters)}
    names = await asyncio.to_thread(indices_of, parts, list(points))
    found: list[int | None] = [None] * len(meters)
    if names:
        batch = await parts.store.latest(np.array(sorted(names), dtype=np.uint32))
        for index, at, good in zip(batch.point.tolist(), batch.source_time.tolist(), batch.good.tolist(), strict=True):
            found[points[PointId(names[index])]] = at if good else -1
    return found


def _class_of(at: int | None, now_us: int) -> tuple[str, int]:
    if at is None or at < 0:
        return (NEVER if at is None else FAILING), 0
    age_us = now_us - at
    return next((name for name, days in CLASSES.items() if age_us >= days * _DAY_US), ""), age_us


def _keep(kept: list[tuple[int, str]], one: tuple[int, str]) -> None:
    if len(kept) < MOST:
        heapq.heappush(kept, one)
    else:
        heapq.heappushpop(kept, one)


def _unread(parts: Parts, name: str, age_us: int, now_us: int) -> UnreadMeter:
    network, meter = parts.network, parts.network.meters[name]
    at = from_us(now_us - age_us) if age_us else None
    days = None if at is None else age_us // _DAY_US
    zone_name = network.name_of(meter.zone_id)
    return UnreadMeter(name, meter.zone_id, zone_name, meter.customer_class, meter.kind.value, at, days)


def _old(parts: Parts, name: str, today: date) -> OldMeter:
    meter = parts.network.meters[name]
    years = (today - meter.installed_on).days / 365.25
    return OldMeter(name, meter.zone_id, parts.network.name_of(meter.zone_id), meter.installed_on, years)


def _anniversary(installed: date) -> date:
    """Return when a meter's life is over."""
    return date(installed.year + LIFE_YEARS, installed.month, min(installed.day, 28))
