"""The ground plan of a simulated city: zones, stations, pipes, and where each meter hangs."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np

from gateway.model.network import Station, Zone

XY = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Pipe:
    """A piece of pipe in local metres; its ends are nodes of the network."""

    pipe_id: str
    zone: str
    kind: str
    """main (between stations and regulators), distribution, service (to a house or a flat) or riser"""
    dn_mm: float
    """inner diameter"""
    line: tuple[XY, ...]

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
    """Where a customer's meter hangs: the end of a service pipe."""

    zone: str
    """a regulator zone or a building below one"""
    x_m: float
    y_m: float
    meter_id: str = field(default="", compare=False)
    """what the company calls the meter; empty: the simulator numbers it"""
    customer_class: str = field(default="", compare=False)
    """class of the customer where the plan says it (words of `meters.csv`); empty: the simulator draws one"""


@dataclass(frozen=True, slots=True)
class Ground:
    """The plan of a city, or of a part of one.

    Regulators and supply meters are in the order of the regulator zones, and so are the places: those of the first
    zone and of its buildings come first. Coordinates are multiples of 0.1 m, so that equal nodes have equal numbers.
    """

    zones: tuple[Zone, ...]
    stations: tuple[Station, ...]
    places: tuple[Place, ...]
    pipes: tuple[Pipe, ...]
    regulator_zones: tuple[str, ...]
    """zones that have a regulator and a supply meter"""
    shapes: tuple[str, ...] = ()
    """how each regulator zone is built: zones of one shape have the same pipes and places, moved; () if unknown"""
    first_zone: int = 0
    """number in the whole city of the first regulator zone: the place of its random numbers"""
    first_place: int = 0
    """number in the whole city of the first place"""

    def geojson(self) -> dict[str, Any]:
        """Return the pipes as a FeatureCollection of LineStrings in local metres (x east, y north)."""
        return {"type": "FeatureCollection", "features": [_feature(pipe) for pipe in self.pipes]}

    def regulator_of(self, zone: str) -> Station:
        """Return the regulator that feeds a zone."""
        return next(s for s in self.stations if s.kind == "regulator" and s.zone_id == zone)

    def part(self, first: int, count: int) -> Ground:
        """Return the ground of `count` regulator zones from the one at position `first`, with all levels above them."""
        if not 0 <= first <= first + count <= len(self.regulator_zones):
            raise ValueError(f"no regulator zones {first} to {first + count} in {len(self.regulator_zones)}")
        index = regulator_index(self)
        wanted = {zone for zone, column in index.items() if first <= column < first + count}
        above = _above(self, self.regulator_zones[first : first + count])
        column = np.array([index[place.zone] for place in self.places], dtype=np.int64)
        begin, end = np.searchsorted(column, [first, first + count])
        return replace(
            self,
            zones=tuple(zone for zone in self.zones if zone.zone_id in wanted | above or not zone.parent_id),
            stations=tuple(s for s in self.stations if s.kind == "station" or s.zone_id in wanted),
            places=self.places[begin:end],
            pipes=tuple(pipe for pipe in self.pipes if pipe.zone in wanted),
            regulator_zones=self.regulator_zones[first : first + count],
            shapes=self.shapes[first : first + count],
            first_zone=self.first_zone + first,
            first_place=self.first_place + int(begin),
        )


def regulator_index(ground: Ground) -> dict[str, int]:
    """Return for each zone at or below a regulator zone the position of that among the regulator zones."""
    index = {zone: column for column, zone in enumerate(ground.regulator_zones)}
    parent = {zone.zone_id: zone.parent_id for zone in ground.zones}
    found: dict[str, int] = {}
    for zone in parent:
        at, steps = zone, 0
        while at and at not in index and steps <= len(parent):
            at, steps = parent.get(at, ""), steps + 1
        if at in index:
            found[zone] = index[at]
    return found


def _above(ground: Ground, zones: tuple[str, ...]) -> set[str]:
    parent = {zone.zone_id: zone.parent_id for zone in ground.zones}
    above: set[str] = set()
    for zone in zones:
        at = parent.get(zone, "")
        while at and at not in above:
            above.add(at)
            at = parent.get(at, "")
    return above


def on_grid(x: float, y: float) -> XY:
    """Return a position at the resolution that files keep, 0.1 m."""
    return round(x, 1) + 0.0, round(y, 1) + 0.0


def _feature(pipe: Pipe) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {"id": pipe.pipe_id, "zone": pipe.zone, "kind": pipe.kind, "dn_mm": pipe.dn_mm},
        "geometry": {"type": "LineString", "coordinates": [list(on_grid(x, y)) for x, y in pipe.line]},
    }
