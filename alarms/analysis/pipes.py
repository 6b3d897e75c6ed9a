"""Pipes of zones as a graph, and by how much gas drawn somewhere lowers the pressure elsewhere. Pure.

The fall of pressure along a pipe is Renouard's for low pressure, dp = 2276 s L Q^1.82 D^-4.82 (kPa, m, m3/h, mm), and
at a higher pressure less in proportion to the gas's density, which is his quadratic law where falls are small.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import hypot
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

from gateway.meterdata.series import Floats, Ints

RENOUARD_KPA = 2275.9
EXPONENT = 1.82
GAS_DENSITY = 0.6
"""of natural gas relative to air"""
ATMOSPHERE_KPA = 101.325
NODE_M = 0.2
"""ends of pipes nearer than this are one place"""
ROUNDS = 40
LEAST_SHARE = 0.002
"""of a zone's flow, which every pipe is taken to carry at least: beyond it the law has no slope"""
USUAL_DN_MM = 80.0

XY = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Pipe:
    """A line of the network file."""

    pipe_id: str
    zone: str
    length_m: float
    dn_mm: float
    year: int | None
    """in which it was laid"""
    begin: XY
    end: XY


@lru_cache(maxsize=2)
def pipes_by_zone(geojson: str) -> Mapping[str, tuple[Pipe, ...]]:
    """Return the pipes of `network.geojson` by their zone; what is no line with an id and a zone is left out."""
    found: dict[str, list[Pipe]] = {}
    content = json.loads(geojson) if geojson else {}
    for feature in content.get("features") or ():
        for pipe in _pipes(feature):
            found.setdefault(pipe.zone, []).append(pipe)
    return {zone: tuple(pipes) for zone, pipes in found.items()}


def _pipes(feature: Any) -> Iterator[Pipe]:
    try:
        shape, known = feature["geometry"], feature["properties"]
        lines = shape["coordinates"] if shape["type"] == "MultiLineString" else [shape["coordinates"]]
        if shape["type"] not in ("LineString", "MultiLineString") or not known.get("id") or not known.get("zone"):
            return
        diameter = float(known.get("dn_mm") or USUAL_DN_MM)
        for line in lines:
            points = [(float(point[0]), float(point[1])) for point in line]
            length = sum(hypot(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(points))
            if length > 0 and diameter > 0:
                year = _year(known.get("installed_on"))
                yield Pipe(str(known["id"]), str(known["zone"]), length, diameter, year, points[0], points[-1])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        return


def _year(written: Any) -> int | None:
    text = str(written or "")[:4]
    return int(text) if text.isdecimal() else None


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Pipes between nodes."""

    pipes: tuple[Pipe, ...]
    nodes: Floats
    """places, (k, 2)"""
    begin: Ints
    """node at which each pipe begins, (p,)"""
    end: Ints

    @staticmethod
    def of(pipes: tuple[Pipe, ...]) -> Graph:
        """Join pipes where their ends meet."""
        places = np.array([end for pipe in pipes for end in (pipe.begin, pipe.end)]).reshape(-1, 2)
        _, first, number = np.unique(np.round(places / NODE_M), axis=0, return_index=True, return_inverse=True)
        at = np.asarray(number, dtype=np.int64).reshape(-1, 2)
        return Graph(pipes, places[first], at[:, 0], at[:, 1])

    def nearest(self, place: XY) -> tuple[int, float]:
        """Return the node nearest to a place, and how far it is, m."""
        away = np.hypot(self.nodes[:, 0] - place[0], self.nodes[:, 1] - place[1])
        return int(away.argmin()), float(away.min())

    def falls(self, source: int, drawn_m3h: Floats, sensors: Ints, gauge_kpa: float) -> Floats:
        """Return by how much pressure falls at each sensor for each m3/h more that is drawn at a node, kPa, (s, k).

        `drawn_m3h` is what is drawn at each node now, base m3/h. Nodes that no pipe joins with the source tell nothing:
        their falls are 0.
        """
        reached = self._reached(source)
        resistance = self._resistance(gauge_kpa)
        least = max(LEAST_SHARE * float(drawn_m3h[reached].sum()), 1e-3)
        inner = np.flatnonzero(reached & (np.arange(len(self.nodes)) != source))
        result = np.zeros((len(sensors), len(self.nodes)))
        if not len(inner):
            return result
        flow = np.full(len(self.pipes), 10.0 * least)
        for _ in range(ROUNDS):
            conductance = 1.0 / (resistance * np.maximum(np.abs(flow), least) ** (EXPONENT - 1.0))
            pressure = np.zeros(len(self.nodes))
            pressure[inner] = -splu(self._laplacian(conductance, inner)).solve(drawn_m3h[inner])
            flow = 0.5 * (flow + conductance * (pressure[self.begin] - pressure[self.end]))
        slope = 1.0 / (EXPONENT * resistance * np.maximum(np.abs(flow), least) ** (EXPONENT - 1.0))
        solver = splu(self._laplacian(slope, inner))
        row = np.full(len(self.nodes), -1)
        row[inner] = np.arange(len(inner))
        for number, sensor in enumerate(sensors):
            if row[sensor] >= 0:
                unit = np.zeros(len(inner))
                unit[row[sensor]] = 1.0
                result[number, inner] = solver.solve(unit)
        return result

    def _resistance(self, gauge_kpa: float) -> Floats:
        length = np.array([pipe.length_m for pipe in self.pipes])
        diameter = np.array([pipe.dn_mm for pipe in self.pipes])
        denser = ATMOSPHERE_KPA / (ATMOSPHERE_KPA + gauge_kpa)
        return np.asarray(RENOUARD_KPA * GAS_DENSITY * denser * length * diameter**-4.82)

    def _reached(self, source: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        count = len(self.nodes)
        joined = sparse.coo_array((np.ones(len(self.pipes)), (self.begin, self.end)), shape=(count, count))
        _, part = sparse.csgraph.connected_components(joined, directed=False)
        return np.asarray(part == part[source])

    def _laplacian(self, conductance: Floats, inner: Ints) -> sparse.csc_array:
        count = len(self.nodes)
        both = np.concatenate([self.begin, self.end]), np.concatenate([self.end, self.begin])
        off = sparse.coo_array((-np.tile(conductance, 2), both), shape=(count, count)).tocsr()
        whole = off - sparse.diags_array(np.asarray(off.sum(axis=1)).ravel())
        return sparse.csc_array(whole.tocsr()[inner][:, inner])
