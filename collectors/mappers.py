"""Every format of a message has its mapper; the first mapping whose filter fits a topic reads the message. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol

from collectors.payload import DeadMessageError, Mapper, Rows, TopicMapping
from collectors.payload.mapper import InZone
from collectors.sparkplug import SparkplugMapper
from gateway.model.network import Network


class TopicMapper(Protocol):
    """Reads the messages of one topic filter."""

    def matches(self, topic: str) -> bool:
        """Say whether this mapping is for that topic."""
        ...

    def read(self, topic: str, payload: bytes, received_us: int) -> Rows:
        """Return the rows of a message. Raises DeadMessageError."""
        ...


def _plain(mapping: TopicMapping, meters: Collection[str], in_zone: InZone) -> TopicMapper:
    return Mapper(mapping, meters, in_zone)


def _sparkplug(mapping: TopicMapping, meters: Collection[str], _in_zone: InZone) -> TopicMapper:
    return SparkplugMapper(mapping, meters)


FORMATS: dict[str, Callable[[TopicMapping, Collection[str], InZone], TopicMapper]] = {
    "json": _plain,
    "csv": _plain,
    "sparkplug": _sparkplug,
}


def make_mappers(mappings: Sequence[TopicMapping], network: Network) -> list[TopicMapper]:
    """Compile mappings; every meter, station and asset with a point may report. Raises ValueError or ConfigError."""
    assets = {*network.meters, *network.stations, *(point.asset for point in network.points.values())}
    return [FORMATS[mapping.format](mapping, assets, in_zone_of(network)) for mapping in mappings]


def in_zone_of(network: Network) -> InZone:
    """Return the function that says whether an asset stands in a zone or anywhere below it."""

    def in_zone(asset: str, zone: str) -> bool:
        here = network.zone_of(asset)
        for _ in range(len(network.zones)):
            if here == zone or here not in network.zones:
                break
            here = network.zones[here].parent_id
        return here == zone

    return in_zone


def read_message(mappers: Sequence[TopicMapper], topic: str, payload: bytes, received_us: int) -> Rows:
    """Return the rows of a message by the first mapping whose filter fits. Raises DeadMessageError."""
    for mapper in mappers:
        if mapper.matches(topic):
            return mapper.read(topic, payload, received_us)
    raise DeadMessageError("no mapping for this topic")
