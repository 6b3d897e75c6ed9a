"""The bytes of one connection to Modbus devices, and which of them answer the question that waits."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import cast
from weakref import WeakKeyDictionary

from collectors.modbus_frames import Framing, Question, WrongReplyError
from gateway.ports import Clock

_MOST_LATE = 64
"""Replies that may still come on one connection; older ones will not."""
_GROUP = 8
"""Questions that go out together at most: the first device shall not wait for the last question."""
_LAST_TURNS = 2
"""Turns of the loop in which a reply that the system holds already reaches its question."""


class _Outbox:
    """Lets the questions of all links go out in small groups, at the latest in the next turn of the loop.

    A single one wakes somebody up: the system, or the other side where it is on the same machine. Many links that are
    polled at once do so much more cheaply for some questions together.
    """

    def __init__(self) -> None:
        self._waiting: list[Callable[[], None]] = []

    def put(self, send: Callable[[], None]) -> None:
        """Take one question."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append(send)
        if len(self._waiting) >= _GROUP:
            self._flush()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for send in waiting:
            send()


_outboxes: WeakKeyDictionary[asyncio.AbstractEventLoop, _Outbox] = WeakKeyDictionary()


def _outbox_of(loop: asyncio.AbstractEventLoop) -> _Outbox:
    return _outboxes.get(loop) or _outboxes.setdefault(loop, _Outbox())


class Wire(asyncio.Protocol):
    """The bytes of one connection: what comes answers the question that waits, or is stray."""

    def __init__(self, framing: Framing, clock: Clock) -> None:
        """Make a wire that is not connected yet."""
        self.lost = True
        self.stray_at = -math.inf
        """when bytes came that nobody waited for, in monotonic seconds"""
        self.heard = False
        """whether anything came since this was last set to False"""
        self._framing = framing
        self._clock = clock
        self.loop = asyncio.get_running_loop()
        self._outbox = _outbox_of(self.loop)
        self._transport: asyncio.WriteTransport | None = None
        self._buffer = bytearray()
        self._question: Question | None = None
        self._transaction = 0
        self._waiting: asyncio.Future[tuple[bytes, int]] | None = None
        self._deadline = math.inf
        self._timer: asyncio.TimerHandle | None = None
        self._late: deque[bytes] = deque(maxlen=_MOST_LATE)
        """how the frames of replies begin that may still come"""

    @property
    def is_clean(self) -> bool:
        """True if bytes came, and none of them is a part of a frame that is not whole."""
        return self.heard and not self._buffer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; called by asyncio."""
        self._transport = cast("asyncio.WriteTransport", transport)
        self.lost = False

    def connection_lost(self, exc: Exception | None) -> None:
        """End; called by asyncio."""
        self.lost = True
        self._fail(ConnectionResetError(f"connection lost: {exc}" if exc else "connection closed by the other side"))

    def data_received(self, data: bytes) -> None:
        """Look for the reply; called by asyncio."""
        self.heard = True
        waiting = self._waiting
        if waiting is None or waiting.done() or self._question is None:
            self.stray_at = time.monotonic()
            return
        buffer = self._buffer
        buffer += data
        try:
            reply, used = self._framing.find(buffer, self._question, self._transaction)
        except WrongReplyError as error:
            self._fail(error)
            return
        del buffer[:used]
        if reply is not None:
            if any(mark in reply + buffer for mark in self._late):
                self._fail(WrongReplyError("a reply that was cut short, and a late one behind it"))
                return
            waiting.set_result((reply, self._clock.now_us()))
            if buffer:
                self.stray_at = time.monotonic()

    def ask(self, question: Question, transaction: int, wait_s: float) -> asyncio.Future[tuple[bytes, int]]:
        """Send a question; the future gives the PDU of its reply and when it came, in us UTC.

        It raises WrongReplyError, OSError, or TimeoutError after `wait_s` seconds.
        """
        self._buffer.clear()
        self._question, self._transaction = question, transaction
        self._waiting = waiting = self.loop.create_future()
        self._outbox.put(partial(self._send, waiting, self._framing.pack(question, transaction), wait_s))
        return waiting

    def _send(self, waiting: asyncio.Future[tuple[bytes, int]], frame: bytes, wait_s: float) -> None:
        if self._transport is not None and not waiting.done():
            self._transport.write(frame)
            self._end_after(wait_s)

    def _end_after(self, wait_s: float) -> None:
        """Set the moment to give up; one timer serves many questions, since nearly all are answered in time."""
        self._deadline = self.loop.time() + wait_s
        if self._timer is not None and self._timer.when() > self._deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self.loop.call_at(self._deadline, self._ring)

    def _ring(self) -> None:
        self._timer = None
        waiting = self._waiting
        if waiting is None or waiting.done():
            return
        if self.loop.time() >= self._deadline:
            self._give_up(waiting, _LAST_TURNS)
        else:
            self._timer = self.loop.call_at(self._deadline, self._ring)

    def _give_up(self, waiting: asyncio.Future[tuple[bytes, int]], turns: int) -> None:
        """Let a question time out, after `turns` of the loop.

        Where the loop itself was late, the reply may lie in the system already: it comes in the next turn.
        """
        if waiting.done():
            return
        if turns:
            self.loop.call_soon(self._give_up, waiting, turns - 1)
        else:
            self._expect_late()
            waiting.set_exception(TimeoutError("no reply"))

    def _expect_late(self) -> None:
        """Remember that the question which waits may be answered when nobody waits any more."""
        if self._framing.has_ids:
            self._late.append(self._transaction.to_bytes(2, "big") + b"\0\0")

    def close(self) -> None:
        """Let the connection go at once."""
        self.lost = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, error: Exception) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)
