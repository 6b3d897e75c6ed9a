"""Streams stored readings to one output, behind a durable cursor: slow or absent servers hold nothing up."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.errors import GatewayError, PermanentError, TransientError
from gateway.model.reading import ReadingBatch
from gateway.ports import DeadLetter, Output, ReadingStore
from gateway.runtime.backoff import Backoff

_LOG = logging.getLogger(__name__)
BATCH_ROWS = 20_000
_PERMANENT_WAIT_S = 60.0


class Cursors(Protocol):
    """Where readers of the store note durably how far they got."""

    def cursor(self, name: str) -> int:
        """Return how far a named reader got, 0 if it never began."""
        ...

    def set_cursor(self, name: str, seq: int) -> None:
        """Record how far it got."""
        ...


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """How an output is doing."""

    name: str
    connected: bool
    cursor: int
    lag: int
    """loads that the output has not accepted yet, as a difference of sequences"""
    written: int
    rejected: int
    last_error: str


PutRejected = Callable[[str, int, Sequence[tuple[int, DeadLetter]]], object]


class Forwarder:
    """One task runs `run`. The cursor moves only after the server accepted and what it refused is a dead letter."""

    def __init__(
        self,
        output: Output,
        store: ReadingStore,
        cursors: Cursors,
        put_rejected: PutRejected,
        *,
        names: Callable[[ReadingBatch], Sequence[str]] | None = None,
        first_s: float = 1.0,
        cap_s: float = 60.0,
        rng: random.Random | None = None,
    ) -> None:
        """Make one; `put_rejected(output, seq, rows)` runs in a thread, `names` gives the points of refused rows."""
        self.cursor = 0
        self._output, self._store, self._cursors, self._put_rejected = output, store, cursors, put_rejected
        self._names = names or (lambda batch: [str(point) for point in batch.point.tolist()])
        self._backoff = Backoff(first_s, cap_s, rng)
        self._news = asyncio.Event()
        self._newest = self._written = self._rejected = 0
        self._last_error = ""

    @property
    def cursor_name(self) -> str:
        """Return the name of the durable cursor."""
        return f"output:{self._output.name}"

    def status(self) -> StreamStatus:
        """Return how the stream is doing."""
        lag = max(self._newest - self.cursor, 0)
        connected = not self._last_error
        return StreamStatus(
            self._output.name, connected, self.cursor, lag, self._written, self._rejected, self._last_error
        )

    def notify(self, loaded: int) -> None:
        """Say that the store was loaded up to a sequence."""
        self._newest = max(self._newest, loaded)
        self._news.set()

    async def run(self) -> None:
        """Stream for ever."""
        begun = False
        while True:
            try:
                if not begun:
                    self.cursor = await asyncio.to_thread(self._cursors.cursor, self.cursor_name)
                    begun = True
                busy = await self.step()
            except Exception as error:  # noqa: BLE001 - whatever an output does, the others go on
                await self._wait_after(error)
                continue
            if not busy:
                await self._wait_for_news()

    async def step(self) -> bool:
        """Write one batch; return False if there was nothing to write. Raises GatewayError."""
        self._newest = max(self._newest, await self._store.loaded())
        before = self.cursor
        seq, batch = await self._store.since(before, BATCH_ROWS)
        if seq <= before:
            return False
        if len(batch):
            written = await self._output.write(batch)
            self._recovered()
            if written.rejected:
                letters = self._letters(batch, written.rejected)
                await asyncio.to_thread(self._put_rejected, self._output.name, before, letters)
            self._written += written.accepted
            self._rejected += len(written.rejected)
        await asyncio.to_thread(self._cursors.set_cursor, self.cursor_name, seq)
        self.cursor = seq
        return True

    def _letters(self, batch: ReadingBatch, rejected: Sequence[tuple[int, str]]) -> list[tuple[int, DeadLetter]]:
        source = self.cursor_name
        letters = []
        for row, reason in rejected:
            one = batch.take(slice(row, row + 1))
            text = f"{one.value[0]!r} q={one.quality[0]} {one.source_time[0]}".encode()
            letters.append((row, DeadLetter(source, self._names(one)[0], text, reason, int(one.received_time[0]))))
        return letters

    async def _wait_for_news(self) -> None:
        try:
            async with asyncio.timeout(1.0):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()

    async def _wait_after(self, error: Exception) -> None:
        if not self._last_error:
            unknown = None if isinstance(error, GatewayError) else error
            _LOG.warning("output %s: readings wait in the store: %s", self._output.name, error, exc_info=unknown)
        self._last_error = str(error) or type(error).__name__
        wait_s = self._backoff.next()
        if isinstance(error, PermanentError):
            wait_s = max(wait_s, min(_PERMANENT_WAIT_S, self._backoff.cap_s))
        elif isinstance(error, TransientError) and error.retry_after_s is not None:
            wait_s = max(wait_s, min(error.retry_after_s, 3600.0))
        await asyncio.sleep(wait_s)

    def _recovered(self) -> None:
        if self._last_error:
            _LOG.warning("output %s: accepts readings again", self._output.name)
        self._last_error = ""
        self._backoff.reset()
