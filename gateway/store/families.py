"""Which points belong to the `network` files: those of class C and D. All others are kept with the meters."""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gateway.model.quantity import CLASSES, ReadingClass
from gateway.model.reading import PointId, split_point

_AT_ONCE = 20_000
Names = Callable[[NDArray[np.uint32]], list[PointId]]


class Families:
    """Looks points up once and remembers them: one byte per index. Safe to use from several threads."""

    def __init__(self, names: Names | None) -> None:
        """Make one; without `names` every point counts as a meter's."""
        self._names = names
        self._lock = threading.Lock()
        self._network = np.zeros(0, dtype=np.bool_)
        self._known = np.zeros(0, dtype=np.bool_)

    def network(self, points: NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Return which of these points are of class C or D; one without a name is not."""
        with self._lock:
            self._learn(points)
            return np.asarray(self._network[points])

    def _learn(self, points: NDArray[np.uint32]) -> None:
        most = int(points.max(initial=0)) + 1
        if most > len(self._known):
            more = np.zeros(most - len(self._known), dtype=np.bool_)
            self._network, self._known = np.concatenate([self._network, more]), np.concatenate([self._known, more])
        unknown = np.unique(points[~self._known[points]])
        for at in range(0, len(unknown), _AT_ONCE):
            part = unknown[at : at + _AT_ONCE]
            self._network[part] = self._look_up(part)
            self._known[part] = True

    def names(self, points: NDArray[np.uint32]) -> list[PointId]:
        """Return the name of each point; its number where nobody knows one."""
        if self._names is not None:
            try:
                return self._names(points)
            except KeyError:
                if len(points) > 1:
                    return [name for at in range(len(points)) for name in self.names(points[at : at + 1])]
        return [PointId(str(point)) for point in points.tolist()]

    def _look_up(self, points: NDArray[np.uint32]) -> list[bool]:
        if self._names is None:
            return [False] * len(points)
        try:
            return [_is_network(name) for name in self._names(points)]
        except KeyError:
            return [False] if len(points) == 1 else [self._look_up(points[at : at + 1])[0] for at in range(len(points))]


def _is_network(name: PointId) -> bool:
    try:
        return CLASSES[split_point(name)[1]] in {ReadingClass.NETWORK, ReadingClass.DIAGNOSTICS}
    except (KeyError, ValueError):
        return False
