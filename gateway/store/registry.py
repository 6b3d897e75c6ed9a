"""The points and their permanent indices, in the state database, shared by every process.

A city has millions of points. Their names are columns in a file beside the database that all processes map; what was
added since stands in memory. The file is a cache: the database keeps a digest of all names in their order, and a file
that does not lead to it counts as none.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select

from gateway.columns_file import only_one, read_columns, write_columns
from gateway.model.names import NameTable
from gateway.model.reading import PointId
from gateway.store import tables
from gateway.store.state import State, upsert

_LOG = logging.getLogger(__name__)
_INDEX = tables.point.c["index"]
_KEY = {"owner": "registry", "name": "points"}
_FEW = 50_000
"""names that may stand in memory beside a small table"""
_SHARE = 4
"""and beside a large one: the part of it after which both become one table"""
_OBJECTS = 500_000
_ROWS_AT_ONCE = 10_000


@dataclass(slots=True)
class _Known:
    """Names by index: a table, and behind it those that were added since."""

    table: NameTable
    digest: bytes = b""
    """of the table's names"""
    more: list[PointId] = field(default_factory=list)
    index: dict[PointId, int] = field(default_factory=dict)
    newest: bytes = b""
    """digest of all names"""

    def __len__(self) -> int:
        return len(self.table) + len(self.more)

    def find(self, point: PointId) -> int:
        found = self.index.get(point)
        return self.table.find(point) if found is None else found

    def name(self, index: int) -> PointId:
        """Return the name of an index below the length. Raises KeyError if it was left out."""
        place = index - len(self.table)
        name = self.more[place] if place >= 0 else PointId(self.table.name(index))
        if not name:
            raise KeyError(index)
        return name

    def add(self, point: PointId) -> None:
        # in this order: who finds the index must find the name
        self.more.append(point)
        if point:
            self.index[point] = len(self) - 1
        self.newest = _chain(self.newest, point)

    def joined(self) -> _Known:
        """Return the same names as one table."""
        return _Known(NameTable.of(self.more, after=self.table), self.newest, newest=self.newest)


