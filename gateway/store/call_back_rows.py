"""Call-backs and the seeds of their draw as rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, exists, func, or_, select, update

from gateway.model.reading import from_us, to_us
from gateway.model.ticket import TicketState
from gateway.store import tables

_row, _seed = tables.call_back, tables.call_back_seed


@dataclass(frozen=True, slots=True)
class CallBack:
    """A finished ticket whose customer is called."""

    ticket_no: str
    level: str
    unit: str
    crew: str
    month: str
    """local month of the draw, e.g. 2026-11"""
    drawn_at: datetime
    due_at: datetime
    tries: tuple[Mapping[str, Any], ...] = ()
    """{at, by, reached} of each"""
    answers: Mapping[str, Any] | None = None
    closed_at: datetime | None = None
    opened: str = ""
    """ticket that was opened because the customer was not satisfied"""


@dataclass(frozen=True, slots=True)
class FinishedTicket:
    """A ticket that was completed, with who did the work."""

    ticket_no: str
    asset: str
    crew: str
    completed_at: datetime
    reported: bool
    """True if a customer asked for it: by telephone, by an order, or because the work before did not satisfy"""
    type: str = ""


def finished(connection: Connection, start: datetime, end: datetime) -> list[FinishedTicket]:
    """Return the completed tickets whose completion was reported in [start, end), in order of time.

    A step that is entered late belongs to the day on which it was entered: else it would escape the draw.
    """
    ticket, event, call = tables.ticket.c, tables.ticket_event.c, tables.call_report.c
    crew = (
        select(func.max(event.actor))
        .where(event.ticket_no == ticket.ticket_no, event.type == TicketState.COMPLETED.value)
        .scalar_subquery()
    )
    entered = (
        select(func.max(event.received_at))
        .where(event.ticket_no == ticket.ticket_no, event.type == TicketState.COMPLETED.value)
        .scalar_subquery()
    )
    learned = func.coalesce(entered, ticket.completed_at)
    asked = exists().where(call.ticket_no == ticket.ticket_no)
    own, other = tables.ticket_step.c, tables.call_back.c
    ordered = exists().where(own.ticket_no == ticket.ticket_no, own.step == "reported")
    reported = or_(asked, ordered, exists().where(other.opened == ticket.ticket_no))
    query = (
        select(
            ticket.ticket_no,
            ticket.asset,
            ticket.type,
            crew.label("crew"),
            ticket.completed_at,
            reported.label("reported"),
        )
        .where(ticket.completed_at.is_not(None), learned >= to_us(start), learned < to_us(end))
        .order_by(ticket.completed_at, ticket.ticket_no)
    )
    return [
        FinishedTicket(
            row.ticket_no, row.asset, row.crew or "", from_us(row.completed_at), bool(row.reported), row.type
        )
        for row in connection.execute(query)
    ]


def add(connection: Connection, drawn: CallBack) -> None:
    """Record that a ticket was drawn."""
    connection.execute(
        _row.insert().values(
            ticket_no=drawn.ticket_no,
            level=drawn.level,
            unit=drawn.unit,
            crew=drawn.crew,
            month=drawn.month,
            drawn_at=to_us(drawn.drawn_at),
            due_at=to_us(drawn.due_at),
            tries=[],
        )
    )


def drawn_of(connection: Connection, level: str, unit: str, month: str) -> Counter[str]:
    """Return how many tickets of each crew were drawn in a month."""
    query = select(_row.c.crew, func.count()).where(
        _row.c.level == level, _row.c.unit == unit, _row.c.month == month
    )  # fmt: skip
    return Counter({str(crew): int(count) for crew, count in connection.execute(query.group_by(_row.c.crew))})


def drawn_among(connection: Connection, level: str, ticket_nos: Collection[str]) -> set[str]:
    """Return which of these tickets were drawn before."""
    query = select(_row.c.ticket_no).where(_row.c.level == level, _row.c.ticket_no.in_(ticket_nos))
    return set(connection.execute(query).scalars())


def find(connection: Connection, ticket_no: str, level: str) -> CallBack | None:
    """Return one call-back."""
    query = select(_row).where(_row.c.ticket_no == ticket_no, _row.c.level == level)
    row = connection.execute(query).mappings().first()
    return None if row is None else _call_back(row)


def listed(
    connection: Connection,
    *,
    month: str | None = None,
    ticket_no: str | None = None,
    waiting: bool = False,
    limit: int | None = 500,
) -> list[CallBack]:
    """Return call-backs, those that are due first first: of a month, of a ticket, or all that wait."""
    query = select(_row).order_by(_row.c.due_at, _row.c.ticket_no, _row.c.level).limit(limit)
    if month is not None:
        query = query.where(_row.c.month == month)
    if ticket_no is not None:
        query = query.where(_row.c.ticket_no == ticket_no)
    if waiting:
        query = query.where(_row.c.closed_at.is_(None))
    return [_call_back(row) for row in connection.execute(query).mappings()]


def opened_for(connection: Connection, ticket_no: str) -> str:
    """Return the ticket that was opened because the work on a ticket did not satisfy; empty if none was."""
    query = select(_row.c.opened).where(_row.c.ticket_no == ticket_no, _row.c.opened.is_not(None)).limit(1)
    return str(connection.execute(query).scalar() or "")


def put(connection: Connection, call_back: CallBack) -> None:
    """Store tries and answers."""
    key = and_(_row.c.ticket_no == call_back.ticket_no, _row.c.level == call_back.level)
    connection.execute(
        update(_row)
        .where(key)
        .values(
            tries=[dict(one) for one in call_back.tries],
            answers=None if call_back.answers is None else dict(call_back.answers),
            opened=call_back.opened or None,
            closed_at=None if call_back.closed_at is None else to_us(call_back.closed_at),
        )
    )


def seed_of(connection: Connection, month: str, made: str, at: datetime) -> str:
    """Return the seed of a month's draw; without one `made` becomes it."""
    found = connection.execute(select(_seed.c.seed).where(_seed.c.month == month)).scalar()
    if found is not None:
        return str(found)
    connection.execute(_seed.insert().values(month=month, seed=made, made_at=to_us(at)))
    return made


def seeds(connection: Connection) -> dict[str, str]:
    """Return the seeds of all months, the newest first."""
    query = select(_seed.c.month, _seed.c.seed).order_by(_seed.c.month.desc())
    return {str(month): str(seed) for month, seed in connection.execute(query)}


def _call_back(row: RowMapping) -> CallBack:
    return CallBack(
        row["ticket_no"],
        row["level"],
        row["unit"],
        row["crew"],
        row["month"],
        from_us(row["drawn_at"]),
        from_us(row["due_at"]),
        tuple(row["tries"]),
        row["answers"],
        None if row["closed_at"] is None else from_us(row["closed_at"]),
        row["opened"] or "",
    )
