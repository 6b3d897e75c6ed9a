"""Readings that passes look at, kept from one pass to the next: only what came since is asked for.

What is kept is what asking for everything anew would bring, in whatever order readings come: readings of the lookback,
and of registers that are read seldom those of long ago as well. A role that starts asks for everything once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from alarms.city_data import PASS_QUANTITIES, REGISTERS
from alarms.windows import SELDOM_DAYS
from gateway.errors import RefusedError
from gateway.meterdata.series import DAY_US
from gateway.model.reading import PointId, ReadingBatch, split_point
from gateway.store.duplicates import settled

SELDOM_ROWS = 20
"""registers with fewer readings in the lookback are read as far back as `SELDOM_DAYS`"""
LATEST_AT_ONCE = 100_000
POINTS_AT_ONCE = 5_000
MOST_POINTS = 200_000
MOST_ROWS = 25_000_000
"""what is kept at most, some 2 GB at the worst moment of a pass"""
SINCE_AT_ONCE = 200_000
MOST_BEHIND = 20_000_000
"""loaded rows of all points behind which it is quicker to ask for everything anew"""
ANEW_US = 7 * DAY_US
"""so often everything is asked for anew: damage that was repaired, or what was removed, shows in no new reading"""
FAR_US = 2**62

Points = NDArray[np.uint32]
Names = Callable[[Points], Sequence[PointId]]


class Store(Protocol):
    """What is asked, of role keep or of a store in this process."""

    async def loaded(self) -> int:
        """Return the newest load."""
        ...

    async def since(self, seq: int, limit: int) -> tuple[int, ReadingBatch]:
        """Return rows of later loads, and the last of these loads."""
        ...

    async def history(self, points: Points, start_us: int, end_us: int) -> ReadingBatch:
        """Return rows of some points in a span of device times."""
        ...

    async def latest(self, points: Points) -> ReadingBatch:
        """Return the newest row of each point that has one."""
        ...


class KeptRows:
    """The readings of a site's points that passes look at."""

    def __init__(self, days: float) -> None:
        """Look back so many days; nothing is read yet."""
        self._back_us = round(days * DAY_US)
        self._begun_us = -FAR_US
        self._seq = 0
        self._rows = ReadingBatch.empty()
        self._looked_at: dict[int, PointId] = {}
        self._known: Points = np.empty(0, dtype=np.uint32)
        """points whose names were looked at"""
        self._far: Points = np.empty(0, dtype=np.uint32)
        """registers of which rows before the lookback are kept"""

    async def at(
        self, store: Store, points: Points, names: Names, now_us: int
    ) -> tuple[ReadingBatch, dict[int, PointId]]:
        """Return the readings up to a moment, sorted by point and device time, and the points that have any.

        `points` may have some, and `names` gives the names of points. Raises RefusedError if they are too many,
        TransientError while the store is away; then the next call goes on from there.
        """
        begun = self._begun_us
        if now_us < begun or now_us - begun >= ANEW_US or not await self._since(store, names):
            await self._anew(store, points, names, now_us)
        await self._look_far_back(store, now_us)
        if len(self._rows) > MOST_ROWS:
            self._forget()
            raise _too_large(f"more than {MOST_ROWS:,} readings")
        told = self._rows.source_time < now_us
        return self._rows if told.all() else self._rows.take(told), dict(self._looked_at)

    async def _since(self, store: Store, names: Names) -> bool:
        """Take in what was loaded since the last time; return False where that is too much or the store went back."""
        if await store.loaded() < self._seq:
            return False
        seq, passed, found = self._seq, 0, list[ReadingBatch]()
        while passed <= MOST_BEHIND:
            upto, rows = await store.since(seq, SINCE_AT_ONCE)
            if upto <= seq:
                self._take_in(ReadingBatch.concat(found))
                self._seq = seq
                return True
            seq, passed = upto, passed + len(rows)
            found.append(await self._chosen(rows, names))
        return False

    async def _chosen(self, rows: ReadingBatch, names: Names) -> ReadingBatch:
        """Return the rows of points that passes look at; new ones among them are noted."""
        came = np.unique(rows.point)
        new = came[~np.isin(came, self._known)]
        if len(new):
            self._note(new, await asyncio.to_thread(names, new))
        return rows.take(np.isin(rows.point, self._points()))

    def _note(self, points: Points, names: Sequence[PointId]) -> None:
        """Remember new points, and of those that passes look at their names."""
        wanted = {p: n for p, n in zip(points.tolist(), names, strict=True) if split_point(n)[1] in PASS_QUANTITIES}
        if len(self._looked_at) + len(wanted) > MOST_POINTS:
            self._forget()
            raise _too_large(f"more than {MOST_POINTS:,} points with readings")
        self._looked_at |= wanted
        self._known = np.union1d(self._known, points)

    def _points(self) -> Points:
        return np.array(sorted(self._looked_at), dtype=np.uint32)

    def _registers(self) -> Points:
        mine = (point for point, name in self._looked_at.items() if split_point(name)[1] in REGISTERS)
        return np.array(sorted(mine), dtype=np.uint32)

    def _forget(self) -> None:
        self._begun_us, self._rows, self._looked_at = -FAR_US, ReadingBatch.empty(), {}
        self._known = self._far = self._far[:0]

    async def _anew(self, store: Store, candidates: Points, names: Names, now_us: int) -> None:
        """Ask for everything."""
        self._forget()
        seq = await store.loaded()
        for first in range(0, len(candidates), LATEST_AT_ONCE):
            read = (await store.latest(candidates[first : first + LATEST_AT_ONCE])).point
            self._note(read, await asyncio.to_thread(names, read))
        points, parts = self._points(), list[ReadingBatch]()
        for at in range(0, len(points), POINTS_AT_ONCE):
            parts.append(await store.history(points[at : at + POINTS_AT_ONCE], now_us - self._back_us, FAR_US))
            if sum(map(len, parts)) > MOST_ROWS:
                raise _too_large(f"more than {MOST_ROWS:,} readings")
        self._rows, self._seq, self._begun_us = ReadingBatch.concat(parts), seq, now_us

    def _take_in(self, new: ReadingBatch) -> None:
        if len(new):
            self._rows = settled(ReadingBatch.concat([self._rows, new]))

    async def _look_far_back(self, store: Store, now_us: int) -> None:
        """Let what is too old go, and ask for what is older of registers that are read seldom."""
        begin, far_us = now_us - self._back_us, now_us - max(SELDOM_DAYS * DAY_US, self._back_us)
        rows = self._rows
        inside = (rows.source_time >= begin) & (rows.source_time < now_us)
        seldom = _seldom(self._registers(), rows.point[inside])
        stays = rows.source_time >= np.where(np.isin(rows.point, seldom), far_us, begin)
        self._rows = rows if stays.all() else rows.take(stays)
        self._far = self._far[np.isin(self._far, seldom)]
        more = seldom[~np.isin(seldom, self._far)]
        if far_us < begin:
            parts = [more[at : at + POINTS_AT_ONCE] for at in range(0, len(more), POINTS_AT_ONCE)]
            self._take_in(ReadingBatch.concat([await store.history(part, far_us, begin) for part in parts]))
        self._far = seldom


def _seldom(registers: Points, read: Points) -> Points:
    """Return those of some sorted points that have few rows."""
    if not len(registers):
        return registers
    at = np.minimum(np.searchsorted(registers, read), len(registers) - 1)
    return registers[np.bincount(at[registers[at] == read], minlength=len(registers)) < SELDOM_ROWS]


def _too_large(what: str) -> RefusedError:
    return RefusedError(
        413, "too_large", f"{what}: a pass judges no city of that size; no loss and no finding is computed"
    )
