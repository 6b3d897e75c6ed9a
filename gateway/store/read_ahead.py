"""Rows in the order of loading, read ahead of a stream that is behind: sealed files are not sorted that way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.model.reading import ReadingBatch

AHEAD_ROWS = 300_000


@dataclass(frozen=True, slots=True, eq=False)
class Ahead:
    """Every row of the loads behind `after`, up to the last one here, sorted by load."""

    after: int
    seqs: NDArray[np.int64]
    """load of each row"""
    rows: ReadingBatch

    def get(self, after: int, limit: int) -> tuple[int, ReadingBatch] | None:
        """Return about `limit` rows behind a load, whole loads, and the last load; None if they are not here."""
        seqs = self.seqs
        if not len(seqs) or not self.after <= after < seqs[-1]:
            return None
        start = int(np.searchsorted(seqs, after, side="right"))
        stop = min(start + max(limit, 1), len(seqs))
        if stop < len(seqs):
            before = int(np.searchsorted(seqs, seqs[stop], side="left"))
            stop = before if before > start else int(np.searchsorted(seqs, seqs[stop], side="right"))
        return int(seqs[stop - 1]), self.rows.take(slice(start, stop))


NOTHING_AHEAD = Ahead(0, np.zeros(0, dtype=np.int64), ReadingBatch.empty())
