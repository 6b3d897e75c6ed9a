"""The network as a graph: nodes are the ends of pipes, and what can be reached from one."""

from __future__ import annotations

from collections.abc import Iterable

from simulators.ground import XY, Pipe, on_grid


def neighbours(pipes: Iterable[Pipe]) -> dict[XY, list[XY]]:
    """Return for each node the nodes at the other ends of its pipes; both ways, in the order of the pipes."""
    found: dict[XY, list[XY]] = {}
    for pipe in pipes:
        a, b = on_grid(*pipe.line[0]), on_grid(*pipe.line[-1])
        found.setdefault(a, []).append(b)
        found.setdefault(b, []).append(a)
    return found


def reached(joined: dict[XY, list[XY]], begin: XY) -> set[XY]:
    """Return the nodes that are joined to one; empty if it is none."""
    if begin not in joined:
        return set()
    seen, edge = {begin}, [begin]
    while edge:
        for node in joined[edge.pop()]:
            if node not in seen:
                seen.add(node)
                edge.append(node)
    return seen
