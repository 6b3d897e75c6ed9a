"""Beside the outbox: fallbacks, differences from ticketing systems, acts on tickets and the epoch of their keys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, case, exists, func, or_, select, update

from gateway.model.reading import from_us, to_us
from gateway.model.ticket import ENDED, Cause, DeliveryState, Difference, DifferenceKind, TicketAct, TicketClass
from gateway.store import tables
from gateway.store.state import upsert

HOPELESS = (Cause.REFUSED, Cause.MISCONFIGURED, Cause.GONE, Cause.PATIENCE, Cause.TOO_LATE)
"""causes for which nobody waits before another way is tried"""
_WAITING = [state.value for state in (DeliveryState.PENDING, DeliveryState.UNKNOWN, DeliveryState.RETRY)]
_OPEN = tables.outbox.alias("opening")


@dataclass(frozen=True, slots=True)
class FallbackRow:
    """One ticket on another way; the `wall_` times and `next_at` are real seconds since 1970."""

    id: int
    ticket_no: str
    sink: str
    state: DeliveryState
    webhook_id: str
    attempts: int
    wall_created_at: float
    next_at: float
    wall_confirmed_at: float | None
    last_error: str
    sent_no: int | None = None
    """newest command of the ticket that went this way after its `open`; None = none yet"""


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody did with a ticket."""

    ticket_no: str
    act: TicketAct
    who: str
    reason: str
    data: Mapping[str, Any]
    at: datetime


def handled_by_phone(ticket_no: Any) -> Any:
    """Return the condition that a person gave this ticket (a column or number) to a crew by telephone."""
    act = tables.ticket_act.c
    return exists().where(act.ticket_no == ticket_no, act.act == TicketAct.HANDLED_BY_PHONE.value)


def tickets_to_fall_back(
    connection: Connection, ticket_class: TicketClass, sink: str, *, wall_before_s: float
) -> list[str]:
    """Return tickets of a class for which another sink should be tried, and was not yet.

    Their `open` is unconfirmed since before a real moment, or nobody hopes for it any more, and no person has handled
    them.
    """
    fallback, ticket = tables.ticket_fallback.c, tables.ticket.c
    tried = exists().where(fallback.ticket_no == _OPEN.c.ticket_no, fallback.sink == sink)
    hopeless = _OPEN.c.cause.in_([cause.value for cause in HOPELESS])
    query = (
        select(_OPEN.c.ticket_no)
        .join(tables.ticket, ticket.ticket_no == _OPEN.c.ticket_no)
        .where(_OPEN.c.command == "open", _OPEN.c.state != DeliveryState.CONFIRMED.value)
        .where(ticket.ticket_class == ticket_class.value, _OPEN.c.sink != sink)
        .where(or_(_OPEN.c.wall_created_at <= wall_before_s, hopeless))
        .where(~tried, ~handled_by_phone(_OPEN.c.ticket_no))
        .order_by(_OPEN.c.id)
        .limit(200)
    )
    return [str(number) for number in connection.execute(query).scalars()]


def add_fallback(connection: Connection, ticket_no: str, sink: str, webhook_id: str, *, wall_now_s: float) -> None:
    """Let a ticket go another way, too."""
    connection.execute(
        tables.ticket_fallback.insert().values(
            ticket_no=ticket_no,
            sink=sink,
            state=DeliveryState.PENDING.value,
            webhook_id=webhook_id,
            attempts=0,
            wall_created_at=wall_now_s,
            next_at=wall_now_s,
            last_error="",
        )
    )


def due_fallbacks(connection: Connection, *, wall_now_s: float) -> list[FallbackRow]:
    """Return the fallbacks to send now: not those whose ticket was confirmed or handled in the meantime."""
    fallback = tables.ticket_fallback
    confirmed = exists().where(
        _OPEN.c.ticket_no == fallback.c.ticket_no,
        _OPEN.c.command == "open",
        _OPEN.c.state == DeliveryState.CONFIRMED.value,
    )
    query = (
        select(fallback)
        .where(fallback.c.state.in_(_WAITING), fallback.c.next_at <= wall_now_s)
        .where(~confirmed, ~handled_by_phone(fallback.c.ticket_no))
        .order_by(fallback.c.next_at, fallback.c.id)
        .limit(100)
    )
    return [_fallback(row) for row in connection.execute(query).mappings()]


