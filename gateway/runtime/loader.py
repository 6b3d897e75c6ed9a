"""Moves what is on disk in the spool into the store, and lets the spool forget it."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from itertools import takewhile

import numpy as np

from gateway.errors import GatewayError
from gateway.model.reading import ReadingBatch
from gateway.ports import DeadLetter, Loaded, ReadingStore, Spool, SpoolRecord
from gateway.runtime.accounting import Accounting
from gateway.runtime.backoff import Backoff

_LOG = logging.getLogger(__name__)
LOAD_ROWS = 100_000
_LOOK_S = 5.0
"""real seconds without news after which the store is looked at all the same"""
_READ_RECORDS = 1_000
PutDead = Callable[[Sequence[tuple[int, int, DeadLetter]]], object]


class Loader:
    """One task runs `run`. A record is loaded within `period_s` real seconds of `notify`, several in one load.

    Dead letters are stored before the readings of the same records, so that a crash between the two repeats both;
    either is idempotent. Errors of the store are logged once and tried again for ever: the spool keeps everything.
    """

    def __init__(
        self,
        spool: Spool,
        store: ReadingStore,
        put_dead: PutDead,
        *,
        accounting: Accounting | None = None,
        checkpoint: Callable[[], Awaitable[int]] | None = None,
        on_loaded: Callable[[int], None] | None = None,
        check_room: Callable[[], None] | None = None,
        period_s: float = 0.25,
        checkpoint_s: float = 60.0,
        rng: random.Random | None = None,
    ) -> None:
        """Make one.

        `put_dead` stores (seq, ordinal, letter) rows, called in a thread; `checkpoint` makes the store's files
        complete and returns up to which sequence; `on_loaded` hears of every load; `check_room` raises TransientError
        while nothing may be loaded, for want of room.
        """
        self.healthy = True
        self.reason = ""
        self.loaded = 0
        self.accounting = accounting or Accounting()
        self._spool, self._store, self._put_dead = spool, store, put_dead
        self._checkpoint, self._on_loaded, self._check_room = checkpoint, on_loaded, check_room
        self._period_s, self._checkpoint_s = period_s, checkpoint_s
        self._backoff = Backoff(0.5, 30.0, rng)
        self._news = asyncio.Event()
        self._checkpointed_at = 0.0

    @property
    def lag(self) -> int:
        """Return how many records are in the spool but not in the store."""
        return max(self._spool.last_seq() - self.loaded, 0)

    def notify(self, _record: SpoolRecord | None = None) -> None:
        """Say that the spool has grown."""
        self._news.set()

    async def run(self) -> None:
        """Load for ever."""
        while True:
            try:
                busy = await self.step()
                await self._release()
            except Exception as error:  # noqa: BLE001 - the spool keeps everything, whatever it was
                await self._wait_after(error)
                continue
            self._recovered()
            if not busy:
                await self._wait_for_news()

    async def step(self) -> bool:
        """Load one batch of records; return False if there was none. Raises GatewayError."""
        self.loaded = await self._store.loaded()
        records = await asyncio.to_thread(self._spool.read, self.loaded, _READ_RECORDS)
        group = _first_rows(records)
        if not group:
            return False
        if self._check_room is not None:
            self._check_room()
        dead = [(one.seq, ordinal, letter) for one in group for ordinal, letter in enumerate(one.dead)]
        if dead:
            await asyncio.to_thread(self._put_dead, dead)
        upto = group[-1].seq
        done = await self._store.load(upto, ReadingBatch.concat(one.batch for one in group))
        self._settle(group, done)
        self.loaded = upto
        if self._on_loaded is not None:
            self._on_loaded(upto)
        return True

    async def drained(self) -> None:
        """Return when everything that is in the spool now has been loaded. Needs `run` in another task."""
        goal = self._spool.last_seq()
        while self.loaded < goal:
            if not await asyncio.to_thread(self._spool.read, self.loaded, 1):
                return
            self.notify()
            await asyncio.sleep(0.02)

    def _settle(self, group: Sequence[SpoolRecord], done: Loaded) -> None:
        doubled = np.sort(np.asarray(done.duplicate_rows, dtype=np.int64))
        begin = 0
        for one in group:
            end = begin + len(one.batch)
            low, high = np.searchsorted(doubled, [begin, end])
            self.accounting.settled(one.seq, len(one.batch), len(one.dead), (doubled[low:high] - begin).tolist())
            begin = end

    async def _release(self) -> None:
        """Let go of what the store's files hold for sure; its write-ahead log alone is not enough."""
        now = asyncio.get_running_loop().time()
        if self._checkpoint is not None and now - self._checkpointed_at >= self._checkpoint_s:
            self._checkpointed_at = now
            upto = await self._checkpoint()
            await asyncio.to_thread(self._spool.release, upto)

    async def _wait_for_news(self) -> None:
        try:
            async with asyncio.timeout(_LOOK_S):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()
        await asyncio.sleep(self._period_s)

    async def _wait_after(self, error: Exception) -> None:
        if self.healthy:
            unknown = None if isinstance(error, GatewayError) else error
            _LOG.error("readings stay in the spool: %s", error, exc_info=unknown)
        self.healthy, self.reason = False, str(error)
        await asyncio.sleep(self._backoff.next())

    def _recovered(self) -> None:
        if not self.healthy:
            _LOG.warning("readings are loaded again")
        self.healthy, self.reason = True, ""
        self._backoff.reset()


def _first_rows(records: Sequence[SpoolRecord]) -> list[SpoolRecord]:
    """Return the first records that hold at most LOAD_ROWS rows together, one at least."""
    filled = np.cumsum([len(one.batch) for one in records])
    return [one for _, one in takewhile(lambda pair: pair[0] <= LOAD_ROWS, zip(filled, records, strict=True))] or list(
        records[:1]
    )
