"""Splits a network of pipes into connected zones of about equal weight, and finds where each is best fed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.ground import XY


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """A spanning tree of the network, from its inlet."""

    order: NDArray[np.int64]
    """nodes, each after the one that feeds it"""
    parent: NDArray[np.int64]
    """of each node; -1 at the inlet"""
    depth: NDArray[np.int64]
    weight: NDArray[np.int64]
    """customers at each node"""


def span(pipes: NDArray[np.int64], weight: NDArray[np.int64], inlet: int) -> Tree:
    """Return the tree of shortest ways (by count of pipes) from the inlet; `pipes` are pairs of nodes.

    Raises ValueError if a node is not joined to the inlet.
    """
    joined: list[list[int]] = [[] for _ in weight]
    for a, b in pipes.tolist():
        joined[a].append(b)
        joined[b].append(a)
    parent = np.full(len(weight), -1, dtype=np.int64)
    depth = np.full(len(weight), -1, dtype=np.int64)
    depth[inlet] = 0
    order = [inlet]
    for node in order:
        for other in joined[node]:
            if depth[other] < 0:
                parent[other], depth[other] = node, depth[node] + 1
                order.append(other)
    if len(order) < len(weight):
        raise ValueError(f"{len(weight) - len(order)} nodes are not joined to the inlet")
    return Tree(np.array(order, dtype=np.int64), parent, depth, weight)


def split(tree: Tree, zones: int) -> NDArray[np.int64]:
    """Return the zone of each node: connected, numbered along the tree, as near to equal weight as cuts allow.

    Each cut takes off the subtree whose weight is nearest to what is left for each zone still wanted. A tree with
    fewer places to cut gets fewer zones.
    """
    zone_of = np.zeros(len(tree.weight), dtype=np.int64)
    for number in range(1, min(zones, len(tree.weight))):
        below = _below(tree, zone_of)
        left = below[tree.order[0]]
        wanted = left / (zones - number + 1)
        inner = (zone_of == 0) & (tree.parent >= 0) & (below > tree.weight) & (below < left)
        if not inner.any():
            break
        top = int(np.where(inner, np.abs(below - wanted), np.inf).argmin())
        zone_of[_subtree(tree, top, zone_of)] = number
    return _numbered(tree, zone_of)


def _below(tree: Tree, zone_of: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each node of zone 0 the weight of what it feeds of that zone."""
    below = np.where(zone_of == 0, tree.weight, 0)
    for node in tree.order[:0:-1]:
        if zone_of[node] == 0:
            below[tree.parent[node]] += below[node]
    return below


def _subtree(tree: Tree, top: int, zone_of: NDArray[np.int64]) -> NDArray[np.bool_]:
    inside = np.zeros(len(zone_of), dtype=np.bool_)
    inside[top] = True
    for node in tree.order[1:]:
        inside[node] |= inside[tree.parent[node]]
    return np.asarray(inside & (zone_of == 0), dtype=np.bool_)


def _numbered(tree: Tree, zone_of: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give the zones numbers in the order of a walk down the tree, so that neighbours have near numbers."""
    children: list[list[int]] = [[] for _ in zone_of]
    for node in tree.order[1:]:
        children[tree.parent[node]].append(int(node))
    number: dict[int, int] = {}
    walk = [int(tree.order[0])]
    while walk:
        node = walk.pop()
        number.setdefault(int(zone_of[node]), len(number))
        walk += children[node]
    return np.array([number[int(zone)] for zone in zone_of], dtype=np.int64)


def middle(tree: Tree, nodes: NDArray[np.intp], site: Sequence[XY]) -> int:
    """Return the node of a zone from which the ways to all its customers are the shortest in sum."""
    inside = set(nodes.tolist())
    children = dict.fromkeys(inside, 0)
    top = min(inside, key=lambda node: int(tree.depth[node]))
    below = {node: int(tree.weight[node]) for node in inside}
    down = [int(node) for node in tree.order if int(node) in inside]
    for node in reversed(down):
        if node != top:
            below[int(tree.parent[node])] += below[node]
            children[int(tree.parent[node])] += 1
    total, cost = below[top], {top: 0.0}
    for node in down[1:]:
        parent = int(tree.parent[node])
        cost[node] = cost[parent] + (total - 2 * below[node]) * math.dist(site[node], site[parent])
    fitting = [node for node in down if children[node]] or [top]
    return min(fitting, key=cost.__getitem__)


def paths(tree: Tree, ends: Sequence[int]) -> list[list[int]]:
    """Return the ways from the inlet to the ends as lines of nodes that meet at their ends only."""
    inlet = int(tree.order[0])
    used: dict[int, int] = {}
    for end in ends:
        node = end
        while node != inlet and node not in used:
            used[node] = int(tree.parent[node])
            node = used[node]
    branches = dict.fromkeys((*used, inlet), 0)
    for parent in used.values():
        branches[parent] += 1
    stops = {inlet, *ends, *(node for node, count in branches.items() if count > 1)}
    lines = []
    for stop in sorted(stops - {inlet}):
        line = [stop]
        while line[-1] == stop or line[-1] not in stops:
            line.append(used[line[-1]])
        lines.append(line[::-1])
    return lines
