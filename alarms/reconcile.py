"""Holds our tickets against the ticketing systems': what was pushed is never trusted alone.

Every minute all that changed there, and every open emergency by its key; each night everything. What differs is
taken over, sent again or kept for people, and always counted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from alarms.acts import AlarmDesk
from alarms.tickets.takeover import TakeOver
from gateway.errors import GatewayError, TransientError
from gateway.model.ticket import DifferenceKind, ExternalTicket, Ticket, TicketClass
from gateway.ports import TicketSink
from gateway.store import delivery_rows, ticket_rows
from gateway.store.state import Transaction

EVERY_S = 60.0
GAPS_EVERY_S = 2.0
NIGHT_HOUR = 2
"""local hour in which everything is compared"""
AT_START_S = 30.0
"""how long the start of judging waits for tickets that a restored state does not know"""
YOUNG_S = 10.0
"""a ticket confirmed less than this ago may not be listed yet"""
BATCH = 100
LOOKUPS_AT_ONCE = 4
_log = logging.getLogger(__name__)


class Reconciler:
    """The one comparer of a site; run it in the process of the outbox. Real seconds, except for what is written."""

    def __init__(
        self, desk: AlarmDesk, sinks: Mapping[str, TicketSink], *, wall: Callable[[], float] = time.time
    ) -> None:
        """Remember the parts; nothing is asked yet."""
        self._desk, self._sinks, self._wall = desk, sinks, wall
        self._silent: set[str] = set()

    async def run(self) -> None:
        """Compare until cancelled."""
        next_round = 0.0
        while True:
            try:
                await self.fill_gaps()
                if time.monotonic() >= next_round:
                    next_round = time.monotonic() + EVERY_S
                    await self.round(full=await asyncio.to_thread(self._night_is_due))
            except TransientError as error:
                _log.warning("tickets cannot be compared now: %s", error)
            await asyncio.sleep(GAPS_EVERY_S)

    async def after_restoration(self) -> None:
        """Import open tickets that a restored state does not know, for a limited time; do nothing otherwise."""
        restored = await asyncio.to_thread(self._desk.state.restoration)
        if restored is None:
            return
        names = [name for name in self._sinks if await asyncio.to_thread(self._pulled_s, name) < restored.at / 1e6]
        if not names:
            return
        try:
            async with asyncio.timeout(AT_START_S):
                await self.round(full=True, only=names)
        except TimeoutError:
            _log.warning("not all tickets of the restored state were imported in %.0f s; going on", AT_START_S)

    async def round(self, *, full: bool, only: Sequence[str] | None = None) -> None:
        """Compare with every ticketing system once; one that cannot be reached is left for the next round."""
        done = True
        for name, sink in self._sinks.items():
            if only is not None and name not in only:
                continue
            try:
                await self._with(name, sink, full=full)
                if name in self._silent:
                    _log.info("%s can be compared with again", name)
                self._silent.discard(name)
            except GatewayError as error:
                done = False
                if name not in self._silent:
                    _log.warning("%s cannot be compared with: %s", name, error)
                self._silent.add(name)
        if full and done:
            await asyncio.to_thread(self._keep, "night", {"day": self._local().date().isoformat()})

    async def fill_gaps(self) -> None:
        """Ask for steps that were passed over."""
        for number in await asyncio.to_thread(self._tickets_with_gaps):
            ticket = await asyncio.to_thread(self._ticket, number)
            name = "" if ticket is None else self._desk.policy.sinks.get(ticket.ticket_class, "")
            sink = self._sinks.get(name)
            if ticket is None or sink is None or not sink.capabilities.lookup:
                await asyncio.to_thread(self._settle_gap, number, "nobody can be asked")
                continue
            try:
                found = await sink.lookup(ticket.dedup_key)
            except GatewayError:
                continue  # the next look asks again
            if found is not None:
                await asyncio.to_thread(self._take, name, [found])
            await asyncio.to_thread(self._settle_gap, number, "asked for")

    async def _with(self, name: str, sink: TicketSink, *, full: bool) -> None:
        begun_s, seen = self._wall(), set[str]()
        if sink.capabilities.pull:
            seen = await self._pull(name, sink, full=full)
        if not sink.capabilities.lookup:
            return
        # a night without a list looks every ticket up; with one only those that it left out
        classes = tuple(TicketClass) if full else (TicketClass.EMERGENCY,)
        mine = await asyncio.to_thread(self._confirmed, name, classes, begun_s - YOUNG_S)
        doubtful = [ticket for ticket in mine if ticket.dedup_key not in seen]
        turn = asyncio.Semaphore(LOOKUPS_AT_ONCE)

        async def look(ticket: Ticket) -> ExternalTicket | None:
            async with turn:
                return await sink.lookup(ticket.dedup_key)

        for start in range(0, len(doubtful), BATCH):
            asked = doubtful[start : start + BATCH]
            answers = await asyncio.gather(*(look(ticket) for ticket in asked), return_exceptions=True)
            await asyncio.to_thread(self._take, name, [one for one in answers if isinstance(one, ExternalTicket)])
            for ticket, answer in zip(asked, answers, strict=True):
                if isinstance(answer, BaseException):
                    raise answer
                if answer is None:
                    _log.error("ticket %s has vanished from %s; sending it again", ticket.ticket_no, name)
                    await asyncio.to_thread(self._vanished, name, ticket)

    async def _pull(self, name: str, sink: TicketSink, *, full: bool) -> set[str]:
        """Take all that changed over and return the keys that were listed."""
        known = await asyncio.to_thread(self._fact, name)
        cursor = "" if full else str(known.get("cursor", ""))
        seen = set[str]()
        batch: list[ExternalTicket] = []
        async for change in sink.changed_since(cursor):
            seen.add(change.ticket.dedup_key)
            batch.append(change.ticket)
            cursor = change.cursor
            if len(batch) >= BATCH:
                await asyncio.to_thread(self._take, name, batch)
                batch = []
        await asyncio.to_thread(self._take, name, batch)
        await asyncio.to_thread(self._keep, name, {"cursor": cursor, "at": self._wall()})
        return seen

    def _take(self, name: str, externals: Sequence[ExternalTicket]) -> None:
        with self._desk.state.write() as connection:
            work = self._work(connection, name)
            for external in externals:
                work.take(external)

    def _vanished(self, name: str, ticket: Ticket) -> None:
        with self._desk.state.write() as connection:
            now = ticket_rows.find_ticket(connection, ticket.ticket_no)
            if now is not None and now.state not in ticket_rows.ENDED:
                self._work(connection, name).vanished(now)

    def _work(self, connection: Transaction, name: str) -> TakeOver:
        desk = self._desk
        return TakeOver(
            connection, name, desk.network, dict(desk.definitions), desk.policy, desk.clock.now(), self._wall()
        )

    def _confirmed(self, name: str, classes: Sequence[TicketClass], before_s: float) -> list[Ticket]:
        with self._desk.state.read() as connection:
            return ticket_rows.list_confirmed(connection, name, classes, wall_before_s=before_s)

    def _tickets_with_gaps(self) -> list[str]:
        with self._desk.state.read() as connection:
            return delivery_rows.tickets_with(connection, DifferenceKind.GAP)

    def _settle_gap(self, number: str, outcome: str) -> None:
        with self._desk.state.write() as connection:
            delivery_rows.settle_differences(
                connection, number, [DifferenceKind.GAP], at=self._desk.clock.now(), outcome=outcome
            )

    def _ticket(self, number: str) -> Ticket | None:
        with self._desk.state.read() as connection:
            return ticket_rows.find_ticket(connection, number)

    def _fact(self, name: str) -> Mapping[str, object]:
        with self._desk.state.read() as connection:
            return delivery_rows.pull_cursor(connection, name)

    def _keep(self, name: str, fact: Mapping[str, object]) -> None:
        with self._desk.state.write() as connection:
            delivery_rows.keep_pull_cursor(connection, name, fact)

    def _pulled_s(self, name: str) -> float:
        at = self._fact(name).get("at", 0.0)
        return float(at) if isinstance(at, int | float) else 0.0

    def _night_is_due(self) -> bool:
        """Tell whether it is night, by real time, and nobody has compared everything today."""
        local = self._local()
        return local.hour >= NIGHT_HOUR and self._fact("night").get("day") != local.date().isoformat()

    def _local(self) -> datetime:
        return datetime.fromtimestamp(self._wall(), ZoneInfo(self._desk.policy.timezone))
