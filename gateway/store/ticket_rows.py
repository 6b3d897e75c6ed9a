"""Tickets and the alarms that they answer as rows of the state database."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, bindparam, func, or_, select, update

from gateway.model import ticket as model
from gateway.model.reading import from_us, to_us
from gateway.model.ticket import DeliveryState, Ticket, TicketClass, TicketState
from gateway.store import tables

ENDED = model.ENDED
_BEFORE_LEAVING = (TicketState.OPEN, TicketState.ACCEPTED, TicketState.DISPATCHED)
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
_EXTENT = ("size", "customer", "customers", "sensitive")
_LINK = tables.ticket_alarm.c
# Statements of the hot path are built once: SQLAlchemy takes longer to build one than SQLite to run it.
_TICKET_OF = select(_LINK.ticket_no).where(
    _LINK.alarm_id == bindparam("key"), _LINK.occurrence_no == bindparam("number")
)


def _with_delivery() -> Any:
    opened = and_(tables.outbox.c.ticket_no == tables.ticket.c.ticket_no, tables.outbox.c.command == "open")
    return select(tables.ticket, tables.outbox.c.state.label("delivery")).outerjoin(tables.outbox, opened)


def _joinable() -> Any:
    column = tables.ticket.c
    return (
        _with_delivery()
        .where(column.join_group == bindparam("group"), column.scope == bindparam("scope"), column.joinable)
        .where(column.ticket_class.in_(bindparam("classes", expanding=True)))
        .order_by(column.raised_at)
        .limit(1)
    )


_JOINABLE = _joinable()
_BY_NUMBER = _with_delivery().where(tables.ticket.c.ticket_no == bindparam("key"))


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


def set_extent(connection: Connection, ticket: Ticket) -> None:
    """Store the size and the customers of a ticket; its clocks are then due to be set by them."""
    values = {name: getattr(ticket, name) for name in _EXTENT}
    query = update(tables.ticket).where(tables.ticket.c.ticket_no == ticket.ticket_no)
    connection.execute(query.values(**values, clocked=None))


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


def list_open_at(connection: Connection, is_there: Callable[[str, str], bool], *, limit: int) -> list[Ticket]:
    """Return tickets that have not ended and of whose number and asset `is_there` holds.

    Emergencies come first, then the oldest first. All open tickets are looked through, however many there are.
    """
    column = tables.ticket.c
    query = select(column.ticket_no, column.asset).where(
        column.state.in_([state.value for state in TicketState if state not in ENDED])
    )
    numbers = [number for number, asset in connection.execute(query) if is_there(number, asset)]
    tickets = [one for number in numbers if (one := find_ticket(connection, number)) is not None]
    order = tuple(TicketClass)
    return sorted(tickets, key=lambda ticket: (order.index(ticket.ticket_class), ticket.raised_at))[:limit]


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


def set_external(connection: Connection, ticket_no: str, external_id: str, url: str) -> None:
    """Record how the ticketing system calls a ticket."""
    connection.execute(
        update(tables.ticket)
        .where(tables.ticket.c.ticket_no == ticket_no)
        .values(external_id=external_id[:120], external_url=url[:2000])
    )


def _values(ticket: Ticket) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(ticket, name) for name in (*_TEXTS, *_EXTENT)}
    for name in _MOMENTS:
        moment = getattr(ticket, name)
        values[name] = None if moment is None else to_us(moment)
    return {**values, "ticket_class": ticket.ticket_class.value, "state": ticket.state.value}


def _ticket(row: RowMapping) -> Ticket:
    values: dict[str, Any] = {name: row[name] for name in _TEXTS}
    values |= {"size": row["size"] or "", "customer": row["customer"] or ""}
    values |= {"customers": row["customers"], "sensitive": row["sensitive"]}
    for name in _MOMENTS:
        values[name] = None if row[name] is None else from_us(row[name])
    delivery = DeliveryState(row["delivery"] or DeliveryState.PENDING)
    return Ticket(
        **values, ticket_class=TicketClass(row["ticket_class"]), state=TicketState(row["state"]), delivery=delivery
    )
