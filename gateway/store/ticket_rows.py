"""Tickets, their alarms and events, and the outbox as rows of the state database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, bindparam, exists, func, not_, or_, select, update

from gateway.model import ticket as model
from gateway.model.reading import from_us, to_us
from gateway.model.ticket import Cause, Command, DeliveryState, Ticket, TicketClass, TicketState
from gateway.store import tables
from gateway.store.delivery_rows import handled_by_phone

ENDED = model.ENDED
_BEFORE_LEAVING = (TicketState.OPEN, TicketState.ACCEPTED, TicketState.DISPATCHED)
WAITING = (DeliveryState.PENDING, DeliveryState.UNKNOWN, DeliveryState.RETRY)
_UNCONFIRMED = [state.value for state in DeliveryState if state is not DeliveryState.CONFIRMED]
_ANEW = {"state": DeliveryState.UNKNOWN.value, "attempts": 0, "cause": None}
_MOMENTS = ("raised_at", "depart_by", "arrive_by", "dispatched_at", "departed_at", "arrived_at", "completed_at")
_TEXTS = (
    "ticket_no",
    "dedup_key",
    "type",
    "asset",
    "join_group",
    "scope",
    "title",
    "description",
    "external_id",
    "external_url",
    "external_version",
)

# Statements of the hot path are built once: SQLAlchemy takes longer to build one than SQLite to run it.
_LINK = tables.ticket_alarm.c
_TICKET_OF = select(_LINK.ticket_no).where(
    _LINK.alarm_id == bindparam("key"), _LINK.occurrence_no == bindparam("number")
)
_NEWEST_COMMAND = select(func.max(tables.outbox.c.command_no)).where(tables.outbox.c.ticket_no == bindparam("key"))


def _with_delivery() -> Any:
    opened = and_(tables.outbox.c.ticket_no == tables.ticket.c.ticket_no, tables.outbox.c.command == "open")
    return select(tables.ticket, tables.outbox.c.state.label("delivery")).outerjoin(tables.outbox, opened)


def _outbox() -> Any:
    ticket = tables.ticket.c
    return select(tables.outbox, ticket.dedup_key, ticket.ticket_class, ticket.external_id).join(
        tables.ticket, tables.ticket.c.ticket_no == tables.outbox.c.ticket_no
    )


def _due() -> Any:
    column, before = tables.outbox.c, tables.outbox.alias("before").c
    given_up = and_(before.state == DeliveryState.DEAD.value, before.command != "open")
    unfinished = and_(before.state != DeliveryState.CONFIRMED.value, not_(given_up))
    blocked = exists().where(before.ticket_no == column.ticket_no, before.command_no < column.command_no, unfinished)
    waiting = column.state.in_([state.value for state in WAITING])
    return (
        _outbox()
        .where(column.sink == bindparam("sink"), waiting, column.next_at <= bindparam("now"))
        .where(tables.ticket.c.ticket_class == bindparam("ticket_class"), not_(blocked))
        .order_by(column.next_at, column.id)
        .limit(100)
    )


def _joinable() -> Any:
    column = tables.ticket.c
    return (
        _with_delivery()
        .where(column.join_group == bindparam("group"), column.scope == bindparam("scope"), column.joinable)
        .where(column.ticket_class.in_(bindparam("classes", expanding=True)))
        .order_by(column.raised_at)
        .limit(1)
    )


_DUE, _JOINABLE = _due(), _joinable()
_BY_NUMBER = _with_delivery().where(tables.ticket.c.ticket_no == bindparam("key"))
_UNCONFIRMED_OPENINGS = (
    select(tables.outbox.c.ticket_no, tables.ticket.c.ticket_class, tables.outbox.c.wall_created_at)
    .join(tables.ticket, tables.ticket.c.ticket_no == tables.outbox.c.ticket_no)
    .where(tables.outbox.c.state.in_(_UNCONFIRMED), tables.outbox.c.command == "open")
    .where(tables.outbox.c.wall_created_at <= bindparam("before"), not_(handled_by_phone(tables.outbox.c.ticket_no)))
)
_LEASE = (
    update(tables.outbox)
    .where(tables.outbox.c.id == bindparam("key"), tables.outbox.c.state.in_([state.value for state in WAITING]))
    .values(state=DeliveryState.SENDING.value)
)


@dataclass(frozen=True, slots=True)
class TicketEvent:
    """What the ticketing system reported, once per (source, event id)."""

    source: str
    event_id: str
    ticket_no: str
    type: str
    version: int
    occurred_at: datetime
    received_at: datetime
    actor: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One command on its way; `next_at` and the `wall_` times are real seconds since 1970."""

    id: int
    sink: str
    state: DeliveryState
    attempts: int
    command: Command
    wall_created_at: float
    next_at: float
    wall_confirmed_at: float | None
    last_error: str
    cause: Cause | None = None
    external_id: str = ""
    """how the ticketing system calls the ticket, empty as long as nobody knows"""


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One line of a ticket's history, from our side or from the ticketing system's."""

    at: datetime
    what: str
    """an event's type, or `sent:<command>` with its delivery state in `detail`, or `alarm` with the alarm's id"""
    actor: str
    detail: str


def insert_ticket(connection: Connection, ticket: Ticket, *, joinable: bool | None = None) -> None:
    """Store a new ticket; alarms of the same join group may join it if it has one, unless `joinable` says otherwise."""
    chosen = bool(ticket.join_group) if joinable is None else joinable
    connection.execute(tables.ticket.insert(), {**_values(ticket), "joinable": chosen})


def update_ticket(connection: Connection, ticket: Ticket) -> None:
    """Store what the ticketing system changed; a ticket whose crew has left takes no more alarms.

    A later step says so too: the event of the leaving itself may be late or lost.
    """
    values = _values(ticket)
    if ticket.departed_at is not None or ticket.arrived_at is not None or ticket.state not in _BEFORE_LEAVING:
        values["joinable"] = False
    connection.execute(update(tables.ticket).where(tables.ticket.c.ticket_no == ticket.ticket_no).values(**values))


def close_to_joining(connection: Connection, ticket_no: str) -> None:
    """Let no further alarm join this ticket."""
    query = update(tables.ticket).where(tables.ticket.c.ticket_no == ticket_no).values(joinable=False)
    connection.execute(query)


def find_joinable(connection: Connection, join_group: str, scope: str, classes: Sequence[TicketClass]) -> Ticket | None:
    """Return the oldest joinable ticket of this group and scope in one of these classes."""
    asked = {"group": join_group, "scope": scope, "classes": [wanted.value for wanted in classes]}
    row = connection.execute(_JOINABLE, asked).mappings().first()
    return None if row is None else _ticket(row)


def find_ticket(connection: Connection, ticket_no: str) -> Ticket | None:
    """Return one ticket, None if there is none of this number."""
    row = connection.execute(_BY_NUMBER, {"key": ticket_no}).mappings().first()
    return None if row is None else _ticket(row)


def find_by_key(connection: Connection, dedup_key: str) -> Ticket | None:
    """Return the ticket with this key."""
    row = connection.execute(_with_delivery().where(tables.ticket.c.dedup_key == dedup_key)).mappings().first()
    return None if row is None else _ticket(row)


def list_overdue(connection: Connection, ticket_class: TicketClass, now: datetime) -> list[Ticket]:
    """Return every ticket of a class that has not ended and whose crew should have left, or arrived, by now."""
    column = tables.ticket.c
    missing = and_(column.departed_at.is_(None), column.arrived_at.is_(None), column.depart_by <= to_us(now))
    absent = and_(column.arrived_at.is_(None), column.arrive_by <= to_us(now))
    query = _with_delivery().where(column.state.in_([state.value for state in TicketState if state not in ENDED]))
    query = query.where(column.ticket_class == ticket_class.value, or_(missing, absent))
    return [_ticket(row) for row in connection.execute(query).mappings()]


def list_open(connection: Connection, *, limit: int = 500) -> list[Ticket]:
    """Return tickets that have not ended: emergencies first, then the oldest first."""
    column = tables.ticket.c
    query = _with_delivery().where(column.state.in_([state.value for state in TicketState if state not in ENDED]))
    tickets = [_ticket(row) for row in connection.execute(query.order_by(column.raised_at).limit(limit)).mappings()]
    order = tuple(TicketClass)
    return sorted(tickets, key=lambda ticket: (order.index(ticket.ticket_class), ticket.raised_at))


def list_tickets(connection: Connection, *, limit: int = 200, offset: int = 0) -> list[Ticket]:
    """Return all tickets, the newest first."""
    column = tables.ticket.c
    query = _with_delivery().order_by(column.raised_at.desc(), column.ticket_no.desc()).limit(limit).offset(offset)
    return [_ticket(row) for row in connection.execute(query).mappings()]


def newest_number(connection: Connection, prefix: str) -> str | None:
    """Return the highest ticket number that begins with `prefix`."""
    column = tables.ticket.c.ticket_no
    found = connection.execute(select(func.max(column)).where(column.startswith(prefix, autoescape=True))).scalar()
    return None if found is None else str(found)


def link_alarm(connection: Connection, alarm_id: str, occurrence_no: int, ticket_no: str) -> None:
    """Record which ticket an occurrence has; an occurrence has one."""
    connection.execute(
        tables.ticket_alarm.insert().values(alarm_id=alarm_id, occurrence_no=occurrence_no, ticket_no=ticket_no)
    )


def ticket_of(connection: Connection, alarm_id: str, occurrence_no: int) -> Ticket | None:
    """Return the ticket of an occurrence, own or joined."""
    number = connection.execute(_TICKET_OF, {"key": alarm_id, "number": occurrence_no}).scalar()
    return None if number is None else find_ticket(connection, str(number))


def unlink_alarm(connection: Connection, alarm_id: str, occurrence_no: int) -> None:
    """Let an occurrence have no ticket, so that it can get another one in the same transaction."""
    same = and_(_LINK.alarm_id == alarm_id, _LINK.occurrence_no == occurrence_no)
    connection.execute(tables.ticket_alarm.delete().where(same))


def alarms_of(connection: Connection, ticket_no: str) -> list[tuple[str, int]]:
    """Return (alarm id, occurrence) of everything that a ticket answers, the oldest link first."""
    link = tables.ticket_alarm.c
    query = select(link.alarm_id, link.occurrence_no).where(link.ticket_no == ticket_no)
    return [(str(alarm_id), int(number)) for alarm_id, number in connection.execute(query)]


def insert_event(connection: Connection, event: TicketEvent) -> bool:
    """Store an event unless (source, event id) is known; True if it was new."""
    column = tables.ticket_event.c
    same = select(column.id).where(column.source == event.source, column.event_id == event.event_id)
    if connection.execute(same).first() is not None:
        return False
    connection.execute(
        tables.ticket_event.insert().values(
            source=event.source,
            event_id=event.event_id,
            ticket_no=event.ticket_no,
            type=event.type,
            version=event.version,
            occurred_at=to_us(event.occurred_at),
            received_at=to_us(event.received_at),
            actor=event.actor,
            data=dict(event.data),
        )
    )
    return True


def drop_pulled_step(connection: Connection, ticket_no: str, version: int, type_name: str) -> bool:
    """Make room for a step that its source tells itself; True if the step is known from such a source already.

    A step that was pulled may lack its moment and its source, so the one that is told takes its place. The ticket's
    clocks are then due to be read anew: the row that follows may get the number of the one that goes.
    """
    column = tables.ticket_event.c
    same = and_(column.ticket_no == ticket_no, column.version == version, column.type == type_name)
    pulled = column.source.startswith("pull:", autoescape=True)
    if connection.execute(tables.ticket_event.delete().where(same, pulled)).rowcount:
        clocks = tables.ticket_clock
        connection.execute(update(clocks).where(clocks.c.ticket_no == ticket_no).values(next_at=0))
    return connection.execute(select(column.id).where(same)).first() is not None


def list_confirmed(
    connection: Connection, sink: str, classes: Sequence[TicketClass], *, wall_before_s: float
) -> list[Ticket]:
    """Return the tickets of a sink that have not ended and that it confirmed before a real moment, oldest first.

    One whose name there is known was confirmed, too, if only by a step that was told of it.
    """
    opening, column = tables.outbox.c, tables.ticket.c
    confirmed = and_(opening.state == DeliveryState.CONFIRMED.value, opening.wall_confirmed_at <= wall_before_s)
    named = and_(column.external_id != "", opening.wall_created_at <= wall_before_s)
    query = (
        _with_delivery()
        .where(opening.sink == sink, or_(confirmed, named))
        .where(column.ticket_class.in_([one.value for one in classes]))
        .where(column.state.not_in([state.value for state in ENDED]))
        .order_by(column.raised_at)
    )
    return [_ticket(row) for row in connection.execute(query).mappings()]


def events_of(connection: Connection, ticket_no: str, *, limit: int = 500) -> list[TicketEvent]:
    """Return what the ticketing system reported about a ticket, by its own version."""
    column = tables.ticket_event.c
    query = (
        select(tables.ticket_event)
        .where(column.ticket_no == ticket_no)
        .order_by(column.version, column.occurred_at, column.source, column.event_id)
        .limit(limit)
    )
    return [_event(row) for row in connection.execute(query).mappings()]


def timeline(connection: Connection, ticket_no: str) -> list[TimelineEntry]:
    """Return a ticket's history from both sides, oldest first."""
    entries = [
        TimelineEntry(event.occurred_at, event.type, event.actor, str(event.data.get("note", "")))
        for event in events_of(connection, ticket_no)
    ]
    entries += [
        TimelineEntry(row.command.created_at, f"sent:{row.command.command}", row.sink, row.state.value)
        for row in outbox_of(connection, ticket_no)
    ]
    link, alarm = tables.ticket_alarm.c, tables.alarm.c
    joined = (
        select(link.alarm_id, link.occurrence_no, alarm.raised_at)
        .join(tables.alarm, and_(alarm.alarm_id == link.alarm_id, alarm.occurrence_no == link.occurrence_no))
        .where(link.ticket_no == ticket_no, alarm.raised_at.is_not(None))
    )
    for alarm_id, number, raised_at in connection.execute(joined):
        entries.append(TimelineEntry(from_us(raised_at), "alarm", "gasgate", f"{alarm_id}#{number}"))
    return sorted(entries, key=lambda entry: entry.at)


