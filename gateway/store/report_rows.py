"""The journal as the report on the alarm system reads it: few columns of many rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from gateway.store import tables

GUIDANCE = "alarm.guidance"
"""act of the audit trail: somebody opened the instruction that an alarm's definition leads to"""
_HIDING = ("oos", "sbd", "shelf")


@dataclass(frozen=True, slots=True)
class JournalFacts:
    """A line of the journal; `before` and `after` are the facts as stored, times us UTC."""

    at: int
    alarm_id: str
    event: str
    before: dict[str, Any]
    after: dict[str, Any]


def journal_between(connection: Connection, begin: int, end: int) -> Iterator[JournalFacts]:
    """Yield the lines with begin <= at < end, oldest first."""
    column = tables.journal.c
    query = select(column.at, column.alarm_id, column.event, column.before, column.after)
    query = query.where(column.at >= begin, column.at < end).order_by(column.seq)
    for row in connection.execution_options(stream_results=True).execute(query):
        yield JournalFacts(*row)


def standing_at(connection: Connection, moment: int) -> list[tuple[str, int | None, dict[str, Any]]]:
    """Return (alarm, condition since, facts that hide it) of every alarm that was not normal or hidden at a moment.

    How an alarm was then is told by its first line of the journal since, else by how it is now.
    """
    line, column = tables.journal.c, tables.alarm.c
    later = select(func.min(line.seq)).where(line.at >= moment).group_by(line.alarm_id)
    before = {
        row.alarm_id: row.before
        for row in connection.execute(select(line.alarm_id, line.before).where(line.seq.in_(later)))
    }
    query = select(column.alarm_id, column.condition_at, column.cond, column.oos, column.sbd, column.shelf)
    now = {row["alarm_id"]: row for row in connection.execute(query.where(column.state != "A")).mappings()}
    return [
        (name, facts["condition_at"] if facts["cond"] else None, {fact: facts[fact] for fact in _HIDING})
        for name, facts in {**now, **before}.items()
    ]


def announced_between(connection: Connection, begin: int, end: int) -> dict[tuple[str, int], int]:
    """Return when each occurrence (alarm, number) was first announced, if begin <= time < end (us UTC)."""
    column = tables.journal.c
    query = select(column.alarm_id, column.occurrence_no, func.min(column.at)).where(
        column.at >= begin, column.at < end, column.event == "announced"
    )
    rows = connection.execute(query.group_by(column.alarm_id, column.occurrence_no))
    return {(str(name), int(number)): int(at) for name, number, at in rows}


def tickets_of_alarms(connection: Connection, begin: int, end: int) -> list[Any]:
    """Return (alarm, raised, confirmed, departed, arrived) of tickets that alarms opened, begin <= raised < end.

    Times are us UTC. Of the alarms that joined one names it.
    """
    ticket, link, sent = tables.ticket.c, tables.ticket_alarm.c, tables.outbox.c
    confirmed = (
        select(func.min(sent.confirmed_at))
        .where(sent.ticket_no == ticket.ticket_no, sent.command == "open")
        .scalar_subquery()
    )
    query = (
        select(func.min(link.alarm_id), ticket.raised_at, confirmed, ticket.departed_at, ticket.arrived_at)
        .join(tables.ticket_alarm, link.ticket_no == ticket.ticket_no)
        .where(
            ticket.raised_at >= begin, ticket.raised_at < end, ~link.alarm_id.startswith("FINDING_", autoescape=True)
        )
        .group_by(ticket.ticket_no)
    )
    return [tuple(row) for row in connection.execute(query)]


def guidance_opened(connection: Connection, begin: int) -> list[tuple[tuple[str, int], int]]:
    """Return ((alarm, occurrence), time in us UTC) of each instruction that was opened since a moment."""
    column = tables.audit.c
    query = select(column.subject, column.detail, column.at).where(column.act == GUIDANCE, column.at >= begin)
    return [((name, int(detail["occurrence_no"])), at) for name, detail, at in connection.execute(query)]


def announced_since(connection: Connection, moment: int) -> list[int]:
    """Return when something was announced from a moment on, us UTC, oldest first."""
    column = tables.journal.c
    wanted = column.event.in_(("announced", "announced_again"))
    query = select(column.at).where(column.at >= moment, wanted).order_by(column.at)
    return list(connection.execute(query).scalars())


def counts_since(
    connection: Connection, moment: int, events: Sequence[str], alarm_ids: Sequence[str] | None
) -> dict[str, int]:
    """Return how often each alarm, or each of these, has lines of these events from a moment on."""
    column = tables.journal.c
    query = select(column.alarm_id, func.count()).where(column.at >= moment, column.event.in_(events))
    if alarm_ids is not None:
        query = query.where(column.alarm_id.in_(alarm_ids))
    return {name: int(count) for name, count in connection.execute(query.group_by(column.alarm_id))}


def announced_after(connection: Connection, seq: int, moment: int) -> list[tuple[int, int]]:
    """Return seq and time (us UTC) of announcements behind a line of the journal, not before a moment; oldest first."""
    column = tables.journal.c
    wanted = column.event.in_(("announced", "announced_again"))
    query = select(column.seq, column.at).where(column.seq > seq, column.at >= moment, wanted).order_by(column.seq)
    return [(int(number), int(at)) for number, at in connection.execute(query)]
