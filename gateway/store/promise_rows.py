"""Clocks of tickets, their pauses, changes and escalations, and steps that gasgate itself knows, as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, func, select, update

from gateway.model.reading import from_us, to_us
from gateway.store import tables

_clock, _pause, _told = tables.ticket_clock, tables.clock_pause, tables.escalation
_MOMENTS = ("started_at", "due_at", "stopped_at", "agreed_at", "next_at")


@dataclass(frozen=True, slots=True)
class ClockRow:
    """One clock of a ticket as it was computed last; times are UTC."""

    ticket_no: str
    clock: str
    promise: Mapping[str, Any]
    standing: str
    started_at: datetime | None = None
    due_at: datetime | None = None
    stopped_at: datetime | None = None
    provisional: bool = False
    agreed_at: datetime | None = None
    next_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PauseRow:
    """A time in which a ticket's clocks stand."""

    since: datetime
    until: datetime | None
    reason: str
    actor: str


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """A due time that a person, or a rule, changed."""

    clock: str
    at: datetime
    actor: str
    reason: str
    old_due_at: datetime | None
    new_due_at: datetime | None


@dataclass(frozen=True, slots=True)
class CallRow:
    """Somebody was told that a clock runs out."""

    ticket_no: str
    clock: str
    rung: int
    repetition: int
    tell: str
    due_at: datetime
    told_at: datetime
    breach: bool


def without_clocks(connection: Connection, *, limit: int) -> list[str]:
    """Return tickets whose clocks are not set yet, the oldest first."""
    column = tables.ticket.c
    query = select(column.ticket_no).where(column.clocked.is_(None)).order_by(column.ticket_no).limit(limit)
    return list(connection.execute(query).scalars())


def mark_clocked(connection: Connection, ticket_no: str) -> None:
    """Say that a ticket's clocks are set."""
    ticket = tables.ticket
    connection.execute(update(ticket).where(ticket.c.ticket_no == ticket_no).values(clocked=True))


def set_due(connection: Connection, ticket_no: str, depart_by: datetime | None, arrive_by: datetime | None) -> None:
    """Show on a ticket by when its crew has to leave and to be there."""
    values = {"depart_by": _us(depart_by), "arrive_by": _us(arrive_by)}
    connection.execute(update(tables.ticket).where(tables.ticket.c.ticket_no == ticket_no).values(**values))


def add_clocks(connection: Connection, rows: Sequence[ClockRow]) -> None:
    """Store the clocks of a new ticket."""
    if rows:
        keys = [{"ticket_no": row.ticket_no, "clock": row.clock} for row in rows]
        connection.execute(_clock.insert(), [key | _values(row) for key, row in zip(keys, rows, strict=True)])


def put_clock(connection: Connection, row: ClockRow) -> None:
    """Store a clock that was computed again."""
    key = and_(_clock.c.ticket_no == row.ticket_no, _clock.c.clock == row.clock)
    connection.execute(update(_clock).where(key).values(**_values(row)))


def drop_clock(connection: Connection, row: ClockRow) -> None:
    """Forget a clock that does not bind its ticket any more; the change that says why is kept."""
    key = and_(_clock.c.ticket_no == row.ticket_no, _clock.c.clock == row.clock)
    connection.execute(_clock.delete().where(key))


def clocks_of(connection: Connection, ticket_no: str) -> list[ClockRow]:
    """Return the clocks of a ticket, the earliest due first."""
    query = select(_clock).where(_clock.c.ticket_no == ticket_no).order_by(_clock.c.due_at.nulls_last(), _clock.c.clock)
    return [_clock_row(row) for row in connection.execute(query).mappings()]


def due_tickets(connection: Connection, now: datetime, *, limit: int) -> list[str]:
    """Return tickets of which a clock changes by time alone by now, the longest due first."""
    query = (
        select(_clock.c.ticket_no)
        .where(_clock.c.next_at <= to_us(now))
        .group_by(_clock.c.ticket_no)
        .order_by(func.min(_clock.c.next_at))
        .limit(limit)
    )
    return list(connection.execute(query).scalars())


def wake(connection: Connection) -> None:
    """Make every clock that time changes due to be read: what was computed for a later time may not hold."""
    connection.execute(update(_clock).where(_clock.c.next_at.is_not(None)).values(next_at=0))


