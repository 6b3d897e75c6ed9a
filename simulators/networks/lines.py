"""Reads the pipes of a network from GeoJSON: lines in local metres, each with its kind, inner diameter and zone."""

from __future__ import annotations

import json
import math
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from simulators.ground import XY, Pipe, on_grid

KINDS = ("main", "distribution", "service", "riser")
MAX_DN_MM = 2000.0
MAX_M = 1e8
"""no plane that a city is drawn in has larger coordinates"""
MAX_PIPE_M = 100_000.0
DEGREES_SPAN = 3.0
"""a network that is no wider than this many units is no network in metres; a city in degrees is never wider"""
PROJECT = "looks like degrees; project it to metres (for example with ogr2ogr -t_srs EPSG:32650, the zone of your city)"


@dataclass(slots=True)
class Lines:
    """The features of a file being read; what is wrong goes to `problems`."""

    path: Path
    zones: Container[str]
    problems: list[str]
    skipped: int = 0
    """features that are no lines: points and areas of the map"""
    seen: set[str] = field(default_factory=set)

    def read(self, text: str) -> list[Pipe]:
        """Return the pipes of a FeatureCollection, in its order."""
        features = json.loads(text).get("features")
        if not isinstance(features, list):
            self.problems.append(f"{self.path}: key features: is no list; export the file again")
            return []
        if in_degrees(_pairs([_shape(feature).get("coordinates") for feature in features])):
            self.problems.append(f"{self.path}: key coordinates: {PROJECT}")
            return []
        return [pipe for number, feature in enumerate(features) for pipe in self._pipes(number, feature)]

    def _pipes(self, number: int, feature: Any) -> Iterator[Pipe]:
        shape = _shape(feature)
        if str(shape.get("type")) not in {"LineString", "MultiLineString"}:
            self.skipped += 1
            return
        given = feature.get("properties")
        properties = given if isinstance(given, Mapping) else {}
        before = len(self.problems)
        name = self._name(number, properties)
        zone = self._zone(number, properties)
        kind = self._kind(number, properties)
        dn_mm = self._dn(number, properties)
        lines = self._lines(number, shape)
        if len(self.problems) > before:
            return
        for part, line in enumerate(lines, start=1):
            yield Pipe(name if len(lines) == 1 else f"{name}.{part}", zone, kind, dn_mm, line)

    def _problem(self, number: int, key: str, text: str) -> None:
        self.problems.append(f"{self.path}: features[{number}]: key {key}: {text}")

    def _name(self, number: int, properties: Mapping[str, Any]) -> str:
        name = str(properties.get("id") or f"P-{number + 1}")
        if name in self.seen:
            self._problem(number, "id", f"{name!r} stands here twice; give every pipe its own")
        self.seen.add(name)
        return name

    def _zone(self, number: int, properties: Mapping[str, Any]) -> str:
        """Return the zone of a pipe; empty where the file leaves it open."""
        zone = str(properties.get("zone") or "")
        if zone and zone not in self.zones:
            self._problem(number, "zone", f"{zone!r} is no zone; add it to zones.csv or correct it")
        return zone

    def _kind(self, number: int, properties: Mapping[str, Any]) -> str:
        kind = str(properties.get("kind") or "distribution")
        if kind not in KINDS:
            self._problem(number, "kind", f"{kind!r} is unknown; use one of {', '.join(KINDS)}")
        return kind

    def _dn(self, number: int, properties: Mapping[str, Any]) -> float:
        given = properties.get("dn_mm")
        dn_mm = _finite(given)
        if dn_mm is None or not 0.0 < dn_mm <= MAX_DN_MM:
            text = "is missing" if given is None else f"{given!r} is no diameter"
            self._problem(number, "dn_mm", f"{text}; write the inner diameter in mm, up to {MAX_DN_MM:g}")
            return 1.0
        return dn_mm

    def _lines(self, number: int, shape: Mapping[str, Any]) -> list[tuple[XY, ...]]:
        coordinates = shape.get("coordinates")
        parts = [coordinates] if shape["type"] == "LineString" else coordinates
        if not isinstance(parts, list):
            self._problem(number, "coordinates", "is no list; export the file again")
            return []
        lines = [_line(part) for part in parts]
        if any(line is None for line in lines):
            self._problem(
                number, "coordinates", f"holds something else than pairs of numbers up to {MAX_M:g}; export it again"
            )
        elif any(_length_m(line) > MAX_PIPE_M for line in lines if line is not None):
            self._problem(number, "coordinates", f"is longer than {MAX_PIPE_M:g} m; correct the point that lies apart")
        elif any(len(line) < 2 for line in lines if line is not None):
            self._problem(number, "coordinates", "is shorter than 0.1 m; delete the feature or correct its ends")
        return [line for line in lines if line is not None]


def in_degrees(nodes: Iterable[XY]) -> bool:
    """Say whether positions must be longitude and latitude: all of them possible, and all within a few units."""
    found = list(nodes)
    if len(found) < 2:
        return False
    x, y = [node[0] for node in found], [node[1] for node in found]
    possible = max(map(abs, x)) <= 180.0 and max(map(abs, y)) <= 90.0
    return possible and max(max(x) - min(x), max(y) - min(y)) < DEGREES_SPAN


def _shape(feature: Any) -> Mapping[str, Any]:
    """Return the geometry of a feature; empty if it has none."""
    shape = feature.get("geometry") if isinstance(feature, Mapping) else None
    return shape if isinstance(shape, Mapping) else {}


def _pairs(coordinates: Any) -> Iterator[XY]:
    """Yield the positions in nested lists, as they are written."""
    waiting = [coordinates]
    while waiting:
        at = waiting.pop()
        if isinstance(at, list):
            x, y = (_finite(at[0]), _finite(at[1])) if len(at) > 1 else (None, None)
            if x is not None and y is not None:
                yield x, y
            else:
                waiting += at


def _line(part: Any) -> tuple[XY, ...] | None:
    """Return the points of a line on the grid, no two equal ones behind each other; None if they are no numbers."""
    if not isinstance(part, list):
        return None
    nodes = [_node(point) for point in part]
    if any(node is None for node in nodes):
        return None
    return tuple(node for node, _ in groupby(node for node in nodes if node is not None))


def _node(point: Any) -> XY | None:
    if not isinstance(point, Sequence) or isinstance(point, str) or len(point) < 2:
        return None
    x, y = _finite(point[0]), _finite(point[1])
    return None if x is None or y is None or max(abs(x), abs(y)) > MAX_M else on_grid(x, y)


def _length_m(line: Sequence[XY]) -> float:
    return sum(math.dist(a, b) for a, b in pairwise(line))


def _finite(value: Any) -> float | None:
    """Return a finite number, also one written as text; None for anything else."""
    if isinstance(value, bool):
        return None
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
