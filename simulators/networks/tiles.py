"""A city of any size, up to millions of meters: a few kinds of quarters, repeated as tiles.

Nothing of it exists until a part is asked for, and a part is the same whichever parts are asked for. Tiles of one kind
share their shape, so that what was computed of one holds for all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from gateway.model.network import Station, Zone, ZoneKind
from simulators import noise
from simulators.ground import XY, Ground, Pipe, Place, on_grid
from simulators.networks.mains import main
from simulators.networks.names import district_name, station_name, zone_name
from simulators.networks.quarters import QUARTERS, Tile, build_tile, meters_of
from simulators.networks.regulators import CITY_PRESSURE_KPA, regulator

ZONES_PER_DISTRICT = 155
"""a company of 23,000 regulators has 150 stations: one in each of 148 districts, and two gates"""
PITCH_M = (320, 240)
BETWEEN_DISTRICTS_M = 240
_STREAM_KIND, _STREAM_VARIANT = 301, 302
_MAIN_MM, _TRUNK_MM = 200.0, 500.0


class Tiles:
    """A city that is built part by part. Keeps a dozen bytes for a zone and a few tiles, nothing for a meter."""

    def __init__(self, tiles: Iterable[Tile], tile_of: NDArray[np.int64]) -> None:
        """Put `tiles[tile_of[n]]` into the n-th zone; `for_zones` and `for_meters` draw them."""
        self._tiles = tuple(tiles)
        self._tile_of = tile_of.astype(np.int32)
        sizes = np.array([tile.meters for tile in self._tiles], dtype=np.int64)[self._tile_of]
        self.first_place: NDArray[np.int64] = np.concatenate([[0], np.cumsum(sizes)])
        """number of the first place of each zone, and at the end the number of all, (zones + 1,)"""
        self.districts = max(1, round(len(tile_of) / ZONES_PER_DISTRICT))
        """number of districts, each with a station of its own"""
        self._per_district = -(-len(tile_of) // self.districts)
        self.districts = -(-len(tile_of) // self._per_district)
        self._columns = math.ceil(math.sqrt(self._per_district))
        self._district_columns = math.ceil(math.sqrt(self.districts))

    @classmethod
    def for_zones(cls, seed: int, zones: int, meters_per_zone: int = 102) -> Tiles:
        """Return a city of so many regulator zones, about so many meters in each. Raises ValueError for less than 1."""
        if zones < 1 or meters_per_zone < 1:
            raise ValueError("a city needs a zone, and a zone a meter")
        return cls(*_draw(seed, zones, meters_per_zone))

    @classmethod
    def for_meters(cls, seed: int, meters: int, meters_per_zone: int = 102) -> Tiles:
        """Return a city of exactly so many meters; its last zone is what remains. Raises ValueError for less than 1."""
        if meters < 1 or meters_per_zone < 1:
            raise ValueError("a city needs a meter, and a zone one")
        zones = meters // meters_per_zone + 8
        drawn = cls.for_zones(seed, zones, meters_per_zone)
        while drawn.meters < meters:
            zones *= 2
            drawn = cls.for_zones(seed, zones, meters_per_zone)
        return drawn.cut(meters)

    def cut(self, meters: int) -> Tiles:
        """Return the city's first meters, of which the last zone gets what remains."""
        last = int(np.searchsorted(self.first_place, meters)) - 1
        end = self._tile(last)
        tile = build_tile(QUARTERS.index(end.kind), end.variant, meters - int(self.first_place[last]))
        return Tiles((*self._tiles, tile), np.append(self._tile_of[:last], len(self._tiles)))

    @property
    def zones_count(self) -> int:
        """Number of regulator zones."""
        return len(self._tile_of)

    @property
    def meters(self) -> int:
        """Number of places."""
        return int(self.first_place[-1])

    def part(self, first: int, count: int) -> Ground:
        """Return the ground of `count` regulator zones from the n-th, from 0, and the levels and stations above."""
        if not 0 <= first <= first + count <= self.zones_count:
            raise ValueError(f"no regulator zones {first} to {first + count} in {self.zones_count}")
        numbers = range(first, first + count)
        zones: list[Zone] = []
        pipes: list[Pipe] = []
        places: list[Place] = []
        for number in numbers:
            tile, name, corner = self._tile(number), _name(number), self._corner(number)
            zones.append(Zone(name, self._district(number), ZoneKind.REGULATOR, zone_name(number), tile.volume_m3))
            zones += tile.buildings(name, number)
            pipes += tile.pipes(name, *corner)
            places += tile.places(name, *corner)
        districts = sorted({number // self._per_district for number in numbers})
        return Ground(
            zones=(*_upper_zones(districts), *zones),
            stations=(*self.stations(), *(self._regulator(number) for number in numbers)),
            places=tuple(places),
            pipes=tuple(pipes),
            regulator_zones=tuple(_name(number) for number in numbers),
            shapes=tuple(self._tile(number).shape for number in numbers),
            first_zone=first,
            first_place=int(self.first_place[first]),
        )

    def whole(self) -> Ground:
        """Return the whole city at once, with its mains: kilobytes for each meter."""
        ground = self.part(0, self.zones_count)
        return replace(ground, pipes=(*ground.pipes, *self.mains()))

    def stations(self) -> tuple[Station, ...]:
        """Return the city's two gates and a station for each district."""
        right = min(self.districts, self._district_columns) * self._district_m()[0]
        rows = -(-self.districts // self._district_columns)
        middle = rows * self._district_m()[1] / 2.0
        gates = (
            _station(1, "CITY", "西门站 West gate", (-400.0, middle)),
            _station(2, "CITY", "东门站 East gate", (right + 400.0, middle)),
        )
        return (*gates, *(self._district_station(number) for number in range(self.districts)))

    def mains(self) -> Iterator[Pipe]:
        """Yield the pipes above the regulators: from gate to gate past the districts' stations, and from each on."""
        west, east, *stations = self.stations()
        for number, (a, b) in enumerate(pairwise([west, *stations, east]), start=1):
            yield main(f"M-{number:03d}", "CITY", _TRUNK_MM, _at(a), _at(b))
        for district, station in enumerate(stations):
            begin = district * self._per_district
            sites = [self._site(n) for n in range(begin, min(begin + self._per_district, self.zones_count))]
            name = self._district(begin)
            for number, (from_, to) in enumerate(pairwise([_at(station), *sites]), start=1):
                yield main(f"M-{name}-{number:03d}", name, _MAIN_MM, from_, to)

    def _tile(self, number: int) -> Tile:
        return self._tiles[int(self._tile_of[number])]

    def _district(self, number: int) -> str:
        return f"D-{number // self._per_district + 1:03d}"

    def _district_m(self) -> tuple[int, int]:
        rows = -(-self._per_district // self._columns)
        return self._columns * PITCH_M[0] + BETWEEN_DISTRICTS_M, rows * PITCH_M[1] + BETWEEN_DISTRICTS_M

    def _district_corner(self, district: int) -> tuple[int, int]:
        row, column = divmod(district, self._district_columns)
        return column * self._district_m()[0], row * self._district_m()[1]

    def _corner(self, number: int) -> tuple[int, int]:
        """Return where a tile is put, m: districts in rows, and in each the tiles there and back, for short mains."""
        district, inside = divmod(number, self._per_district)
        row, column = divmod(inside, self._columns)
        column = self._columns - 1 - column if row % 2 else column
        x, y = self._district_corner(district)
        return x + BETWEEN_DISTRICTS_M + column * PITCH_M[0], y + BETWEEN_DISTRICTS_M + row * PITCH_M[1]

    def _site(self, number: int) -> XY:
        (x, y), (dx, dy) = self._tile(number).site, self._corner(number)
        return on_grid(x + dx, y + dy)

    def _regulator(self, number: int) -> Station:
        kind = self._tile(number).kind
        return regulator(number, _name(number), self._site(number), set_kpa=kind.set_kpa, remote=kind.remote)

    def _district_station(self, district: int) -> Station:
        x, y = self._district_corner(district)
        return _station(district + 3, f"D-{district + 1:03d}", station_name(district), (x + 60.0, y + 60.0))


def _draw(seed: int, zones: int, mean: int) -> tuple[list[Tile], NDArray[np.int64]]:
    """Return the tiles of a city and which of them stands in each zone: a function of seed and zone."""
    numbers = np.arange(zones)
    bounds = np.cumsum([kind.share for kind in QUARTERS])
    kinds = np.searchsorted(bounds[:-1], noise.uniform(seed, _STREAM_KIND, numbers), side="right")
    variants = np.array([kind.variants for kind in QUARTERS])
    variant = np.floor(noise.uniform(seed, _STREAM_VARIANT, numbers) * variants[kinds]).astype(np.int64)
    begin = np.concatenate([[0], np.cumsum(variants)])
    tiles = [
        build_tile(kind, number, meters_of(kind, number, mean))
        for kind, count in enumerate(variants.tolist())
        for number in range(count)
    ]
    return tiles, begin[kinds] + variant


def _name(number: int) -> str:
    return f"R-{number + 1:05d}"


def _upper_zones(districts: Iterable[int]) -> tuple[Zone, ...]:
    city = Zone("CITY", "", ZoneKind.CITY, "大城市 Large city")
    return city, *(Zone(f"D-{n + 1:03d}", "CITY", ZoneKind.DISTRICT, district_name(n)) for n in districts)


def _station(number: int, zone: str, name: str, at: XY) -> Station:
    return Station(f"S-{number:03d}", "station", zone, name, "", *on_grid(*at), CITY_PRESSURE_KPA, remote=False)


def _at(station: Station) -> XY:
    return station.x_m, station.y_m
