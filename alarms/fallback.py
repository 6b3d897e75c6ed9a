"""The other way: what the receiver of its class has not confirmed in time goes to a second one as well.

A worker of its own, so that a stuck outbox cannot hold it up. It looks at rows only: age and cause of an unconfirmed
`open`. The first way goes on meanwhile; its late success is the same ticket by its key. Whoever took a ticket this way
gets what follows for it, too, until the ticket has ended.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from alarms.tickets.commands import message_id
from alarms.tickets.lanes import LANES, Lane
from alarms.tickets.sending import Sending, send
from gateway.errors import TransientError
from gateway.model.ticket import (
    Command,
    Confirmed,
    DeliveryState,
    Misconfigured,
    Outcome,
    Refused,
    TicketClass,
    Unknown,
)
from gateway.ports import TicketSink
from gateway.store import delivery_rows, endpoint_rows, outbox_rows
from gateway.store.delivery_rows import FallbackRow
from gateway.store.state import State

LOOK_EVERY_S = 0.5
JITTER = 0.2
FOLLOW_UP_TRIES = 20
"""so often a command that follows is tried, before those behind it go on without it"""
_log = logging.getLogger(__name__)


class FallbackWorker:
    """The one sender of a site's fallbacks; run it in the process of the outbox, and there once."""

    def __init__(
        self,
        state: State,
        sinks: Mapping[str, TicketSink],
        ways: Mapping[TicketClass, Sequence[str]],
        *,
        lanes: Mapping[TicketClass, Lane] = LANES,
        working: Callable[[], bool] = lambda: True,
        wall: Callable[[], float] = time.time,
        rng: random.Random | None = None,
    ) -> None:
        """Remember the other ways of each class, by the names of their sinks; all of a class are tried.

        `working` tells whether it is a working hour now, for the lanes that wait for one.
        """
        self._state, self._sinks, self._ways = state, sinks, ways
        self._lanes, self._wall, self._working = lanes, wall, working
        self._rng = rng or random.Random()  # noqa: S311 - jitter, not a secret
        self._sending: set[int] = set()

    async def run(self) -> None:
        """Send until cancelled; does nothing where no class has another way."""
        tasks = set[asyncio.Task[None]]()
        broken = False
        try:
            while any(self._ways.values()):
                try:
                    for row, command in await asyncio.to_thread(self._due):
                        if row.id not in self._sending:
                            self._sending.add(row.id)
                            task = asyncio.create_task(self._settle(row, command), name=f"fallback {row.id}")
                            tasks.add(task)
                            task.add_done_callback(tasks.discard)
                    broken = False
                except TransientError as error:
                    if not broken:
                        _log.warning("fallbacks cannot be read: %s", error)
                    broken = True
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _due(self) -> list[tuple[FallbackRow, Command]]:
        now = self._wall()
        with self._state.read() as connection:
            off = endpoint_rows.switched_off(connection)
            wanted = [
                (number, name)
                for ticket_class, names in self._ways.items()
                for name in names
                for number in delivery_rows.tickets_to_fall_back(
                    connection, ticket_class, name, wall_before_s=now - self._patience_s(self._lanes[ticket_class])
                )
            ]
        if wanted:
            with self._state.write() as connection:
                for number, name in wanted:
                    _log.warning("ticket %s is not confirmed; it goes to %s as well", number, name)
                    delivery_rows.add_fallback(connection, number, name, message_id(now), wall_now_s=now)
        with self._state.read() as connection:
            rows = delivery_rows.due_fallbacks(connection, wall_now_s=now)
            rows += delivery_rows.due_follow_ups(connection, wall_now_s=now)
            rows = [row for row in rows if row.sink in self._sinks and row.sink not in off]
            found = ((row, _next_command(outbox_rows.outbox_of(connection, row.ticket_no), row)) for row in rows)
            return [(row, command) for row, command in found if command is not None]

    def _patience_s(self, lane: Lane) -> float:
        """Return how long nothing is lost yet; without a limit, or at night, only what is hopeless goes another way."""
        if lane.fallback_after_s is None or (lane.fallback_when_open and not self._working()):
            return float("inf")
        return lane.fallback_after_s

    async def _settle(self, row: FallbackRow, command: Command) -> None:
        try:
            lane = self._lanes[command.ticket_class]
            try:
                # a process that died while it sent leaves the row as it was: it is looked up before it is sent again
                state = DeliveryState.UNKNOWN if command.command == "open" else DeliveryState.PENDING
                outcome = await send(self._sinks[row.sink], Sending(command, state, row.attempts), lane)
            except Exception:  # noqa: BLE001 - one broken sink must not end the others
                _log.exception("ticket %s: the sink %s failed", row.ticket_no, row.sink)
                outcome = Unknown("the sink failed; see the log")
            await asyncio.to_thread(self._store, row, command, outcome, lane)
        except TransientError as error:
            _log.warning("fallback of %s: outcome not stored: %s", row.ticket_no, error)
        finally:
            self._sending.discard(row.id)

    def _store(self, row: FallbackRow, command: Command, outcome: Outcome, lane: Lane) -> None:
        now, tries = self._wall(), row.attempts + 1
        gap = lane.gaps_s[-1] if isinstance(outcome, Misconfigured) else lane.gaps_s[min(tries, len(lane.gaps_s)) - 1]
        later = now + gap * self._rng.uniform(1.0 - JITTER, 1.0 + JITTER)
        with self._state.write() as connection:
            if isinstance(outcome, Misconfigured) and outcome.gone:
                endpoint_rows.switch_off(connection, row.sink, outcome.reason, wall_now_s=now)
            if command.command != "open":
                done = isinstance(outcome, Confirmed | Refused) or tries >= FOLLOW_UP_TRIES
                reason = "" if isinstance(outcome, Confirmed) else outcome.reason
                delivery_rows.settle_follow_up(
                    connection,
                    row.id,
                    sent_no=command.command_no if done else None,
                    attempts=0 if done else tries,
                    next_at=now if done else later,
                    error=reason,
                )
            elif isinstance(outcome, Confirmed):
                delivery_rows.settle_fallback(connection, row.id, DeliveryState.CONFIRMED, attempts=0, next_at=now)
            else:
                state = DeliveryState.DEAD if isinstance(outcome, Refused) else DeliveryState.UNKNOWN
                delivery_rows.settle_fallback(
                    connection, row.id, state, attempts=tries, next_at=later, error=outcome.reason
                )


def _next_command(rows: Sequence[outbox_rows.OutboxRow], fallback: FallbackRow) -> Command | None:
    """Return what the other receiver gets next, under an id of its own that stays the same on every try.

    First the ticket's `open`, saying why it comes; once that is there, all that follows in its order.
    """
    opened = next((row for row in rows if row.command.command == "open"), None)
    if opened is None:
        return None
    told = {"instead_of": opened.sink, "reason": opened.last_error or "not confirmed in time"}
    if fallback.state is not DeliveryState.CONFIRMED:
        command, webhook_id = opened.command, fallback.webhook_id
    else:
        after = max(fallback.sent_no or 0, opened.command.command_no)
        following = [row.command for row in rows if row.command.command_no > after]
        if not following:
            return None
        command = following[0]
        webhook_id = f"{fallback.webhook_id}-{command.command_no}"
    return replace(command, webhook_id=webhook_id, body={**command.body, "fallback": told})
