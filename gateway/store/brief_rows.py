"""What the monthly service brief reads: the tickets of a month with their steps, clocks and delivery."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import Connection, Select, func, select

from gateway.model.reading import from_us, to_us
from gateway.model.ticket import DeliveryState, TicketState
from gateway.store import tables
from gateway.store.delivery_rows import handled_by_phone
from gateway.store.promise_rows import ClockRow, clocks_between

_ticket = tables.ticket.c


@dataclass(frozen=True, slots=True)
class MonthTicket:
    """One ticket of a month; times are UTC."""

    ticket_no: str
    ticket_class: str
    type: str
    asset: str
    raised_at: datetime
    confirmed_at: datetime | None
    departed_at: datetime | None
    arrived_at: datetime | None
    completed_at: datetime | None
    from_alarm: bool
    by_telephone: bool
    crew: str
    reopened: int
    late_entries: int
    not_believed: int
    clocks: list[ClockRow] = field(default_factory=list)


def tickets_between(connection: Connection, start: datetime, end: datetime) -> list[MonthTicket]:
    """Return the tickets raised in [start, end), the oldest first, each with its clocks."""
    span = (_ticket.raised_at >= to_us(start), _ticket.raised_at < to_us(end))
    numbers = select(_ticket.ticket_no).where(*span)
    crews, reopened, late, not_believed = _events(connection, numbers)
    confirmed = _confirmed(connection, numbers)
    alarms, calls = _sources(connection, numbers)
    found = {
        row.ticket_no: MonthTicket(
            ticket_no=row.ticket_no,
            ticket_class=row.ticket_class,
            type=row.type,
            asset=row.asset,
            raised_at=from_us(row.raised_at),
            confirmed_at=confirmed.get(row.ticket_no),
            departed_at=_time(row.departed_at),
            arrived_at=_time(row.arrived_at),
            completed_at=_time(row.completed_at),
            from_alarm=row.ticket_no in alarms,
            by_telephone=row.ticket_no in calls,
            crew=crews.get(row.ticket_no, ""),
            reopened=reopened[row.ticket_no],
            late_entries=late[row.ticket_no],
            not_believed=not_believed[row.ticket_no],
        )
        for row in connection.execute(select(tables.ticket).where(*span).order_by(_ticket.raised_at, _ticket.ticket_no))
    }
    for clock in clocks_between(connection, start, end):
        found[clock.ticket_no].clocks.append(clock)
    return list(found.values())


@dataclass(frozen=True, slots=True)
class MonthDelivery:
    """How one ticket was delivered."""

    ticket_no: str
    confirmed: bool
    attempts: int
    """of its `open`"""
    dead: int
    """commands that were given up"""
    fallbacks: int
    """other ways that took it"""
    by_phone: bool


def deliveries_between(connection: Connection, start: datetime, end: datetime) -> list[MonthDelivery]:
    """Return how the tickets raised in [start, end) were delivered, the oldest first."""
    command, fallback = tables.outbox.c, tables.ticket_fallback.c
    numbers = select(_ticket.ticket_no).where(_ticket.raised_at >= to_us(start), _ticket.raised_at < to_us(end))
    given_up = select(command.ticket_no, func.count()).where(
        command.ticket_no.in_(numbers), command.state == DeliveryState.DEAD.value
    )
    took = select(fallback.ticket_no, func.count()).where(
        fallback.ticket_no.in_(numbers), fallback.state == DeliveryState.CONFIRMED.value
    )
    dead = {str(number): int(count) for number, count in connection.execute(given_up.group_by(command.ticket_no))}
    ways = {str(number): int(count) for number, count in connection.execute(took.group_by(fallback.ticket_no))}
    query = (
        select(
            command.ticket_no, command.state, command.attempts, handled_by_phone(command.ticket_no).label("by_phone")
        )
        .where(command.ticket_no.in_(numbers), command.command == "open")
        .order_by(command.id)
    )
    return [
        MonthDelivery(
            ticket_no=row.ticket_no,
            confirmed=row.state == DeliveryState.CONFIRMED.value,
            attempts=row.attempts,
            dead=dead.get(row.ticket_no, 0),
            fallbacks=ways.get(row.ticket_no, 0),
            by_phone=bool(row.by_phone),
        )
        for row in connection.execute(query)
    ]


def differences_between(connection: Connection, start: datetime, end: datetime) -> dict[str, int]:
    """Return how many disagreements with ticketing systems were found in [start, end), by kind."""
    column = tables.ticket_difference.c
    query = select(column.kind, func.count()).where(column.found_at >= to_us(start), column.found_at < to_us(end))
    return {str(kind): int(count) for kind, count in connection.execute(query.group_by(column.kind))}


def _events(
    connection: Connection, numbers: Select[tuple[str]]
) -> tuple[Mapping[str, str], Counter[str], Counter[str], Counter[str]]:
    """Return by ticket: who went, and how often it was reopened, a step entered late, a moment not believed."""
    event = tables.ticket_event.c
    query = select(event.ticket_no, event.type, event.actor, event.data).where(event.ticket_no.in_(numbers))
    crews: dict[str, str] = {}
    reopened: Counter[str] = Counter()
    late: Counter[str] = Counter()
    not_believed: Counter[str] = Counter()
    went = (TicketState.DEPARTED.value, TicketState.ARRIVED.value, TicketState.COMPLETED.value)
    for row in connection.execute(query.order_by(event.version)):
        if row.type in went and row.actor:
            crews[row.ticket_no] = row.actor
        reopened[row.ticket_no] += row.type == TicketState.REOPENED.value
        late[row.ticket_no] += bool(row.data.get("late_entry"))
        not_believed[row.ticket_no] += bool(row.data.get("not_believed"))
    return crews, reopened, late, not_believed


def _confirmed(connection: Connection, numbers: Select[tuple[str]]) -> dict[str, datetime]:
    outbox = tables.outbox.c
    query = select(outbox.ticket_no, func.min(outbox.confirmed_at)).where(
        outbox.ticket_no.in_(numbers), outbox.command == "open", outbox.confirmed_at.is_not(None)
    )
    return {str(number): from_us(int(at)) for number, at in connection.execute(query.group_by(outbox.ticket_no))}


def _sources(connection: Connection, numbers: Select[tuple[str]]) -> tuple[set[str], set[str]]:
    link, call = tables.ticket_alarm.c, tables.call_report.c
    own = ~link.alarm_id.startswith("FINDING_", autoescape=True)
    alarms = connection.execute(select(link.ticket_no).where(link.ticket_no.in_(numbers), own)).scalars()
    calls = connection.execute(select(call.ticket_no).where(call.ticket_no.in_(numbers), ~call.joined)).scalars()
    return set(alarms), set(calls)


def _time(value: int | None) -> datetime | None:
    return None if value is None else from_us(value)
