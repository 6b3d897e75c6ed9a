"""Which sources' dead letters are to be read again, and what came of it. All facts are in the state database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, func, select

from gateway.ports import DeadLetter
from gateway.store import tables
from gateway.store.dead_rows import subtract
from gateway.store.state import State, Transaction, upsert

_OWNER = "replay"
_TABLE = tables.dead_letter


def ask(connection: Transaction, source: str, who: str, at_us: int) -> int:
    """Ask for all letters of a source to be read again; return how many there are."""
    upsert(
        connection,
        tables.memory,
        {"owner": _OWNER, "name": source},
        {"fact": {"state": "waiting", "who": who, "asked_us": at_us}},
    )
    query = select(func.count()).select_from(_TABLE).where(_TABLE.c.source == source)
    return int(connection.execute(query).scalar_one())


def replays(connection: Transaction) -> dict[str, Mapping[str, Any]]:
    """Return the last replay of each source that had one: state, who, asked_us, then read and left."""
    query = select(tables.memory.c.name, tables.memory.c.fact).where(tables.memory.c.owner == _OWNER)
    return {row.name: row.fact for row in connection.execute(query)}


def finish(state: State, source: str, **outcome: Any) -> None:
    """Note what came of a replay. Raises TransientError."""
    with state.write() as connection:
        fact = {**replays(connection).get(source, {}), "state": "done", **outcome}
        upsert(connection, tables.memory, {"owner": _OWNER, "name": source}, {"fact": fact})


def newest_id(state: State, source: str) -> int:
    """Return the id of the newest letter of a source, 0 if there is none."""
    with state.read() as connection:
        return int(connection.execute(select(func.max(_TABLE.c.id)).where(_TABLE.c.source == source)).scalar() or 0)


def letters(state: State, source: str, after: int, upto: int, limit: int) -> list[tuple[int, DeadLetter]]:
    """Return id and letter with after < id <= upto, oldest first."""
    query = select(_TABLE).where(_TABLE.c.source == source, _TABLE.c.id > after, _TABLE.c.id <= upto)
    with state.read() as connection:
        return [
            (row.id, DeadLetter(row.source, row.topic, row.payload, row.reason, row.received_at))
            for row in connection.execute(query.order_by(_TABLE.c.id).limit(limit))
        ]


def forget(state: State, ids: Sequence[int]) -> None:
    """Delete letters that have become readings. Raises TransientError."""
    chosen = _TABLE.c.id.in_(ids)
    with state.write() as connection:
        query = select(func.count(), func.sum(func.length(_TABLE.c.payload))).where(chosen)
        rows, size = connection.execute(query).one()
        subtract(connection, int(rows), int(size or 0))
        connection.execute(delete(_TABLE).where(chosen))
