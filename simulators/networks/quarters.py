"""Kinds of quarters and the tiles that they are built of: drawn once at the origin, then moved as often as wanted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from gateway.model.network import Zone, ZoneKind
from simulators.ground import XY, Pipe, Place
from simulators.networks.names import building_name
from simulators.networks.regulators import LOW_PRESSURE_KPA
from simulators.networks.streets import Area, lay_quarter

_HERE = "T"
"""name of the zone of a tile that was not moved yet"""
_DECIMETRES = 10


@dataclass(frozen=True, slots=True)
class QuarterKind:
    """What a kind of quarter is like."""

    name: str
    share: float
    """of the zones of a city"""
    size: float
    """meters, as a multiple of the mean of a city; shares and sizes give a mean of about 1"""
    width_m: float
    height_m: float
    flats_share: float
    set_kpa: float = LOW_PRESSURE_KPA
    customer_class: str = ""
    """class of all its customers; empty: drawn"""
    remote: bool = False
    variants: int = 6


QUARTERS = (
    QuarterKind("estate", 0.40, 1.50, 180.0, 140.0, 1.0),
    QuarterKind("town", 0.36, 0.95, 240.0, 180.0, 0.35),
    QuarterKind("village", 0.16, 0.33, 280.0, 200.0, 0.0, remote=True),
    QuarterKind("works", 0.08, 0.05, 240.0, 160.0, 0.0, set_kpa=100.0, customer_class="industrial", variants=4),
)
SPREAD = 0.5
"""the variants of a kind have from 1 - SPREAD / 2 to 1 + SPREAD / 2 of its size"""


@dataclass(frozen=True, slots=True)
class _Row:
    """A pipe: parts of its names around the zone's, and its ends in decimetres."""

    before: str
    after: str
    zone_before: str
    zone_after: str
    kind: str
    dn_mm: float
    ends: tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Tile:
    """A quarter that can be put anywhere."""

    shape: str
    kind: QuarterKind
    variant: int
    meters: int
    site: XY
    volume_m3: float
    _pipes: tuple[_Row, ...]
    _places: tuple[tuple[str, str, int, int], ...]
    _buildings: tuple[tuple[str, float | None], ...]

    def pipes(self, zone: str, dx_m: int, dy_m: int) -> Iterator[Pipe]:
        """Yield its pipes as those of a zone, moved by whole metres."""
        dx, dy = dx_m * _DECIMETRES, dy_m * _DECIMETRES
        for row in self._pipes:
            ax, ay, bx, by = row.ends
            line = (((ax + dx) / 10, (ay + dy) / 10), ((bx + dx) / 10, (by + dy) / 10))
            of = f"{row.zone_before}{zone}{row.zone_after}"
            yield Pipe(f"{row.before}{zone}{row.after}", of, row.kind, row.dn_mm, line)

    def places(self, zone: str, dx_m: int, dy_m: int) -> Iterator[Place]:
        """Yield its places as those of a zone, moved by whole metres."""
        dx, dy = dx_m * _DECIMETRES, dy_m * _DECIMETRES
        customer_class = self.kind.customer_class
        for before, after, x, y in self._places:
            yield Place(f"{before}{zone}{after}", (x + dx) / 10, (y + dy) / 10, customer_class=customer_class)

    def buildings(self, zone: str, number: int) -> Iterator[Zone]:
        """Yield its buildings as those of the n-th zone, from 0."""
        for count, (after, volume) in enumerate(self._buildings):
            yield Zone(f"B-{zone}{after}", zone, ZoneKind.BUILDING, building_name(number, count), volume)


@cache
def build_tile(kind: int, variant: int, meters: int) -> Tile:
    """Build a tile; it depends on nothing but its kind (position in QUARTERS), its variant and its size."""
    of = QUARTERS[kind]
    rng = np.random.default_rng([104, kind, variant, meters])
    quarter = lay_quarter(Area(_HERE, 0.0, 0.0, of.width_m, of.height_m), 0, meters, rng, flats_share=of.flats_share)
    return Tile(
        shape=f"{of.name}-{variant}-{meters}",
        kind=of,
        variant=variant,
        meters=meters,
        site=quarter.site,
        volume_m3=quarter.volume_m3,
        _pipes=tuple(_row(pipe) for pipe in quarter.pipes),
        _places=tuple((*_around(place.zone), *_decimetres((place.x_m, place.y_m))) for place in quarter.places),
        _buildings=tuple((_around(zone.zone_id)[1], zone.pipe_volume_m3) for zone in quarter.buildings),
    )


def meters_of(kind: int, variant: int, mean: int) -> int:
    """Return the size of a variant in a city of so many meters a zone."""
    of = QUARTERS[kind]
    share = variant / max(1, of.variants - 1) - 0.5
    return max(1, round(of.size * mean * (1.0 + SPREAD * share)))


def _row(pipe: Pipe) -> _Row:
    ends = (*_decimetres(pipe.line[0]), *_decimetres(pipe.line[-1]))
    return _Row(*_around(pipe.pipe_id), *_around(pipe.zone), pipe.kind, pipe.dn_mm, ends)


def _around(name: str) -> tuple[str, str]:
    before, _, after = name.partition(_HERE)
    return before, after


def _decimetres(node: XY) -> tuple[int, int]:
    return round(node[0] * _DECIMETRES), round(node[1] * _DECIMETRES)
