"""Keeps the clocks of tickets: sets them, reads them anew after each step, and tells whoever must be told in time.

What is stored is a function of steps, promise and calendar; after a kill everything is computed again, and nobody is
told twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from alarms.service.calendar import WorkCalendar
from alarms.service.clocks import AFTERWARDS, BEGIN, ClockState, Pause, Standing, read_clock
from alarms.service.escalation import calls, next_moment
from alarms.service.policy import ClockKind, Promise, matching, place_of
from gateway.errors import RefusedError
from gateway.model.network import Network
from gateway.model.ticket import Ticket, TicketClass, TicketState
from gateway.ports import Clock
from gateway.store import promise_rows, ticket_rows, user_rows
from gateway.store.promise_rows import CallRow, ChangeRow, ClockRow
from gateway.store.state import State, Transaction, put_cursor

CURSOR = "service"
"""name of the cursor that stands on the newest event whose ticket was looked at"""
AT_ONCE = 200
"""tickets of one transaction"""
LATEST_AGREED = timedelta(days=366)
AHEAD = timedelta(minutes=2)
_NEW = "new"
_NOT_OURS = frozenset({*TicketState, *BEGIN})
"""steps that the ticketing system reports, or that are taken when a ticket is raised"""


@dataclass(frozen=True, slots=True)
class ServiceDesk:
    """The clocks of all tickets of a site. Safe for threads: each call is a transaction of its own."""

    state: State
    promises: Sequence[Promise]
    calendar: WorkCalendar
    network: Network
    clock: Clock

    def sweep(self) -> bool:
        """Set, read and tell what is due by now; True if there is more to do at once.

        Raises TransientError if the state database is away; then nothing of this call was done.
        """
        now = self.clock.now()
        with self.state.read() as connection:
            fresh = promise_rows.without_clocks(connection, limit=AT_ONCE)
            after = self.state.cursor(CURSOR)
            newest, changed = promise_rows.with_events_after(connection, after, limit=AT_ONCE)
            ripe = promise_rows.due_tickets(connection, now, limit=AT_ONCE)
        if not fresh and newest == after and not ripe:
            return False
        with self.state.write() as connection:
            for ticket_no in dict.fromkeys([*fresh, *changed, *ripe]):
                self._read(connection, ticket_no, now, sized=ticket_no in fresh)
            if newest != after:
                put_cursor(connection, CURSOR, newest)
        return AT_ONCE in (len(fresh), len(ripe)) or newest != after

    def anew(self) -> None:
        """Read all provisional clocks again: a new calendar may be there."""
        now = self.clock.now()
        with self.state.write() as connection:
            for ticket_no in promise_rows.provisional_tickets(connection):
                self._read(connection, ticket_no, now, why="calendar")

    def set_back(self) -> None:
        """Have all running clocks read again: time went back, and they sleep until a time that is far off now."""
        with self.state.write() as connection:
            promise_rows.wake(connection)

    def pause(self, ticket_no: str, reason: str, actor: str) -> None:
        """Let a ticket's clocks stand. Raises RefusedError 404, or 409 `ended`, `paused` or `never_stands`."""
        now = self.clock.now()
        with self.state.write() as connection:
            self._require_open(connection, ticket_no)
            if any(pause.until is None for pause in promise_rows.pauses_of(connection, ticket_no)):
                raise RefusedError(409, "paused", "its clocks stand already")
            if not any(row.promise["pausable"] for row in promise_rows.clocks_of(connection, ticket_no)):
                raise RefusedError(409, "never_stands", "none of its clocks may stand")
            promise_rows.begin_pause(connection, ticket_no, now, reason, actor)
            self._read(connection, ticket_no, now, actor=actor, why=f"paused: {reason}")
            self._audit(connection, actor, "ticket.pause", ticket_no, reason=reason)

    def resume(self, ticket_no: str, actor: str) -> None:
        """Let a ticket's clocks go on. Raises RefusedError 404 or 409 `not_paused`."""
        now = self.clock.now()
        with self.state.write() as connection:
            self._require(connection, ticket_no)
            if not promise_rows.end_pause(connection, ticket_no, now):
                raise RefusedError(409, "not_paused", "its clocks do not stand")
            self._read(connection, ticket_no, now, actor=actor, why="goes on")
            self._audit(connection, actor, "ticket.resume", ticket_no)

    def agree(self, ticket_no: str, clock: str, due_at: datetime, reason: str, actor: str) -> None:
        """Put a date that was agreed with the customer in the place of a limit; the old due time stays on record.

        Raises RefusedError 404, 409 `ended`, `settled` for a clock that was stopped, or `no_agreement` for an emergency
        and what is no deadline, or 422 `due_time`.
        """
        now = self.clock.now()
        if not now < due_at <= now + LATEST_AGREED:
            raise RefusedError(422, "due_time", "the agreed time must lie ahead, within a year")
        with self.state.write() as connection:
            ticket = self._require_open(connection, ticket_no)
            if ticket.ticket_class is TicketClass.EMERGENCY:
                raise RefusedError(409, "no_agreement", "the clocks of an emergency cannot be agreed")
            row = next((one for one in promise_rows.clocks_of(connection, ticket_no) if one.clock == clock), None)
            if row is None:
                raise RefusedError(404, "unknown_clock", f"{ticket_no} has no clock {clock}")
            if row.promise["kind"] != ClockKind.DEADLINE:
                raise RefusedError(409, "no_agreement", f"{clock} is no deadline")
            if row.stopped_at is not None:
                raise RefusedError(409, "settled", f"{clock} was stopped; whether it was kept stays as it is")
            promise_rows.put_clock(connection, replace(row, agreed_at=due_at))
            self._read(connection, ticket_no, now, actor=actor, why=f"agreed: {reason}")
            self._audit(
                connection, actor, "ticket.agree", ticket_no, clock=clock, due=due_at.isoformat(), reason=reason
            )

    def step(self, ticket_no: str, step: str, at: datetime, actor: str, note: str = "") -> None:
        """Write down a step of a ticket's clocks that no ticketing system reports, e.g. `responded` to a complaint.

        Raises RefusedError 404, 409 `ended` or `not_ours`, 422 `unknown_step` or `step_time`.
        """
        now = self.clock.now()
        with self.state.write() as connection:
            ticket = self._require(connection, ticket_no)
            rows = promise_rows.clocks_of(connection, ticket_no)
            known = _steps_in(rows)
            if step not in known:
                raise RefusedError(422, "unknown_step", f"its clocks know {', '.join(sorted(known))}")
            if step in _NOT_OURS:
                raise RefusedError(409, "not_ours", "the ticketing system reports this step")
            stops = [row for row in rows if row.promise["stop"] == step]
            if ticket.state in ticket_rows.ENDED and not any(row.promise["start"] in AFTERWARDS for row in stops):
                raise RefusedError(409, "ended", f"{ticket_no} has ended; its clocks stay as they are")
            planned = any(row.promise["kind"] == ClockKind.LEAD_TIME for row in stops)
            latest = now + (LATEST_AGREED if planned else AHEAD)
            if not ticket.raised_at <= at <= latest:
                raise RefusedError(422, "step_time", "it lies before the ticket, or ahead")
            promise_rows.add_step(connection, ticket_no, step, at, entered_at=now, actor=actor, note=note)
            self._read(connection, ticket_no, now, actor=actor, why=f"step: {step}")
            self._audit(connection, actor, "ticket.step", ticket_no, step=step, at=at.isoformat(), note=note)

    def _require(self, connection: Transaction, ticket_no: str) -> Ticket:
        ticket = ticket_rows.find_ticket(connection, ticket_no)
        if ticket is None:
            raise RefusedError(404, "unknown_ticket", f"there is no ticket {ticket_no}")
        return ticket

    def _require_open(self, connection: Transaction, ticket_no: str) -> Ticket:
        ticket = self._require(connection, ticket_no)
        if ticket.state in ticket_rows.ENDED:
            raise RefusedError(409, "ended", f"{ticket_no} has ended; its clocks stay as they are")
        return ticket

    def _audit(self, connection: Transaction, actor: str, act: str, ticket_no: str, **detail: str) -> None:
        user_rows.add_audit(connection, self.clock.now_us(), actor, act, subject=ticket_no, detail=detail)

    def _read(
        self,
        connection: Transaction,
        ticket_no: str,
        now: datetime,
        *,
        actor: str = "gasgate",
        why: str = "",
        sized: bool = False,
    ) -> None:
        """Read a ticket's clocks and keep what changed; `sized` says that the ticket is new, or of another size."""
        ticket = ticket_rows.find_ticket(connection, ticket_no)
        if ticket is None:
            return
        # a clock that was set back must not make a ticket unraised: its due times would be lost
        now = max(now, ticket.raised_at)
        stored = {row.clock: row for row in promise_rows.clocks_of(connection, ticket_no)}
        rows = self._matched(ticket, stored) if sized else list(stored.values())
        known = frozenset(stored)
        steps = _steps(connection, ticket, now)
        pauses = [Pause(one.since, one.until) for one in promise_rows.pauses_of(connection, ticket_no)]
        ended = ticket.state in ticket_rows.ENDED
        told: list[CallRow] = []
        after: list[ClockRow] = []
        for row in rows:
            promise = _promise(json.dumps(row.promise))
            state = read_clock(promise, steps, now, self.calendar, ended=ended, pauses=pauses, agreed=row.agreed_at)
            told += [
                CallRow(ticket_no, row.clock, call.rung, call.repetition, call.tell, call.at, now, breach=call.breach)
                for call in calls(promise, state, now)
            ]
            after.append(_as_row(row, state, next_moment(promise, state, now)))
        because = why or ("size" if sized else "steps")
        for changed in after:
            row = stored.pop(changed.clock, changed)
            shown = row.due_at is not None or row.standing == Standing.PAUSED
            if shown and row.due_at != changed.due_at:
                moved = ChangeRow(row.clock, now, actor, because, row.due_at, changed.due_at)
                promise_rows.add_change(connection, ticket_no, moved)
            if changed != row:
                promise_rows.put_clock(connection, changed)
        for row in stored.values():
            promise_rows.drop_clock(connection, row)
            promise_rows.add_change(connection, ticket_no, ChangeRow(row.clock, now, actor, because, row.due_at, None))
        if sized:
            promise_rows.add_clocks(connection, [row for row in after if row.clock not in known])
            promise_rows.mark_clocked(connection, ticket_no)
        promise_rows.tell(connection, told)
        _show(connection, ticket, after)

    def _matched(self, ticket: Ticket, stored: Mapping[str, ClockRow]) -> list[ClockRow]:
        """Return the clocks that a ticket has by its size; without any, as a new ticket gets them.

        A ticket keeps the rows that it was opened with, but for those that its size decides; what was stopped stays.
        """
        wanted = {row.clock: row for row in self._set(ticket)}
        if not stored:
            return list(wanted.values())
        kept = []
        for row in stored.values():
            other = wanted.pop(row.clock, None)
            by_size = row.promise["size"] or (other is not None and other.promise["size"])
            if row.stopped_at is not None or not by_size:
                kept.append(row)
            elif other is not None:
                kept.append(replace(row, promise=other.promise))
        return kept + [row for row in wanted.values() if row.promise["size"]]

    def _set(self, ticket: Ticket) -> list[ClockRow]:
        """Return the clocks of a new ticket, not read yet."""
        station = self.network.stations.get(ticket.asset)
        rows = matching(
            self.promises,
            ticket_class=ticket.ticket_class,
            ticket_type=ticket.type,
            place=place_of(station),
            day=self.calendar.local(ticket.raised_at).date(),
            size=ticket.size,
            customer=ticket.customer,
        )
        return [ClockRow(ticket.ticket_no, row.clock, row.model_dump(mode="json"), _NEW) for row in rows]


