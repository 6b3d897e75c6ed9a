"""Planned interruptions and their notices as rows. Each step and its line of the audit trail are one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, func, or_, select

from gateway.errors import RefusedError
from gateway.model.interruption import LONGEST, Interruption, InterruptionState
from gateway.model.reading import from_us, to_us
from gateway.store import tables
from gateway.store.user_rows import add_audit

_row, _notice = tables.interruption, tables.interruption_notice
_MOMENTS = ("announced_at", "planned_start", "planned_end", "closed_at", "restored_at", "cancelled_at")
_STEPS = {
    "closed": (InterruptionState.PLANNED,),
    "restored": (InterruptionState.STOPPED,),
    "cancelled": (InterruptionState.PLANNED,),
}


@dataclass(frozen=True, slots=True)
class Notice:
    """Customers that were told, and how."""

    at: datetime
    channel: str
    customers: int
    who: str


def add(connection: Connection, request_id: str, wanted: Interruption) -> Interruption:
    """Write an interruption under a number of its own and return it; the same request id again gives the first.

    Raises RefusedError 409 `request_id_used` if another person had the id.
    """
    known = connection.execute(select(_row).where(_row.c.request_id == request_id)).mappings().first()
    if known is not None:
        if known["by"] != wanted.by:
            raise RefusedError(409, "request_id_used", "another person had this request id")
        return _interruption(known)
    count = int(connection.execute(select(func.count()).select_from(_row)).scalar_one())
    values = {**_values(wanted), "id": f"I-{count + 1:06d}", "request_id": request_id}
    connection.execute(_row.insert().values(**values))
    detail = {"zones": list(wanted.zones), "assets": list(wanted.assets), "short_notice": wanted.short_notice}
    add_audit(
        connection,
        values["announced_at"],
        wanted.by,
        "interruption.plan",
        subject=values["id"],
        detail=detail,
    )
    return find(connection, values["id"])


def find(connection: Connection, interruption_id: str) -> Interruption:
    """Return one. Raises RefusedError 404 `unknown_interruption`."""
    row = connection.execute(select(_row).where(_row.c.id == interruption_id)).mappings().first()
    if row is None:
        raise RefusedError(404, "unknown_interruption")
    return _interruption(row)


def record(connection: Connection, interruption_id: str, step: str, at: datetime, who: str) -> Interruption:
    """Write that it `closed`, was `restored` or `cancelled`.

    Raises RefusedError 404 `unknown_interruption`, 409 `wrong_step` if it is not its turn, 422 `bad_time` if it would
    be restored before it stopped.
    """
    before = find(connection, interruption_id)
    if before.state not in _STEPS[step]:
        raise RefusedError(409, "wrong_step", f"it is {before.state.value}")
    if step == "restored" and before.closed_at is not None and at < before.closed_at:
        raise RefusedError(422, "bad_time", "it stopped later than that")
    done = {f"{step}_at": to_us(at), f"{step}_by": who}
    connection.execute(_row.update().where(_row.c.id == interruption_id).values(**done))
    add_audit(connection, to_us(at), who, f"interruption.{step}", subject=interruption_id, detail={})
    return find(connection, interruption_id)


def set_ticket(connection: Connection, interruption_id: str, ticket_no: str) -> Interruption:
    """Write down the ticket of an interruption and return it. Raises RefusedError 404 `unknown_interruption`."""
    connection.execute(_row.update().where(_row.c.id == interruption_id).values(ticket_no=ticket_no))
    return find(connection, interruption_id)


def hiding(connection: Connection, now: datetime) -> list[Interruption]:
    """Return those that may hide alarms at `now`, or run too long: stopped, or restored not long ago."""
    lately = to_us(now - LONGEST)
    query = select(_row).where(
        _row.c.closed_at.is_not(None),
        _row.c.cancelled_at.is_(None),
        or_(_row.c.restored_at.is_(None), _row.c.restored_at > lately),
    )
    return [_interruption(row) for row in connection.execute(query.order_by(_row.c.id)).mappings()]


def newest(connection: Connection, limit: int = 500) -> list[Interruption]:
    """Return interruptions, the latest planned start first."""
    query = select(_row).order_by(_row.c.planned_start.desc(), _row.c.id.desc()).limit(limit)
    return [_interruption(row) for row in connection.execute(query).mappings()]


def around(connection: Connection, moment: datetime, span: timedelta) -> list[Interruption]:
    """Return those whose start lies within `span` of a moment."""
    first, last = to_us(moment - span), to_us(moment + span)
    start = func.coalesce(_row.c.closed_at, _row.c.planned_start)
    return [
        _interruption(row)
        for row in connection.execute(select(_row).where(start >= first, start <= last).order_by(_row.c.id)).mappings()
    ]


def between(connection: Connection, start: datetime, end: datetime) -> list[Interruption]:
    """Return those whose start, or planned start before it, lies in [start, end)."""
    begins = func.coalesce(_row.c.closed_at, _row.c.planned_start)
    query = select(_row).where(begins >= to_us(start), begins < to_us(end)).order_by(begins, _row.c.id)
    return [_interruption(row) for row in connection.execute(query).mappings()]


def add_notice(connection: Connection, interruption_id: str, notice: Notice) -> None:
    """Write that customers were told. Raises RefusedError 404 `unknown_interruption`."""
    find(connection, interruption_id)
    values = {**asdict(notice), "at": to_us(notice.at), "interruption": interruption_id}
    connection.execute(_notice.insert().values(**values))


def notices(connection: Connection, interruption_id: str) -> list[Notice]:
    """Return the notices of one, oldest first."""
    query = select(_notice).where(_notice.c.interruption == interruption_id).order_by(_notice.c.id)
    return [
        Notice(from_us(row["at"]), row["channel"], row["customers"], row["who"])
        for row in connection.execute(query).mappings()
    ]


def _values(one: Interruption) -> dict[str, Any]:
    values = asdict(one)
    for name in _MOMENTS:
        values[name] = None if values[name] is None else to_us(values[name])
    return {**values, "zones": list(one.zones), "assets": list(one.assets)}


def _interruption(row: RowMapping) -> Interruption:
    values: Mapping[str, Any] = {name: row[name] for name in Interruption.__slots__}
    moments = {name: None if row[name] is None else from_us(row[name]) for name in _MOMENTS}
    return Interruption(**{**values, **moments, "zones": tuple(row["zones"]), "assets": tuple(row["assets"])})
