"""A large city in parts of whole zones, so that a pass needs no more memory and no more time at once than one part.

A part holds zones with a supply meter, with all below them. What stands above is a part of its own: there the zones of
the other parts have supply meters and no customers, and their sums are added to its balances. What a pass counts in
its city, such as how a class uses gas or how often meters rest, it counts in each part. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from gateway.model.meters import MeterTable
from gateway.model.network import Meter, MeterRole, Network


@dataclass(frozen=True, slots=True)
class Plan:
    """How a city is dealt out."""

    parts: tuple[tuple[str, ...], ...]
    """of each part its topmost zones, which have supply meters"""

    @property
    def units(self) -> frozenset[str]:
        """The topmost zones of all parts."""
        return frozenset(zone for part in self.parts for zone in part)


def plan(network: Network, most: int) -> Plan | None:
    """Deal a city out to parts of at most so many customers, or of one zone; None where it needs no parts."""
    weight = _customers_below(network)
    if sum(weight[zone] for zone in network.children("")) <= most:
        return None
    fed = fed_zones(network)
    holds_fed = _holding(network, fed)
    units: list[str] = []
    waiting = list(reversed(network.children("")))
    while waiting:
        zone = waiting.pop()
        below = any(child in holds_fed for child in network.children(zone))
        if zone in fed and (weight[zone] <= most or not below):
            units.append(zone)
        elif below:
            waiting += reversed(network.children(zone))
    parts: list[list[str]] = []
    size = most
    for unit in units:
        if not parts or size + weight[unit] > most:
            parts.append([])
            size = 0
        parts[-1].append(unit)
        size += weight[unit]
    return Plan(tuple(map(tuple, parts))) if len(parts) > 1 else None


def part_of(network: Network, units: Iterable[str]) -> Network:
    """Return a part by its topmost zones: they, all below and above, and what stands or hangs on them and below."""
    inside = {zone for unit in units for zone in network.below(unit)}
    names = inside | {name for unit in units for name in _above(network, unit)}
    return Network(
        zones={name: zone for name, zone in network.zones.items() if name in names},
        meters=_meters_on(network, inside),
        stations={name: one for name, one in network.stations.items() if one.zone_id in inside},
        points={name: one for name, one in network.points.items() if one.zone_id in inside},
        geojson=network.geojson,
    )


def above(network: Network, units: Collection[str]) -> Network:
    """Return what stands above all parts, and of the topmost zones of the parts only their supply meters."""
    inside = {zone for unit in units for zone in network.below(unit)}
    outside = [name for name in network.zones if name not in inside]
    supplies = {name: one for name, one in _meters_on(network, units).items() if one.role is MeterRole.SUPPLY}
    zones = {name: network.zones[name] for name in outside}
    # their pipes belong to the parts
    zones |= {name: replace(network.zones[name], pipe_volume_m3=None) for name in units}
    free = {*outside, ""}
    return Network(
        zones=zones,
        meters={**_meters_on(network, outside), **supplies},
        stations={name: one for name, one in network.stations.items() if one.zone_id in free},
        points={name: one for name, one in network.points.items() if one.zone_id in free},
        geojson=network.geojson,
    )


def fed_zones(network: Network) -> frozenset[str]:
    """Return the zones that have a supply meter."""
    meters = network.meters
    if isinstance(meters, MeterTable):
        supplies = meters.rows({}, {"role": MeterRole.SUPPLY})
        return frozenset(meters.at(int(row)).zone_id for row in supplies.nonzero()[0])
    return frozenset(one.zone_id for one in meters.values() if one.role is MeterRole.SUPPLY)


def _meters_on(network: Network, zones: Collection[str]) -> Mapping[str, Meter]:
    meters = network.meters
    if isinstance(meters, MeterTable):
        rows = meters.rows({"zone": frozenset(zones)}, {}).nonzero()[0]
        return {one.meter_id: one for one in (meters.at(int(row)) for row in rows)}
    wanted = frozenset(zones)
    return {name: one for name, one in meters.items() if one.zone_id in wanted}


def _above(network: Network, zone: str) -> list[str]:
    """Return the zones above one."""
    chain: list[str] = []
    at = network.zones[zone].parent_id
    while at in network.zones and at not in chain:
        chain.append(at)
        at = network.zones[at].parent_id
    return chain


def _holding(network: Network, zones: Iterable[str]) -> set[str]:
    """Return zones and all above them."""
    return {name for zone in zones if zone in network.zones for name in (zone, *_above(network, zone))}


def _customers_below(network: Network) -> dict[str, int]:
    """Return how many customers hang on each zone and below."""
    count = dict.fromkeys(network.zones, 0)
    for zone, _, number in network.customers():
        if zone in count:
            for name in (zone, *_above(network, zone)):
                count[name] += number
    return count
