"""What the pages of tickets read: clocks of many tickets at once, and commands that are not confirmed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select

from gateway.model.ticket import DeliveryState
from gateway.store import tables

_clock, _outbox = tables.ticket_clock, tables.outbox
_OPEN_DELIVERY = [state.value for state in DeliveryState if state is not DeliveryState.CONFIRMED]


def clocks_of_tickets(connection: Connection, ticket_nos: Sequence[str]) -> dict[str, list[RowMapping]]:
    """Return name, standing, start and due time of the clocks of tickets, those that end first first."""
    wanted: Any = _clock.c.ticket_no.in_(ticket_nos)
    columns = (_clock.c.ticket_no, _clock.c.clock, _clock.c.standing, _clock.c.started_at, _clock.c.due_at)
    found: dict[str, list[RowMapping]] = {}
    query = select(*columns).where(wanted).order_by(_clock.c.due_at.nulls_last(), _clock.c.clock)
    for row in connection.execute(query).mappings():
        found.setdefault(row["ticket_no"], []).append(row)
    return found


def not_confirmed(connection: Connection, limit: int) -> list[RowMapping]:
    """Return commands that no ticketing system has confirmed, what was given up first, then the oldest first."""
    given_up = (_outbox.c.state == DeliveryState.DEAD.value).desc()
    columns = (_outbox, tables.ticket.c.ticket_class, tables.ticket.c.title)
    query = (
        select(*columns)
        .join(tables.ticket, tables.ticket.c.ticket_no == _outbox.c.ticket_no)
        .where(_outbox.c.state.in_(_OPEN_DELIVERY))
        .order_by(given_up, _outbox.c.id)
        .limit(limit)
    )
    return list(connection.execute(query).mappings())


def count_not_confirmed(connection: Connection) -> dict[str, int]:
    """Return how many commands are in each state of delivery but the confirmed one."""
    query = select(_outbox.c.state, func.count()).where(_outbox.c.state.in_(_OPEN_DELIVERY)).group_by(_outbox.c.state)
    return {str(state): int(count) for state, count in connection.execute(query)}