def insert_command(connection: Connection, command: Command, *, sink: str, wall_now_s: float) -> None:
    """Put a command into the outbox, in the transaction that made it necessary."""
    values = {
        "ticket_no": command.ticket_no,
        "command": command.command,
        "command_no": command.command_no,
        "sink": sink,
        "state": DeliveryState.PENDING.value,
        "webhook_id": command.webhook_id,
        "body": dict(command.body),
        "attempts": 0,
        "created_at": to_us(command.created_at),
        "wall_created_at": wall_now_s,
        "next_at": wall_now_s,
        "last_error": "",
    }
    connection.execute(tables.outbox.insert(), values)


def next_command_no(connection: Connection, ticket_no: str) -> int:
    """Return the number that the next command of a ticket gets, from 1."""
    newest = connection.execute(_NEWEST_COMMAND, {"key": ticket_no}).scalar()
    return int(newest or 0) + 1


def outbox_of(connection: Connection, ticket_no: str) -> list[OutboxRow]:
    """Return all commands of a ticket in their order."""
    query = _outbox().where(tables.outbox.c.ticket_no == ticket_no).order_by(tables.outbox.c.command_no)
    return [_outbox_row(row) for row in connection.execute(query).mappings()]


def due_commands(connection: Connection, sink: str, ticket_class: TicketClass, *, wall_now_s: float) -> list[OutboxRow]:
    """Return the commands of one lane that may be sent now: of each ticket only the first unfinished one.

    A ticket whose `open` was given up sends nothing more: its receiver would not know what the rest is about.
    """
    asked = {"sink": sink, "ticket_class": ticket_class.value, "now": wall_now_s}
    return [_outbox_row(row) for row in connection.execute(_DUE, asked).mappings()]


