"""Finds what stands twice in a configuration although it may stand there once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations

from collectors.modbus import make_unit
from collectors.modbus_config import ModbusConfig
from collectors.mqtt_config import MqttConfig, broker_address
from gateway.config import Config
from gateway.errors import ConfigError
from gateway.toml_lines import Location

_Problem = tuple[str, Location]
_MOST_FILTERS = 500
"""of one broker; every pair is compared"""


def doubled(config: Config) -> Iterator[_Problem]:
    """Yield what would make two sources fight: one client id twice at a broker, one point read by two sources."""
    owners: dict[tuple[str, int, str], str] = {}
    for number, source in enumerate(config.source):
        if isinstance(source, MqttConfig):
            host, port, _ = broker_address(source.url)
            first = owners.setdefault((host, port, source.client_id), source.name)
            if first != source.name:
                text = f"source {first} has the client_id {source.client_id} at the same broker; each needs its own"
                yield f"source {source.name}: {text}", ("source", number, "client_id")
    yield from _doubled_points(config)


def doubled_but_usable(config: Config) -> Iterator[_Problem]:
    """Yield what is read twice: one device over two links, one topic by two filters."""
    devices: dict[tuple[str, int], str] = {}
    for number, source in enumerate(config.source):
        for at, link in enumerate(source.links if isinstance(source, ModbusConfig) else ()):
            for place, unit in enumerate(link.units):
                here = f"source {source.name}, link {link.name}, unit {unit.unit}"
                first = devices.setdefault((str(link.address), unit.unit), here)
                if first != here:
                    location = ("source", number, "link", at, "unit", place)
                    yield f"{here}: {first} is the same device; read it over one link", location
    yield from _overlapping(config)


def overlap(one: str, other: str) -> bool:
    """Tell whether some topic fits two filters; a level in braces stands for any."""
    return _meet([_level(part) for part in one.split("/")], [_level(part) for part in other.split("/")])


def _meet(one: Sequence[str], other: Sequence[str]) -> bool:
    if one[:1] == ["#"] or other[:1] == ["#"]:
        return True
    if not one or not other:
        # "a/#" is for "a" too
        return [*one, *other] in ([], ["#"])
    return (one[0] == other[0] or "+" in (one[0], other[0])) and _meet(one[1:], other[1:])


def _level(part: str) -> str:
    return "+" if part.startswith("{") else part


def _overlapping(config: Config) -> Iterator[_Problem]:
    brokers: dict[tuple[str, int], list[tuple[str, Location, str]]] = defaultdict(list)
    for number, source in enumerate(config.source):
        if isinstance(source, MqttConfig):
            for place, topic in enumerate(source.topics):
                where = f"source {source.name}"
                brokers[broker_address(source.url)[:2]].append(
                    (where, ("source", number, "topic", place, "filter"), topic.filter)
                )
    for filters in brokers.values():
        for (first, _, one), (second, location, other) in combinations(filters[:_MOST_FILTERS], 2):
            if overlap(one, other):
                what = "the first of them reads what fits both" if first == second else "both read what fits both"
                yield f"{second}: {other} overlaps with {one} of {first}: {what}; make them distinct", location


def _doubled_points(config: Config) -> Iterator[_Problem]:
    """Yield points that two Modbus sources read; within a source its collector finds them."""
    sources_of: dict[str, set[int]] = defaultdict(set)
    for number, source in enumerate(config.source):
        for link in source.links if isinstance(source, ModbusConfig) else ():
            for unit in link.units:
                for asset in (unit.asset, *unit.members):
                    sources_of[asset].add(number)
    shared = {asset for asset, numbers in sources_of.items() if asset and len(numbers) > 1}
    if not shared:
        return
    owners: dict[str, tuple[int, str]] = {}
    for number, source in enumerate(config.source):
        for at, link in enumerate(source.links if isinstance(source, ModbusConfig) else ()):
            for place, unit in enumerate(link.units):
                if shared.isdisjoint((unit.asset, *unit.members)):
                    continue
                here = f"source {source.name}, link {link.name}, unit {unit.unit}"
                try:
                    points = make_unit(unit, link).points
                except ConfigError:
                    continue
                for point in points:
                    first = owners.setdefault(point, (number, here))
                    if first[0] != number:
                        location = ("source", number, "link", at, "unit", place)
                        yield f"{here}: {point} is read by {first[1]} too: one of them is wrong", location
