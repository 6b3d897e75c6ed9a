"""Pipes between stations and regulators."""

from __future__ import annotations

from itertools import groupby

from simulators.ground import XY, Pipe


def main(pipe_id: str, zone: str, dn_mm: float, a: XY, b: XY) -> Pipe:
    """Return a main from a to b that runs along two axes."""
    return Pipe(pipe_id, zone, "main", dn_mm, tuple(node for node, _ in groupby((a, (b[0], a[1]), b))))
