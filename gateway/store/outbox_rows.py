"""The outbox: commands on their way to ticketing systems, as rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, bindparam, exists, func, not_, select, update

from gateway.model.reading import from_us, to_us
from gateway.model.ticket import ENDED, Cause, Command, DeliveryState, TicketClass
from gateway.store import tables
from gateway.store.delivery_rows import handled_by_phone
from gateway.store.ticket_rows import set_external

WAITING = (DeliveryState.PENDING, DeliveryState.UNKNOWN, DeliveryState.RETRY)
_UNCONFIRMED = [state.value for state in DeliveryState if state is not DeliveryState.CONFIRMED]
_ANEW = {"state": DeliveryState.UNKNOWN.value, "attempts": 0, "cause": None}
# Statements of the hot path are built once: SQLAlchemy takes longer to build one than SQLite to run it.
_NEWEST_COMMAND = select(func.max(tables.outbox.c.command_no)).where(tables.outbox.c.ticket_no == bindparam("key"))


def _outbox() -> Any:
    ticket = tables.ticket.c
    return select(tables.outbox, ticket.dedup_key, ticket.ticket_class, ticket.external_id).join(
        tables.ticket, tables.ticket.c.ticket_no == tables.outbox.c.ticket_no
    )


def _due() -> Any:
    column, before = tables.outbox.c, tables.outbox.alias("before").c
    given_up = and_(before.state == DeliveryState.DEAD.value, before.command != "open")
    unfinished = and_(before.state != DeliveryState.CONFIRMED.value, not_(given_up))
    blocked = exists().where(before.ticket_no == column.ticket_no, before.command_no < column.command_no, unfinished)
    waiting = column.state.in_([state.value for state in WAITING])
    return (
        _outbox()
        .where(column.sink == bindparam("sink"), waiting, column.next_at <= bindparam("now"))
        .where(tables.ticket.c.ticket_class == bindparam("ticket_class"), not_(blocked))
        .order_by(column.next_at, column.id)
        .limit(100)
    )


_DUE = _due()
_UNCONFIRMED_OPENINGS = (
    select(tables.outbox.c.ticket_no, tables.ticket.c.ticket_class, tables.outbox.c.wall_created_at)
    .join(tables.ticket, tables.ticket.c.ticket_no == tables.outbox.c.ticket_no)
    .where(tables.outbox.c.state.in_(_UNCONFIRMED), tables.outbox.c.command == "open")
    .where(tables.outbox.c.wall_created_at <= bindparam("before"), not_(handled_by_phone(tables.outbox.c.ticket_no)))
    .where(tables.ticket.c.state.not_in([state.value for state in ENDED]))
)
_LEASE = (
    update(tables.outbox)
    .where(tables.outbox.c.id == bindparam("key"), tables.outbox.c.state.in_([state.value for state in WAITING]))
    .values(state=DeliveryState.SENDING.value)
)


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """One command on its way; `next_at` and the `wall_` times are real seconds since 1970."""

    id: int
    sink: str
    state: DeliveryState
    attempts: int
    command: Command
    wall_created_at: float
    next_at: float
    wall_confirmed_at: float | None
    last_error: str
    cause: Cause | None = None
    external_id: str = ""
    """how the ticketing system calls the ticket, empty as long as nobody knows"""


def insert_command(connection: Connection, command: Command, *, sink: str, wall_now_s: float) -> None:
    """Put a command into the outbox, in the transaction that made it necessary."""
    values = {
        "ticket_no": command.ticket_no,
        "command": command.command,
        "command_no": command.command_no,
        "sink": sink,
        "state": DeliveryState.PENDING.value,
        "webhook_id": command.webhook_id,
        "body": dict(command.body),
        "attempts": 0,
        "created_at": to_us(command.created_at),
        "wall_created_at": wall_now_s,
        "next_at": wall_now_s,
        "last_error": "",
    }
    connection.execute(tables.outbox.insert(), values)


def next_command_no(connection: Connection, ticket_no: str) -> int:
    """Return the number that the next command of a ticket gets, from 1."""
    newest = connection.execute(_NEWEST_COMMAND, {"key": ticket_no}).scalar()
    return int(newest or 0) + 1


def outbox_of(connection: Connection, ticket_no: str) -> list[OutboxRow]:
    """Return all commands of a ticket in their order."""
    query = _outbox().where(tables.outbox.c.ticket_no == ticket_no).order_by(tables.outbox.c.command_no)
    return [_outbox_row(row) for row in connection.execute(query).mappings()]


def due_commands(connection: Connection, sink: str, ticket_class: TicketClass, *, wall_now_s: float) -> list[OutboxRow]:
    """Return the commands of one lane that may be sent now: of each ticket only the first unfinished one.

    A ticket whose `open` was given up sends nothing more: its receiver would not know what the rest is about.
    """
    asked = {"sink": sink, "ticket_class": ticket_class.value, "now": wall_now_s}
    return [_outbox_row(row) for row in connection.execute(_DUE, asked).mappings()]


def outbox_signs(connection: Connection, sinks: Sequence[str]) -> tuple[int, float | None]:
    """Return (highest row id, earliest `next_at` of what waits for these sinks): cheap enough to ask often.

    The first is 0 and the second None where there is nothing; `next_at` is real seconds since 1970.
    """
    column = tables.outbox.c
    newest = connection.execute(select(func.max(column.id))).scalar()
    waiting = [state.value for state in WAITING]
    query = select(func.min(column.next_at)).where(column.state.in_(waiting), column.sink.in_(sinks))
    due = connection.execute(query).scalar()
    return int(newest or 0), None if due is None else float(due)


def set_delivery(
    connection: Connection,
    row_id: int,
    state: DeliveryState,
    *,
    attempts: int,
    next_at: float,
    error: str = "",
    cause: Cause | None = None,
) -> None:
    """Record where an unconfirmed command stands; a ticket whose `open` was given up takes no more alarms."""
    values = {"state": state.value, "attempts": attempts, "next_at": next_at, "last_error": error[:500]}
    column = tables.outbox.c
    connection.execute(update(tables.outbox).where(column.id == row_id).values(**values, cause=cause))
    if state is DeliveryState.DEAD:
        given_up = select(column.ticket_no).where(column.id == row_id, column.command == "open")
        connection.execute(update(tables.ticket).where(tables.ticket.c.ticket_no.in_(given_up)).values(joinable=False))


def lease(connection: Connection, row_id: int) -> bool:
    """Mark a waiting command as being sent; False if another worker has it."""
    return bool(connection.execute(_LEASE, {"key": row_id}).rowcount)


def set_confirmed(connection: Connection, row_id: int, *, attempts: int, at: datetime, wall_now_s: float) -> None:
    """Record that the receiver has the command."""
    connection.execute(
        update(tables.outbox)
        .where(tables.outbox.c.id == row_id)
        .values(
            state=DeliveryState.CONFIRMED.value,
            attempts=attempts,
            confirmed_at=to_us(at),
            wall_confirmed_at=wall_now_s,
            last_error="",
            cause=None,
        )
    )


def release_leases(connection: Connection) -> int:
    """Make commands that were being sent when a process died unknown; return how many."""
    query = (
        update(tables.outbox)
        .where(tables.outbox.c.state == DeliveryState.SENDING.value)
        .values(state=DeliveryState.UNKNOWN.value, next_at=0.0)
    )
    return int(connection.execute(query).rowcount)


def bring_forward(connection: Connection, *, wall_now_s: float) -> None:
    """Bring what waits for a moment made with a clock that was ahead back to now: its age, and its next attempt."""
    column = tables.outbox.c
    unfinished = update(tables.outbox).where(column.state.in_(_UNCONFIRMED), column.wall_created_at > wall_now_s)
    connection.execute(unfinished.values(wall_created_at=wall_now_s))
    waiting = update(tables.outbox).where(column.state.in_([state.value for state in WAITING]))
    connection.execute(waiting.where(column.next_at > wall_now_s).values(next_at=wall_now_s))


def replay_dead(connection: Connection, row_id: int, *, wall_now_s: float) -> bool:
    """Let a dead command be sent again with the same webhook id; False if it is not dead."""
    query = (
        update(tables.outbox)
        .where(tables.outbox.c.id == row_id, tables.outbox.c.state == DeliveryState.DEAD.value)
        .values(**_ANEW, next_at=wall_now_s, wall_created_at=wall_now_s)
    )
    return bool(connection.execute(query).rowcount)


def revive_misconfigured(connection: Connection, *, wall_now_s: float) -> int:
    """Let all that was given up because of credentials or addresses be sent again; return how many."""
    column = tables.outbox.c
    query = update(tables.outbox).where(column.state == DeliveryState.DEAD.value, column.cause == Cause.MISCONFIGURED)
    return int(connection.execute(query.values(**_ANEW, next_at=wall_now_s, wall_created_at=wall_now_s)).rowcount)


def adopt(connection: Connection, ways: Mapping[TicketClass, str], known: Collection[str], *, wall_now_s: float) -> int:
    """Give tickets that no ticketing system has taken, and that wait for none or for one that is gone, to another.

    It is the one of their class. A ticket that has ended, or that the one that is gone had taken, is left. Returns how
    many commands were given.
    """
    column, ticket, count = tables.outbox.c, tables.ticket.c, 0
    waiting = and_(column.state.in_([state.value for state in WAITING]), column.sink.not_in(known))
    untaken = select(column.ticket_no).where(waiting, column.command == "open").scalar_subquery()
    for ticket_class, sink in ways.items():
        alive = select(ticket.ticket_no).where(
            ticket.ticket_class == ticket_class.value, ticket.state.not_in([state.value for state in ENDED])
        )
        query = update(tables.outbox).where(waiting, column.ticket_no.in_(alive), column.ticket_no.in_(untaken))
        count += connection.execute(query.values(sink=sink, attempts=0, next_at=wall_now_s)).rowcount
    return count


def send_again(connection: Connection, ticket_no: str, *, wall_now_s: float) -> None:
    """Forget that the ticketing system has a ticket, because it surely has it no more; its `open` goes out again."""
    column = tables.outbox.c
    query = update(tables.outbox).where(column.ticket_no == ticket_no, column.command == "open")
    connection.execute(query.values(**_ANEW, next_at=wall_now_s, wall_created_at=wall_now_s, wall_confirmed_at=None))
    set_external(connection, ticket_no, "", "")


def rekey(
    connection: Connection, ticket_no: str, dedup_key: str, webhook_ids: Sequence[str], wall_now_s: float
) -> None:
    """Give a ticket another key, and its unconfirmed commands other ids: its own were found in use."""
    connection.execute(update(tables.ticket).where(tables.ticket.c.ticket_no == ticket_no).values(dedup_key=dedup_key))
    fresh = iter(webhook_ids)
    for row in outbox_of(connection, ticket_no):
        if row.state is not DeliveryState.CONFIRMED:
            body = {**row.command.body, "dedup_key": dedup_key}
            values = {**_ANEW, "state": DeliveryState.PENDING.value, "body": body, "webhook_id": next(fresh)}
            query = update(tables.outbox).where(tables.outbox.c.id == row.id)
            connection.execute(query.values(**values, next_at=wall_now_s))


def list_unconfirmed(connection: Connection, classes: Sequence[TicketClass], *, wall_before_s: float) -> list[str]:
    """Return the tickets of these classes whose `open` is older than a real moment and confirmed by no receiver.

    Those that a person gave to a crew by telephone are left out.
    """
    column = tables.outbox.c
    query = (
        select(column.ticket_no)
        .join(tables.ticket, tables.ticket.c.ticket_no == column.ticket_no)
        .where(column.command == "open", column.state.in_(_UNCONFIRMED), not_(handled_by_phone(column.ticket_no)))
        .where(column.wall_created_at <= wall_before_s)
        .where(tables.ticket.c.ticket_class.in_([one.value for one in classes]))
    )
    return list(connection.execute(query).scalars())


def unconfirmed_since(connection: Connection, *, wall_before_s: float) -> list[tuple[str, TicketClass, float]]:
    """Return number, class and real moment of making of every ticket that `list_unconfirmed` would name.

    Those that have ended are left out: another receiver took them.
    """
    found = connection.execute(_UNCONFIRMED_OPENINGS, {"before": wall_before_s})
    return [(str(number), TicketClass(name), float(made_s)) for number, name, made_s in found]


def list_dead(connection: Connection, *, limit: int = 200, before: int | None = None) -> list[OutboxRow]:
    """Return commands that were given up, newest first; `before` is a row's id."""
    column = tables.outbox.c
    query = _outbox().where(column.state == DeliveryState.DEAD.value).order_by(column.id.desc()).limit(limit)
    if before is not None:
        query = query.where(column.id < before)
    return [_outbox_row(row) for row in connection.execute(query).mappings()]


