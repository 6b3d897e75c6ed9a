"""The points and their permanent indices, in the state database, shared by every process."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select

from gateway.model.reading import PointId
from gateway.store import tables
from gateway.store.state import State

_INDEX = tables.point.c["index"]


class StateRegistry:
    """A `PointRegistry` over the table `point`, with a copy in memory. Safe to use from several threads.

    A row of the table never changes, so the copy can only be incomplete; what is missing is read again when asked for.
    """

    def __init__(self, state: State) -> None:
        """Read all points. Raises TransientError if the database is unreachable."""
        self._state = state
        self._lock = threading.Lock()
        self._index: dict[PointId, int] = {}
        self._name: dict[int, PointId] = {}
        self._newest = -1
        self.refresh()

    def indices(self, points: Sequence[PointId]) -> NDArray[np.uint32]:
        """Return the index of each point, assigning new ones durably where needed. Raises TransientError."""
        with self._lock:
            missing = [point for point in dict.fromkeys(points) if point not in self._index]
            if missing:
                self._assign(missing)
            return np.fromiter((self._index[point] for point in points), dtype=np.uint32, count=len(points))

    def names(self, indices: NDArray[np.uint32]) -> list[PointId]:
        """Return the name of each index. Raises KeyError for one that was never assigned."""
        wanted: list[int] = indices.tolist()
        with self._lock:
            if any(index not in self._name for index in wanted):
                self._refresh()
            return [self._name[index] for index in wanted]

    def known(self) -> dict[int, PointId]:
        """Return a copy of all points by their index."""
        with self._lock:
            return dict(self._name)

    def refresh(self) -> None:
        """Learn the points that other processes added. Raises TransientError."""
        with self._lock:
            self._refresh()

    def _refresh(self) -> None:
        with self._state.read() as connection:
            self._learn(connection)

    def _learn(self, connection: Connection) -> None:
        rows = connection.execute(select(_INDEX, tables.point.c.point_id).where(self._newest < _INDEX))
        for index, name in rows:
            self._keep(index, PointId(name))

    def _keep(self, index: int, point: PointId) -> None:
        self._index[point] = index
        self._name[index] = point
        self._newest = max(self._newest, index)

    def _assign(self, missing: list[PointId]) -> None:
        with self._state.write() as connection:
            self._learn(connection)
            new = [point for point in missing if point not in self._index]
            rows = [{"index": self._newest + 1 + place, "point_id": point} for place, point in enumerate(new)]
            if rows:
                connection.execute(tables.point.insert(), rows)
        for place, point in enumerate(new, start=self._newest + 1):
            self._keep(place, point)


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

    def names(self, indices: NDArray[np.uint32]) -> list[PointId]:
        """Return the name of each index. Raises KeyError for one that was never assigned."""
        if len(indices) and int(indices.max()) >= len(self._points):
            raise KeyError(int(indices.max()))
        return [self._points[index] for index in indices.tolist()]
