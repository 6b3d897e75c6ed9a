"""What the monthly service brief reads: the tickets of a month with their steps, clocks and delivery."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection, Select, and_, exists, func, select

from gateway.model.reading import from_us, to_us
from gateway.model.ticket import DeliveryState, TicketClass, TicketState
from gateway.store import tables
from gateway.store.delivery_rows import handled_by_phone
from gateway.store.promise_rows import ClockRow, clocks_between

COMES_BACK = timedelta(days=90)
"""a fault of the same kind at the same asset within this time after the work was completed counts as the same danger"""
INSPECTION = "safety_inspection"
"""type of the tickets by which customers' homes and premises are inspected"""
_DANGERS = (TicketClass.EMERGENCY.value, TicketClass.URGENT.value, TicketClass.REPAIR.value)
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
    replies: int
    visits: int
    reminders: int
    same_caller: int
    repeats: str
    clocks: list[ClockRow] = field(default_factory=list)


def tickets_between(connection: Connection, start: datetime, end: datetime) -> list[MonthTicket]:
    """Return the tickets raised in [start, end), the oldest first, each with its clocks."""
    span = (_ticket.raised_at >= to_us(start), _ticket.raised_at < to_us(end))
    numbers = select(_ticket.ticket_no).where(*span)
    events = _events(connection, numbers)
    further, again = _further_calls(connection, numbers)
    repeats = _repeats(connection, numbers)
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
            crew=events.crews.get(row.ticket_no, ""),
            reopened=events.reopened[row.ticket_no],
            late_entries=events.late[row.ticket_no],
            not_believed=events.not_believed[row.ticket_no],
            replies=events.replies[row.ticket_no],
            visits=events.visits[row.ticket_no],
            reminders=further[row.ticket_no],
            same_caller=again[row.ticket_no],
            repeats=repeats.get(row.ticket_no, ""),
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


@dataclass(frozen=True, slots=True)
class _Events:
    """By ticket: who went, and how often something was reported."""

    crews: dict[str, str] = field(default_factory=dict)
    replies: Counter[str] = field(default_factory=Counter)
    visits: Counter[str] = field(default_factory=Counter)
    reopened: Counter[str] = field(default_factory=Counter)
    late: Counter[str] = field(default_factory=Counter)
    not_believed: Counter[str] = field(default_factory=Counter)


def _events(connection: Connection, numbers: Select[tuple[str]]) -> _Events:
    event = tables.ticket_event.c
    query = select(event.ticket_no, event.type, event.actor, event.data).where(event.ticket_no.in_(numbers))
    found = _Events()
    went = (TicketState.DEPARTED.value, TicketState.ARRIVED.value, TicketState.COMPLETED.value)
    for row in connection.execute(query.order_by(event.version)):
        if row.type in went and row.actor:
            found.crews[row.ticket_no] = row.actor
        found.replies[row.ticket_no] += 1
        found.visits[row.ticket_no] += row.type == TicketState.ARRIVED.value
        found.reopened[row.ticket_no] += row.type == TicketState.REOPENED.value
        found.late[row.ticket_no] += bool(row.data.get("late_entry"))
        found.not_believed[row.ticket_no] += bool(row.data.get("not_believed"))
    return found


def _further_calls(connection: Connection, numbers: Select[tuple[str]]) -> tuple[Counter[str], Counter[str]]:
    """Return by ticket how many calls came after the first, and how many of them from a number that had called."""
    call = tables.call_report.c
    query = select(call.ticket_no, call.said).where(call.ticket_no.in_(numbers)).order_by(call.called_at, call.id)
    callers: dict[str, set[str]] = {}
    further, again = Counter[str](), Counter[str]()
    for ticket_no, said in connection.execute(query):
        number = str(said.get("number", ""))
        if ticket_no in callers:
            further[ticket_no] += 1
            again[ticket_no] += number in callers[ticket_no]
        callers.setdefault(ticket_no, set()).add(number)
    return further, again


def _repeats(connection: Connection, numbers: Select[tuple[str]]) -> dict[str, str]:
    """Return the tickets about the same kind of fault at the same asset as one that was completed shortly before.

    A call whose place is but a zone says not enough of the place; its alarms do.
    """
    earlier, call = tables.ticket.alias("earlier"), tables.call_report.c
    after = (_ticket.raised_at - earlier.c.completed_at).between(0, COMES_BACK // timedelta(microseconds=1))
    unplaced = exists().where(
        call.ticket_no == _ticket.ticket_no, ~call.joined, call.said["asset"].as_string().is_(None)
    )
    query = (
        select(_ticket.ticket_no, func.max(earlier.c.ticket_no))
        .join(earlier, and_(earlier.c.asset == _ticket.asset, earlier.c.type == _ticket.type, after))
        .where(
            _ticket.ticket_no.in_(numbers),
            _ticket.asset != "",
            earlier.c.ticket_no != _ticket.ticket_no,
            _ticket.ticket_class.in_(_DANGERS),
            earlier.c.ticket_class.in_(_DANGERS),
            ~unplaced,
        )
    )
    return {str(number): str(before) for number, before in connection.execute(query.group_by(_ticket.ticket_no))}


def inspections_between(connection: Connection, start: datetime, end: datetime) -> list[tuple[str, str]]:
    """Return (ticket, asset) of safety inspections that were completed in [start, end), the oldest first."""
    query = (
        select(_ticket.ticket_no, _ticket.asset)
        .where(_ticket.type == INSPECTION, _ticket.completed_at >= to_us(start), _ticket.completed_at < to_us(end))
        .order_by(_ticket.completed_at, _ticket.ticket_no)
    )
    return [(str(number), str(asset)) for number, asset in connection.execute(query)]


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
