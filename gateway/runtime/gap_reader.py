"""Reads out of the store what lies in the gaps of a stream, and counts it by class."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gateway.errors import TransientError
from gateway.model.reading import ReadingBatch
from gateway.model.stream import CLASSES, Counts, Gap
from gateway.ports import ReadingStore
from gateway.runtime.point_class import PointClasses


@dataclass(slots=True)
class Piece:
    """Readings out of a gap, on their way; `at` is how many of them are written."""

    seq: int
    """the gap is filled up to here once all are written"""
    batch: ReadingBatch
    counts: Counts
    before: int
    at: int = 0


class GapReader:
    """Reads ranges of loads. Knows the classes of points; without them everything is class A."""

    def __init__(self, store: ReadingStore, classes: PointClasses | None) -> None:
        """Read from this store."""
        self.refilled = False
        """a damaged file of the store was filled again: loads may have other ends than they had"""
        self._store, self._classes = store, classes

    async def piece(self, gap: Gap, most: int) -> Piece:
        """Return the next readings of a gap, only of the classes that are still to be streamed."""
        limit = most if gap.rows is None else min(most, max(sum(gap.rows), 1))
        seq, batch = await self.read(gap.after, gap.upto, limit)
        numbers = self._numbers(batch)
        wanted = np.isin(numbers, [place for place, letter in enumerate(CLASSES) if letter in gap.classes])
        return Piece(seq, batch.take(wanted), _counts(numbers[wanted]), gap.after)

    def count(self, batch: ReadingBatch) -> Counts:
        """Return how many readings of each class a batch holds."""
        return _counts(self._numbers(batch))

    async def read(self, after: int, upto: int, limit: int) -> tuple[int, ReadingBatch]:
        """Read loads after < seq <= upto; the store knows no upper end, so it is asked for less near the end.

        Raises TransientError while the store is being filled again.
        """
        if await self._store.loaded() < upto:
            raise TransientError("the readings store is being filled again")
        seq, batch = await self._store.since(after, limit)
        while seq > upto and limit > 1:
            limit = max(limit // 8, 1)
            seq, batch = await self._store.since(after, limit)
        if after < seq <= upto:
            return seq, batch
        # Nothing is left, unless a damaged file was filled again: then a load may lie across the end.
        return upto, batch if self.refilled else ReadingBatch.empty()

    def _numbers(self, batch: ReadingBatch) -> np.ndarray[tuple[int], np.dtype[np.int8]]:
        if self._classes is None:
            return np.zeros(len(batch), dtype=np.int8)
        return self._classes.of(batch.point)


def _counts(numbers: np.ndarray[tuple[int], np.dtype[np.int8]]) -> Counts:
    a, b, c, d = np.bincount(numbers, minlength=4).tolist()
    return a, b, c, d