class StateRegistry:
    """A `PointRegistry` over the table `point`. Safe to use from several threads and processes.

    A row of the table never changes, so what is in memory can only be incomplete; what is missing is read again when
    asked for.
    """

    def __init__(self, state: State) -> None:
        """Read all points. Raises TransientError if the database is unreachable."""
        self._state = state
        self._lock = threading.Lock()
        self._path = _file_of(state)
        self._known = _Known(NameTable.of(()))
        with self._only_one():
            self._open()

    def __len__(self) -> int:
        """Return the number of points that are known here."""
        return len(self._known)

    def find(self, points: Sequence[PointId]) -> NDArray[np.int64]:
        """Return the index of each point, -1 for one that is not known here; asks nobody and never waits."""
        known = self._known
        # most are asked for when none stands beside the table
        find = known.find if known.index else known.table.find
        return np.fromiter(map(find, points), dtype=np.int64, count=len(points))

    def indices(self, points: Sequence[PointId]) -> NDArray[np.uint32]:
        """Return the index of each point, assigning new ones durably where needed. Raises TransientError."""
        found = self.find(points)
        if (found < 0).any():
            with self._lock:
                missing = dict.fromkeys(point for point in points if self._known.find(point) < 0)
                if missing:
                    self._assign(missing)
                found = self.find(points)
        return found.astype(np.uint32)

    def names(self, indices: NDArray[np.uint32]) -> list[PointId]:
        """Return the name of each index. Raises KeyError for one that was never assigned."""
        known = self._known
        if len(indices) and int(indices.max()) >= len(known):
            self.refresh()
            known = self._known
            if int(indices.max()) >= len(known):
                raise KeyError(int(indices.max()))
        return list(map(known.name, indices.tolist()))

    def known(self) -> dict[int, PointId]:
        """Return all points by their index."""
        return dict(self.every())

    def every(self) -> Iterator[tuple[int, PointId]]:
        """Yield index and name of all points that are known here, in the order of the indices."""
        known = self._known
        yield from ((index, PointId(name)) for index, name in enumerate(known.table) if name)
        yield from ((index, name) for index, name in enumerate(known.more, len(known.table)) if name)

    def refresh(self) -> None:
        """Learn the points that other processes added. Raises TransientError."""
        with self._lock:
            with self._state.read() as connection:
                self._learn_all(connection)
            self._shrink()

    def _open(self) -> None:
        """Take what the file and the database hold; what does not lead to the database's digest is left."""
        self._known = self._mapped() or self._known
        mapped = len(self._known.table)
        with self._state.read() as connection:
            kept = _kept_digest(connection)
            self._learn_all(connection)
            if kept != self._known.newest and mapped:
                self._known = _Known(NameTable.of(()))
                self._learn_all(connection)
        if kept != self._known.newest:
            self._write_digest()
        if self._is_large() or len(self._known.table) > mapped:
            self._join()

    def _learn_all(self, connection: Connection) -> None:
        """Add the points behind those that are known; few of them at a time stand as objects."""
        while _learn(connection, self._known, _OBJECTS):
            self._known = self._known.joined()

    def _write_digest(self) -> None:
        with self._state.write() as connection:
            _learn(connection, self._known)
            _keep_digest(connection, self._known.newest)

    def _assign(self, missing: Iterable[PointId]) -> None:
        with self._state.write() as connection:
            _learn(connection, self._known)
            first, newest = len(self._known), self._known.newest
            new = [point for point in missing if self._known.find(point) < 0]
            if new:
                rows = [{"index": first + place, "point_id": point} for place, point in enumerate(new)]
                connection.execute(tables.point.insert(), rows)
                _keep_digest(connection, _chain(newest, *new))
        for point in new:
            self._known.add(point)
        self._shrink()

    def _shrink(self) -> None:
        """Make one table of all names when many stand beside it, or take the one that another process made."""
        if self._is_large():
            with self._only_one():
                mapped = self._mapped()
                if mapped is not None and len(mapped.table) > len(self._known.table) and self._take(mapped):
                    return
                self._join()

    def _is_large(self) -> bool:
        return len(self._known.more) > max(_FEW, len(self._known.table) // _SHARE)

    def _take(self, mapped: _Known) -> bool:
        """Go on with another process's table, if its names are ours."""
        ours, count = self._known, len(mapped.table) - len(self._known.table)
        if count > len(ours.more) or _chain(ours.digest, *ours.more[:count]) != mapped.digest:
            return False
        for point in ours.more[count:]:
            mapped.add(point)
        self._known = mapped
        return True

    def _join(self) -> None:
        ours = self._known
        joined = ours.joined()
        if self._path is not None:
            try:
                write_columns(self._path, {"digest": ours.newest.hex()}, joined.table.columns())
            except OSError as error:
                # a full disk must not keep a reading from getting its index
                _LOG.warning("%s cannot be written, the points stay in memory: %s", self._path, error.strerror)
            else:
                joined = self._mapped() or joined
        self._known = joined

    def _mapped(self) -> _Known | None:
        found = None if self._path is None else read_columns(self._path)
        if found is None:
            return None
        digest = bytes.fromhex(found[0]["digest"])
        return _Known(NameTable(found[1]), digest, newest=digest)

    def _only_one(self) -> AbstractContextManager[None]:
        return nullcontext() if self._path is None else only_one(self._path.with_name(f"{self._path.name}.lock"))


def _file_of(state: State) -> Path | None:
    """Return where the names are kept: beside a SQLite file, else nowhere."""
    url = state.engine.url
    if state.engine.dialect.name != "sqlite" or not url.database or url.database == ":memory:":
        return None
    return Path(url.database).with_name("points.columns")


def _chain(digest: bytes, *points: str) -> bytes:
    for point in points:
        digest = blake2b(digest + point.encode(), digest_size=16).digest()
    return digest


def _learn(connection: Connection, known: _Known, most: int | None = None) -> bool:
    """Add the points behind those that are known, `most` rows of them; return whether that many were there."""
    query = select(_INDEX, tables.point.c.point_id).where(len(known) <= _INDEX).order_by(_INDEX).limit(most)
    count = 0
    for index, name in connection.execute(query, execution_options={"yield_per": _ROWS_AT_ONCE}):
        while len(known) < index:
            known.add(PointId(""))
        known.add(PointId(name))
        count += 1
    return count == most


def _kept_digest(connection: Connection) -> bytes:
    condition = [tables.memory.c[name] == value for name, value in _KEY.items()]
    fact: Any = connection.execute(select(tables.memory.c.fact).where(*condition)).scalar()
    return bytes.fromhex(fact["digest"]) if fact else b""


def _keep_digest(connection: Connection, digest: bytes) -> None:
    upsert(connection, tables.memory, _KEY, {"fact": {"digest": digest.hex()}})


def highest_cursor(state: State) -> int:
    """Return the sequence that the most advanced reader reached; a new spool must go on behind it."""
    with state.read() as connection:
        return int(connection.execute(select(func.max(tables.cursor.c.seq))).scalar() or 0)


class MemoryRegistry:
    """A `PointRegistry` that forgets: for checks and probes, which must write nothing."""

    def __init__(self) -> None:
        """Start with no point."""
        self._index: dict[PointId, int] = {}
        self._points: list[PointId] = []

    def indices(self, points: Sequence[PointId]) -> NDArray[np.uint32]:
        """Return the index of each point, new ones in the order in which they are first asked for."""
        for point in points:
            if point not in self._index:
                self._index[point] = len(self._points)
                self._points.append(point)
        return np.array([self._index[point] for point in points], dtype=np.uint32)

    def find(self, points: Sequence[PointId]) -> NDArray[np.int64]:
        """Return the index of each point, -1 for one that was never asked for."""
        return np.array([self._index.get(point, -1) for point in points], dtype=np.int64)

    def names(self, indices: NDArray[np.uint32]) -> list[PointId]:
        """Return the name of each index. Raises KeyError for one that was never assigned."""
        if len(indices) and int(indices.max()) >= len(self._points):
            raise KeyError(int(indices.max()))
        return [self._points[index] for index in indices.tolist()]