def due_follow_ups(connection: Connection, *, wall_now_s: float) -> list[FallbackRow]:
    """Return the fallbacks that took the ticket and whose next command is due: who drives by it hears what changes.

    A ticket that has ended, or that a person handled, sends nothing more this way.
    """
    fallback, column, ticket = tables.ticket_fallback, tables.outbox.c, tables.ticket.c
    newer = exists().where(
        column.ticket_no == fallback.c.ticket_no,
        column.command != "open",
        column.command_no > func.coalesce(fallback.c.sent_no, 0),
    )
    query = (
        select(fallback)
        .join(tables.ticket, ticket.ticket_no == fallback.c.ticket_no)
        .where(fallback.c.state == DeliveryState.CONFIRMED.value, fallback.c.next_at <= wall_now_s)
        .where(ticket.state.not_in([state.value for state in ENDED]), newer)
        .where(~handled_by_phone(fallback.c.ticket_no))
        .order_by(fallback.c.next_at, fallback.c.id)
        .limit(100)
    )
    return [_fallback(row) for row in connection.execute(query).mappings()]


def settle_follow_up(
    connection: Connection, row_id: int, *, sent_no: int | None, attempts: int, next_at: float, error: str = ""
) -> None:
    """Record what came of a further command; `sent_no` is its number once it is done with, else None."""
    values = {"attempts": attempts, "next_at": next_at, "last_error": error[:500]}
    if sent_no is not None:
        values["sent_no"] = sent_no
    connection.execute(update(tables.ticket_fallback).where(tables.ticket_fallback.c.id == row_id).values(**values))


def settle_fallback(
    connection: Connection,
    row_id: int,
    state: DeliveryState,
    *,
    attempts: int,
    next_at: float,
    error: str = "",
) -> None:
    """Record what came of an attempt; `next_at` is the moment of the confirmation if it was confirmed."""
    confirmed_at = next_at if state is DeliveryState.CONFIRMED else None
    query = update(tables.ticket_fallback).where(tables.ticket_fallback.c.id == row_id)
    connection.execute(
        query.values(
            state=state.value,
            attempts=attempts,
            next_at=next_at,
            wall_confirmed_at=confirmed_at,
            last_error=error[:500],
        )
    )


def fallbacks_of(connection: Connection, ticket_no: str) -> list[FallbackRow]:
    """Return the other ways that a ticket went."""
    fallback = tables.ticket_fallback
    query = select(fallback).where(fallback.c.ticket_no == ticket_no).order_by(fallback.c.id)
    return [_fallback(row) for row in connection.execute(query).mappings()]


def note_difference(
    connection: Connection,
    kind: DifferenceKind,
    *,
    sink: str,
    dedup_key: str,
    ticket_no: str,
    external_id: str,
    at: datetime,
    detail: Mapping[str, Any],
    outcome: str | None = None,
) -> bool:
    """Keep a difference; False if the same one is open already. With an outcome it is settled at once."""
    column = tables.ticket_difference.c
    same = select(column.id).where(
        column.kind == kind.value,
        column.sink == sink,
        column.dedup_key == dedup_key,
        column.external_id == external_id,
        column.settled_at.is_(None),
    )
    if connection.execute(same).first() is not None:
        return False
    connection.execute(
        tables.ticket_difference.insert().values(
            kind=kind.value,
            sink=sink,
            dedup_key=dedup_key[:300],
            ticket_no=ticket_no,
            external_id=external_id,
            detail=dict(detail),
            found_at=to_us(at),
            settled_at=None if outcome is None else to_us(at),
            outcome=outcome or "",
        )
    )
    return True


def settle_differences(
    connection: Connection, ticket_no: str, kinds: Sequence[DifferenceKind], *, at: datetime, outcome: str
) -> None:
    """Close the open differences of these kinds of a ticket."""
    column = tables.ticket_difference.c
    query = update(tables.ticket_difference).where(column.ticket_no == ticket_no, column.settled_at.is_(None))
    query = query.where(column.kind.in_([kind.value for kind in kinds]))
    connection.execute(query.values(settled_at=to_us(at), outcome=outcome))


