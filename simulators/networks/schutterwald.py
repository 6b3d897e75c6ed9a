"""The gas network of Schutterwald that pandapipes ships, split into regulator zones.

Houses, streets, diameters and positions are those of `pandapipes.networks.schutterwald_gas()` (2,559 nodes, 101 km,
1,506 houses); the regulators, the zones and the mains that feed them are added here, since the original has one inlet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gateway.errors import ConfigError
from gateway.model.network import Station, Zone, ZoneKind
from simulators.ground import XY, Ground, Pipe, Place, on_grid
from simulators.networks import splitting
from simulators.networks.names import district_name, zone_name
from simulators.networks.regulators import CITY_PRESSURE_KPA, LOW_PRESSURE_KPA, regulator
from simulators.networks.splitting import Tree

ZONES_PER_DISTRICT = 5
LOW_PRESSURE_HOUSES = 150
"""houses that the pipes of the town feed at low pressure on a winter's morning"""
MEDIUM_PRESSURE_KPA = 100.0
"""of a zone with more houses, as in the original: each house then has a regulator of its own"""
MAIN_MM = 160.0


@dataclass(frozen=True, slots=True, eq=False)
class _Town:
    """The network as pandapipes has it, in local metres."""

    site: Sequence[XY]
    """of each node"""
    pipes: NDArray[np.int64]
    """(pipes, 2) nodes"""
    dn_mm: NDArray[np.float64]
    house: NDArray[np.bool_]
    """of each node: a customer"""
    source: int


def schutterwald(houses_per_zone: int = 75) -> Ground:
    """Return the town in zones of about a wanted number of houses.

    Raises ConfigError without pandapipes, and ValueError for less than one house a zone.
    """
    if houses_per_zone < 1:
        raise ValueError("a zone needs a house")
    town = _read()
    tree = splitting.span(town.pipes, town.house.astype(np.int64), town.source)
    zone_of = splitting.split(tree, max(1, round(int(town.house.sum()) / houses_per_zone)))
    return _ground(town, tree, zone_of)


def _read() -> _Town:
    try:
        from pandapipes.networks import schutterwald_gas
    except ImportError as error:
        raise ConfigError(
            ["the network of Schutterwald comes with pandapipes: install gasgate with its extra, gasgate[simulators]"]
        ) from error
    net: Any = schutterwald_gas()
    place = net.junction_geodata.loc[net.junction.index, ["x", "y"]].to_numpy(dtype=np.float64)
    row = {int(node): number for number, node in enumerate(net.junction.index)}
    place -= place.min(axis=0)
    house = np.zeros(len(place), dtype=np.bool_)
    house[[row[int(node)] for node in net.sink.junction]] = True
    ends = [[row[int(a)], row[int(b)]] for a, b in zip(net.pipe.from_junction, net.pipe.to_junction, strict=True)]
    return _Town(
        site=[on_grid(float(x), float(y)) for x, y in place],
        pipes=np.array(ends, dtype=np.int64),
        dn_mm=net.pipe.inner_diameter_mm.to_numpy(dtype=np.float64),
        house=house,
        source=row[int(net.ext_grid.junction.iloc[0])],
    )


def _ground(town: _Town, tree: Tree, zone_of: NDArray[np.int64]) -> Ground:
    count = int(zone_of.max()) + 1
    names = [f"R-{number + 1:03d}" for number in range(count)]
    middle = [splitting.middle(tree, np.flatnonzero(zone_of == number), town.site) for number in range(count)]
    pipes = _own_pipes(town, tree, zone_of, names)
    gate = Station(
        "S-01", "station", "CITY", "舒特瓦尔德门站 Schutterwald gate", "", *town.site[town.source], CITY_PRESSURE_KPA,
        remote=False,
    )  # fmt: skip
    houses = np.bincount(zone_of[town.house], minlength=count)
    regulators = [
        regulator(
            n,
            name,
            town.site[middle[n]],
            set_kpa=LOW_PRESSURE_KPA if houses[n] <= LOW_PRESSURE_HOUSES else MEDIUM_PRESSURE_KPA,
        )
        for n, name in enumerate(names)
    ]
    lines = splitting.paths(tree, middle)
    mains = [
        Pipe(f"M-{n:03d}", "CITY", "main", MAIN_MM, tuple(town.site[node] for node in line))
        for n, line in enumerate(lines, start=1)
    ]
    return Ground(
        zones=tuple(_zones(names, pipes)),
        stations=(gate, *regulators),
        places=tuple(Place(names[zone_of[node]], *town.site[node]) for node in _houses(town, zone_of)),
        pipes=(*pipes, *mains),
        regulator_zones=tuple(names),
    )


def _houses(town: _Town, zone_of: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return the nodes that are houses, zone by zone."""
    nodes = np.flatnonzero(town.house)
    return nodes[np.argsort(zone_of[nodes], kind="stable")]


def _own_pipes(town: _Town, tree: Tree, zone_of: NDArray[np.int64], names: Sequence[str]) -> list[Pipe]:
    """Return the zones' pipes. One between two zones ends closed: it belongs to the zone nearer to the inlet."""
    found: list[list[Pipe]] = [[] for _ in names]
    for (a, b), dn in zip(town.pipes, town.dn_mm, strict=True):
        near, far = (a, b) if tree.depth[a] <= tree.depth[b] else (b, a)
        pipes, name = found[zone_of[near]], names[zone_of[near]]
        house = bool(town.house[far])
        kind, letter = ("service", "L") if house else ("distribution", "P")
        pipe_id = f"{letter}-{name}-{len(pipes) + 1:04d}"
        pipes.append(Pipe(pipe_id, name, kind, float(dn), (town.site[near], town.site[far])))
    return [pipe for pipes in found for pipe in pipes]


def _zones(names: Sequence[str], pipes: Sequence[Pipe]) -> list[Zone]:
    districts = -(-len(names) // ZONES_PER_DISTRICT)
    volume = dict.fromkeys(names, 0.0)
    for pipe in pipes:
        volume[pipe.zone] += pipe.volume_m3
    zones = [Zone("CITY", "", ZoneKind.CITY, "舒特瓦尔德 Schutterwald")]
    zones += [Zone(f"D-{n + 1}", "CITY", ZoneKind.DISTRICT, district_name(n)) for n in range(districts)]
    for number, name in enumerate(names):
        district = f"D-{number * districts // len(names) + 1}"
        zones.append(Zone(name, district, ZoneKind.REGULATOR, zone_name(number), round(volume[name], 2)))
    return zones