def outbox_signs(connection: Connection, sinks: Sequence[str]) -> tuple[int, float | None]:
    """Return (highest row id, earliest `next_at` of what waits for these sinks): cheap enough to ask often.

    The first is 0 and the second None where there is nothing; `next_at` is real seconds since 1970.
    """
    column = tables.outbox.c
    newest = connection.execute(select(func.max(column.id))).scalar()
    waiting = [state.value for state in WAITING]
    query = select(func.min(column.next_at)).where(column.state.in_(waiting), column.sink.in_(sinks))
    due = connection.execute(query).scalar()
    return int(newest or 0), None if due is None else float(due)


def set_delivery(
    connection: Connection,
    row_id: int,
    state: DeliveryState,
    *,
    attempts: int,
    next_at: float,
    error: str = "",
    cause: Cause | None = None,
) -> None:
    """Record where an unconfirmed command stands; a ticket whose `open` was given up takes no more alarms."""
    values = {"state": state.value, "attempts": attempts, "next_at": next_at, "last_error": error[:500]}
    column = tables.outbox.c
    connection.execute(update(tables.outbox).where(column.id == row_id).values(**values, cause=cause))
    if state is DeliveryState.DEAD:
        given_up = select(column.ticket_no).where(column.id == row_id, column.command == "open")
        connection.execute(update(tables.ticket).where(tables.ticket.c.ticket_no.in_(given_up)).values(joinable=False))


