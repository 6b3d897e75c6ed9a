"""Whether occurrences of alarms were false: what the desk says, and what crews report with their tickets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select

from gateway.errors import RefusedError
from gateway.model.reading import from_us, to_us
from gateway.store import tables

FALSE, TRUE = ("false_alarm", "误报"), ("found", "real_alarm", "属实")
"""what a ticketing system may report as `result`, spaces as underscores; other words say nothing about the alarm"""
_row = tables.alarm_verdict


@dataclass(frozen=True, slots=True)
class Verdict:
    """What somebody says about one occurrence."""

    alarm_id: str
    occurrence_no: int
    false_alarm: bool
    who: str
    reason: str
    at: datetime


def add(connection: Connection, verdict: Verdict, request_id: str) -> Verdict:
    """Write a verdict and return it; the same request id again gives the first.

    Raises RefusedError 409 `request_id_used` if another person, or another alarm, had the id.
    """
    known = connection.execute(select(_row).where(_row.c.request_id == request_id)).mappings().first()
    if known is not None:
        if (known["who"], known["alarm_id"]) != (verdict.who, verdict.alarm_id):
            raise RefusedError(409, "request_id_used", "another person, or another alarm, had this request id")
        return Verdict(**{name: known[name] for name in Verdict.__slots__ if name != "at"}, at=from_us(known["at"]))
    values = {name: getattr(verdict, name) for name in Verdict.__slots__}
    connection.execute(_row.insert().values(**{**values, "at": to_us(verdict.at)}, request_id=request_id))
    return verdict


def raised_between(connection: Connection, begin: int, end: int, definition: str = "") -> set[tuple[str, int]]:
    """Return (alarm, occurrence) of all that was first announced with begin <= time < end, us UTC."""
    column = tables.journal.c
    query = select(column.alarm_id, column.occurrence_no).where(
        column.at >= begin, column.at < end, column.event == "announced"
    )
    if definition:
        query = query.where(column.alarm_id.startswith(f"{definition}@", autoescape=True))
    return {(str(alarm_id), int(number)) for alarm_id, number in connection.execute(query)}


def since(connection: Connection, begin: int) -> Iterator[Verdict]:
    """Yield what the desk and crews said from a moment on (us UTC), each in the order in which it was said."""
    for row in connection.execute(select(_row).where(_row.c.at >= begin).order_by(_row.c.id)).mappings():
        yield Verdict(**{name: row[name] for name in Verdict.__slots__ if name != "at"}, at=from_us(row["at"]))
    link, event = tables.ticket_alarm.c, tables.ticket_event.c
    query = (
        select(link.alarm_id, link.occurrence_no, event.result, event.actor, event.received_at)
        .join(tables.ticket_event, event.ticket_no == link.ticket_no)
        .where(event.result.in_((*FALSE, *TRUE)), event.received_at >= begin)
        .order_by(event.version, event.id)
    )
    for alarm_id, number, result, actor, at in connection.execute(query):
        yield Verdict(alarm_id, number, result in FALSE, actor, "", from_us(at))
