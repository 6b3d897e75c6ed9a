"""Tells whether anyone committed to the state database, so cheaply that a loop can ask many times a second."""

from __future__ import annotations

import sqlite3

from gateway.store.state import State


class ChangeWatch:
    """Stands in front of a query that would be repeated for nothing. Not safe for several threads at once.

    A look takes some ten microseconds and never waits, so it needs no thread of its own. What cannot be told counts as
    a change: whoever then runs the query learns what is wrong.
    """

    def __init__(self, state: State) -> None:
        """Prepare; SQLite answers about other connections' commits only on the same one, opened at the first look."""
        url = state.engine.url
        self._path = url.database if state.engine.dialect.name == "sqlite" else None
        self._connection: sqlite3.Connection | None = None
        self._version: int | None = None

    def changed(self) -> bool:
        """Return True if something was committed since the last look, and at the first one."""
        if self._path is None:
            return True
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(
                    self._path, timeout=0, isolation_level=None, check_same_thread=False
                )  # fmt: skip
            version = int(self._connection.execute("PRAGMA data_version").fetchone()[0])
        except sqlite3.Error:
            self._version = None
            return True
        known, self._version = self._version, version
        return known != version

    def again(self) -> None:
        """Make the next look a change: what was to be read could not be read."""
        self._version = None

    def close(self) -> None:
        """Close the connection; may be called twice."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
