"""Takes what the collectors deliver, makes it durable in groups, and only then acknowledges it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from gateway.errors import TransientError
from gateway.model.reading import ReadingBatch, Reason, Severity, quality
from gateway.ports import Clock, Delivery, Spool, SpoolRecord
from gateway.runtime.accounting import Accounting
from gateway.runtime.delays import Delays
from gateway.runtime.room import Room

_LOG = logging.getLogger(__name__)
GROUP_S = 0.005
GROUP_DELIVERIES = 1_000
GROUP_BYTES = 256 * 1024
_GROUPS_WAITING = 2
_ROW_BYTES = 29
_ACKS_WITHIN_S = 10.0
AHEAD_US = 300_000_000
"""A source time further ahead of the arrival than this cannot be right."""
_AHEAD = quality(Severity.UNCERTAIN, Reason.CLOCK_AHEAD)
_BAD_FROM = quality(Severity.BAD)


class _Waiting(NamedTuple):
    delivery: Delivery
    size: int
    since_s: float


class Intake:
    """Group commit in front of the spool; one task runs `run`, many call `put`.

    A group ends with the first of 5 ms, 1,000 deliveries and 256 KiB. Two groups may wait; then `put` waits, MQTT
    sources stop being read and polls are counted as overrun. While the disk is full, or all that is left of it is
    reserved for others, nothing is acknowledged, the same group is tried every `retry_s` real seconds, and `healthy`
    is False with its `reason`.
    """

    def __init__(
        self,
        spool: Spool,
        clock: Clock,
        on_record: Callable[[SpoolRecord], None],
        *,
        accounting: Accounting | None = None,
        room: Room | None = None,
        retry_s: float = 5.0,
    ) -> None:
        """Make one.

        `on_record` is called in order, on the loop, for every record that is on disk; `room` may refuse readings, or
        let all wait.
        """
        self.accounting = accounting or Accounting()
        self.healthy = True
        self.reason = ""
        self.unhealthy_since_us: int | None = None
        self.acks_failed = 0
        self.commit_delays, self.ack_delays = Delays(), Delays()
        """of the oldest delivery of each group, from `put` until it was on disk, and until it was acknowledged"""
        self.accounting.live_after = spool.last_seq()
        self._spool, self._clock, self._on_record, self._retry_s = spool, clock, on_record, retry_s
        self._room = room
        self._waiting: deque[_Waiting] = deque()
        self._bytes = 0
        self._closing = False
        self._idle = True
        # one loop: events that are set where something changes, so that a put wakes nobody without need
        self._something, self._full = asyncio.Event(), asyncio.Event()
        self._taken, self._settled = asyncio.Event(), asyncio.Event()

    async def put(self, delivery: Delivery) -> None:
        """Queue a delivery; waits while two groups are queued. Returns before it is on disk: `ack` tells that."""
        delivery = self._without_refused(_judge_clock(delivery))
        while not self._has_room():
            self._taken.clear()
            await self._taken.wait()
        one = _Waiting(delivery, _size_of(delivery), asyncio.get_running_loop().time())
        self._waiting.append(one)
        self._bytes += one.size
        self.accounting.received(delivery.source, len(delivery.batch) + len(delivery.dead))
        self._something.set()
        if self._group_is_full():
            self._full.set()

    async def run(self) -> None:
        """Commit group after group until cancelled, or until `close` has emptied the queue."""
        while await self._something_waits():
            since_s = self._waiting[0].since_s
            group = await self._gather()
            record = await self._commit(group)
            self.commit_delays.add(asyncio.get_running_loop().time() - since_s)
            self._account(group, record)
            self._on_record(record)
            await self._acknowledge(group)
            self.ack_delays.add(asyncio.get_running_loop().time() - since_s)
            self._idle = True
            self._settled.set()

    @property
    def queued(self) -> int:
        """Return how many deliveries wait for their group."""
        return len(self._waiting)

    async def drained(self) -> None:
        """Return when everything that was put is on disk and acknowledged."""
        while self._waiting or not self._idle:
            self._settled.clear()
            await self._settled.wait()

    async def close(self) -> None:
        """Let `run` end once the queue is empty; may be called twice."""
        self._closing = True
        self._something.set()
        self._full.set()

    def _without_refused(self, delivery: Delivery) -> Delivery:
        refused = None if self._room is None else self._room.refused(delivery.batch)
        if refused is None:
            return delivery
        self.accounting.refused(delivery.source, int(np.count_nonzero(refused)))
        return Delivery(delivery.source, delivery.batch.take(~refused), delivery.dead, delivery.digest, delivery.ack)

    def _has_room(self) -> bool:
        few = len(self._waiting) < _GROUPS_WAITING * GROUP_DELIVERIES
        return not self._waiting or (few and self._bytes < _GROUPS_WAITING * GROUP_BYTES)

    def _group_is_full(self) -> bool:
        return self._closing or len(self._waiting) >= GROUP_DELIVERIES or self._bytes >= GROUP_BYTES

    async def _something_waits(self) -> bool:
        while not self._waiting and not self._closing:
            self._something.clear()
            await self._something.wait()
        return bool(self._waiting)

    async def _gather(self) -> list[Delivery]:
        """Return the next group: what waited while the last one was written need not wait for company again."""
        if not self._group_is_full():
            self._full.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._waiting[0].since_s + GROUP_S):
                    await self._full.wait()
        self._idle = False
        group: list[Delivery] = []
        size = 0
        while self._waiting and len(group) < GROUP_DELIVERIES and size < GROUP_BYTES:
            one = self._waiting.popleft()
            group.append(one.delivery)
            size += one.size
        self._bytes -= size
        self._taken.set()
        return group

    async def _commit(self, group: Sequence[Delivery]) -> SpoolRecord:
        while True:
            try:
                if self._room is not None:
                    self._room.check()
                record = await asyncio.to_thread(self._spool.append, group)
            except TransientError as error:
                if self.healthy:
                    _LOG.error("nothing can be stored, sources have to wait: %s", error)
                    self.unhealthy_since_us = self._clock.now_us()
                self.healthy, self.reason = False, str(error)
                await asyncio.sleep(self._retry_s)
                continue
            if not self.healthy:
                _LOG.warning("readings are stored again")
                self.healthy, self.reason, self.unhealthy_since_us = True, "", None
            return record

    def _account(self, group: Sequence[Delivery], record: SpoolRecord) -> None:
        again = set(record.redelivered)
        shares: list[tuple[str, int, int]] = []
        for position, one in enumerate(group):
            rows, dead = len(one.batch), len(one.dead)
            if position in again:
                self.accounting.redelivered(one.source, rows + dead)
            elif shares and shares[-1][0] == one.source:
                shares[-1] = (one.source, shares[-1][1] + rows, shares[-1][2] + dead)
            else:
                shares.append((one.source, rows, dead))
        self.accounting.committed(record.seq, shares)

    async def _acknowledge(self, group: Sequence[Delivery]) -> None:
        """Acknowledge in order of arrival. One that fails is sent again by its source and recognised then."""
        for one in group:
            if one.ack is None:
                continue
            try:
                async with asyncio.timeout(_ACKS_WITHIN_S):
                    await one.ack()
            except Exception as error:  # noqa: BLE001 - a collector's fault must not stop the others
                self.acks_failed += 1
                _LOG.debug("an acknowledgement to %s failed: %s", one.source, error)


def _size_of(delivery: Delivery) -> int:
    return 64 + len(delivery.batch) * _ROW_BYTES + sum(len(letter.payload) + 128 for letter in delivery.dead)


def _judge_clock(delivery: Delivery) -> Delivery:
    """Mark readings that claim to come from the future; their times stay as they are."""
    batch = delivery.batch
    ahead = (batch.source_time > batch.received_time + AHEAD_US) & (batch.quality < _BAD_FROM)
    if not ahead.any():
        return delivery
    marks = np.where(ahead, np.uint8(_AHEAD), batch.quality).astype(np.uint8)
    marked = ReadingBatch(batch.point, batch.source_time, batch.received_time, batch.value, marks)
    return Delivery(delivery.source, marked, delivery.dead, delivery.digest, delivery.ack)
