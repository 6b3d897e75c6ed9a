"""The newest records in memory, for readers of the log in other processes, so that they need no disk."""

from __future__ import annotations

import asyncio
from collections import deque

from gateway.ports import SpoolRecord

_ROW_BYTES = 29


class TailRing:
    """Keeps the newest records within a byte bound, the oldest goes first. Used on the event loop only."""

    def __init__(self, most_bytes: int = 64 << 20, most_records: int = 20_000) -> None:
        """Make an empty one."""
        self._most_bytes, self._most_records = most_bytes, most_records
        self._records: deque[tuple[SpoolRecord, int]] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self._ended = False

    def __len__(self) -> int:
        """Return how many records are kept."""
        return len(self._records)

    def push(self, record: SpoolRecord) -> None:
        """Add the record that was just made durable and wake who waits."""
        size = 64 + len(record.batch) * _ROW_BYTES + sum(len(letter.payload) + 128 for letter in record.dead)
        self._records.append((record, size))
        self._bytes += size
        while len(self._records) > 1 and (self._bytes > self._most_bytes or len(self._records) > self._most_records):
            self._bytes -= self._records.popleft()[1]
        self._news.set()
        self._news = asyncio.Event()

    def after(self, seq: int, limit: int) -> list[SpoolRecord] | None:
        """Return records with a higher seq, oldest first; None if the ring does not reach back that far."""
        if not self._records or self._records[0][0].seq > seq + 1:
            return None
        found: list[SpoolRecord] = []
        for record, _ in reversed(self._records):
            if record.seq <= seq:
                break
            found.append(record)
        found.reverse()
        return found[:limit]

    def end(self) -> None:
        """Let nobody wait any more."""
        self._ended = True
        self._news.set()

    async def wait(self, timeout_s: float) -> None:
        """Return when a record is pushed, after real seconds, or at the end."""
        if self._ended:
            return
        news = self._news
        try:
            async with asyncio.timeout(timeout_s):
                await news.wait()
        except TimeoutError:
            return