def lease(connection: Connection, row_id: int) -> bool:
    """Mark a waiting command as being sent; False if another worker has it."""
    return bool(connection.execute(_LEASE, {"key": row_id}).rowcount)


def set_confirmed(connection: Connection, row_id: int, *, attempts: int, at: datetime, wall_now_s: float) -> None:
    """Record that the receiver has the command."""
    connection.execute(
        update(tables.outbox)
        .where(tables.outbox.c.id == row_id)
        .values(
            state=DeliveryState.CONFIRMED.value,
            attempts=attempts,
            confirmed_at=to_us(at),
            wall_confirmed_at=wall_now_s,
            last_error="",
            cause=None,
        )
    )


def set_external(connection: Connection, ticket_no: str, external_id: str, url: str) -> None:
    """Record how the ticketing system calls a ticket."""
    connection.execute(
        update(tables.ticket)
        .where(tables.ticket.c.ticket_no == ticket_no)
        .values(external_id=external_id[:120], external_url=url[:2000])
    )


def release_leases(connection: Connection) -> int:
    """Make commands that were being sent when a process died unknown; return how many."""
    query = (
        update(tables.outbox)
        .where(tables.outbox.c.state == DeliveryState.SENDING.value)
        .values(state=DeliveryState.UNKNOWN.value, next_at=0.0)
    )
    return int(connection.execute(query).rowcount)


