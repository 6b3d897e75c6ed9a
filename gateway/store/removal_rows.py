"""Wishes to take a highly managed alarm out of service, which a second person has to agree to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, select

from gateway.errors import RefusedError
from gateway.model.reading import from_us, to_us
from gateway.store import tables

_row = tables.removal
_ASKED = "asked"


@dataclass(frozen=True, slots=True)
class Removal:
    """A wish: what, why, what watches meanwhile, and what became of it."""

    id: int
    request_id: str
    alarm_id: str
    work_order: str
    interim: str
    until: datetime
    by: str
    at: datetime
    state: str
    """asked, agreed or refused"""
    decided_by: str
    decided_at: datetime | None


def ask(
    connection: Connection,
    request_id: str,
    alarm_id: str,
    *,
    work_order: str,
    interim: str,
    until: datetime,
    by: str,
    at: datetime,
) -> Removal:
    """Write a wish and return it; the same request id again gives the first one.

    Raises RefusedError 409 `request_id_used` if another person or another alarm had the id, 409 `already_asked` if a
    wish about this alarm waits.
    """
    known = connection.execute(select(_row).where(_row.c.request_id == request_id)).mappings().first()
    if known is not None:
        if (known["alarm_id"], known["by"]) != (alarm_id, by):
            raise RefusedError(409, "request_id_used", "another person, or another alarm, had this request id")
        return _removal(known)
    waits = select(_row.c.id).where(_row.c.alarm_id == alarm_id, _row.c.state == _ASKED)
    if connection.execute(waits).first() is not None:
        raise RefusedError(409, "already_asked")
    values = {"request_id": request_id, "alarm_id": alarm_id, "work_order": work_order, "interim": interim}
    made = connection.execute(
        _row.insert().values(**values, until=to_us(until), by=by, at=to_us(at), state=_ASKED, decided_by="")
    )
    assert made.inserted_primary_key is not None
    return find(connection, int(made.inserted_primary_key[0]))


def find(connection: Connection, removal_id: int) -> Removal:
    """Return a wish. Raises RefusedError 404 `unknown_removal`."""
    row = connection.execute(select(_row).where(_row.c.id == removal_id)).mappings().first()
    if row is None:
        raise RefusedError(404, "unknown_removal")
    return _removal(row)


def decide(connection: Connection, removal_id: int, by: str, *, agree: bool, at: datetime) -> Removal:
    """Settle a wish.

    Raises RefusedError 404 `unknown_removal`, 409 `not_waiting`, 403 `second_person` if the asker agrees with himself.
    """
    wish = find(connection, removal_id)
    if wish.state != _ASKED:
        raise RefusedError(409, "not_waiting")
    if agree and wish.by == by:
        raise RefusedError(403, "second_person")
    state = "agreed" if agree else "refused"
    connection.execute(
        _row.update().where(_row.c.id == removal_id).values(state=state, decided_by=by, decided_at=to_us(at))
    )
    return find(connection, removal_id)


def waiting(connection: Connection, limit: int = 500) -> list[Removal]:
    """Return the wishes that nobody has decided, oldest first."""
    query = select(_row).where(_row.c.state == _ASKED).order_by(_row.c.id).limit(limit)
    return [_removal(row) for row in connection.execute(query).mappings()]


def _removal(row: RowMapping) -> Removal:
    decided = None if row["decided_at"] is None else from_us(row["decided_at"])
    return Removal(**{**row, "until": from_us(row["until"]), "at": from_us(row["at"]), "decided_at": decided})
