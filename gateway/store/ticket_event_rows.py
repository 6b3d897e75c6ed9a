"""What ticketing systems reported about tickets, and a ticket's history from both sides, as rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, select, update

from gateway.model.reading import from_us, to_us
from gateway.store import outbox_rows, tables


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
class TimelineEntry:
    """One line of a ticket's history, from our side or from the ticketing system's."""

    at: datetime
    what: str
    """an event's type, or `sent:<command>` with its delivery state in `detail`, or `alarm` with the alarm's id"""
    actor: str
    detail: str


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
            result=_word(event.data.get("result")),
        )
    )
    return True


def _word(result: object) -> str | None:
    """Return what a ticketing system calls the result of the work as one word, spaces as underscores."""
    return str(result).strip().lower().replace(" ", "_")[:40] or None if result else None


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
        for row in outbox_rows.outbox_of(connection, ticket_no)
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


def _event(row: RowMapping) -> TicketEvent:
    values = {name: row[name] for name in TicketEvent.__slots__}
    return TicketEvent(
        **{**values, "occurred_at": from_us(row["occurred_at"]), "received_at": from_us(row["received_at"])}
    )