def bring_forward(connection: Connection, *, wall_now_s: float) -> None:
    """Bring what waits for a moment made with a clock that was ahead back to now: its age, and its next attempt."""
    column = tables.outbox.c
    unfinished = update(tables.outbox).where(column.state.in_(_UNCONFIRMED), column.wall_created_at > wall_now_s)
    connection.execute(unfinished.values(wall_created_at=wall_now_s))
    waiting = update(tables.outbox).where(column.state.in_([state.value for state in WAITING]))
    connection.execute(waiting.where(column.next_at > wall_now_s).values(next_at=wall_now_s))


def replay_dead(connection: Connection, row_id: int, *, wall_now_s: float) -> bool:
    """Let a dead command be sent again with the same webhook id; False if it is not dead."""
    query = (
        update(tables.outbox)
        .where(tables.outbox.c.id == row_id, tables.outbox.c.state == DeliveryState.DEAD.value)
        .values(**_ANEW, next_at=wall_now_s, wall_created_at=wall_now_s)
    )
    return bool(connection.execute(query).rowcount)


def revive_misconfigured(connection: Connection, *, wall_now_s: float) -> int:
    """Let all that was given up because of credentials or addresses be sent again; return how many."""
    column = tables.outbox.c
    query = update(tables.outbox).where(column.state == DeliveryState.DEAD.value, column.cause == Cause.MISCONFIGURED)
    return int(connection.execute(query.values(**_ANEW, next_at=wall_now_s, wall_created_at=wall_now_s)).rowcount)


def send_again(connection: Connection, ticket_no: str, *, wall_now_s: float) -> None:
    """Forget that the ticketing system has a ticket, because it surely has it no more; its `open` goes out again."""
    column = tables.outbox.c
    query = update(tables.outbox).where(column.ticket_no == ticket_no, column.command == "open")
    connection.execute(query.values(**_ANEW, next_at=wall_now_s, wall_created_at=wall_now_s, wall_confirmed_at=None))
    set_external(connection, ticket_no, "", "")


def rekey(
    connection: Connection, ticket_no: str, dedup_key: str, webhook_ids: Sequence[str], wall_now_s: float
) -> None:
    """Give a ticket another key, and its unconfirmed commands other ids: its own were found in use."""
    connection.execute(update(tables.ticket).where(tables.ticket.c.ticket_no == ticket_no).values(dedup_key=dedup_key))
    fresh = iter(webhook_ids)
    for row in outbox_of(connection, ticket_no):
        if row.state is not DeliveryState.CONFIRMED:
            body = {**row.command.body, "dedup_key": dedup_key}
            values = {**_ANEW, "state": DeliveryState.PENDING.value, "body": body, "webhook_id": next(fresh)}
            query = update(tables.outbox).where(tables.outbox.c.id == row.id)
            connection.execute(query.values(**values, next_at=wall_now_s))


