"""What happens to new readings while the disk runs short: diagnostics are refused first, then network values.

The rest is never refused. It waits with its source, unacknowledged, where it would take the room that is reserved for
the state database.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gateway.errors import TransientError
from gateway.model.reading import PointId, ReadingBatch
from gateway.runtime.point_class import PointClasses

_LEAST_FREE_BYTES = 2 << 30
_LEAST_FREE_SHARE = 0.05
_LOADING_BYTES = 64 << 20
"""left to the loader: what it brings from the spool into the store gives more room back than it takes"""
_LOOK_AGAIN_S = 1.0
_RANK_OF_CLASS = np.array([0, 0, 1, 2], dtype=np.int8)
"""of A, B, C and D; the higher, the sooner refused"""


class Room:
    """Judges batches by the room left where the spool lies. Called on the event loop only, but for the checks.

    Under the limit (the larger of 2 GiB and 5 % of the disk) class D is refused, under half of it class C too. The
    last `reserved` bytes are for others, and those before them for the loader.
    """

    def __init__(
        self,
        folder: Path,
        names: Callable[[NDArray[np.uint32]], list[PointId]],
        *,
        reserved: Callable[[], int] = lambda: 0,
        usage: Callable[[Path], tuple[int, int]] | None = None,
        real: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make one; `usage` returns total and free bytes of the disk under a folder."""
        self._folder, self._usage, self._real = folder, usage or _usage, real
        self._classes = PointClasses(names)
        self._reserved = reserved
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
        ranks = _RANK_OF_CLASS[self._classes.of(batch.point)]
        rows: NDArray[np.bool_] = ranks > self._kept_rank
        for rank, letter in ((1, "C"), (2, "D")):
            self.refused_rows[letter] += int(np.count_nonzero(rows & (ranks == rank)))
        return rows if rows.any() else None

    def check(self) -> None:
        """Return if readings may be taken now. Raises TransientError if too little room is left."""
        self._leave(_LOADING_BYTES)

    def check_loading(self) -> None:
        """Return if readings that were taken may be loaded into the store now. Raises TransientError."""
        self._leave(0)

    def _leave(self, unused: int) -> None:
        _, free = self._usage(self._folder)
        if free < self._reserved() + unused:
            raise TransientError("the disk is full but for what is reserved for alarms, commands and tickets")

    def _look(self) -> None:
        now = self._real()
        if now - self._looked_at < _LOOK_AGAIN_S:
            return
        self._looked_at = now
        total, free = self._usage(self._folder)
        limit = max(_LEAST_FREE_BYTES, _LEAST_FREE_SHARE * total)
        self._kept_rank = 2 if free >= limit else 1 if free >= limit / 2 else 0


def _usage(folder: Path) -> tuple[int, int]:
    found = shutil.disk_usage(folder)
    return found.total, found.free