def look_again(connection: Connection, ticket_no: str) -> None:
    """Make all clocks of a ticket due to be read: a step of it was recorded."""
    connection.execute(update(_clock).where(_clock.c.ticket_no == ticket_no).values(next_at=0))


def provisional_tickets(connection: Connection) -> list[str]:
    """Return tickets with a due time that counts days beyond the official calendar."""
    query = select(_clock.c.ticket_no).where(_clock.c.provisional).distinct()
    return list(connection.execute(query).scalars())


def next_moment(connection: Connection) -> datetime | None:
    """Return when the next clock changes by time alone."""
    found = connection.execute(select(func.min(_clock.c.next_at))).scalar()
    return None if found is None else from_us(int(found))


def with_events_after(connection: Connection, event_id: int, *, limit: int) -> tuple[int, list[str]]:
    """Return tickets that have events with a higher row id, and the highest id looked at."""
    column = tables.ticket_event.c
    query = select(column.id, column.ticket_no).where(column.id > event_id).order_by(column.id).limit(limit)
    rows = list(connection.execute(query))
    return max((int(row.id) for row in rows), default=event_id), list(dict.fromkeys(str(row.ticket_no) for row in rows))


def add_step(
    connection: Connection, ticket_no: str, step: str, at: datetime, *, entered_at: datetime, actor: str, note: str = ""
) -> None:
    """Record a step that gasgate itself knows."""
    connection.execute(
        tables.ticket_step.insert().values(
            ticket_no=ticket_no, step=step, at=to_us(at), entered_at=to_us(entered_at), actor=actor, note=note
        )
    )


def written_steps(connection: Connection, ticket_no: str) -> list[tuple[str, datetime, str, str]]:
    """Return the steps that gasgate itself knows of a ticket: name, when, who wrote it down, note; oldest first."""
    own = tables.ticket_step.c
    query = select(own.step, own.at, own.actor, own.note).where(own.ticket_no == ticket_no).order_by(own.at, own.id)
    return [(str(step), from_us(int(at)), str(who), str(note)) for step, at, who, note in connection.execute(query)]


def steps_of(connection: Connection, ticket_no: str, now: datetime) -> dict[str, list[datetime]]:
    """Return when each step of a ticket was taken, ours and the ticketing system's, oldest first.

    A step that the ticketing system dates ahead, as its clock is ahead, is taken when it was received.
    """
    found: dict[str, list[datetime]] = {}
    own, told = tables.ticket_step.c, tables.ticket_event.c
    for step, at in connection.execute(select(own.step, own.at).where(own.ticket_no == ticket_no)):
        found.setdefault(str(step), []).append(from_us(int(at)))
    query = select(told.type, told.occurred_at, told.received_at).where(told.ticket_no == ticket_no)
    for step, at, received in connection.execute(query):
        found.setdefault(str(step), []).append(min(from_us(int(at)), from_us(int(received)), now))
    return {step: sorted(times) for step, times in found.items()}


def pauses_of(connection: Connection, ticket_no: str) -> list[PauseRow]:
    """Return the times in which a ticket's clocks stand, oldest first."""
    query = select(_pause).where(_pause.c.ticket_no == ticket_no).order_by(_pause.c.since)
    return [
        PauseRow(from_us(row["since"]), _time(row["until"]), row["reason"], row["actor"])
        for row in connection.execute(query).mappings()
    ]


def begin_pause(connection: Connection, ticket_no: str, since: datetime, reason: str, actor: str) -> None:
    """Let a ticket's clocks stand from a moment."""
    values = {"ticket_no": ticket_no, "since": to_us(since), "reason": reason, "actor": actor}
    connection.execute(_pause.insert().values(**values))


def end_pause(connection: Connection, ticket_no: str, until: datetime) -> bool:
    """Let a ticket's clocks go on; False if they did not stand."""
    open_one = and_(_pause.c.ticket_no == ticket_no, _pause.c.until.is_(None))
    return bool(connection.execute(update(_pause).where(open_one).values(until=to_us(until))).rowcount)


