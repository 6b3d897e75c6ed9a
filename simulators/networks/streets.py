"""A town of bent street grids: one regulator zone each, with pipes along the streets and two city gates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gateway.model.network import Station, Zone, ZoneKind
from simulators.ground import XY, Ground, Pipe, Place, on_grid
from simulators.networks.mains import main
from simulators.networks.names import district_name, zone_name
from simulators.networks.regulators import CITY_PRESSURE_KPA, regulator
from simulators.networks.services import serve

BLOCK_M = 150.0
"""mean distance between two streets"""
_SIZES_MM = (110, 160, 200, 250, 315, 400, 500, 630, 800)
_SMALL_ZONE = 150
"""customers up to which a zone gets the smallest pipes"""


@dataclass(frozen=True, slots=True)
class Area:
    """Where the streets of a zone lie, m."""

    zone: str
    left: float
    bottom: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Quarter:
    """What stands in one regulator zone."""

    site: XY
    """of the regulator"""
    pipes: tuple[Pipe, ...]
    places: tuple[Place, ...]
    buildings: tuple[Zone, ...]
    volume_m3: float
    """of the pipes that lie in no building"""


def build_ground(
    seed: int, meters_per_zone: Sequence[int], zones_per_district: int = 2, *, flats_share: float = 0.0
) -> Ground:
    """Lay out one zone for each entry of `meters_per_zone`; the same arguments give the same city.

    `flats_share` of the customers live in apartment houses, each a zone of its own below the regulator's. Raises
    ValueError for numbers of which no city can be made.
    """
    if not meters_per_zone or min(meters_per_zone) < 0 or zones_per_district < 1 or not 0.0 <= flats_share <= 1.0:
        raise ValueError("a city needs zones, a district needs zones, a zone no less than 0 meters, a share 0 to 1")
    rng = np.random.default_rng([seed, 101])
    areas = list(_areas(len(meters_per_zone)))
    pipes: list[Pipe] = []
    places: list[Place] = []
    regulators: list[Station] = []
    zones: list[Zone] = []
    for number, (area, count) in enumerate(zip(areas, meters_per_zone, strict=True)):
        quarter = lay_quarter(area, number, count, rng, flats_share=flats_share)
        district = f"D-{number // zones_per_district + 1}"
        zones += [
            Zone(area.zone, district, ZoneKind.REGULATOR, zone_name(number), quarter.volume_m3),
            *quarter.buildings,
        ]
        pipes += quarter.pipes
        places += quarter.places
        regulators.append(regulator(number, area.zone, quarter.site))
    gates = _gates(areas)
    return Ground(
        zones=(*_upper_zones(math.ceil(len(areas) / zones_per_district)), *zones),
        stations=(*gates, *regulators),
        places=tuple(places),
        pipes=(*pipes, *_mains(gates, regulators)),
        regulator_zones=tuple(area.zone for area in areas),
    )


def lay_quarter(
    area: Area, number: int, customers: int, rng: np.random.Generator, *, flats_share: float = 0.0
) -> Quarter:
    """Lay out the n-th zone, from 0."""
    site, streets = _streets(area, customers, rng)
    served = serve(area.zone, number, streets, customers, rng, flats_share=flats_share)
    pipes = (*served.streets, *served.services)
    volume = round(sum(pipe.volume_m3 for pipe in pipes if pipe.zone == area.zone), 2)
    return Quarter(site, pipes, served.places, served.buildings, volume)


def _areas(count: int) -> Iterator[Area]:
    rows = math.ceil(count / math.ceil(math.sqrt(count)))
    least, more = divmod(count, rows)
    width, height = math.ceil(count / rows) * 1000.0, 700.0
    places = [(row, column, least + (row < more)) for row in range(rows) for column in range(least + (row < more))]
    for index, (row, column, in_row) in enumerate(places, start=1):
        across = width / in_row
        yield Area(f"R-{index:03d}", column * across, (rows - 1 - row) * height, across - 70.0, height - 70.0)


def _bend(x: float, y: float) -> XY:
    """Bend the street grid a little, as towns have it."""
    return on_grid(x + 45.0 * math.sin(y / 420.0), y + 35.0 * math.sin(x / 360.0))


def _streets(area: Area, customers: int, rng: np.random.Generator) -> tuple[XY, list[Pipe]]:
    """Grow a pipe tree along the streets from the regulator, then close some loops."""
    columns, rows = max(3, round(area.width / BLOCK_M)), max(3, round(area.height / BLOCK_M))
    jitter = rng.uniform(-18.0, 18.0, size=(columns, rows, 2))
    nodes = {
        (i, j): _bend(
            area.left + area.width * i / (columns - 1) + float(jitter[i, j, 0]),
            area.bottom + area.height * j / (rows - 1) + float(jitter[i, j, 1]),
        )
        for i in range(columns)
        for j in range(rows)
    }
    edges = [((i, j), (i + 1, j)) for i in range(columns - 1) for j in range(rows)]
    edges += [((i, j), (i, j + 1)) for i in range(columns) for j in range(rows - 1)]
    root = (columns // 2, rows // 2)
    weight = {edge: float(w) for edge, w in zip(edges, rng.uniform(size=len(edges)), strict=True)}
    tree = _tree(root, edges, weight)
    loops = [edge for edge in edges if edge not in tree and weight[edge] < 0.45]
    pipes = [
        Pipe(
            f"P-{area.zone}-{n:03d}",
            area.zone,
            "distribution",
            _size_mm(dn, customers),
            (nodes[edge[0]], nodes[edge[1]]),
        )
        for n, (edge, dn) in enumerate([(e, tree[e]) for e in tree] + [(e, 110) for e in loops], start=1)
    ]
    return nodes[root], pipes


def _size_mm(small_mm: int, customers: int) -> int:
    """Return the size of a pipe that is `small_mm` in a small zone: the pressure lost grows with flow^2 / size^5."""
    wanted = small_mm * max(1.0, customers / _SMALL_ZONE) ** 0.4
    return min(_SIZES_MM, key=lambda size: abs(size - wanted))


_Node = tuple[int, int]
_Edge = tuple[_Node, _Node]


def _tree(root: _Node, edges: list[_Edge], weight: dict[_Edge, float]) -> dict[_Edge, int]:
    """Return a spanning tree (Prim's algorithm) with a pipe size for each edge: wide near the regulator."""
    depth = {root: 0}
    chosen: dict[_Edge, int] = {}
    while True:
        open_edges = [e for e in edges if (e[0] in depth) != (e[1] in depth)]
        if not open_edges:
            return chosen
        edge = min(open_edges, key=weight.__getitem__)
        near, far = edge if edge[0] in depth else (edge[1], edge[0])
        depth[far] = depth[near] + 1
        chosen[edge] = 200 if depth[far] <= 2 else 160 if depth[far] <= 4 else 110


def _gates(areas: list[Area]) -> tuple[Station, Station]:
    right = max(area.left + area.width for area in areas)
    top = max(area.bottom + area.height for area in areas)
    west = Station(
        "S-01", "station", "CITY", "西门站 West gate", "西环路1号 (1 West Ring Road)", -170.0, round(top * 0.66, 1),
        CITY_PRESSURE_KPA, remote=False,
    )  # fmt: skip
    east = Station(
        "S-02", "station", "CITY", "东门站 East gate", "东环路9号 (9 East Ring Road)", round(right + 190.0, 1),
        round(top * 0.34, 1), CITY_PRESSURE_KPA, remote=True,
    )  # fmt: skip
    return west, east


def _mains(gates: tuple[Station, Station], regulators: list[Station]) -> list[Pipe]:
    """Join both gates and all regulators by medium-pressure mains that run along two axes."""
    stops = [gates[0], *regulators, gates[1]]
    return [
        main(f"M-{number:03d}", "CITY", 300, (a.x_m, a.y_m), (b.x_m, b.y_m))
        for number, (a, b) in enumerate(pairwise(stops), start=1)
    ]


def _upper_zones(districts: int) -> tuple[Zone, ...]:
    city = Zone("CITY", "", ZoneKind.CITY, "示范市 Demo city")
    return city, *(Zone(f"D-{d + 1}", "CITY", ZoneKind.DISTRICT, district_name(d)) for d in range(districts))
