"""The pipes behind one regulator as a graph: what a solver needs, as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import dijkstra
from scipy.spatial import cKDTree

from simulators.ground import Ground, Pipe, regulator_index
from simulators.physics.errors import NotPhysicalError

SNAP_M = 0.05
"""points as near as this are one node"""
REACH_M = 0.5
"""how far a meter or a regulator may stand from the end of its pipe; positions are rounded to 0.1 m"""
ROUGHNESS_MM = {"main": 0.1, "riser": 0.1, "distribution": 0.01, "service": 0.01}
"""equivalent roughness by kind of pipe: steel 0.1 mm, polyethylene 0.01 mm (as GB 50028 takes them for natural gas)"""
_SHORTEST_M = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class ZoneGraph:
    """Nodes and pipes of a zone; n nodes, m pipes, c customers."""

    zone: str
    xy_m: NDArray[np.float64]
    """(n, 2)"""
    start: NDArray[np.int64]
    """node at which each pipe begins, (m,)"""
    end: NDArray[np.int64]
    length_m: NDArray[np.float64]
    inner_mm: NDArray[np.float64]
    roughness_mm: NDArray[np.float64]
    inlet: int
    """node of the regulator"""
    customer: NDArray[np.int64]
    """node of each place of the zone, in the plan's order, (c,)"""
    distance_m: NDArray[np.float64]
    """way along the pipes from the regulator to each node"""

    @property
    def pipe_m3(self) -> NDArray[np.float64]:
        """Geometric volume of each pipe."""
        return np.asarray(self.length_m * np.pi * (self.inner_mm / 2000.0) ** 2, dtype=np.float64)

    def load(self, weight: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Return the share of each node in the zone's use; equal for all customers if no weights are given.

        A zone without any weight spreads its use over the nodes at which pipes end.
        """
        weight = np.ones(len(self.customer)) if weight is None else weight
        load = np.bincount(self.customer, weight, minlength=len(self.xy_m)).astype(np.float64)
        if load.sum() <= 0.0:
            load = (np.bincount(np.concatenate([self.start, self.end]), minlength=len(self.xy_m)) == 1).astype(float)
            load[self.inlet] = 0.0
        if load.sum() <= 0.0:
            load = np.where(np.arange(len(load)) == self.inlet, 0.0, 1.0)
        return np.asarray(load / load.sum(), dtype=np.float64)

    def node_at(self, share: float) -> int:
        """Return the node whose way from the regulator is nearest to a share of the longest way."""
        return int(np.abs(self.distance_m - share * self.distance_m.max()).argmin())


def zone_graphs(ground: Ground, wanted: Sequence[int] | None = None) -> dict[int, ZoneGraph]:
    """Return the graph of each regulator zone, or of some, by its position. Raise `NotPhysicalError`."""
    column = regulator_index(ground)
    chosen = range(len(ground.regulator_zones)) if wanted is None else wanted
    pipes: dict[int, list[Pipe]] = {number: [] for number in chosen}
    for pipe in ground.pipes:
        number = column.get(pipe.zone, -1)
        if number in pipes:
            pipes[number].append(pipe)
    places: dict[int, list[tuple[float, float]]] = {number: [] for number in chosen}
    for place in ground.places:
        number = column.get(place.zone, -1)
        if number in places:
            places[number].append((place.x_m, place.y_m))
    sites = {station.zone_id: station for station in ground.stations if station.kind == "regulator"}
    graphs = {}
    for number, own in pipes.items():
        site = sites[ground.regulator_zones[number]]
        graphs[number] = build_graph(site.zone_id, own, places[number], (site.x_m, site.y_m))
    return graphs


def build_graph(
    zone: str, pipes: Sequence[Pipe], places: Sequence[tuple[float, float]], inlet: tuple[float, float]
) -> ZoneGraph:
    """Join pipes whose ends coincide, also where one ends on the length of another; refuse what hangs in the air."""
    if not pipes:
        raise NotPhysicalError(f"zone {zone}: it has no pipes; draw at least one from its regulator")
    ends = np.array([(pipe.line[0], pipe.line[-1]) for pipe in pipes], dtype=np.float64).reshape(-1, 2)
    xy, node_of = _merged(ends)
    start, end, part = _split(pipes, xy, node_of.reshape(-1, 2))
    length = np.array([pipe.length_m for pipe in pipes])
    inner = np.array([float(pipe.dn_mm) for pipe in pipes])
    rough = np.array([ROUGHNESS_MM.get(pipe.kind, 0.1) for pipe in pipes])
    owner = part[:, 0].astype(np.int64)
    pieces = np.maximum(length[owner] * part[:, 1], _SHORTEST_M)
    root = _nearest(zone, "its regulator", xy, np.array([inlet]))[0]
    customers = (
        _nearest(zone, "a meter", xy, np.array(places, dtype=np.float64)) if len(places) else np.zeros(0, np.int64)
    )
    distance = _distance(len(xy), start, end, pieces, int(root))
    if not np.isfinite(distance).all():
        lost = xy[int(np.flatnonzero(~np.isfinite(distance))[0])]
        raise NotPhysicalError(
            f"zone {zone}: {int((~np.isfinite(distance)).sum())} pipe ends, one at x {lost[0]:.1f} y {lost[1]:.1f}, "
            "are not connected with the regulator; join the pipes or give them another zone"
        )
    return ZoneGraph(
        zone, xy, start, end, pieces, inner[owner], rough[owner], int(root), customers, distance
    )  # fmt: skip


def _merged(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return (distinct points, which of them each point is)."""
    pairs = cKDTree(points).query_pairs(SNAP_M, output_type="ndarray")
    first = np.arange(len(points))
    for a, b in pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]:
        first[b] = min(first[b], first[a])
    kept, which = np.unique(first, return_inverse=True)
    return points[kept], which.astype(np.int64)


