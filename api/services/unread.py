"""Meters that were not read for long, and meters past their life."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np
from numpy.typing import NDArray

from api.deps import Parts
from api.services.registers import Registers
from gateway.model.network import Meter
from gateway.model.reading import from_us

CLASSES = {"over_12": 365, "6_12": 183, "4_6": 122}
"""days without a reading that begin each class (document 004), the longest first"""
NEVER, FAILING = "never", "failing"
"""classes of meters of which no reading ever came, and whose newest attempt failed: since when is not known"""
MOST = 500
"""meters listed of each class, those that wait longest"""
KEEP_S = 1800.0
"""real seconds for which a result is shown: going through a large city takes seconds"""
TRY_AGAIN_S = 60.0
"""real seconds until a look that failed is tried again"""
_AT_ONCE = 250_000
_DAY_US = 86_400_000_000
_NEVER_US, _FAILING_US = -(2**62), -(2**62) + 1
"""stand for an age that is not known"""

log = logging.getLogger(__name__)


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
    """Looks at most every half hour, behind those who ask: they get what was found last. Only the first one waits."""

    parts: Parts
    _found: Waiting | None = None
    _until: float = 0.0
    _looking: asyncio.Task[Waiting] | None = None
    _registers: Registers | None = None

    def begin(self) -> None:
        """Look behind the scenes if nothing fresh is known, so that whoever asks soon need not wait."""
        if time.monotonic() >= self._until and self._looking is None:
            if self._registers is None:
                self._registers = Registers(self.parts.network, self.parts.state)
            self._looking = asyncio.create_task(_look(self.parts, self._registers), name="look for meters that wait")
            self._looking.add_done_callback(self._looked)

    async def look(self) -> Waiting:
        """Return what waits. Raises TransientError while the store does not answer and nothing was found before."""
        self.begin()
        if self._found is None and self._looking is not None:
            await asyncio.shield(self._looking)
        assert self._found is not None
        return self._found

    def _looked(self, task: asyncio.Task[Waiting]) -> None:
        self._looking = None
        failed = task.cancelled() or task.exception() is not None
        if not failed:
            self._found = task.result()
        elif self._found is not None:
            log.warning("meters that wait cannot be looked for: %s", "ended" if task.cancelled() else task.exception())
        self._until = time.monotonic() + (0.0 if self._found is None else TRY_AGAIN_S if failed else KEEP_S)


async def _look(parts: Parts, registers: Registers) -> Waiting:
    now_us = parts.clock.now_us()
    today = parts.site.gas_day.of(parts.clock.now())
    indices = await asyncio.to_thread(registers.indices)
    ages = await _ages(parts, indices, now_us)
    return await asyncio.to_thread(_sorted_out, parts, registers, ages, now_us, today)


async def _ages(parts: Parts, indices: NDArray[np.int64], now_us: int) -> NDArray[np.int64]:
    """Return how long ago each meter was read, us: `_NEVER_US` if never, `_FAILING_US` if the newest attempt failed."""
    ages = np.full(len(indices), _NEVER_US)
    known = np.flatnonzero(indices >= 0)
    known = known[np.argsort(indices[known])]
    for first in range(0, len(known), _AT_ONCE):
        rows = known[first : first + _AT_ONCE]
        points = indices[rows]
        batch = await parts.store.latest(points.astype(np.uint32))
        at = rows[np.searchsorted(points, batch.point)]
        ages[at] = np.where(batch.good, now_us - batch.source_time, _FAILING_US)
    return ages


def _sorted_out(parts: Parts, registers: Registers, ages: NDArray[np.int64], now_us: int, today: date) -> Waiting:
    classes = {NEVER: ages == _NEVER_US, FAILING: ages == _FAILING_US}
    shorter = np.zeros(len(ages), dtype=bool)
    for name, days in CLASSES.items():
        classes[name] = (ages >= days * _DAY_US) & ~shorter
        shorter |= classes[name]
    old = np.flatnonzero(registers.homes() & registers.past_life(today))
    oldest = old[np.argsort(registers.installed[old], kind="stable")][:MOST]
    return Waiting(
        parts.clock.now(),
        {name: int(classes[name].sum()) for name in (*CLASSES, NEVER, FAILING)},
        {name: [_unread(parts, registers.meter(row), int(ages[row]), now_us) for row in _longest(ages, classes[name])]
         for name in (*CLASSES, NEVER, FAILING)},
        len(old),
        [_old(parts, registers.meter(row), today) for row in oldest.tolist()],
    )  # fmt: skip


def _longest(ages: NDArray[np.int64], wanted: NDArray[np.bool_]) -> list[int]:
    rows = np.flatnonzero(wanted)
    longest: list[int] = rows[np.argsort(-ages[rows], kind="stable")][:MOST].tolist()
    return longest


def _unread(parts: Parts, meter: Meter, age_us: int, now_us: int) -> UnreadMeter:
    known = age_us not in {_NEVER_US, _FAILING_US}
    at, days = (from_us(now_us - age_us), age_us // _DAY_US) if known else (None, None)
    zone_name = parts.network.name_of(meter.zone_id)
    return UnreadMeter(
        meter.meter_id, meter.zone_id, zone_name, meter.customer_class, meter.kind.value, at, days
    )  # fmt: skip


def _old(parts: Parts, meter: Meter, today: date) -> OldMeter:
    years = (today - meter.installed_on).days / 365.25
    zone_name = parts.network.name_of(meter.zone_id)
    return OldMeter(meter.meter_id, meter.zone_id, zone_name, meter.installed_on, years)