def list_unconfirmed(connection: Connection, classes: Sequence[TicketClass], *, wall_before_s: float) -> list[str]:
    """Return the tickets of these classes whose `open` is older than a real moment and confirmed by no receiver.

    Those that a person gave to a crew by telephone are left out.
    """
    column = tables.outbox.c
    query = (
        select(column.ticket_no)
        .join(tables.ticket, tables.ticket.c.ticket_no == column.ticket_no)
        .where(column.command == "open", column.state.in_(_UNCONFIRMED), not_(handled_by_phone(column.ticket_no)))
        .where(column.wall_created_at <= wall_before_s)
        .where(tables.ticket.c.ticket_class.in_([one.value for one in classes]))
    )
    return list(connection.execute(query).scalars())


def unconfirmed_since(connection: Connection, *, wall_before_s: float) -> list[tuple[str, TicketClass, float]]:
    """Return number, class and real moment of making of every ticket that `list_unconfirmed` would name."""
    found = connection.execute(_UNCONFIRMED_OPENINGS, {"before": wall_before_s})
    return [(str(number), TicketClass(name), float(made_s)) for number, name, made_s in found]


def list_dead(connection: Connection, *, limit: int | None = 200, before: int | None = None) -> list[OutboxRow]:
    """Return commands that were given up, newest first; `before` is a row's id."""
    column = tables.outbox.c
    query = _outbox().where(column.state == DeliveryState.DEAD.value).order_by(column.id.desc()).limit(limit)
    if before is not None:
        query = query.where(column.id < before)
    return [_outbox_row(row) for row in connection.execute(query).mappings()]


def count_dead(connection: Connection) -> int:
    """Return how many commands were given up."""
    query = select(func.count()).where(tables.outbox.c.state == DeliveryState.DEAD.value)
    return int(connection.execute(query).scalar() or 0)


def dead_to_tell(connection: Connection) -> list[OutboxRow]:
    """Return what was given up of tickets that have not ended and that nobody handled by telephone: all of it."""
    ticket = tables.ticket.c
    query = _outbox().where(tables.outbox.c.state == DeliveryState.DEAD.value)
    query = query.where(ticket.state.not_in([state.value for state in ENDED]), not_(handled_by_phone(ticket.ticket_no)))
    return [_outbox_row(row) for row in connection.execute(query).mappings()]


def _values(ticket: Ticket) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(ticket, name) for name in _TEXTS}
    for name in _MOMENTS:
        moment = getattr(ticket, name)
        values[name] = None if moment is None else to_us(moment)
    return {**values, "ticket_class": ticket.ticket_class.value, "state": ticket.state.value}


def _ticket(row: RowMapping) -> Ticket:
    values: dict[str, Any] = {name: row[name] for name in _TEXTS}
    for name in _MOMENTS:
        values[name] = None if row[name] is None else from_us(row[name])
    delivery = DeliveryState(row["delivery"] or DeliveryState.PENDING)
    return Ticket(
        **values, ticket_class=TicketClass(row["ticket_class"]), state=TicketState(row["state"]), delivery=delivery
    )


def _event(row: RowMapping) -> TicketEvent:
    values = {name: row[name] for name in TicketEvent.__slots__}
    return TicketEvent(
        **{**values, "occurred_at": from_us(row["occurred_at"]), "received_at": from_us(row["received_at"])}
    )


def _outbox_row(row: RowMapping) -> OutboxRow:
    command = Command(
        dedup_key=row["dedup_key"],
        ticket_no=row["ticket_no"],
        command=row["command"],
        command_no=row["command_no"],
        webhook_id=row["webhook_id"],
        ticket_class=TicketClass(row["ticket_class"]),
        created_at=from_us(row["created_at"]),
        body=row["body"],
    )
    return OutboxRow(
        id=row["id"],
        sink=row["sink"],
        state=DeliveryState(row["state"]),
        attempts=row["attempts"],
        command=command,
        wall_created_at=row["wall_created_at"],
        next_at=row["next_at"],
        wall_confirmed_at=row["wall_confirmed_at"],
        last_error=row["last_error"],
        cause=None if row["cause"] is None else Cause(row["cause"]),
        external_id=row["external_id"],
    )