def _split(
    pipes: Sequence[Pipe], xy: NDArray[np.float64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Cut pipes at nodes that lie on their length. Return (from node, to node, (pipe, share of its length))."""
    tree = cKDTree(xy)
    start, end, part = [], [], []
    for number, pipe in enumerate(pipes):
        along = sorted(_on_the_way(pipe, xy, tree, {int(ends[number, 0]), int(ends[number, 1])}))
        stops = [(0.0, int(ends[number, 0])), *along, (1.0, int(ends[number, 1]))]
        for (a, node_a), (b, node_b) in pairwise(stops):
            if node_a != node_b:
                start.append(node_a)
                end.append(node_b)
                part.append((number, b - a))
    return np.array(start, np.int64), np.array(end, np.int64), np.array(part, np.float64).reshape(-1, 2)


def _on_the_way(pipe: Pipe, xy: NDArray[np.float64], tree: cKDTree, own: set[int]) -> list[tuple[float, int]]:
    """Return (share of the pipe's length, node) of the nodes that lie on a pipe between its ends."""
    found, gone, total = [], 0.0, max(pipe.length_m, 1e-9)
    line = np.array(pipe.line, dtype=np.float64)
    for a, b in pairwise(line):
        span = float(np.hypot(*(b - a)))
        near = [n for n in tree.query_ball_point((a + b) / 2.0, span / 2.0 + SNAP_M) if n not in own]
        if near and span > 0.0:
            offset = xy[near] - a
            along = offset @ (b - a) / span
            beside = np.abs(offset[:, 0] * (b - a)[1] - offset[:, 1] * (b - a)[0]) / span
            on = (beside <= SNAP_M) & (along > 0.0) & (along <= span)
            found += [(float((gone + s) / total), int(n)) for s, n in zip(along[on], np.array(near)[on], strict=True)]
        gone += span
    return found


def _nearest(zone: str, what: str, xy: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.int64]:
    away, node = cKDTree(xy).query(points)
    if (away > REACH_M).any():
        worst = int(away.argmax())
        raise NotPhysicalError(
            f"zone {zone}: {what} at x {points[worst, 0]:.1f} y {points[worst, 1]:.1f} is {away[worst]:.1f} m away "
            f"from the end of any pipe of the zone; end a pipe within {REACH_M} m of it"
        )
    return np.asarray(node, dtype=np.int64)


def _distance(
    count: int, start: NDArray[np.int64], end: NDArray[np.int64], length: NDArray[np.float64], root: int
) -> NDArray[np.float64]:
    """Return the shortest way from the root to each node; of parallel pipes the shorter counts."""
    order = np.argsort(-length, kind="stable")
    low, high = np.minimum(start, end)[order], np.maximum(start, end)[order]
    shortest = dict(zip(zip(low.tolist(), high.tolist(), strict=True), length[order].tolist(), strict=True))
    rows, columns = np.array(list(shortest), dtype=np.int64).reshape(-1, 2).T
    matrix = coo_array((np.array(list(shortest.values())), (rows, columns)), shape=(count, count)).tocsr()
    return np.asarray(dijkstra(matrix, directed=False, indices=root), dtype=np.float64)
