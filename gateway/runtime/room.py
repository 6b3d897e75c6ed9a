"""Which new readings are refused while the disk runs short: diagnostics first, then network values, never the rest."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gateway.model.quantity import CLASSES, ReadingClass
from gateway.model.reading import PointId, ReadingBatch, split_point

_LEAST_FREE_BYTES = 2 << 30
_LEAST_FREE_SHARE = 0.05
_LOOK_AGAIN_S = 1.0
_RANK = {ReadingClass.SAFETY: 0, ReadingClass.BILLING: 0, ReadingClass.NETWORK: 1, ReadingClass.DIAGNOSTICS: 2}


class Room:
    """Judges batches by the room left where the spool lies. Called on the event loop only.

    Under the limit (the larger of 2 GiB and 5 % of the disk) class D is refused, under half of it class C too.
    """

    def __init__(
        self,
        folder: Path,
        names: Callable[[NDArray[np.uint32]], list[PointId]],
        *,
        usage: Callable[[Path], tuple[int, int]] | None = None,
        real: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make one; `usage` returns total and free bytes of the disk under a folder."""
        self._folder, self._names, self._usage, self._real = folder, names, usage or _usage, real
        self._rank: NDArray[np.int8] = np.zeros(0, dtype=np.int8)
        self._known = np.zeros(0, dtype=np.bool_)
        self._looked_at = -np.inf
        self._kept_rank = 2
        self.refused_rows = {"A": 0, "B": 0, "C": 0, "D": 0}
        """readings refused since the start, by class"""

    @property
    def refused_classes(self) -> str:
        """Return the letters of the classes that are refused now."""
        return {2: "", 1: "D", 0: "CD"}[self._kept_rank]

    def refused(self, batch: ReadingBatch) -> NDArray[np.bool_] | None:
        """Return which rows are refused, None if all are taken. A point without a name counts as safety."""
        self._look()
        if self._kept_rank == 2 or not len(batch):
            return None
        ranks = self._rank_of(batch.point)
        rows: NDArray[np.bool_] = ranks > self._kept_rank
        for rank, letter in ((1, "C"), (2, "D")):
            self.refused_rows[letter] += int(np.count_nonzero(rows & (ranks == rank)))
        return rows if rows.any() else None

    def _look(self) -> None:
        now = self._real()
        if now - self._looked_at < _LOOK_AGAIN_S:
            return
        self._looked_at = now
        total, free = self._usage(self._folder)
        limit = max(_LEAST_FREE_BYTES, _LEAST_FREE_SHARE * total)
        self._kept_rank = 2 if free >= limit else 1 if free >= limit / 2 else 0

    def _rank_of(self, points: NDArray[np.uint32]) -> NDArray[np.int8]:
        most = int(points.max()) + 1
        if most > len(self._rank):
            self._rank = np.concatenate([self._rank, np.zeros(most - len(self._rank), dtype=np.int8)])
            self._known = np.concatenate([self._known, np.zeros(most - len(self._known), dtype=np.bool_)])
        for point in np.unique(points[~self._known[points]]).tolist():
            self._rank[point] = self._look_up(point)
            self._known[point] = True
        return self._rank[points]

    def _look_up(self, point: int) -> int:
        try:
            (name,) = self._names(np.array([point], dtype=np.uint32))
            return _RANK[CLASSES[split_point(name)[1]]]
        except (KeyError, ValueError):
            return 0


def _usage(folder: Path) -> tuple[int, int]:
    found = shutil.disk_usage(folder)
    return found.total, found.free
