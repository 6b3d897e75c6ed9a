"""Rows of dead letters: what could not become a reading, or what an output refused, with its reason."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, func, select

from gateway.model.reading import from_us
from gateway.ports import DeadLetter
from gateway.store import tables
from gateway.store.state import State, upsert

_MIB = 1 << 20
_DAY_US = 86_400_000_000
_OUTPUTS = 2_000
_ROWS_PER_OUTPUT = 1_000_000
_TABLE = tables.dead_letter
_AT_ONCE = 1_000
"""Letters, and with the next one bytes, of one transaction: others wait for the one write lock."""
_BYTES_AT_ONCE = 4 * _MIB
_OWNER, _NAME = "dead letters", "totals"


@dataclass(frozen=True, slots=True)
class Caps:
    """How much is kept; what is over goes, the oldest first, and is counted."""

    rows: int = 1_000_000
    payload_bytes: int = 256 * _MIB
    age_us: int = 90 * _DAY_US
    """older than the newest letter by more than this"""


@dataclass(frozen=True, slots=True)
class Totals:
    """What is kept, and what had to go since the beginning."""

    rows: int
    payload_bytes: int
    dropped: int


@dataclass(frozen=True, slots=True)
class DeadRow:
    """One dead letter as it is shown."""

    id: int
    source: str
    topic: str
    payload: bytes
    reason: str
    received_at: datetime


def put_dead(state: State, letters: Sequence[tuple[int, int, DeadLetter]], caps: Caps | None = None) -> int:
    """Store (seq, ordinal, letter) rows that are not there yet and return how many were new. Raises TransientError.

    Many letters take several short transactions: what is repeated after an error is recognised.
    """
    return sum(_put(state, part, caps or Caps()) for part in _parts(letters))


def dead_totals(state: State) -> Totals:
    """Return how much is kept and how many letters the caps have cost. Raises TransientError."""
    with state.read() as connection:
        return _totals(connection)


def subtract(connection: Connection, rows: int, payload_bytes: int) -> None:
    """Note that letters are about to be deleted, not for want of room; inside the caller's transaction."""
    totals = _totals(connection)
    _keep_totals(connection, Totals(totals.rows - rows, totals.payload_bytes - payload_bytes, totals.dropped))


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


def _parts(letters: Sequence[tuple[int, int, DeadLetter]]) -> Iterator[list[tuple[int, int, DeadLetter]]]:
    part: list[tuple[int, int, DeadLetter]] = []
    size = 0
    for one in letters:
        part.append(one)
        size += len(one[2].payload)
        if len(part) >= _AT_ONCE or size >= _BYTES_AT_ONCE:
            yield part
            part, size = [], 0
    if part:
        yield part


def _put(state: State, letters: Sequence[tuple[int, int, DeadLetter]], caps: Caps) -> int:
    with state.write() as connection:
        stored = _stored(connection, {seq for seq, _, _ in letters})
        new = {(seq, ordinal): letter for seq, ordinal, letter in letters if (seq, ordinal) not in stored}
        if not new:
            return 0
        before = _totals(connection)
        connection.execute(_TABLE.insert(), [_row(seq, ordinal, letter) for (seq, ordinal), letter in new.items()])
        added = sum(len(letter.payload) for letter in new.values())
        now_us = max(letter.received_time for letter in new.values())
        grown = Totals(before.rows + len(new), before.payload_bytes + added, before.dropped)
        _keep_totals(connection, _drop_oldest(connection, grown, caps, now_us))
    return len(new)


def _totals(connection: Connection) -> Totals:
    """Return the totals; they are kept beside the rows, since counting bytes means reading all of them."""
    query = select(tables.memory.c.fact).where(tables.memory.c.owner == _OWNER, tables.memory.c.name == _NAME)
    fact = connection.execute(query).scalar()
    if fact is not None:
        return Totals(**fact)
    rows, size = connection.execute(select(func.count(), func.sum(func.length(_TABLE.c.payload)))).one()
    return Totals(int(rows), int(size or 0), 0)


def _keep_totals(connection: Connection, totals: Totals) -> None:
    upsert(connection, tables.memory, {"owner": _OWNER, "name": _NAME}, {"fact": asdict(totals)})


def _drop_oldest(connection: Connection, totals: Totals, caps: Caps, now_us: int) -> Totals:
    oldest = select(_TABLE.c.id, func.length(_TABLE.c.payload).label("size"), _TABLE.c.received_at)
    rows, size, last = totals.rows, totals.payload_bytes, None
    for row in connection.execute(oldest.order_by(_TABLE.c.id)).yield_per(_AT_ONCE):
        if rows <= caps.rows and size <= caps.payload_bytes and row.received_at >= now_us - caps.age_us:
            break
        rows, size, last = rows - 1, size - row.size, row.id
    if last is not None:
        connection.execute(delete(_TABLE).where(_TABLE.c.id <= last))
    return Totals(rows, size, totals.dropped + totals.rows - rows)
