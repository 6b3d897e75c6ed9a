"""Joins what a drawn network leaves apart: branches that end on a pipe without a node, meters beside the pipes.

Only what does not hang together is touched, so a network that was drawn with care comes back as it is.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from simulators.ground import XY, Pipe
from simulators.networks.graph import neighbours, reached
from simulators.networks.segments import Foot, Segments

TOUCHING_M = 0.5
"""an end that is no farther from a pipe is meant to branch off it"""
SERVICE_MM = 25.0


@dataclass(slots=True)
class Joiner:
    """The pipes that one regulator feeds, being joined."""

    pipes: list[Pipe]
    names: set[str]
    """names of all pipes of the network, so that no new one is given twice"""

    def join(self) -> int:
        """Cut pipes where pipes of another part touch them and bridge gaps between ends, until no parts can be joined.

        Return how often that was done.
        """
        joints = 0
        while True:
            feet, gaps = self._touching(self._parts())
            if not feet and not gaps:
                return joints
            joints += len(feet) + len(gaps)
            for pipe in gaps:
                self.branch(pipe)
            self.cut(feet)

    def apart(self, site: XY, most: int) -> list[tuple[Pipe, int, float]]:
        """Return for parts that are not joined to `site` the first pipe, the number of pipes, and the gap in metres.

        No more than `most` of them.
        """
        part = self._parts()
        home = next((part[n] for n, pipe in enumerate(self.pipes) if site in _ends(pipe)), -1)
        segments = self._segments(np.flatnonzero(part == home))
        found = []
        for label in [label for label in dict.fromkeys(part.tolist()) if label != home][:most]:
            pipes = [self.pipes[n] for n in np.flatnonzero(part == label)]
            gap = min(segments.nearest(node).away_m for pipe in pipes for node in _ends(pipe))
            found.append((pipes[0], len(pipes), gap))
        return found

    def nearest(self, place: XY) -> Foot:
        """Return the nearest point of the pipes, of which there must be one."""
        return self._segments(range(len(self.pipes))).nearest(place)

    def nearest_to_all(self, places: Sequence[XY]) -> Iterator[Foot]:
        """Yield the nearest point of the pipes for each place."""
        segments = self._segments(range(len(self.pipes)))
        return (segments.nearest(place) for place in places)

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

    def _parts(self) -> NDArray[np.int64]:
        """Return for each pipe the number of the part of the network that it hangs in."""
        joined = neighbours(self.pipes)
        label: dict[XY, int] = {}
        for number, node in enumerate(joined):
            if node not in label:
                label |= dict.fromkeys(reached(joined, node), number)
        return np.array([label[pipe.line[0]] for pipe in self.pipes], dtype=np.int64)

    def _touching(self, part: NDArray[np.int64]) -> tuple[list[Foot], list[Pipe]]:
        """Return where ends of pipes touch pipes of another part, and the short pipes that would bridge gaps of ends.

        A foot lies at the end that touches, not on the pipe.
        """
        if len(np.unique(part)) < 2:
            return [], []
        segments = self._segments(range(len(self.pipes)))
        of = part[segments.pipe]
        ends = {end: label for pipe, label in zip(self.pipes, part, strict=True) for end in _ends(pipe)}
        found: dict[tuple[int, XY], Foot] = {}
        gaps: dict[frozenset[XY], Pipe] = {}
        for (node, label), close in zip(ends.items(), segments.within(list(ends), TOUCHING_M), strict=True):
            others = close[of[close] != label]
            if not len(others):
                continue
            foot = segments.only(others).nearest(node)
            pipe = self.pipes[foot.pipe]
            near = min(_ends(pipe), key=partial(math.dist, node))
            if foot.away_m > TOUCHING_M:
                continue
            if math.dist(near, node) <= TOUCHING_M:
                bridge = replace(pipe, pipe_id=f"J-{pipe.pipe_id}", line=(near, node))
                gaps.setdefault(frozenset({near, node}), bridge)
            else:
                found[foot.pipe, node] = replace(foot, at=node)
        return list(found.values()), list(gaps.values())

    def _segments(self, chosen: Iterable[int]) -> Segments:
        return Segments.of((n, self.pipes[n]) for n in chosen)


def _ends(pipe: Pipe) -> tuple[XY, XY]:
    return pipe.line[0], pipe.line[-1]
