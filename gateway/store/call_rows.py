"""Telephone reports as rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select, update

from gateway.model.call import LATE, Call
from gateway.model.reading import from_us, to_us
from gateway.model.ticket import ENDED
from gateway.store import tables

_row = tables.call_report


@dataclass(frozen=True, slots=True)
class CallReport:
    """A call as it was written down."""

    ticket_no: str
    call: Call
    entered_at: datetime
    taker: str
    joined: bool

    @property
    def late(self) -> bool:
        """Return whether it was entered long after it was taken."""
        return self.entered_at - self.call.called_at > LATE


def add(connection: Connection, request_id: str, report: CallReport) -> None:
    """Write a call down."""
    connection.execute(
        _row.insert().values(
            request_id=request_id,
            ticket_no=report.ticket_no,
            called_at=to_us(report.call.called_at),
            entered_at=to_us(report.entered_at),
            taker=report.taker,
            joined=report.joined,
            said=report.call.details,
        )
    )


def find(connection: Connection, request_id: str) -> CallReport | None:
    """Return the call that was entered with a request id."""
    row = connection.execute(select(_row).where(_row.c.request_id == request_id)).mappings().first()
    return None if row is None else _report(row)


def of_ticket(connection: Connection, ticket_no: str) -> list[CallReport]:
    """Return the calls about a ticket, the first call first."""
    query = select(_row).where(_row.c.ticket_no == ticket_no).order_by(_row.c.called_at, _row.c.id)
    return [_report(row) for row in connection.execute(query).mappings()]


def of_open(connection: Connection) -> dict[str, Call]:
    """Return by ticket the call that opened it, of all tickets that have not ended."""
    ticket = tables.ticket.c
    query = select(_row.c.ticket_no, _row.c.said).join(tables.ticket, ticket.ticket_no == _row.c.ticket_no)
    query = query.where(~_row.c.joined, ticket.state.not_in([state.value for state in ENDED]))
    return {ticket_no: Call.of(said) for ticket_no, said in connection.execute(query)}


def set_said(connection: Connection, ticket_no: str, details: Mapping[str, Any]) -> bool:
    """Store what more was said in the call that opened a ticket; False if none did."""
    first = select(func.min(_row.c.id)).where(_row.c.ticket_no == ticket_no, ~_row.c.joined).scalar_subquery()
    return bool(connection.execute(update(_row).where(_row.c.id == first).values(said=dict(details))).rowcount)


def newest(connection: Connection, *, limit: int = 100) -> list[CallReport]:
    """Return calls, the latest first."""
    query = select(_row).order_by(_row.c.called_at.desc(), _row.c.id.desc()).limit(limit)
    return [_report(row) for row in connection.execute(query).mappings()]


def _report(row: RowMapping) -> CallReport:
    return CallReport(row["ticket_no"], Call.of(row["said"]), from_us(row["entered_at"]), row["taker"], row["joined"])
