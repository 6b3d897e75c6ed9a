"""Which pipes carry gas: what hangs on one node and uses nothing has that node's pressure, and no solver needs it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.physics.state import Case


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What of a case carries gas."""

    node: NDArray[np.int64]
    """nodes that stay"""
    pipe: NDArray[np.int64]
    """pipes that stay"""
    like: NDArray[np.int64]
    """node that stays and has the same pressure, for each node"""


def carrying(case: Case) -> Part:
    """Leave out dead ends without use."""
    graph, count = case.graph, len(case.graph.xy_m)
    if not case.demand_m3h.any():
        return Part(np.array([graph.inlet]), np.zeros(0, np.int64), np.full(count, graph.inlet))
    like, pipes = np.arange(count), np.ones(len(graph.start), dtype=np.bool_)
    kept = case.demand_m3h > 0.0
    kept[graph.inlet] = True
    while True:
        ends = np.concatenate([graph.start[pipes], graph.end[pipes]])
        dead = (np.bincount(ends, minlength=count) == 1) & ~kept
        cut = pipes & (dead[graph.start] | dead[graph.end])
        if not cut.any():
            break
        at_start = dead[graph.start] & cut
        like[graph.start[at_start]] = graph.end[at_start]
        at_end = dead[graph.end] & cut & ~at_start
        like[graph.end[at_end]] = graph.start[at_end]
        pipes &= ~cut
    return _part(like, pipes)


def without_still_loops(case: Case, part: Part) -> Part:
    """Leave out loops without use that hang on one node, too."""
    import networkx as nx

    if not len(part.pipe):
        return part
    graph = case.graph
    joined = nx.Graph(zip(graph.start[part.pipe].tolist(), graph.end[part.pipe].tolist(), strict=True))
    blocks = dict(enumerate(nx.biconnected_components(joined)))
    shared = Counter(node for block in blocks.values() for node in block)
    used = {*np.flatnonzero(case.demand_m3h > 0.0).tolist(), graph.inlet}
    like = part.like.copy()
    while True:
        still = [number for number, block in blocks.items() if _hangs(block, shared, used)]
        if not still:
            break
        block = blocks.pop(still[0])
        held = next(node for node in block if shared[node] > 1)
        for node in block:
            like[node] = held
        shared.subtract(block)
    left = _part(like, np.zeros(len(graph.start), dtype=np.bool_))
    stays = np.zeros(len(like), dtype=np.bool_)
    stays[left.node] = True
    pipes = part.pipe[stays[graph.start[part.pipe]] & stays[graph.end[part.pipe]]]
    return Part(left.node, pipes, left.like)


def _hangs(block: set[int], shared: Counter[int], used: set[int]) -> bool:
    """Say whether a block hangs on one other and nobody in it uses gas."""
    joints = [node for node in block if shared[node] > 1]
    return len(joints) == 1 and not (block - {joints[0]}) & used


def _part(like: NDArray[np.int64], pipes: NDArray[np.bool_]) -> Part:
    while (like[like] != like).any():
        like = like[like]
    return Part(np.unique(like), np.flatnonzero(pipes), like)
