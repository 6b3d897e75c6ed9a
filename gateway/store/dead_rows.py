"""Rows of dead letters: what could not become a reading, or what an output refused, with its reason."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, select

from gateway.model.reading import from_us
from gateway.ports import DeadLetter
from gateway.store import tables
from gateway.store.state import State

MOST_ROWS = 100_000
"""The oldest go when there are more."""
_OUTPUTS = 2_000
_ROWS_PER_OUTPUT = 1_000_000
_TABLE = tables.dead_letter


@dataclass(frozen=True, slots=True)
class DeadRow:
    """One dead letter as it is shown."""

    id: int
    source: str
    topic: str
    payload: bytes
    reason: str
    received_at: datetime


def put_dead(state: State, letters: Sequence[tuple[int, int, DeadLetter]], most_rows: int = MOST_ROWS) -> int:
    """Store (seq, ordinal, letter) rows that are not there yet and return how many were new. Raises TransientError."""
    if not letters:
        return 0
    with state.write() as connection:
        stored = _stored(connection, {seq for seq, _, _ in letters})
        new = {(seq, ordinal): letter for seq, ordinal, letter in letters if (seq, ordinal) not in stored}
        if new:
            connection.execute(_TABLE.insert(), [_row(seq, ordinal, letter) for (seq, ordinal), letter in new.items()])
            _drop_oldest(connection, most_rows)
    return len(new)


def put_rejected(state: State, output: str, seq: int, rejected: Sequence[tuple[int, DeadLetter]]) -> int:
    """Store what an output refused: (row of the batch read behind cursor `seq`, letter). Raises TransientError.

    The ordinals are negative, so that they never meet those of the letters that came with the readings.
    """
    place = zlib.crc32(output.encode()) % _OUTPUTS * _ROWS_PER_OUTPUT
    return put_dead(state, [(seq, -1 - place - row % _ROWS_PER_OUTPUT, letter) for row, letter in rejected])


def list_dead(state: State, *, limit: int = 100, before_id: int | None = None, source: str = "") -> list[DeadRow]:
    """Return dead letters, newest first; `before_id` continues a list."""
    query = select(_TABLE).order_by(_TABLE.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(_TABLE.c.id < before_id)
    if source:
        query = query.where(_TABLE.c.source == source)
    with state.read() as connection:
        return [
            DeadRow(row.id, row.source, row.topic, row.payload, row.reason, from_us(row.received_at))
            for row in connection.execute(query)
        ]


def count_dead(state: State) -> dict[str, int]:
    """Return the number of dead letters of each source that has some."""
    query = select(_TABLE.c.source, func.count()).group_by(_TABLE.c.source).order_by(_TABLE.c.source)
    with state.read() as connection:
        return {source: int(count) for source, count in connection.execute(query)}


def _stored(connection: Connection, seqs: set[int]) -> set[tuple[int, int]]:
    query = select(_TABLE.c.seq, _TABLE.c.ordinal).where(_TABLE.c.seq.between(min(seqs), max(seqs)))
    return {(seq, ordinal) for seq, ordinal in connection.execute(query)}


def _row(seq: int, ordinal: int, letter: DeadLetter) -> dict[str, object]:
    return {
        "seq": seq,
        "ordinal": ordinal,
        "source": letter.source[:100],
        "topic": letter.topic[:500],
        "payload": letter.payload,
        "reason": letter.reason[:200],
        "received_at": letter.received_time,
    }


def _drop_oldest(connection: Connection, most_rows: int) -> None:
    oldest_kept = connection.execute(
        select(_TABLE.c.id).order_by(_TABLE.c.id.desc()).offset(most_rows - 1).limit(1)
    ).scalar()
    if oldest_kept is not None:
        connection.execute(delete(_TABLE).where(_TABLE.c.id < oldest_kept))
