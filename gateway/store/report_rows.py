"""The journal as the report on the alarm system reads it: few columns of many rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from gateway.store import tables

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


def standing_now(connection: Connection) -> list[tuple[str, int | None, dict[str, Any]]]:
    """Return (alarm, condition since, facts that hide it) of every alarm that is not normal or is hidden."""
    column = tables.alarm.c
    query = select(column.alarm_id, column.condition_at, column.cond, column.oos, column.sbd, column.shelf)
    rows: Sequence[Any] = connection.execute(query.where(column.state != "A")).all()
    return [
        (row.alarm_id, row.condition_at if row.cond else None, {name: getattr(row, name) for name in _HIDING})
        for row in rows
    ]


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
