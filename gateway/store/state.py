"""Opens the state database and gives out transactions. SQLite by default; the tables suit PostgreSQL too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.schema import CreateColumn

from gateway.errors import PermanentError, TransientError
from gateway.store import tables
from gateway.store.durable import make_private
from gateway.store.ownership import share
from gateway.store.reserve import Reserve
from gateway.store.state_copies import NAME, Restoration, make_whole

Transaction = Connection
"""What `State.write` and `State.read` give; callers hand it to row functions and know nothing more of it."""


class State:
    """The state database. Safe to use from several threads and, on one machine, from several processes.

    A transaction is short and durable: SQLite runs in WAL mode with `synchronous=FULL`, and a writer takes the
    one write lock at its beginning (`BEGIN IMMEDIATE`), so that what it reads cannot change before it commits.
    """

    def __init__(self, url: str) -> None:
        """Open the database at a SQLAlchemy URL; create tables and columns that an older version did not have."""
        # last in, first out: a crowd once in a while leaves no connections behind that each keep pages in memory
        self.engine: Engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"), pool_use_lifo=True)
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _prepare_sqlite)
        self._lock = -1
        self._reserve: Reserve | None = None
        with self.write() as connection:
            tables.metadata.create_all(connection)
            _add_columns(connection)

    @staticmethod
    def in_folder(folder: Path, *, reserve_bytes: int = 0) -> State:
        """Open `state.db` in a folder, which is made if it is missing; a damaged one is restored from a copy first.

        Whoever opens it first checks it; others wait for that. `reserve_bytes` of the disk are held for it. Raises
        GatewayError if it cannot be restored.
        """
        make_private(folder)
        lock = share(folder, alone=lambda: make_whole(folder))
        try:
            state = State(f"sqlite:///{folder / NAME}")
        except BaseException:
            os.close(lock)
            raise
        state._lock = lock
        state._reserve = Reserve(folder, reserve_bytes)
        state._reserve.keep()
        return state

    def keep_reserve(self) -> None:
        """Hold the reserved room again, if it was given away and there is room now."""
        if self._reserve is not None:
            self._reserve.keep()

    def reserve_missing(self) -> int:
        """Return how many bytes of the disk others must leave free, because the reserved room is not held by a file."""
        return 0 if self._reserve is None else self._reserve.missing()

    def restoration(self) -> Restoration | None:
        """Return when and why the state was restored last, None if it never was. Raises TransientError."""
        table = tables.state_restoration
        with self.read() as connection:
            row = connection.execute(select(table).order_by(table.c.id.desc()).limit(1)).one_or_none()
        return None if row is None else Restoration(row.at, row.copied_at, row.problem, row.aside)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give one write transaction: committed at the end, rolled back on an exception.

        Raises TransientError if the database is locked, full or unreachable, PermanentError if it is damaged.
        """
        with self._connection("BEGIN IMMEDIATE") as connection:
            yield connection
            connection.commit()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give one consistent view; it blocks no writer. Raises what `write` raises."""
        with self._connection("BEGIN") as connection:
            yield connection

    @contextmanager
    def _connection(self, begin: str) -> Iterator[Connection]:
        try:
            with self.engine.connect() as connection:
                if self.engine.dialect.name == "sqlite":
                    connection.exec_driver_sql(begin)
                yield connection
        except OperationalError as error:
            if self._reserve is not None and "full" in str(error.orig):
                self._reserve.give()
            raise TransientError(f"state database: {error.orig}") from error
        except DatabaseError as error:
            if type(error) is not DatabaseError:
                raise
            # what SQLite says of a file that is damaged, or never was a database
            remedy = "restore it from a backup, or move it away to begin anew"
            raise PermanentError(f"state database {self.engine.url.database}: {error.orig}; {remedy}") from error
        except PoolTimeoutError as error:
            raise TransientError("state database: too many wait for it") from error

    def cursor(self, name: str) -> int:
        """Return how far a named reader got, 0 if it never began."""
        with self.read() as connection:
            seq = connection.execute(select(tables.cursor.c.seq).where(tables.cursor.c.name == name)).scalar()
        return int(seq or 0)

    def close(self) -> None:
        """Close all connections; may be called twice."""
        self.engine.dispose()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _add_columns(connection: Connection) -> None:
    """Add the columns and indices that a table of an older version lacks; such a column must be nullable."""
    found = inspect(connection)
    for table in tables.metadata.sorted_tables:
        have = {column["name"] for column in found.get_columns(table.name)}
        for column in table.columns:
            if column.name not in have:
                definition = CreateColumn(column).compile(dialect=connection.dialect)
                name = connection.dialect.identifier_preparer.format_table(table)
                connection.exec_driver_sql(f"ALTER TABLE {name} ADD COLUMN {definition}")
        for index in table.indexes:
            index.create(connection, checkfirst=True)


def put_cursor(connection: Connection, name: str, seq: int) -> None:
    """Record how far a named reader got, inside the caller's transaction."""
    upsert(connection, tables.cursor, {"name": name}, {"seq": seq})


def upsert(connection: Connection, table: Any, key: dict[str, Any], values: dict[str, Any]) -> None:
    """Update the row with this key, or insert it; nothing that only SQLite knows."""
    match = [table.c[name] == value for name, value in key.items()]
    if connection.execute(table.update().where(*match).values(**values)).rowcount == 0:
        connection.execute(table.insert().values(**key, **values))


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=10000", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()
