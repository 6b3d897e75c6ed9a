"""The straight pieces of pipes as arrays: which is nearest to a place, and which lie close to many."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from simulators.ground import XY, Pipe, on_grid

_SAMPLE_M, _MOST_SAMPLES = 4.0, 5_000_000
"""distance between the points of a piece that are looked for; more of them make it larger, not the memory"""


@dataclass(frozen=True, slots=True)
class Foot:
    """The point of some pipes that is nearest to a place."""

    pipe: int
    segment: int
    at: XY
    away_m: float


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Columns of n pieces."""

    pipe: NDArray[np.int64]
    """number of the pipe"""
    segment: NDArray[np.int64]
    """number of the piece in its pipe"""
    begin: NDArray[np.float64]
    """(n, 2)"""
    end: NDArray[np.float64]

    @classmethod
    def of(cls, pipes: Iterable[tuple[int, Pipe]]) -> Segments:
        """Return the pieces of numbered pipes."""
        rows = [(n, segment, *a, *b) for n, pipe in pipes for segment, (a, b) in enumerate(pairwise(pipe.line))]
        table = np.array(rows, dtype=np.float64).reshape(-1, 6)
        return cls(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2:4], table[:, 4:6])

    def only(self, chosen: NDArray[np.int64]) -> Segments:
        """Return some of the pieces, by position."""
        return Segments(self.pipe[chosen], self.segment[chosen], self.begin[chosen], self.end[chosen])

    def nearest(self, place: XY) -> Foot:
        """Return the nearest point of the pieces, of which there must be one."""
        way = self.end - self.begin
        square = np.maximum((way**2).sum(axis=1), 1e-12)
        share = np.clip(((np.array(place) - self.begin) * way).sum(axis=1) / square, 0.0, 1.0)
        foot = self.begin + way * share[:, None]
        away = np.hypot(*(foot - np.array(place)).T)
        best = int(away.argmin())
        at = on_grid(float(foot[best, 0]), float(foot[best, 1]))
        return Foot(int(self.pipe[best]), int(self.segment[best]), at, float(away[best]))

    def within(self, places: Sequence[XY], reach_m: float) -> list[NDArray[np.int64]]:
        """Return for each place the positions of all pieces within a distance, and perhaps of some farther ones."""
        length = np.hypot(*(self.end - self.begin).T)
        every = max(_SAMPLE_M, float(length.sum()) / _MOST_SAMPLES)
        count = np.maximum(1, np.ceil(length / every)).astype(np.int64)
        owner = np.repeat(np.arange(len(count)), count)
        step = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
        share = ((step + 0.5) / count[owner])[:, None]
        points = self.begin[owner] * (1.0 - share) + self.end[owner] * share
        found = cKDTree(points).query_ball_point(np.array(places), reach_m + every / 2.0)
        return [np.unique(owner[np.array(near, dtype=np.int64)]) for near in found]
