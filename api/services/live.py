"""The board that all pages watch: one task reads what changed and tells everybody the difference."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from alarms.flood import Flood, FloodWatch
from api.deps import Parts
from api.services.views import AlarmView, TicketView, load_alarms, load_tickets
from gateway.errors import GatewayError
from gateway.store import report_rows, view_rows
from gateway.store.change_watch import ChangeWatch
from gateway.store.state import Transaction

POLL_S = 0.2
FULL_EVERY_S = 10.0
"""marks like "uncertain" change an alarm without a journal line; a full look finds them"""
MOST_TICKETS = 500
SHOW_ENDED = timedelta(hours=4)
_CHANGED_AT_ONCE = 5000
FLOOD_LOOK_BACK_US = 86_400_000_000

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Change:
    """What is different since the change before; `number` counts changes."""

    number: int
    alarms: tuple[AlarmView, ...] = ()
    gone: tuple[str, ...] = ()
    tickets: tuple[TicketView, ...] = ()
    tickets_gone: tuple[str, ...] = ()
    findings: bool = False

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
                if watch.changed() or full:
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
        whole = touched is None or len(touched) == _CHANGED_AT_ONCE
        views = load_alarms(parts, parts.state, None if whole else touched)
        active = {view.id: view for view in views if view.letter != "A"}
        gone = [key for key in (self.alarms if whole else touched or ()) if key in self.alarms and key not in active]
        tickets = self._tickets()
        self._marks = marks
        return Change(
            number=self.number + 1,
            alarms=tuple(view for view in active.values() if self.alarms.get(view.id) != view),
            gone=tuple(gone),
            tickets=tuple(view for view in tickets.values() if self.tickets.get(view.ticket_no) != view),
            tickets_gone=tuple(key for key in self.tickets if key not in tickets),
            findings=before is not None and marks.finding != before.finding,
        )

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

    def _tickets(self) -> dict[str, TicketView]:
        after = self.parts.clock.now_us() - int(SHOW_ENDED.total_seconds() * 1e6)
        views = load_tickets(self.parts, self.parts.state, ended_after=after, limit=MOST_TICKETS)
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

    def sorted_alarms(self) -> list[AlarmView]:
        """Return the active alarms, most urgent first."""
        return sorted(self.alarms.values(), key=lambda view: view.order)