def list_differences(
    connection: Connection,
    *,
    kinds: Sequence[DifferenceKind] = tuple(DifferenceKind),
    ticket_no: str | None = None,
    open_only: bool = False,
    limit: int = 500,
) -> list[Difference]:
    """Return differences, the newest first."""
    table = tables.ticket_difference
    query = select(table).where(table.c.kind.in_([kind.value for kind in kinds]))
    if ticket_no is not None:
        query = query.where(table.c.ticket_no == ticket_no)
    if open_only:
        query = query.where(table.c.settled_at.is_(None))
    return [_difference(row) for row in connection.execute(query.order_by(table.c.id.desc()).limit(limit)).mappings()]


def count_differences(connection: Connection) -> dict[str, tuple[int, int]]:
    """Return per kind how many differences were found ever, and how many are open."""
    column = tables.ticket_difference.c
    still_open = func.sum(case((column.settled_at.is_(None), 1), else_=0))
    query = select(column.kind, func.count(), still_open).group_by(column.kind)
    found = {str(kind): (int(count), int(left)) for kind, count, left in connection.execute(query)}
    return {kind.value: found.get(kind.value, (0, 0)) for kind in DifferenceKind}


def tickets_with(connection: Connection, kind: DifferenceKind, ticket_class: TicketClass | None = None) -> list[str]:
    """Return the tickets that have not ended and have an open difference of a kind."""
    column, ticket = tables.ticket_difference.c, tables.ticket.c
    query = select(column.ticket_no).join(tables.ticket, ticket.ticket_no == column.ticket_no).distinct()
    query = query.where(column.kind == kind.value, column.settled_at.is_(None))
    query = query.where(ticket.state.not_in([state.value for state in ENDED]))
    if ticket_class is not None:
        query = query.where(ticket.ticket_class == ticket_class.value)
    return [str(number) for number in connection.execute(query).scalars()]


def add_act(connection: Connection, act: Act) -> None:
    """Keep what somebody did."""
    values = {name: getattr(act, name) for name in ("ticket_no", "who", "reason")}
    connection.execute(
        tables.ticket_act.insert().values(**values, act=act.act.value, data=dict(act.data), at=to_us(act.at))
    )


def acts_on(connection: Connection, ticket_no: str) -> list[Act]:
    """Return what was done with a ticket, oldest first."""
    table = tables.ticket_act
    query = select(table).where(table.c.ticket_no == ticket_no).order_by(table.c.id)
    return [
        Act(row["ticket_no"], TicketAct(row["act"]), row["who"], row["reason"], row["data"], from_us(row["at"]))
        for row in connection.execute(query).mappings()
    ]


def epoch(connection: Connection, configured: int) -> int:
    """Return the epoch that new keys get: the configured one, unless a collision raised it."""
    return max(configured, int((_fact(connection, "epoch") or {}).get("epoch", 0)))


def raise_epoch(connection: Connection, above: int) -> int:
    """Raise the epoch above one whose keys were found in use, and return it."""
    raised = epoch(connection, above) + 1
    upsert(connection, tables.memory, {"owner": "tickets", "name": "epoch"}, {"fact": {"epoch": raised}})
    return raised


def pull_cursor(connection: Connection, sink: str) -> Mapping[str, Any]:
    """Return what was kept about pulling from a sink, empty before the first pull."""
    return _fact(connection, f"pull {sink}") or {}


def keep_pull_cursor(connection: Connection, sink: str, fact: Mapping[str, Any]) -> None:
    """Keep how far pulling from a sink got."""
    upsert(connection, tables.memory, {"owner": "tickets", "name": f"pull {sink}"}, {"fact": dict(fact)})


def _fact(connection: Connection, name: str) -> Mapping[str, Any] | None:
    column = tables.memory.c
    query = select(column.fact).where(and_(column.owner == "tickets", column.name == name))
    return connection.execute(query).scalar()


def _fallback(row: RowMapping) -> FallbackRow:
    values = {name: row[name] for name in FallbackRow.__slots__}
    return FallbackRow(**{**values, "state": DeliveryState(row["state"])})


def _difference(row: RowMapping) -> Difference:
    values = {name: row[name] for name in Difference.__slots__}
    return Difference(
        **{
            **values,
            "kind": DifferenceKind(row["kind"]),
            "found_at": from_us(row["found_at"]),
            "settled_at": None if row["settled_at"] is None else from_us(row["settled_at"]),
        }
    )
