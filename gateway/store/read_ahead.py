"""Rows in the order of loading, read ahead of a stream that is behind: sealed files are not sorted that way."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from gateway.model.reading import ReadingBatch

_AHEAD_ROWS = 300_000


class ReadAhead:
    """Whole loads that follow a sequence. Safe to use from several threads."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._lock = threading.Lock()
        self._after = 0
        self._seqs = np.zeros(0, dtype=np.int64)
        self._rows = ReadingBatch.empty()

    @staticmethod
    def rows(limit: int) -> int:
        """Return how many rows to read when `limit` are asked for."""
        return max(limit, _AHEAD_ROWS)

    def put(self, after: int, seqs: NDArray[np.int64], rows: ReadingBatch) -> None:
        """Keep all rows of the loads behind `after` up to the last one given, sorted by load."""
        with self._lock:
            self._after, self._seqs, self._rows = after, seqs, rows

    def get(self, after: int, limit: int) -> tuple[int, ReadingBatch] | None:
        """Return about `limit` rows behind a load, whole loads, and the last load; None if they are not here."""
        with self._lock:
            seqs, rows = self._seqs, self._rows
            if not len(seqs) or not self._after <= after < seqs[-1]:
                return None
        start = int(np.searchsorted(seqs, after, side="right"))
        stop = min(start + max(limit, 1), len(seqs))
        if stop < len(seqs):
            before = int(np.searchsorted(seqs, seqs[stop], side="left"))
            stop = before if before > start else int(np.searchsorted(seqs, seqs[stop], side="right"))
        return int(seqs[stop - 1]), rows.take(slice(start, stop))

    def forget(self) -> None:
        """Drop everything."""
        with self._lock:
            self._seqs, self._rows = np.zeros(0, dtype=np.int64), ReadingBatch.empty()
