"""Every format of a message has its mapper; the first mapping whose filter fits a topic reads the message. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import groupby, islice
from typing import Protocol

from collectors.payload import DeadMessageError, Mapper, Rows, TopicMapping
from collectors.payload.mapper import InZone, Quick
from collectors.sparkplug import SparkplugMapper
from gateway.model.meters import MeterTable
from gateway.model.network import Network


class TopicMapper(Protocol):
    """Reads the messages of one topic filter."""

    def matches(self, topic: str) -> bool:
        """Say whether this mapping is for that topic."""
        ...

    def read(self, topic: str, payload: bytes, received_us: int) -> Rows:
        """Return the rows of a message. Raises DeadMessageError."""
        ...

    def quick(self, topic: str, payload: bytes) -> Quick | None:
        """Return what `quick_rows` takes, None for a message that must be read by itself."""
        ...

    def quick_rows(self, found: Sequence[Quick]) -> Rows | None:
        """Return the rows of many messages at once; None if each must be read by itself."""
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
    assets = Assets(network)
    return [FORMATS[mapping.format](mapping, assets, in_zone_of(network)) for mapping in mappings]


class Assets(Collection[str]):
    """Everything that may report. Of a large city no name is held here."""

    def __init__(self, network: Network) -> None:
        """Look at meters, stations and the assets of points."""
        others = {*network.stations, *(point.asset for point in network.points.values())}
        self._many = network.meters if isinstance(network.meters, MeterTable) else None
        self._few = others if self._many is not None else {*network.meters, *others}
        self._sorted = sorted(self._few)

    def __contains__(self, asset: object) -> bool:
        """Tell whether an asset may report."""
        return asset in self._few or (self._many is not None and asset in self._many)

    def __iter__(self) -> Iterator[str]:
        """Yield all names."""
        yield from self._few
        yield from (name for name in self._many or () if name not in self._few)

    def __len__(self) -> int:
        """Return how many there are."""
        return sum(1 for _ in self)

    def behind(self, asset: str, count: int) -> list[str]:
        """Return an asset and those that follow: by name, or in the file of the meters if that is large."""
        row = -1 if self._many is None else self._many.names.find(asset)
        if self._many is not None and row >= 0:
            return self._many.names.names(range(row, min(row + count, len(self._many))))
        first = bisect_left(self._sorted, asset)
        return list(islice(self._sorted, first, first + count))


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


def runs(mappers: Sequence[TopicMapper], messages: Sequence[tuple[str, bytes]]) -> Iterator[tuple[range, Rows | None]]:
    """Cut (topic, payload) messages into runs, in order: those that one mapping reads at once come with their rows.

    The others come with None, to be read by `read_message` one by one.
    """
    found = [_quick(mappers, topic, payload) for topic, payload in messages]
    start = 0
    for mapper, group in groupby(found, lambda one: one[0]):
        quick = [content for _, content in group]
        rows = None if mapper is None else mapper.quick_rows([content for content in quick if content is not None])
        yield range(start, start + len(quick)), rows
        start += len(quick)


def _quick(mappers: Sequence[TopicMapper], topic: str, payload: bytes) -> tuple[TopicMapper, Quick] | tuple[None, None]:
    for mapper in mappers:
        if len(mappers) == 1 or mapper.matches(topic):
            content = mapper.quick(topic, payload)
            return (None, None) if content is None else (mapper, content)
    return None, None


def reread_message(mappers: Sequence[TopicMapper], topic: str, payload: bytes, received_us: int) -> Rows:
    """Return the rows of a message that was a dead letter. Raises DeadMessageError if it still is one.

    Sparkplug messages always are: they mean something only in the order in which they came.
    """
    plain = [mapper for mapper in mappers if isinstance(mapper, Mapper)]
    rows = read_message(plain, topic, payload, received_us)
    if rows.dead:
        raise DeadMessageError(rows.dead)
    return rows
