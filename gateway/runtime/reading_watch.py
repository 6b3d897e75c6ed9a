"""Waits for the next reading of a point, among all that reach the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
from numpy.typing import NDArray

from gateway.errors import TransientError
from gateway.model.reading import ReadingBatch
from gateway.ports import SpoolRecord

_FIRST_LOOK_S = 1.0
_LONGEST_LOOK_S = 60.0
Latest = Callable[[NDArray[np.uint32]], Awaitable[ReadingBatch]]


class ReadingWatch:
    """Costs nothing while nobody waits. Used on the event loop only."""

    def __init__(self, latest: Latest) -> None:
        """Make one; `latest` finds the newest reading of a point that is stored already."""
        self._latest = latest
        self._waiting: dict[int, list[tuple[int, asyncio.Future[tuple[float, int]]]]] = {}

    def on_record(self, record: SpoolRecord) -> None:
        """Look at readings that were just made durable."""
        if not self._waiting:
            return
        points = np.fromiter(self._waiting, np.uint32, len(self._waiting))
        for row in np.flatnonzero(np.isin(record.batch.point, points) & record.batch.good).tolist():
            at_us = int(record.batch.source_time[row])
            for since_us, found in self._waiting.get(int(record.batch.point[row]), ()):
                if at_us >= since_us and not found.done():
                    found.set_result((float(record.batch.value[row]), at_us))

    async def after(self, point: int, since_us: int, timeout_s: float) -> tuple[float, int]:
        """Return value and source time of a good reading of the point that is not older than `since_us`.

        Raises TransientError if none comes within real seconds.
        """
        found: asyncio.Future[tuple[float, int]] = asyncio.get_running_loop().create_future()
        waiting = (since_us, found)
        self._waiting.setdefault(point, []).append(waiting)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._found(point, waiting)
        except TimeoutError as error:
            raise TransientError("no reading has shown the result") from error
        finally:
            self._waiting[point].remove(waiting)
            if not self._waiting[point]:
                del self._waiting[point]

    async def _found(self, point: int, waiting: tuple[int, asyncio.Future[tuple[float, int]]]) -> tuple[float, int]:
        """Wait; look into the store now and then, for a reading that came just before may not be loaded yet."""
        since_us, found = waiting
        pause_s = _FIRST_LOOK_S
        while True:
            stored = await self._latest(np.array([point], np.uint32))
            if len(stored) and stored.good[0] and stored.source_time[0] >= since_us:
                return float(stored.value[0]), int(stored.source_time[0])
            done, _ = await asyncio.wait([found], timeout=pause_s)
            if done:
                return found.result()
            pause_s = min(2 * pause_s, _LONGEST_LOOK_S)