def steps_to_write(rows: Iterable[ClockRow], *, ended: bool) -> list[str]:
    """Return the steps of a ticket's clocks that people write down; of one that has ended those that come later."""
    of = [row for row in rows if not ended or row.promise["start"] in AFTERWARDS]
    return sorted(_steps_in(of, ("stop",) if ended else ("start", "stop")) - _NOT_OURS)


def _steps_in(rows: Iterable[ClockRow], sides: Sequence[str] = ("start", "stop")) -> frozenset[str]:
    return frozenset(row.promise[side] for row in rows for side in sides)


def _as_row(row: ClockRow, state: ClockState, next_at: datetime | None) -> ClockRow:
    return replace(
        row,
        standing=state.standing.value,
        started_at=state.started_at,
        due_at=state.due_at,
        stopped_at=state.stopped_at,
        provisional=state.provisional,
        next_at=next_at,
    )


def _show(connection: Transaction, ticket: Ticket, rows: Sequence[ClockRow]) -> None:
    """Keep what the ticket itself shows equal to its clocks."""
    due = {row.clock: row.due_at for row in rows}
    depart_by, arrive_by = due.get("depart"), _earliest(due.get(name) for name in ("arrive", "visit"))
    if due and (depart_by, arrive_by) != (ticket.depart_by, ticket.arrive_by):
        promise_rows.set_due(connection, ticket.ticket_no, depart_by, arrive_by)


@lru_cache(maxsize=1000)
def _promise(text: str) -> Promise:
    return Promise.model_validate_json(text)


def _steps(connection: Transaction, ticket: Ticket, now: datetime) -> dict[str, list[datetime]]:
    begun = {step: [ticket.raised_at] for step in BEGIN}
    return {**begun, **promise_rows.steps_of(connection, ticket.ticket_no, now)}


def _earliest(moments: Iterable[datetime | None]) -> datetime | None:
    return min((at for at in moments if at is not None), default=None)
