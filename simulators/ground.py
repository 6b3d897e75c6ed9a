"""The ground plan of a simulated city: zones, stations, pipes, and where each meter hangs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from gateway.model.network import Station, Zone


@dataclass(frozen=True, slots=True)
class Pipe:
    """A straight piece of pipe in local metres."""

    pipe_id: str
    zone: str
    kind: str
    """main (medium pressure), distribution or service"""
    dn_mm: int
    line: tuple[tuple[float, float], ...]

    @property
    def length_m(self) -> float:
        """Length of the line."""
        return sum(math.dist(a, b) for a, b in pairwise(self.line))

    @property
    def volume_m3(self) -> float:
        """Geometric volume."""
        return self.length_m * math.pi * (self.dn_mm / 2000.0) ** 2


@dataclass(frozen=True, slots=True)
class Place:
    """Where a customer's meter hangs."""

    zone: str
    x_m: float
    y_m: float


@dataclass(frozen=True, slots=True)
class Ground:
    """The plan of the city; regulators and supply meters are in the order of the regulator zones."""

    zones: tuple[Zone, ...]
    stations: tuple[Station, ...]
    places: tuple[Place, ...]
    pipes: tuple[Pipe, ...]
    regulator_zones: tuple[str, ...]

    def geojson(self) -> dict[str, Any]:
        """Return the pipes as a FeatureCollection of LineStrings in local metres (x east, y north)."""
        return {"type": "FeatureCollection", "features": [_feature(pipe) for pipe in self.pipes]}

    def regulator_of(self, zone: str) -> Station:
        """Return the regulator that feeds a zone."""
        return next(s for s in self.stations if s.kind == "regulator" and s.zone_id == zone)


def _feature(pipe: Pipe) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {"id": pipe.pipe_id, "zone": pipe.zone, "kind": pipe.kind, "dn_mm": pipe.dn_mm},
        "geometry": {"type": "LineString", "coordinates": [[round(x, 1), round(y, 1)] for x, y in pipe.line]},
    }