def count_dead(connection: Connection) -> int:
    """Return how many commands were given up."""
    query = select(func.count()).where(tables.outbox.c.state == DeliveryState.DEAD.value)
    return int(connection.execute(query).scalar() or 0)


def dead_to_tell(connection: Connection) -> list[OutboxRow]:
    """Return what was given up of tickets that have not ended and that nobody handled by telephone: all of it."""
    ticket = tables.ticket.c
    query = _outbox().where(tables.outbox.c.state == DeliveryState.DEAD.value)
    query = query.where(ticket.state.not_in([state.value for state in ENDED]), not_(handled_by_phone(ticket.ticket_no)))
    return [_outbox_row(row) for row in connection.execute(query).mappings()]


def _outbox_row(row: RowMapping) -> OutboxRow:
    command = Command(
        dedup_key=row["dedup_key"],
        ticket_no=row["ticket_no"],
        command=row["command"],
        command_no=row["command_no"],
        webhook_id=row["webhook_id"],
        ticket_class=TicketClass(row["ticket_class"]),
        created_at=from_us(row["created_at"]),
        body=row["body"],
    )
    return OutboxRow(
        id=row["id"],
        sink=row["sink"],
        state=DeliveryState(row["state"]),
        attempts=row["attempts"],
        command=command,
        wall_created_at=row["wall_created_at"],
        next_at=row["next_at"],
        wall_confirmed_at=row["wall_confirmed_at"],
        last_error=row["last_error"],
        cause=None if row["cause"] is None else Cause(row["cause"]),
        external_id=row["external_id"],
    )
