"""Streams stored readings to one output: what comes in first, what an absent server missed after that.

The readings store is the buffer: an output that is away costs no memory. Its stream has a head, which follows the
store, and gaps: ranges that the head left out because they were late. Both are durable, and move only after the
server accepted and what it refused is a dead letter.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from gateway.errors import GatewayError, PermanentError, TransientError
from gateway.model.reading import ReadingBatch
from gateway.model.stream import CLASSES, Limits, Place, StreamStatus
from gateway.ports import DeadLetter, Output, ReadingStore
from gateway.runtime.backoff import Backoff
from gateway.runtime.gap_reader import GapReader, Piece
from gateway.runtime.point_class import PointClasses

_LOG = logging.getLogger(__name__)
BATCH_ROWS = 20_000
LATE_S = 1.0
"""where more than a batch waits longer than this since it was loaded, it is left for later; more than the longest wait
for a new try"""
LONG_AWAY_S = 900.0
"""after this an absent server is more than a restart"""
_LONGEST_SLEEP_S = 1.0
_LONGEST_TOLD_S = 3600.0
_COUNT_ROWS = 100_000
_PIECES = 50
"""pieces, at least, that together hold as much as may wait: they are given up one by one"""
_COUNT_EVERY_S = 1.0
_SAVE_EVERY_S = 10.0
_SLICE_S = 0.25
"""longest time for which a slice of a gap shall keep live readings waiting"""
_LEAST_SLICE, _MOST_SLICE = 500, 50_000
_MOST_GAPS = 2_000
_MOST_LETTERS = 1_000


class Places(Protocol):
    """Where a stream notes durably how far it has come."""

    def load(self, name: str) -> Place | None:
        """Return where a stream stands, None if it never began."""
        ...

    def save(self, name: str, before: Place | None, place: Place) -> None:
        """Record it in one transaction; `before` is what was saved last."""
        ...


PutRejected = Callable[[str, int, Sequence[tuple[int, DeadLetter]]], object]


class _AwayError(Exception):
    """The output did not take a write; it was noted already."""


class Forwarder:
    """One task runs `run`. Live readings go first; a gap is filled at no more than half of the server's pace."""

    def __init__(
        self,
        output: Output,
        store: ReadingStore,
        places: Places,
        put_rejected: PutRejected,
        *,
        names: Callable[[ReadingBatch], Sequence[str]] | None = None,
        classes: PointClasses | None = None,
        limits: Limits | None = None,
        first_s: float = 0.25,
        cap_s: float = 0.5,
        permanent_s: float = 60.0,
        rng: random.Random | None = None,
    ) -> None:
        """Make one; `put_rejected(output, seq, rows)` runs in a thread, `names` gives the points of refused rows."""
        self._output, self._store, self._places, self._put_rejected = output, store, places, put_rejected
        self._names = names or (lambda batch: [str(point) for point in batch.point.tolist()])
        self._reader, self._limits = GapReader(store, classes), limits or Limits()
        self._backoff, self._permanent_s = Backoff(first_s, cap_s, rng), permanent_s
        self._news = asyncio.Event()
        self._place = Place(0)
        self._saved: Place | None = None
        self._saved_at = self._count_not_before = self._away_since = 0.0
        self._not_before = self._gap_not_before = 0.0
        self._due: deque[tuple[int, float]] = deque(maxlen=100)
        self._piece: Piece | None = None
        self._slice = _LEAST_SLICE
        self._newest = self._written = self._rejected = self._newest_us = 0
        self._last_error, self._permanent = "", False

    @property
    def cursor_name(self) -> str:
        """Return the name under which its place is kept."""
        return f"output:{self._output.name}"

    @property
    def place(self) -> Place:
        """Return how far the stream has come."""
        return self._place

    def status(self) -> StreamStatus:
        """Return how the stream is doing."""
        place = self._place
        lag = max(self._newest - place.head, 0) + sum(gap.upto - gap.after for gap in place.gaps)
        return StreamStatus(
            self._output.name,
            not self._last_error,
            place.head,
            lag,
            self._written,
            self._rejected,
            self._last_error,
            self._permanent,
            round(self._late_s(), 3),
            len(place.gaps),
            place.counted,
            place.dropped,
        )

    def problem(self) -> str:
        """Return what a person must see to, an empty text if nothing."""
        away_s = time.monotonic() - self._away_since if self._last_error else 0.0
        if self._permanent or away_s > LONG_AWAY_S:
            return f"output {self._output.name} takes no readings, they wait in the store: {self._last_error}"
        return ""

    def notify(self, loaded: int) -> None:
        """Say that the store was loaded up to a sequence."""
        if loaded > self._newest:
            self._newest = loaded
            now = time.monotonic()
            if self._due and now - self._due[-1][1] < LATE_S / 20:
                now = self._due.pop()[1]
            self._due.append((loaded, now))
        self._news.set()

    async def run(self) -> None:
        """Stream for ever."""
        while True:
            try:
                busy = await self.step()
            except Exception as error:  # noqa: BLE001 - whatever an output does, the others go on
                await asyncio.sleep(min(self._failed(error), _LONGEST_SLEEP_S))
                continue
            if not busy:
                await self._wait_for_news()

    async def step(self) -> bool:
        """Do the most urgent thing; return False if there was nothing to do now. Raises what the store raises."""
        if self._saved is None:
            await self._begin()
        now = time.monotonic()
        self._look(await self._store.loaded())
        if now >= self._not_before:
            try:
                if await self._live():
                    return True
                if self._place.gaps and now >= self._gap_not_before:
                    await self._fill()
                    return True
            except _AwayError:
                return True
        return await self._count()

    async def _begin(self) -> None:
        known = await asyncio.to_thread(self._places.load, self.cursor_name)
        loaded = await self._store.loaded()
        self._place = known or Place(loaded if self._limits.from_now else 0)
        if known is None:
            await asyncio.to_thread(self._places.save, self.cursor_name, None, self._place)
        self._saved = self._place
        self._newest = max(self._newest, loaded, self._place.head)
        self._due.appendleft((loaded, float("-inf")))

    def _look(self, loaded: int) -> None:
        self._reader.refilled |= loaded < self._newest
        self._newest = max(self._newest, loaded)
        while self._due and self._due[0][0] <= self._place.head:
            self._due.popleft()

    def _late_s(self) -> float:
        waiting = next((at for seq, at in self._due if seq > self._place.head), None)
        return 0.0 if waiting is None else min(time.monotonic() - waiting, 1e9)

    async def _live(self) -> bool:
        """Write what came in; return False if there is nothing.

        If one batch does not reach what waits too long already, the head jumps over all that does: it is a gap then.
        """
        seq, batch = await self._store.since(self._place.head, BATCH_ROWS)
        now = time.monotonic()
        late = [upto for upto, at in self._due if now - at > LATE_S]
        if late and seq < late[-1]:
            self._place = self._place.skip_to(late[-1]).bounded(_MOST_GAPS)
            seq, batch = await self._store.since(self._place.head, BATCH_ROWS)
        if seq <= self._place.head:
            return False
        await self._write(batch, self._place.head, 0)
        await self._save(Place(seq, self._place.gaps, self._place.dropped))
        return True

    async def _fill(self) -> None:
        """Write a slice of the oldest gap, then leave the server alone for as long as it took."""
        piece = self._piece = self._piece or await self._reader.piece(
            self._place.gaps[0], 1 if self._last_error else BATCH_ROWS
        )
        rows = piece.batch.take(slice(piece.at, piece.at + self._slice))
        began = time.monotonic()
        await self._write(rows, piece.before, piece.at)
        took = time.monotonic() - began
        self._gap_not_before = time.monotonic() + took
        if len(rows) == self._slice:
            fitting = len(rows) / max(took, 1e-4) * _SLICE_S
            self._slice = int(np.clip(fitting, _LEAST_SLICE, min(2 * self._slice, _MOST_SLICE)))
        piece.at += len(rows)
        if piece.at >= len(piece.batch):
            self._piece = None
            await self._save(self._place.filled(piece.seq, piece.counts))

    async def _count(self) -> bool:
        """Count some of what waits and give up what is too much or too old; return False if there was nothing."""
        at = next((place for place, gap in enumerate(self._place.gaps) if gap.rows is None), None)
        began = time.monotonic()
        if at is None or began < self._count_not_before or (at == 0 and self._piece is not None):
            return False
        gap = self._place.gaps[at]
        fine = max(self._limits.most_rows // _PIECES, 1)
        seq, batch = await self._reader.read(gap.after, gap.upto, min(_COUNT_ROWS, fine))
        if len(batch):
            self._newest_us = max(self._newest_us, int(batch.received_time.max()))
        newest_us = int(batch.received_time.max()) if len(batch) else self._newest_us
        place = self._place.counted_part(at, seq, self._reader.count(batch), newest_us)
        fitted = place.fitted(self._newest_us, self._limits.most_age_us, self._limits.most_rows)
        if fitted.dropped != place.dropped:
            self._say_dropped(place, fitted)
            self._piece = None
        self._place = fitted.bounded(_MOST_GAPS)
        now = time.monotonic()
        self._count_not_before = now + max(now - began, _COUNT_EVERY_S if now >= self._not_before else 0.0)
        if now >= self._saved_at + _SAVE_EVERY_S or fitted.dropped != place.dropped:
            await self._save(self._place)
        return True

    def _say_dropped(self, before: Place, after: Place) -> None:
        new = [now - then for now, then in zip(after.dropped, before.dropped, strict=True)]
        told = ", ".join(f"{count} of class {letter}" for letter, count in zip(CLASSES, new, strict=True) if count)
        _LOG.warning(
            "output %s: too much waits for too long; not streamed any more, but kept in the store: %s",
            self._output.name,
            told,
        )

    async def _write(self, batch: ReadingBatch, seq: int, offset: int) -> None:
        if not len(batch):
            return
        try:
            written = await self._output.write(batch)
        except Exception as error:  # whatever it was, the readings stay where they are
            self._failed(error)
            raise _AwayError from error
        self._recovered()
        if written.rejected:
            letters = self._letters(batch, written.rejected, offset)
            await asyncio.to_thread(self._put_rejected, self._output.name, seq, letters)
        self._written += written.accepted
        self._rejected += len(written.rejected)

    async def _save(self, place: Place) -> None:
        saving = asyncio.create_task(asyncio.to_thread(self._places.save, self.cursor_name, self._saved, place))
        try:
            await asyncio.shield(saving)
        finally:
            # A forwarder that ends must not write after the one that follows it has begun.
            await asyncio.wait([saving])
        self._place = self._saved = place
        self._saved_at = time.monotonic()

    def _letters(
        self, batch: ReadingBatch, rejected: Sequence[tuple[int, str]], offset: int
    ) -> list[tuple[int, DeadLetter]]:
        """Return letters of refused rows; of very many at once only the first, so that others keep their place."""
        letters: list[tuple[int, DeadLetter]] = []
        more = len(rejected) - _MOST_LETTERS
        for row, reason in rejected[:_MOST_LETTERS]:
            one = batch.take(slice(row, row + 1))
            text = f"{one.value[0]!r} q={one.quality[0]} {one.source_time[0]}".encode()
            said = f"({more} more at once) {reason}" if more > 0 and not letters else reason
            letter = DeadLetter(self.cursor_name, self._names(one)[0], text, said, int(one.received_time[0]))
            letters.append((offset + row, letter))
        return letters

    async def _wait_for_news(self) -> None:
        now = time.monotonic()
        moments = (self._not_before, self._gap_not_before, self._count_not_before)
        waits = [at - now for at in moments if at > now]
        try:
            async with asyncio.timeout(min([1.0, *waits])):
                await self._news.wait()
        except TimeoutError:
            return
        self._news.clear()

    def _failed(self, error: Exception) -> float:
        """Note a failure; return how many seconds to leave the output alone."""
        if not self._last_error:
            self._away_since = time.monotonic()
            unknown = None if isinstance(error, GatewayError) else error
            _LOG.warning("output %s: readings wait in the store: %s", self._output.name, error, exc_info=unknown)
        self._last_error = str(error) or type(error).__name__
        self._permanent = isinstance(error, PermanentError)
        self._piece = None
        wait_s = self._backoff.next()
        if self._permanent:
            wait_s = max(wait_s, self._permanent_s)
        elif isinstance(error, TransientError) and error.retry_after_s is not None:
            wait_s = max(wait_s, min(error.retry_after_s, _LONGEST_TOLD_S))
        self._not_before = time.monotonic() + wait_s
        return wait_s

    def _recovered(self) -> None:
        if self._last_error:
            _LOG.warning("output %s: accepts readings again", self._output.name)
        self._last_error, self._permanent = "", False
        self._backoff.reset()
