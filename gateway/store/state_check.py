"""Whether a state database is whole: its pages, its keys, and that every value is of the kind that its column holds."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import JSON, Boolean, Column, Float, Integer, LargeBinary, Table

from gateway.store import tables

LARGE = frozenset({"point", "vee_verdict", "dead_letter", "interval"})
"""tables of which texts are not read one by one: a start must not take minutes"""


def problem_of(database: Path) -> str:
    """Return what is wrong with a database file, empty if it is whole. Opens it for reading only.

    What SQLite itself finds, keys that lead nowhere, values of another kind than their column's, texts that are no
    UTF-8 and JSON that is none. A changed digit in a number is not seen: SQLite keeps no sums over its pages.
    """
    try:
        with contextlib.closing(sqlite3.connect(f"file:{database}?mode=rw", uri=True)) as connection:
            return next(_problems(connection), "")
    except (sqlite3.Error, UnicodeDecodeError, ValueError, OverflowError) as error:
        return f"{error}" or type(error).__name__


def _problems(connection: sqlite3.Connection) -> Iterator[str]:
    for (line,) in connection.execute("PRAGMA integrity_check(1)"):
        if line != "ok":
            yield str(line)
    if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
        yield "a row leads to one that is not there"
    known = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not known:
        yield "it holds no table"
    for table in tables.metadata.sorted_tables:
        if table.name in known:
            yield from _values(connection, table)


def _values(connection: sqlite3.Connection, table: Table) -> Iterator[str]:
    have = {row[1] for row in connection.execute(f'PRAGMA table_info("{table.name}")')}
    columns = [column for column in table.columns if column.name in have]
    wrong = " OR ".join(f'typeof("{column.name}") NOT IN ({_kinds(column)})' for column in columns)
    if connection.execute(f'SELECT 1 FROM "{table.name}" WHERE {wrong} LIMIT 1').fetchone():  # noqa: S608 - our names
        yield f"{table.name} holds a value of a wrong kind"
    if table.name in LARGE:
        return
    texts = [column for column in columns if not isinstance(column.type, Integer | Float | LargeBinary | Boolean)]
    if texts:
        names = ", ".join(f'"{column.name}"' for column in texts)
        places = [place for place, column in enumerate(texts) if isinstance(column.type, JSON)]
        for row in connection.execute(f'SELECT {names} FROM "{table.name}"'):  # noqa: S608 - our names
            for place in places:
                if isinstance(row[place], str):
                    json.loads(row[place])


def _kinds(column: Column[object]) -> str:
    kinds = {"integer", "real"} if isinstance(column.type, Float) else set()
    if isinstance(column.type, Integer | Boolean):
        kinds = {"integer"}
    elif isinstance(column.type, LargeBinary):
        kinds = {"blob"}
    elif isinstance(column.type, JSON):
        kinds = {"text", "integer", "real"}
    elif not kinds:
        kinds = {"text"}
    if column.nullable:
        kinds.add("null")
    return ", ".join(f"'{kind}'" for kind in sorted(kinds))
