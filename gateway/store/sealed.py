"""Writes and reads sealed files of the readings store. A file counts only after it was read again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import msgspec

from gateway.store import dayfile
from gateway.store.dayfile import literal


class Sealed(msgspec.Struct, frozen=True):
    """What a sealed file says of itself."""

    rows: int
    hash: str
    """order-free hash of its content"""
    low: int
    high: int
    """span of the source times, us UTC"""
    touched: int
    """newest load of its rows"""
    whole: int
    """newest load that was complete when its rows were written"""
    lost: int = 0
    """rows known to be missing after damage, -1 if nobody can count them"""


def content(connection: Any, source: str) -> tuple[int, str]:
    """Return row count and hash of a table or a subquery in brackets. Raises duckdb.Error."""
    rows, found = connection.execute(dayfile.CONTENT.format(source)).fetchall()[0]
    return int(rows), str(found)


@contextmanager
def writing(connection: Any, path: Path, alias: str = "made") -> Iterator[None]:
    """Attach a new file under `alias` for its rows to be inserted in order. Raises duckdb.Error and OSError."""
    path.unlink(missing_ok=True)
    connection.execute(f"ATTACH {literal(path)} AS {alias}")
    try:
        for statement in (*dayfile.SCHEMA, dayfile.META):
            connection.execute(statement.format(f"{alias}."))
        yield
        connection.execute(
            f"INSERT INTO {alias}.load SELECT seq, count(*), true FROM {alias}.reading GROUP BY seq ORDER BY seq"  # noqa: S608
        )
        connection.execute(f"CHECKPOINT {alias}")
    finally:
        connection.execute(f"DETACH {alias}")


def finish(connection: Any, path: Path, meant: tuple[int, str], *, touched: int, whole: int, lost: int = 0) -> Sealed:
    """Let a file say what it holds, make it durable and read it again.

    Raises ValueError if its content is not what was `meant`, duckdb.Error and OSError.
    """
    connection.execute(f"ATTACH {literal(path)} AS made")
    low, high, newest = connection.execute(
        "SELECT coalesce(min(source_time), 0), coalesce(max(source_time), 0), coalesce(max(seq), 0) FROM made.reading"
    ).fetchall()[0]
    sealed = Sealed(*meant, low, high, newest or touched, whole, lost)
    connection.execute("INSERT INTO made.meta VALUES (?, ?, ?, ?, ?, ?, ?)", msgspec.structs.astuple(sealed))
    connection.execute("CHECKPOINT made")
    connection.execute("DETACH made")
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    connection.execute(f"ATTACH {literal(path)} AS made (READ_ONLY)")
    found = content(connection, "made.reading")
    connection.execute("DETACH made")
    if found != meant:
        raise ValueError(f"{path.name}: {found[0]} rows were written where {meant[0]} were read")
    return sealed


def read_meta(connection: Any, alias: str) -> Sealed:
    """Return what an attached sealed file says of itself. Raises duckdb.Error, also if it says nothing."""
    found = connection.execute(f"FROM {alias}.meta").fetchall()
    if len(found) != 1:
        raise duckdb.SerializationException("the file does not say what it holds")
    return Sealed(*found[0])
