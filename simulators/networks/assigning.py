"""Gives pipes without a zone the one of the regulator that is nearest along the pipes."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import replace

from simulators.ground import XY, Pipe
from simulators.networks.joining import Joiner


def assign(pipes: Sequence[Pipe], sites: Mapping[str, XY], reach_m: float) -> tuple[list[Pipe], int]:
    """Return the pipes, those without a zone with one as far as a regulator reaches them, and how many these are.

    `sites` are the regulators' positions by zone. A pipe with a zone hands it on to the pipes that hang on it. A pipe
    between two regulators belongs to the nearer one and is closed at its other end. A pipe that no regulator reaches
    keeps no zone. A regulator may stand `reach_m` beside the pipes.
    """
    joiner = Joiner([pipe for pipe in pipes if pipe.kind != "main"], {pipe.pipe_id for pipe in pipes})
    joiner.join()
    feet = [(zone, site, joiner.nearest(site)) for zone, site in sites.items()] if joiner.pipes else []
    near = [(zone, site, foot) for zone, site, foot in feet if foot.away_m <= reach_m]
    for zone, site, foot in near:
        joiner.branch(Pipe(f"J-{zone}", zone, "distribution", joiner.pipes[foot.pipe].dn_mm, (foot.at, site)))
    joiner.cut([foot for _, _, foot in near])
    away, owner = _spread(joiner.pipes, {site: zone for zone, site, _ in near})
    given = [_with_zone(pipe, away, owner) for pipe in joiner.pipes]
    count = sum(not old.zone and bool(new.zone) for old, new in zip(joiner.pipes, given, strict=True))
    return [*given, *(pipe for pipe in pipes if pipe.kind == "main")], count


def _spread(pipes: Sequence[Pipe], sites: Mapping[XY, str]) -> tuple[dict[XY, float], dict[XY, str]]:
    """Return how far each node is from where a zone is known, along pipes without one, and that zone."""
    joined: dict[XY, list[tuple[XY, float]]] = {}
    waiting: list[tuple[float, XY, str]] = [(0.0, site, zone) for site, zone in sites.items()]
    for pipe in pipes:
        a, b = pipe.line[0], pipe.line[-1]
        if pipe.zone:
            waiting += [(0.0, a, pipe.zone), (0.0, b, pipe.zone)]
        else:
            joined.setdefault(a, []).append((b, pipe.length_m))
            joined.setdefault(b, []).append((a, pipe.length_m))
    heapq.heapify(waiting)
    away: dict[XY, float] = {}
    owner: dict[XY, str] = {}
    while waiting:
        passed, node, zone = heapq.heappop(waiting)
        if node in owner:
            continue
        away[node], owner[node] = passed, zone
        for other, length_m in joined.get(node, []):
            if other not in owner:
                heapq.heappush(waiting, (passed + length_m, other, zone))
    return away, owner


def _with_zone(pipe: Pipe, away: Mapping[XY, float], owner: Mapping[XY, str]) -> Pipe:
    if pipe.zone:
        return pipe
    near = min((pipe.line[0], pipe.line[-1]), key=lambda node: away.get(node, float("inf")))
    return replace(pipe, zone=owner.get(near, ""))
