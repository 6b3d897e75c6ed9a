"""How dear the readings of each point are: the class of its quantity, looked up once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gateway.model.quantity import CLASSES, ReadingClass
from gateway.model.reading import PointId, split_point

Names = Callable[[NDArray[np.uint32]], list[PointId]]
_NUMBER = {kind: number for number, kind in enumerate(ReadingClass)}
_UNKNOWN = -1


class PointClasses:
    """Class numbers of points: 0 is A, 3 is D. A point without a name counts as A."""

    def __init__(self, names: Names) -> None:
        """Take the names from here; they may raise KeyError."""
        self._names = names
        self._number = np.full(1024, _UNKNOWN, dtype=np.int8)

    def of(self, points: NDArray[np.uint32]) -> NDArray[np.int8]:
        """Return the class number of each point."""
        if not len(points):
            return np.zeros(0, dtype=np.int8)
        missing = int(points.max()) + 1 - len(self._number)
        if missing > 0:
            grown = np.full(max(missing, len(self._number)), _UNKNOWN, dtype=np.int8)
            self._number = np.concatenate([self._number, grown])
        new = np.unique(points[self._number[points] == _UNKNOWN])
        if len(new):
            self._number[new] = self._look_up(new)
        return self._number[points]

    def _look_up(self, points: NDArray[np.uint32]) -> list[int]:
        try:
            return [_class_of(name) for name in self._names(points)]
        except KeyError:
            if len(points) == 1:
                return [0]
            middle = len(points) // 2
            return self._look_up(points[:middle]) + self._look_up(points[middle:])


def _class_of(name: PointId) -> int:
    try:
        return _NUMBER[CLASSES[split_point(name)[1]]]
    except (KeyError, ValueError):
        return 0