def add_change(connection: Connection, ticket_no: str, change: ChangeRow) -> None:
    """Record that a due time changed, who changed it and why."""
    values = {
        "clock": change.clock,
        "at": to_us(change.at),
        "actor": change.actor,
        "reason": change.reason,
        "old_due_at": _us(change.old_due_at),
        "new_due_at": _us(change.new_due_at),
    }
    connection.execute(tables.clock_change.insert().values(ticket_no=ticket_no, **values))


def changes_of(connection: Connection, ticket_no: str) -> list[ChangeRow]:
    """Return how due times of a ticket changed, oldest first."""
    table = tables.clock_change
    query = select(table).where(table.c.ticket_no == ticket_no).order_by(table.c.id)
    return [
        ChangeRow(
            clock=row["clock"],
            at=from_us(row["at"]),
            actor=row["actor"],
            reason=row["reason"],
            old_due_at=_time(row["old_due_at"]),
            new_due_at=_time(row["new_due_at"]),
        )
        for row in connection.execute(query).mappings()
    ]


def tell(connection: Connection, calls: Sequence[CallRow]) -> None:
    """Record that people are told of one ticket; a step that was told before stays as it was.

    A step that was told for an earlier due time is told anew, with the next free number.
    """
    if not calls:
        return
    columns = (_told.c.clock, _told.c.rung, _told.c.repetition, _told.c.due_at)
    before: dict[tuple[str, int], dict[int, int]] = {}
    for row in connection.execute(select(*columns).where(_told.c.ticket_no == calls[0].ticket_no)):
        before.setdefault((row.clock, row.rung), {})[row.repetition] = row.due_at
    values = []
    for call in calls:
        known, due_at = before.get((call.clock, call.rung), {}), to_us(call.due_at)
        if due_at in known.values() or (call.repetition in known and due_at < max(known.values())):
            continue
        number = max(known) + 1 if call.repetition in known else call.repetition
        facts: dict[str, Any] = {name: getattr(call, name) for name in CallRow.__slots__}
        values.append(facts | {"repetition": number, "due_at": due_at, "told_at": to_us(call.told_at)})
    if values:
        connection.execute(_told.insert(), values)


def told(
    connection: Connection, *, ticket_no: str | None = None, since: datetime | None = None, limit: int = 200
) -> list[CallRow]:
    """Return who was told, the newest first: of one ticket, or since a moment."""
    query = select(_told).order_by(_told.c.told_at.desc(), _told.c.rung.desc(), _told.c.repetition.desc()).limit(limit)
    if ticket_no is not None:
        query = query.where(_told.c.ticket_no == ticket_no)
    if since is not None:
        query = query.where(_told.c.told_at >= to_us(since))
    return [_call_row(row) for row in connection.execute(query).mappings()]


def clocks_between(connection: Connection, start: datetime, end: datetime) -> list[ClockRow]:
    """Return the clocks of tickets raised in [start, end)."""
    ticket = tables.ticket.c
    query = (
        select(_clock)
        .join(tables.ticket, ticket.ticket_no == _clock.c.ticket_no)
        .where(ticket.raised_at >= to_us(start), ticket.raised_at < to_us(end))
        .order_by(ticket.raised_at, _clock.c.ticket_no, _clock.c.clock)
    )
    return [_clock_row(row) for row in connection.execute(query).mappings()]


def _values(row: ClockRow) -> dict[str, Any]:
    values: dict[str, Any] = {name: _us(getattr(row, name)) for name in _MOMENTS}
    return values | {"promise": dict(row.promise), "standing": row.standing, "provisional": row.provisional}


def _clock_row(row: RowMapping) -> ClockRow:
    moments = {name: _time(row[name]) for name in _MOMENTS}
    return ClockRow(
        ticket_no=row["ticket_no"],
        clock=row["clock"],
        promise=row["promise"],
        standing=row["standing"],
        provisional=row["provisional"],
        **moments,
    )


def _call_row(row: RowMapping) -> CallRow:
    values = {name: row[name] for name in CallRow.__slots__}
    return CallRow(**{**values, "due_at": from_us(row["due_at"]), "told_at": from_us(row["told_at"])})


def _us(at: datetime | None) -> int | None:
    return None if at is None else to_us(at)


def _time(value: int | None) -> datetime | None:
    return None if value is None else from_us(value)
