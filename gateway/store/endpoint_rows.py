"""Ticketing systems that said that their address is gone: they get nothing more until a person switches them on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, select, update

from gateway.model.reading import from_us
from gateway.model.ticket import ENDED, Cause, DeliveryState
from gateway.store import tables
from gateway.store.state import upsert

_OWNER = "ticket endpoints"
_memory, _outbox = tables.memory, tables.outbox


@dataclass(frozen=True, slots=True)
class SwitchedOff:
    """Since when (real time), and what it answered."""

    at: datetime
    reason: str


def switch_off(connection: Connection, sink: str, reason: str, *, wall_now_s: float) -> None:
    """Note that a sink's address is gone; the first moment stays."""
    if sink not in switched_off(connection):
        fact = {"at": int(wall_now_s * 1e6), "reason": reason[:200]}
        upsert(connection, _memory, {"owner": _OWNER, "name": sink}, {"fact": fact})


def switch_on(connection: Connection, sink: str, *, wall_now_s: float) -> bool:
    """Let a sink get tickets again, and what was given up because it was gone; False if it was not off.

    What has ended meanwhile, because it went another way, stays given up: nobody must drive to it again.
    """
    column, ticket = _outbox.c, tables.ticket.c
    ended = select(ticket.ticket_no).where(ticket.state.in_([state.value for state in ENDED]))
    gone = update(_outbox).where(
        column.sink == sink, column.state == DeliveryState.DEAD.value, column.cause == Cause.GONE,
        column.ticket_no.not_in(ended),
    )  # fmt: skip
    anew = {"state": DeliveryState.UNKNOWN.value, "attempts": 0, "cause": None}
    connection.execute(gone.values(**anew, next_at=wall_now_s, wall_created_at=wall_now_s))
    same = _memory.delete().where(_memory.c.owner == _OWNER, _memory.c.name == sink)
    return bool(connection.execute(same).rowcount)


def switched_off(connection: Connection) -> Mapping[str, SwitchedOff]:
    """Return the sinks that are off, by name."""
    query = select(_memory.c.name, _memory.c.fact).where(_memory.c.owner == _OWNER)
    return {
        str(name): SwitchedOff(from_us(int(fact["at"])), str(fact["reason"]))
        for name, fact in connection.execute(query)
    }
