"""A town of bent street grids: one regulator zone each, with pipes along the streets and two city gates."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gateway.model.network import Station, Zone, ZoneKind
from simulators.ground import Ground, Pipe, Place

BLOCK_M = 150.0
"""mean distance between two streets"""
LOW_PRESSURE_KPA = 3.0
CITY_PRESSURE_KPA = 350.0

_ROADS = (
    ("Jianshe Road", "建设路"),
    ("Minzhu Road", "民主路"),
    ("Heping Road", "和平路"),
    ("Renmin Road", "人民路"),
    ("Jiefang Road", "解放路"),
    ("Guangming Road", "光明路"),
)


@dataclass(frozen=True, slots=True)
class _Area:
    zone: str
    left: float
    bottom: float
    width: float
    height: float


def build_ground(seed: int, meters_per_zone: Sequence[int], zones_per_district: int = 2) -> Ground:
    """Lay out one zone for each entry of `meters_per_zone`; the same arguments give the same city."""
    rng = np.random.default_rng([seed, 101])
    areas = list(_areas(len(meters_per_zone)))
    pipes: list[Pipe] = []
    places: list[Place] = []
    regulators: list[Station] = []
    for number, (area, count) in enumerate(zip(areas, meters_per_zone, strict=True), start=1):
        site, streets = _streets(area, rng)
        pipes += streets
        zone_places, services = _customers(area.zone, streets, count, rng)
        places += zone_places
        pipes += services
        regulators.append(_regulator(number, area.zone, site))
    gates = _gates(areas)
    pipes += _mains(gates, regulators)
    return Ground(
        zones=_zones([area.zone for area in areas], zones_per_district, pipes),
        stations=(*gates, *regulators),
        places=tuple(places),
        pipes=tuple(pipes),
        regulator_zones=tuple(area.zone for area in areas),
    )


def _areas(count: int) -> Iterator[_Area]:
    columns = max(1, math.ceil(math.sqrt(count)))
    rows = math.ceil(count / columns)
    width, height = columns * 1000.0, 700.0
    for index in range(count):
        row, column = divmod(index, columns)
        in_row = min(columns, count - row * columns)
        across = width / in_row
        yield _Area(f"R-{index + 1:03d}", column * across, (rows - 1 - row) * height, across - 70.0, height - 70.0)


def _bend(x: float, y: float) -> tuple[float, float]:
    """Bend the street grid a little, as towns have it."""
    return x + 45.0 * math.sin(y / 420.0), y + 35.0 * math.sin(x / 360.0)


def _streets(area: _Area, rng: np.random.Generator) -> tuple[tuple[float, float], list[Pipe]]:
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
        Pipe(f"P-{area.zone}-{n:03d}", area.zone, "distribution", dn, (nodes[edge[0]], nodes[edge[1]]))
        for n, (edge, dn) in enumerate([(e, tree[e]) for e in tree] + [(e, 110) for e in loops], start=1)
    ]
    return nodes[root], pipes


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


def _customers(zone: str, streets: list[Pipe], count: int, rng: np.random.Generator) -> tuple[list[Place], list[Pipe]]:
    """Hang meters along the streets, each with its service pipe."""
    length = np.array([pipe.length_m for pipe in streets])
    picks = np.sort(rng.choice(len(streets), size=count, p=length / length.sum()))
    along, side = rng.uniform(0.06, 0.94, size=count), rng.choice([-1.0, 1.0], size=count)
    away = rng.uniform(14.0, 34.0, size=count)
    places, services = [], []
    for n in range(count):
        (ax, ay), (bx, by) = streets[picks[n]].line
        foot = (ax + (bx - ax) * along[n], ay + (by - ay) * along[n])
        span = math.dist((ax, ay), (bx, by))
        x = float(foot[0] - (by - ay) / span * side[n] * away[n])
        y = float(foot[1] + (bx - ax) / span * side[n] * away[n])
        places.append(Place(zone, round(x, 1), round(y, 1)))
        services.append(Pipe(f"L-{zone}-{n + 1:04d}", zone, "service", 32, (foot, (x, y))))
    return places, services


def _regulator(number: int, zone: str, site: tuple[float, float]) -> Station:
    english, chinese = _ROADS[(number - 1) % len(_ROADS)]
    return Station(
        station_id=f"REG-{number:03d}",
        kind="regulator",
        zone_id=zone,
        name=f"{chinese}调压站 {english}",
        address=f"{chinese}{12 * number + 6}号 ({12 * number + 6} {english})",
        x_m=round(site[0], 1),
        y_m=round(site[1], 1),
        set_pressure_gauge_kpa=LOW_PRESSURE_KPA,
        remote=False,
    )


def _gates(areas: list[_Area]) -> tuple[Station, Station]:
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
    lines = []
    for number, (a, b) in enumerate(pairwise(stops), start=1):
        corner = (b.x_m, a.y_m)
        lines.append(Pipe(f"M-{number:03d}", "CITY", "main", 300, ((a.x_m, a.y_m), corner, (b.x_m, b.y_m))))
    return lines


def _zones(regulator_zones: list[str], per_district: int, pipes: list[Pipe]) -> tuple[Zone, ...]:
    districts = math.ceil(len(regulator_zones) / per_district)
    zones = [Zone("CITY", "", ZoneKind.CITY, "示范市 Demo city")]
    zones += [Zone(f"D-{d + 1}", "CITY", ZoneKind.DISTRICT, f"第{d + 1}区 District {d + 1}") for d in range(districts)]
    for index, zone in enumerate(regulator_zones):
        volume = sum(pipe.volume_m3 for pipe in pipes if pipe.zone == zone)
        english, chinese = _ROADS[index % len(_ROADS)]
        zones.append(
            Zone(
                zone, f"D-{index // per_district + 1}", ZoneKind.REGULATOR, f"{chinese}片区 {english}", round(volume, 2)
            )
        )
    return tuple(zones)
