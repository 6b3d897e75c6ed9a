"""Delivers what the outbox holds: a lane per sink and class, so that a slow endpoint holds nobody else.

A command is leased (SENDING) in one transaction, sent, and settled in another. Whoever dies in between leaves it
SENDING, and the next start makes it UNKNOWN: looked up by key before it is sent again. Retries count real seconds.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence

from alarms.tickets.commands import message_id
from alarms.tickets.lanes import LANES, LOOKS_S, Lane
from alarms.tickets.sending import Collision, Sending, send
from gateway.errors import ConfigError, TransientError
from gateway.model.ticket import (
    Cause,
    Confirmed,
    DeliveryState,
    DifferenceKind,
    Misconfigured,
    Outcome,
    Refused,
    TicketClass,
    Unknown,
)
from gateway.ports import Clock, TicketSink
from gateway.store import delivery_rows, endpoint_rows, outbox_rows, ticket_rows
from gateway.store.change_watch import ChangeWatch
from gateway.store.state import State, Transaction

LOOK_EVERY_S = 0.05
REPEATS_EVERY_S = 0.25
"""while nothing new comes; what waits behind a command that is not confirmed yet is due, too, and found each time"""
SET_BACK_S = 2.0
"""a wall clock that loses more than this against real time was set back"""
AT_ONCE = 8
"""commands of one lane that may be under way together; never two of one ticket"""
JITTER = 0.2
_log = logging.getLogger(__name__)


def sinks_by_class(
    sinks: Mapping[str, TicketSink], classes: Mapping[str, Sequence[TicketClass]]
) -> dict[TicketClass, str]:
    """Return which sink gets which class: the first one that names it.

    Raises ConfigError if EMERGENCY would go to a sink that can neither create once by key nor look up.
    """
    chosen: dict[TicketClass, str] = {}
    for name, sink in sinks.items():
        able = sink.capabilities.create_once and sink.capabilities.lookup
        if TicketClass.EMERGENCY in classes[name] and not able:
            raise ConfigError([f"ticket_sink {name}: cannot take EMERGENCY: it cannot look up tickets by their key"])
        for ticket_class in classes[name]:
            chosen.setdefault(ticket_class, name)
    return chosen


class OutboxWorker:
    """The one deliverer of a site; run it in one process only."""

    def __init__(
        self,
        state: State,
        sinks: Mapping[str, TicketSink],
        clock: Clock,
        *,
        ways: Mapping[TicketClass, str] | None = None,
        lanes: Mapping[TicketClass, Lane] = LANES,
        wall: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        """Remember what to deliver with; `ways` says which sink gets which class, for what waits for none of them."""
        self._state, self._sinks, self._clock = state, sinks, clock
        self._ways = ways or {}
        self._lanes, self._wall = lanes, wall
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._outcomes: list[tuple[outbox_rows.OutboxRow, Outcome, asyncio.Future[None]]] = []
        self._to_store = asyncio.Event()
        self._awake = {(name, one): asyncio.Event() for name in sinks for one in lanes}

    async def run(self) -> None:
        """Deliver until cancelled. What was being sent when an earlier run ended is looked up first."""
        released, revived, adopted = await asyncio.to_thread(self._release)
        if released:
            _log.warning("%d commands were being sent when the last run ended; looking them up", released)
        if revived:
            _log.warning("%d commands were given up for wrong credentials or addresses; trying them again", revived)
        if adopted:
            _log.warning(
                "%d commands waited for a ticketing system that is not configured; they go another way", adopted
            )
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch(), name="outbox watch")
            group.create_task(self._keep_outcomes(), name="outbox outcomes")
            for name, ticket_class in self._awake:
                group.create_task(self._lane(name, ticket_class), name=f"outbox {name} {ticket_class.value}")

    def wake(self) -> None:
        """Look at once; call it in the loop's thread after a commit in the same process."""
        for event in self._awake.values():
            event.set()

    async def _watch(self) -> None:
        changes = ChangeWatch(self._state)
        try:
            await self._watch_for(changes)
        finally:
            changes.close()

    async def _watch_for(self, changes: ChangeWatch) -> None:
        newest, broken, repeat_at = -1, False, 0.0
        due: float | None = None
        ahead = self._wall() - time.monotonic()
        while True:
            try:
                if self._wall() - time.monotonic() < ahead - SET_BACK_S:
                    # what was to be repeated in a second must not wait for the hour that comes twice
                    _log.warning("the clock was set back; what waits is looked at now")
                    await asyncio.to_thread(self._bring_forward)
                ahead = self._wall() - time.monotonic()
                seen = newest
                if changes.changed():
                    seen, due = await asyncio.to_thread(self._signs)
                broken = False
            except TransientError as error:
                if not broken:
                    _log.warning("outbox cannot be read: %s", error)
                seen, due, broken = newest, None, True
                changes.again()
            repeats = due is not None and due <= self._wall() and time.monotonic() >= repeat_at
            if seen != newest or repeats:
                newest, repeat_at = seen, time.monotonic() + REPEATS_EVERY_S
                self.wake()
            await asyncio.sleep(LOOK_EVERY_S)

    async def _lane(self, name: str, ticket_class: TicketClass) -> None:
        awake, running = self._awake[name, ticket_class], set[asyncio.Task[None]]()
        try:
            while True:
                await awake.wait()
                awake.clear()
                room = AT_ONCE - len(running)
                for row in await self._due(name, ticket_class, room) if room else []:
                    task = asyncio.create_task(self._settle(row), name=f"outbox row {row.id}")
                    running.add(task)
                    task.add_done_callback(running.discard)
                    task.add_done_callback(lambda _: awake.set())
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _due(self, name: str, ticket_class: TicketClass, room: int) -> list[outbox_rows.OutboxRow]:
        try:
            return await asyncio.to_thread(self._lease_due, name, ticket_class, room)
        except TransientError as error:
            _log.warning("outbox cannot be leased: %s", error)
            return []

    async def _settle(self, row: outbox_rows.OutboxRow) -> None:
        """Send one leased command and store what came of it."""
        try:
            one = Sending(row.command, row.state, row.attempts, row.cause, row.external_id)
            outcome = await send(self._sinks[row.sink], one, self._lanes[row.command.ticket_class])
        except Exception:  # noqa: BLE001 - one broken sink must not end the lane
            _log.exception("ticket %s: the sink %s failed", row.command.ticket_no, row.sink)
            outcome = Unknown("the sink failed; see the log")
        stored = asyncio.get_running_loop().create_future()
        self._outcomes.append((row, outcome, stored))
        self._to_store.set()
        await stored

    async def _keep_outcomes(self) -> None:
        """Store what came of commands, all of a moment in one transaction: disks are slower than receivers."""
        while True:
            await self._to_store.wait()
            self._to_store.clear()
            batch, self._outcomes = self._outcomes, []
            try:
                await self._store_surely([(row, outcome) for row, outcome, _ in batch])
            except Exception:  # noqa: BLE001 - one odd outcome must not keep the others from being stored
                _log.exception("outcomes of %d commands cannot be stored together", len(batch))
                for row, outcome, _ in batch:
                    await self._store_alone(row, outcome)
            for _, _, stored in batch:
                if not stored.done():
                    stored.set_result(None)

    async def _store_alone(self, row: outbox_rows.OutboxRow, outcome: Outcome) -> None:
        """Store one outcome; one that cannot be stored must not keep those of other tickets from it."""
        try:
            await self._store_surely([(row, outcome)])
        except Exception:  # noqa: BLE001 - as above
            _log.exception("ticket %s: the outcome cannot be stored; looking it up later", row.command.ticket_no)
            await self._store_surely([(row, Unknown("the outcome could not be stored; see the log"))])

    async def _store_surely(self, batch: Sequence[tuple[outbox_rows.OutboxRow, Outcome]]) -> None:
        """Store outcomes, as often as the database is away."""
        while True:
            try:
                await asyncio.to_thread(self._store, batch)
            except TransientError as error:
                _log.warning("outcomes of %d commands not stored yet: %s", len(batch), error)
                await asyncio.sleep(1.0)
            else:
                return

    def _release(self) -> tuple[int, int, int]:
        with self._state.write() as connection:
            released = outbox_rows.release_leases(connection)
            for name in endpoint_rows.switched_off(connection):
                endpoint_rows.switch_on(connection, name, wall_now_s=self._wall())
            # a repaired configuration starts this role anew
            revived = outbox_rows.revive_misconfigured(connection, wall_now_s=self._wall())
            adopted = outbox_rows.adopt(connection, self._ways, list(self._sinks), wall_now_s=self._wall())
            return released, revived, adopted

    def _bring_forward(self) -> None:
        with self._state.write() as connection:
            outbox_rows.bring_forward(connection, wall_now_s=self._wall())

    def _signs(self) -> tuple[int, float | None]:
        """Return the newest command and when the next is due."""
        with self._state.read() as connection:
            return outbox_rows.outbox_signs(connection, list(self._sinks))

    def _lease_due(self, name: str, ticket_class: TicketClass, room: int) -> list[outbox_rows.OutboxRow]:
        """Lease at most `room` commands: whatever is leased here is sent."""
        with self._state.read() as connection:
            rows = outbox_rows.due_commands(connection, name, ticket_class, wall_now_s=self._wall())
        if not rows:
            return []
        with self._state.write() as connection:
            # asked here: a person may have switched it on since the rows were read
            off = endpoint_rows.switched_off(connection).get(name)
            if off is not None:
                for row in rows:
                    self._postpone(
                        connection, row, Misconfigured(f"switched off: {off.reason}", gone=True), self._wall()
                    )
                return []
            return [row for row in rows[:room] if outbox_rows.lease(connection, row.id)]

    def _store(self, batch: Sequence[tuple[outbox_rows.OutboxRow, Outcome]]) -> None:
        now = self._wall()
        with self._state.write() as connection:
            for row, outcome in batch:
                match outcome:
                    case Confirmed():
                        self._confirm(connection, row, outcome, now)
                    case Collision():
                        self._rekey(connection, row, now)
                    case _:
                        self._postpone(connection, row, outcome, now)

    def _postpone(
        self,
        connection: Transaction,
        row: outbox_rows.OutboxRow,
        outcome: Unknown | Refused | Misconfigured,
        wall_now_s: float,
    ) -> None:
        state, next_at, cause = self._next(row, outcome, wall_now_s)
        if cause is Cause.GONE:
            endpoint_rows.switch_off(connection, row.sink, outcome.reason, wall_now_s=wall_now_s)
        outbox_rows.set_delivery(
            connection, row.id, state, attempts=row.attempts + 1, next_at=next_at, error=outcome.reason, cause=cause
        )
        if state is DeliveryState.DEAD:
            _log.error("ticket %s: %s given up: %s", row.command.ticket_no, row.command.command, outcome.reason)

    def _confirm(
        self, connection: Transaction, row: outbox_rows.OutboxRow, outcome: Confirmed, wall_now_s: float
    ) -> None:
        now, number = self._clock.now(), row.command.ticket_no
        outbox_rows.set_confirmed(connection, row.id, attempts=row.attempts + 1, at=now, wall_now_s=wall_now_s)
        if row.command.command == "open":
            ticket_rows.set_external(connection, number, outcome.ticket.external_id, outcome.ticket.url)
            settled = (DifferenceKind.MISSING_THERE, DifferenceKind.COLLISION)
            delivery_rows.settle_differences(connection, number, settled, at=now, outcome="sent again and confirmed")

    def _rekey(self, connection: Transaction, row: outbox_rows.OutboxRow, wall_now_s: float) -> None:
        """Give a ticket a key of a new epoch: its own stands for something else at the receiver."""
        command = row.command
        site, _, rest = command.dedup_key.partition(":")
        name, _, number = site.rpartition(".")
        epoch = delivery_rows.raise_epoch(connection, int(number))
        key = f"{name}.{epoch}:{rest}"
        ids = [message_id(wall_now_s) for _ in outbox_rows.outbox_of(connection, command.ticket_no)]
        outbox_rows.rekey(connection, command.ticket_no, key, ids, wall_now_s)
        delivery_rows.note_difference(
            connection,
            DifferenceKind.COLLISION,
            sink=row.sink,
            dedup_key=command.dedup_key,
            ticket_no=command.ticket_no,
            external_id="",
            at=self._clock.now(),
            detail={"new_key": key},
        )
        _log.error("ticket %s: its key is in use at %s; sent again as %s", command.ticket_no, row.sink, key)

    def _next(
        self, row: outbox_rows.OutboxRow, outcome: Unknown | Refused | Misconfigured, now: float
    ) -> tuple[DeliveryState, float, Cause | None]:
        lane, tries = self._lanes[row.command.ticket_class], row.attempts + 1
        emergency = row.command.ticket_class is TicketClass.EMERGENCY
        cause = _cause(outcome, lane, now - row.wall_created_at)
        if (
            cause is Cause.GONE
            or isinstance(outcome, Refused)
            or (isinstance(outcome, Misconfigured) and not emergency)
        ):
            return DeliveryState.DEAD, now, cause
        too_old = lane.ends_after_s is not None and now - row.wall_created_at >= lane.ends_after_s
        if too_old or (lane.ends_after_attempts is not None and tries >= lane.ends_after_attempts):
            return DeliveryState.DEAD, now, Cause.TOO_LATE
        gaps = LOOKS_S if cause is Cause.ACCEPTED and tries <= len(LOOKS_S) else lane.gaps_s
        pause = gaps[min(tries, len(gaps)) - 1] * self._rng.uniform(1.0 - JITTER, 1.0 + JITTER)
        if isinstance(outcome, Unknown):
            # a receiver may ask for patience, but for no more than the class has: people wait for an emergency
            asked_s = min(outcome.retry_after_s or 0.0, lane.gaps_s[-1])
            return DeliveryState.UNKNOWN, now + max(pause, asked_s), cause
        return DeliveryState.RETRY, now + pause, cause


def _cause(outcome: Unknown | Refused | Misconfigured, lane: Lane, age_s: float) -> Cause | None:
    match outcome:
        case Refused():
            return Cause.REFUSED
        case Misconfigured(gone=True):
            return Cause.GONE
        case Misconfigured():
            return Cause.MISCONFIGURED
        case Unknown(retry_after_s=float(asked)) if lane.fallback_after_s is not None and not lane.fallback_when_open:
            return Cause.PATIENCE if age_s + asked > lane.fallback_after_s else None
        case Unknown(accepted=True):
            return Cause.ACCEPTED
        case _:
            return None
