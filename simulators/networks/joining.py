"""Joins what a drawn network leaves apart: branches that end on a pipe without a node, meters beside the pipes.

Only what does not hang together is touched, so a network that was drawn with care comes back as it is.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from simulators.ground import XY, Pipe, on_grid
from simulators.networks.graph import neighbours, reached

TOUCHING_M = 0.3
"""an end that is no farther from a pipe is meant to branch off it"""
SERVICE_MM = 25.0


@dataclass(frozen=True, slots=True)
class Foot:
    """The point of a zone's pipes that is nearest to a place."""

    pipe: int
    segment: int
    at: XY
    away_m: float


@dataclass(slots=True)
class Joiner:
    """The pipes that one regulator feeds, being joined."""

    pipes: list[Pipe]
    names: set[str]
    """names of all pipes of the network, so that no new one is given twice"""

    def join(self, site: XY) -> int:
        """Cut pipes where others touch them until nothing more can be reached from `site`; return the cuts."""
        cuts = 0
        while True:
            seen = reached(neighbours(self.pipes), site)
            inner = [n for n, pipe in enumerate(self.pipes) if pipe.line[0] in seen]
            outer = [n for n, pipe in enumerate(self.pipes) if pipe.line[0] not in seen]
            found = {(foot.pipe, node): foot for foot, node in self._touching(inner, outer)}
            found |= {(foot.pipe, node): foot for foot, node in self._touching(outer, inner)}
            if not found:
                return cuts
            cuts += len(found)
            self.cut([replace(foot, at=node) for (_, node), foot in found.items()])

    def apart(self, site: XY) -> list[tuple[Pipe, int, float]]:
        """Return for each part that is not joined to `site` its first pipe, its number of pipes, and the gap in m."""
        joined = neighbours(self.pipes)
        seen = reached(joined, site)
        segments = self._segments([n for n, pipe in enumerate(self.pipes) if pipe.line[0] in seen])
        parts = []
        for pipe in self.pipes:
            if pipe.line[0] not in seen:
                part = reached(joined, pipe.line[0])
                gap = min(_nearest(segments, node).away_m for node in part)
                parts.append((pipe, sum(other.line[0] in part for other in self.pipes), gap))
                seen |= part
        return parts

    def nearest(self, place: XY) -> Foot:
        """Return the nearest point of the pipes, of which there must be one."""
        return _nearest(self._segments(range(len(self.pipes))), place)

    def nearest_to_all(self, places: Sequence[XY]) -> Iterator[Foot]:
        """Yield the nearest point of the pipes for each place."""
        segments = self._segments(range(len(self.pipes)))
        return (_nearest(segments, place) for place in places)

    def branch(self, pipe: Pipe) -> None:
        """Add a pipe that begins at a foot, which must be cut afterwards; one without length is left out."""
        if pipe.line[0] != pipe.line[-1]:
            self.pipes.append(replace(pipe, pipe_id=self._free(pipe.pipe_id)))

    def cut(self, feet: Sequence[Foot]) -> None:
        """Cut the pipes at feet; a foot at an end of its pipe changes nothing."""
        stops: dict[int, list[Foot]] = {}
        for foot in feet:
            stops.setdefault(foot.pipe, []).append(foot)
        pipes: list[Pipe] = []
        for number, pipe in enumerate(self.pipes):
            pipes += self._pieces(pipe, stops[number]) if number in stops else [pipe]
        self.pipes = pipes

    def _pieces(self, pipe: Pipe, feet: Sequence[Foot]) -> list[Pipe]:
        line = list(pipe.line)
        begins = {line[0], line[-1]}
        order = sorted(feet, key=lambda foot: (foot.segment, math.dist(pipe.line[foot.segment], foot.at)))
        for foot in reversed(order):
            if foot.at not in line:
                line.insert(foot.segment + 1, foot.at)
        stops = {foot.at for foot in feet} - begins
        lines: list[list[XY]] = [[line[0]]]
        for node in line[1:]:
            lines[-1].append(node)
            if node in stops:
                lines.append([node])
        if len(lines) == 1:
            return [pipe]
        return [replace(pipe, pipe_id=self._free(f"{pipe.pipe_id}.{n}"), line=tuple(part))
                for n, part in enumerate(lines, start=1)]  # fmt: skip

    def _free(self, name: str) -> str:
        while name in self.names:
            name += "x"
        self.names.add(name)
        return name

    def _touching(self, of: Sequence[int], others: Sequence[int]) -> Iterator[tuple[Foot, XY]]:
        """Yield the feet on some pipes of the ends of others that touch them between their ends."""
        if not of or not others:
            return
        segments = self._segments(of)
        for node in dict.fromkeys(end for n in others for end in (self.pipes[n].line[0], self.pipes[n].line[-1])):
            foot = _nearest(segments, node)
            ends = self.pipes[foot.pipe].line
            if foot.away_m <= TOUCHING_M and node not in {ends[0], ends[-1]}:
                yield foot, node

    def _segments(self, chosen: Collection[int]) -> _Segments:
        rows = [(n, segment, *a, *b) for n in chosen for segment, (a, b) in enumerate(pairwise(self.pipes[n].line))]
        table = np.array(rows, dtype=np.float64).reshape(-1, 6)
        return _Segments(table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2:4], table[:, 4:6])


@dataclass(frozen=True, slots=True, eq=False)
class _Segments:
    pipe: NDArray[np.int64]
    segment: NDArray[np.int64]
    begin: NDArray[np.float64]
    end: NDArray[np.float64]


def _nearest(segments: _Segments, place: XY) -> Foot:
    way = segments.end - segments.begin
    square = np.maximum((way**2).sum(axis=1), 1e-12)
    share = np.clip(((np.array(place) - segments.begin) * way).sum(axis=1) / square, 0.0, 1.0)
    foot = segments.begin + way * share[:, None]
    away = np.hypot(*(foot - np.array(place)).T)
    best = int(away.argmin())
    at = on_grid(float(foot[best, 0]), float(foot[best, 1]))
    return Foot(int(segments.pipe[best]), int(segments.segment[best]), at, float(away[best]))
