"""One ticket from all sides for a person: what it is about, its clocks, its history and how it was delivered."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from alarms.service.desk import steps_to_write
from api.auth import User
from api.deps import Parts
from api.roles import Act as Right
from api.services.views import AlarmView, TicketView, alarm_views, ticket_views
from gateway.errors import RefusedError
from gateway.model.ticket import Difference, Ticket, TicketClass
from gateway.store import (
    call_back_rows,
    call_rows,
    delivery_rows,
    outbox_rows,
    promise_rows,
    ticket_event_rows,
    ticket_rows,
    view_rows,
)
from gateway.store.call_back_rows import CallBack
from gateway.store.call_rows import CallReport
from gateway.store.delivery_rows import FallbackRow
from gateway.store.outbox_rows import OutboxRow
from gateway.store.promise_rows import ClockRow, PauseRow
from gateway.store.state import Transaction

_MOST_CALL_BACKS = 20


class Source(StrEnum):
    """Whom a line of a ticket's history is from."""

    STEP = "step"
    """the ticketing system reported a step"""
    SENT = "sent"
    ALARM = "alarm"
    CALL = "call"
    ACT = "act"
    TOLD = "told"
    CLOCK = "clock"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a ticket's history."""

    at: datetime
    source: Source
    what: str
    actor: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Joined:
    """An occurrence that a ticket answers; `view` is None if the alarm's definition is gone."""

    alarm_id: str
    occurrence_no: int
    view: AlarmView | None

    @property
    def current(self) -> bool:
        """True if it is the alarm's present occurrence."""
        return self.view is not None and self.view.alarm.occurrence_no == self.occurrence_no


@dataclass(frozen=True, slots=True)
class Sides:
    """A ticket from all sides."""

    ticket: Ticket
    view: TicketView
    alarms: Sequence[Joined]
    clocks: Sequence[ClockRow]
    pauses: Sequence[PauseRow]
    history: Sequence[Line]
    """the newest first"""
    commands: Sequence[OutboxRow]
    fallbacks: Sequence[FallbackRow]
    differences: Sequence[Difference]
    calls: Sequence[CallReport]
    call_backs: Sequence[CallBack]
    now_s: float
    """real seconds since 1970: deliveries count real time"""

    @property
    def paused(self) -> bool:
        """True while its clocks stand."""
        return any(pause.until is None for pause in self.pauses)

    @property
    def steps(self) -> list[str]:
        """Steps of its clocks that no ticketing system reports and people may write down now."""
        return steps_to_write(self.clocks, ended=self.ticket.state in ticket_rows.ENDED)

    @property
    def given_up(self) -> list[int]:
        """Row ids of the commands that were given up."""
        return [row.id for row in self.commands if row.state.value == "dead"]


@dataclass(frozen=True, slots=True)
class TicketOffer:
    """Which acts on a ticket make sense now, for this person."""

    note: bool
    phone: bool
    cancel: bool
    link: bool
    split: bool
    pause: bool
    resume: bool
    agree: bool
    replay: bool
    step: bool = False


def sides(parts: Parts, number: str) -> Sides:
    """Return a ticket from all sides. Raises RefusedError 404 `unknown_ticket`."""
    with parts.state.read() as connection:
        ticket = ticket_rows.find_ticket(connection, number)
        row = view_rows.ticket_row(connection, number)
        if ticket is None or row is None:
            raise RefusedError(404, "unknown_ticket", number[:60])
        links = ticket_rows.alarms_of(connection, number)
        known = view_rows.alarms_named(connection, [alarm_id for alarm_id, _ in links])
        views = {view.id: view for view in alarm_views(parts, known, {})}
        clocks = promise_rows.clocks_of(connection, number)
        calls = call_rows.of_ticket(connection, number)
        return Sides(
            ticket=ticket,
            view=ticket_views(parts, [row], connection)[0],
            alarms=[Joined(alarm_id, count, views.get(alarm_id)) for alarm_id, count in links],
            clocks=clocks,
            pauses=promise_rows.pauses_of(connection, number),
            history=sorted(_history(connection, number, calls), key=lambda line: line.at, reverse=True),
            commands=outbox_rows.outbox_of(connection, number),
            fallbacks=delivery_rows.fallbacks_of(connection, number),
            differences=delivery_rows.list_differences(connection, ticket_no=number),
            calls=calls,
            call_backs=call_back_rows.listed(connection, ticket_no=number, limit=_MOST_CALL_BACKS),
            now_s=time.time(),
        )


def _history(connection: Transaction, number: str, calls: Sequence[CallReport]) -> Iterator[Line]:
    for entry in ticket_event_rows.timeline(connection, number):
        if entry.what == "alarm":
            yield Line(entry.at, Source.ALARM, entry.detail, entry.actor)
        elif entry.what.startswith("sent:"):
            yield Line(entry.at, Source.SENT, entry.what.removeprefix("sent:"), entry.actor, entry.detail)
        else:
            yield Line(entry.at, Source.STEP, entry.what, entry.actor, entry.detail)
    for step, at, who, note in promise_rows.written_steps(connection, number):
        yield Line(at, Source.STEP, step, who, note)
    for call in calls:
        yield Line(call.call.called_at, Source.CALL, call.call.what.value, call.taker, call.call.place)
    for act in delivery_rows.acts_on(connection, number):
        yield Line(act.at, Source.ACT, act.act.value, act.who, act.reason)
    for told in promise_rows.told(connection, ticket_no=number):
        yield Line(told.told_at, Source.TOLD, told.clock, told.tell, "breach" if told.breach else "")
    for change in promise_rows.changes_of(connection, number):
        yield Line(change.at, Source.CLOCK, change.clock, change.actor, change.reason)


def offer(found: Sides, user: User) -> TicketOffer:
    """Return the acts that role and state allow; the desk still has the last word."""
    view, ticket = found.view, found.ticket
    work = view.open and user.may(Right.TICKET_WORK)
    times = view.open and user.may(Right.TICKET_TIMES)
    grave = ticket.ticket_class is TicketClass.EMERGENCY
    running = [clock for clock in found.clocks if clock.stopped_at is None and clock.due_at is not None]
    return TicketOffer(
        note=work,
        phone=work and view.delivery != "confirmed",
        cancel=work and (not grave or user.may(Right.TICKET_SUPERVISE)),
        link=work,
        split=work and len(found.alarms) > 1,
        pause=times and not found.paused and any(clock.promise.get("pausable") for clock in running),
        resume=times and found.paused,
        agree=times and not grave and bool(running),
        replay=user.may(Right.TICKET_WORK) and bool(found.given_up),
        step=user.may(Right.CALL_BACK) and bool(found.steps),
    )


def promise_text(promise: Mapping[str, object]) -> tuple[str, int]:
    """Return unit and limit of a promise: (minutes, days or working_days, count)."""
    limit = promise.get("limit", 0)
    return str(promise.get("unit", "minutes")), limit if isinstance(limit, int) else 0
