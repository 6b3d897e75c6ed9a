"""The board that all pages watch: one task reads what changed and tells everybody the difference."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

from alarms.flood import Flood, FloodWatch
from api.deps import Parts
from api.services.views import MOST_ALARMS, AlarmView, TicketView, load_alarms, load_tickets
from gateway.errors import GatewayError
from gateway.store import report_rows, view_rows
from gateway.store.change_watch import ChangeWatch
from gateway.store.state import Transaction

POLL_S = 0.2
FULL_EVERY_S = 10.0
"""marks like "uncertain" change an alarm without a journal line; a full look finds them by their version"""
TICKETS_EVERY_S = 0.5
"""real seconds between two looks at tickets: their deliveries change in place, so each look reads them all"""
MOST_TICKETS = 500
SHOW_ENDED = timedelta(hours=4)
_CHANGED_AT_ONCE = 5000
FLOOD_LOOK_BACK_US = 86_400_000_000

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Change:
    """What is different since the change before; `number` counts changes."""

    number: int
    alarms: tuple[AlarmView, ...] = ()
    gone: tuple[str, ...] = ()
    tickets: tuple[TicketView, ...] = ()
    tickets_gone: tuple[str, ...] = ()
    findings: bool = False

    @cached_property
    def alarm_ids(self) -> frozenset[str]:
        """The alarms that differ or are gone."""
        return frozenset(self.gone).union(view.id for view in self.alarms)

    def __bool__(self) -> bool:
        """Tell whether anything is different."""
        return bool(self.alarms or self.gone or self.tickets or self.tickets_gone or self.findings)


@dataclass
class Board:
    """Active alarms and open tickets as last read. For showing only: nobody decides or writes from it."""

    parts: Parts
    alarms: dict[str, AlarmView] = field(default_factory=dict)
    tickets: dict[str, TicketView] = field(default_factory=dict)
    number: int = 0
    problem: str = ""
    """why the board could not be read; empty if it is fresh"""
    _listeners: dict[int, Callable[[Change], None]] = field(default_factory=dict)
    _next_listener: int = 0
    _marks: view_rows.Marks | None = None
    _flood: FloodWatch = field(default_factory=FloodWatch)
    _flood_seq: int = 0
    _tickets_at: float = 0.0
    """monotonic seconds from which on tickets are looked at again; looking takes a tenth of the time at most"""
    _again: bool = False
    """True if something was committed since tickets were looked at"""

    def listen(self, listener: Callable[[Change], None]) -> Callable[[], None]:
        """Call `listener` in the event loop with each change; returns what ends that."""
        self._next_listener += 1
        key = self._next_listener
        self._listeners[key] = listener

        def end() -> None:
            self._listeners.pop(key, None)

        return end

    @property
    def listeners(self) -> int:
        """How many listen."""
        return len(self._listeners)

    async def run(self) -> None:
        """Look for changes until cancelled."""
        watch = ChangeWatch(self.parts.state)
        loop = asyncio.get_running_loop()
        full_at = 0.0
        try:
            while True:
                full = loop.time() >= full_at
                if full:
                    full_at = loop.time() + FULL_EVERY_S
                if watch.changed() or full or (self._again and loop.time() >= self._tickets_at):
                    await self._look(full=full)
                if self.problem:
                    watch.again()
                await asyncio.sleep(POLL_S)
        finally:
            watch.close()

    async def _look(self, *, full: bool) -> None:
        try:
            change = await asyncio.to_thread(self._read, full)
        except GatewayError as error:
            if not self.problem:
                log.warning("cannot read the board: %s", error)
            self.problem = str(error)
            return
        if self.problem:
            log.info("the board can be read again")
            self.problem = ""
        if change:
            self.apply(change)

    def _read(self, full: bool) -> Change:
        parts = self.parts
        with parts.state.read() as connection:
            marks = view_rows.marks(connection)
            before = self._marks
            self._watch_flood(connection)
            touched = None
            if before is not None and not full:
                touched = view_rows.alarms_touched(connection, before.journal, _CHANGED_AT_ONCE)
            if touched is None or len(touched) == _CHANGED_AT_ONCE:
                touched = self._differing(connection)
        views = load_alarms(parts, parts.state, touched) if touched else []
        active = {view.id: view for view in views if view.letter != "A"}
        tickets = self._tickets_now(full=full)
        self._marks = marks
        return Change(
            number=self.number + 1,
            alarms=tuple(view for view in active.values() if self.alarms.get(view.id) != view),
            gone=tuple(key for key in touched if key in self.alarms and key not in active),
            tickets=tuple(view for view in tickets.values() if self.tickets.get(view.ticket_no) != view),
            tickets_gone=tuple(key for key in self.tickets if key not in tickets),
            findings=before is not None and marks.finding != before.finding,
        )

    def _differing(self, connection: Transaction) -> list[str]:
        """Return the alarms whose version or ticket is not the known one, and those that are over."""
        stored = view_rows.active_versions(connection, MOST_ALARMS)
        definitions = self.parts.desk.definitions
        changed = [
            key
            for key, (version, ticket_no) in stored.items()
            if (known := self.alarms.get(key)) is None
            or known.alarm.version != version
            or known.ticket_no != ticket_no
            or known.definition is not definitions.get(known.alarm.definition)
        ]
        return [*changed, *(key for key in self.alarms if key not in stored)]

    def _watch_flood(self, connection: Transaction) -> None:
        """Follow the announcements, each once; at the beginning those of a day."""
        since = self.parts.clock.now_us() - FLOOD_LOOK_BACK_US
        for seq, at in report_rows.announced_after(connection, self._flood_seq, since):
            self._flood.announce(at)
            self._flood_seq = seq

    @property
    def flood(self) -> Flood | None:
        """The flood of announcements that goes on now, None if there is none."""
        return self._flood.look(self.parts.clock.now_us())

    def _tickets_now(self, *, full: bool) -> dict[str, TicketView]:
        """Return the tickets, as they were if they have just been looked at."""
        begun = time.monotonic()
        if not full and begun < self._tickets_at:
            self._again = True
            return self.tickets
        after = self.parts.clock.now_us() - int(SHOW_ENDED.total_seconds() * 1e6)
        views = load_tickets(self.parts, self.parts.state, ended_after=after, limit=MOST_TICKETS)
        done = time.monotonic()
        self._again, self._tickets_at = False, done + max(TICKETS_EVERY_S, 9 * (done - begun))
        return {view.ticket_no: view for view in views}

    def apply(self, change: Change) -> None:
        """Take a change over and tell all listeners; one that fails is dropped, the others still hear."""
        self.number = change.number
        for key in change.gone:
            self.alarms.pop(key, None)
        self.alarms.update({view.id: view for view in change.alarms})
        for key in change.tickets_gone:
            self.tickets.pop(key, None)
        self.tickets.update({view.ticket_no: view for view in change.tickets})
        for number, listener in list(self._listeners.items()):
            try:
                listener(change)
            except Exception:
                log.exception("a page could not be told of a change")
                self._listeners.pop(number, None)
