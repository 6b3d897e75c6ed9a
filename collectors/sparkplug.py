"""Sparkplug B as a mapping: births teach names, data are readings, deaths make a device's points BAD.

A metric that is sent by its alias means what the last birth said. So once a message of an edge node was missed (its
sequence has a gap) aliases are not believed until the node has told everything again, which it is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from collectors.payload import MAX_PAYLOAD_BYTES, DeadMessageError, Rows, TopicMapping
from collectors.payload.mapper import Quick
from collectors.payload.paths import compile_filter
from collectors.payload.rows import RowBuilder
from collectors.payload.values import EARLIEST_US, LATEST_US, NO_TIME, Convert, make_convert
from collectors.scaling import scaler
from collectors.sparkplug_payload import Metric, Payload, PayloadError, parse, rebirth_request, signed
from gateway.model.quantity import Quantity
from gateway.model.reading import GOOD, PointId, Reason, Severity, point_id, quality

_BIRTHS, _DEATHS, _DATA = ("NBIRTH", "DBIRTH"), ("NDEATH", "DDEATH"), ("NDATA", "DDATA")
_BD_SEQ = "bdSeq"
_MOST_NODES = 10_000
_MOST_ALIASES = 100_000
_GONE = quality(Severity.BAD, Reason.NO_REPLY)


@dataclass
class _Node:
    """What is known of one edge node since its birth."""

    seq: int | None = None
    """of the last message; None: the next one must be a birth"""
    bd_seq: int | None = None
    names: dict[int, tuple[str, int]] = field(default_factory=dict)
    """alias to name and data type"""
    points: dict[str, dict[PointId, None]] = field(default_factory=dict)
    """points seen of each asset: the node's own and those of its devices"""

    @property
    def born(self) -> bool:
        return self.seq is not None


@dataclass(frozen=True, slots=True)
class _Message:
    group: str
    type: str
    node: str
    device: str
    payload: Payload
    received_us: int

    @property
    def asset(self) -> str:
        return self.device or self.node


class SparkplugMapper:
    """A compiled topic mapping of the format sparkplug; remembers the births of its edge nodes."""

    def __init__(self, mapping: TopicMapping, meters: Collection[str]) -> None:
        """Compile a mapping; `meters` are the assets that may report."""
        self.mapping = mapping
        self._meters = meters
        self._allowed = frozenset(mapping.meters)
        self._topic = compile_filter(mapping.filter)
        self._nodes: dict[tuple[str, str], _Node] = {}
        self._values: dict[str, list[tuple[Quantity, Convert]]] = {}
        for quantity, value in mapping.values.items():
            convert = make_convert(scaler(value.scale, value.offset), text=value.text, missing=value.missing)
            self._values.setdefault(value.path, []).append((quantity, convert))

    def matches(self, topic: str) -> bool:
        """Say whether this mapping is for that topic."""
        return self._topic.fullmatch(topic) is not None

    def quick(self, _topic: str, _payload: bytes) -> Quick | None:
        """Return None: each message depends on those before it."""
        return None

    def quick_rows(self, _found: Sequence[Quick]) -> Rows | None:
        """Return None."""
        return None

    def read(self, topic: str, payload: bytes, received_us: int) -> Rows:
        """Return the rows of a message; none where it is about no mapped point. Raises DeadMessageError.

        `Rows.reply` holds the request for a rebirth where one is needed.
        """
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise DeadMessageError(f"too large: {len(payload)} bytes, at most {MAX_PAYLOAD_BYTES}")
        levels = topic.split("/")
        if len(levels) not in (4, 5) or levels[2] not in (*_BIRTHS, *_DEATHS, *_DATA):
            return RowBuilder().build()  # commands and the states of hosts are for others
        if (levels[2][0] == "D") != (len(levels) == 5):
            raise DeadMessageError("shape: this kind of message has another topic")
        try:
            content = parse(payload)
        except PayloadError as error:
            raise DeadMessageError(str(error)) from error
        device = levels[4] if len(levels) == 5 else ""
        message = _Message(levels[1], levels[2], levels[3], device, content, received_us)
        node = self._node(message)
        # also a device that may not report uses up a sequence number of its node
        gap = message.type not in _DEATHS and self._follow(node, message)
        if device:
            self._check(device)
        return self._dead(node, message) if message.type in _DEATHS else self._metrics(node, message, gap)

    def _check(self, asset: str) -> None:
        if asset not in self._meters:
            raise DeadMessageError("unknown meter in the topic")
        if self._allowed and asset not in self._allowed:
            raise DeadMessageError("identity: this topic may not speak for that meter")

    def _node(self, message: _Message) -> _Node:
        key = (message.group, message.node)
        if key not in self._nodes and len(self._nodes) >= _MOST_NODES:
            raise DeadMessageError(f"more than {_MOST_NODES} edge nodes")
        return self._nodes.setdefault(key, _Node())

    def _follow(self, node: _Node, message: _Message) -> bool:
        """Note a birth or the next sequence number; return whether a message was missed."""
        seq = message.payload.seq
        if message.type == "NBIRTH":
            node.names.clear()
            node.points.clear()
            node.seq = seq or 0
            node.bd_seq = _bd_seq(message.payload)
        elif not node.born or seq is None or seq not in (node.seq, (node.seq or 0) + 1 & 0xFF):
            node.seq = None
            return True
        else:
            node.seq = seq
        if message.type in _BIRTHS:
            self._learn(node, message.payload)
        return False

    def _learn(self, node: _Node, payload: Payload) -> None:
        for metric in payload.metrics:
            if metric.alias is not None and metric.name and len(node.names) < _MOST_ALIASES:
                node.names[metric.alias] = metric.name, metric.datatype

    def _metrics(self, node: _Node, message: _Message, gap: bool) -> Rows:
        """Return the rows of mapped metrics; those with nothing but an alias count only while nothing was missed."""
        builder = RowBuilder()
        reply = _rebirth(message) if gap else None
        unnamed = 0
        mapped = message.device or (message.node in self._meters and self._may_report(message.node))
        for metric in message.payload.metrics if mapped else ():
            named = _named(metric, {} if gap else node.names)
            if named is None:
                unnamed += 1
            else:
                self._add(builder, node, message, named)
        if unnamed and reply is None:
            reply = _rebirth(message)
        dead = f"{unnamed} metrics by alias, and no birth that says what they are" if unnamed else ""
        return builder.build(dead=dead, reply=reply)

    def _may_report(self, asset: str) -> bool:
        return not self._allowed or asset in self._allowed

    def _add(self, builder: RowBuilder, node: _Node, message: _Message, metric: Metric) -> None:
        time_ms = metric.time_ms if metric.time_ms is not None else message.payload.time_ms
        at_us = _time_us(time_ms)
        for quantity, convert in self._values.get(metric.name, ()):
            number, mark = convert(metric.value)
            if at_us is None:
                builder.timed = False
                mark = NO_TIME if mark == GOOD else mark
            point = point_id(message.asset, quantity)
            builder.add(point, message.received_us if at_us is None else at_us, number, mark)
            node.points.setdefault(message.asset, {})[point] = None

    def _dead(self, node: _Node, message: _Message) -> Rows:
        """Return one BAD row for each point of the device, or of the node and all its devices."""
        builder = RowBuilder()
        builder.timed = False
        if message.type == "NDEATH":
            bd_seq = _bd_seq(message.payload)
            if bd_seq is not None and node.bd_seq is not None and bd_seq != node.bd_seq:
                return builder.build()  # the will of a connection before the last birth
            gone = [point for points in node.points.values() for point in points]
            node.seq = None
        else:
            gone = list(node.points.get(message.asset, ()))
            if message.payload.seq is not None and node.born:
                self._follow(node, message)
        for point in gone:
            builder.add(point, message.received_us, math.nan, _GONE)
        return builder.build()


def _named(metric: Metric, names: Mapping[int, tuple[str, int]]) -> Metric | None:
    """Return a metric with its name and with a plain number, None if it has an alias only that nobody knows."""
    name, datatype, value = metric.name, metric.datatype, metric.value
    if not name:
        if metric.alias is None or metric.alias not in names:
            return None
        name, born_as = names[metric.alias]
        datatype = datatype or born_as
    if isinstance(value, int) and not isinstance(value, bool | Reason) and not metric.datatype:
        value = signed(value, datatype)
    return replace(metric, name=name, datatype=datatype, value=float(value) if isinstance(value, bool) else value)


def _time_us(time_ms: int | None) -> int | None:
    at_us = None if time_ms is None else time_ms * 1000
    return at_us if at_us is not None and EARLIEST_US <= at_us < LATEST_US else None


def _bd_seq(payload: Payload) -> int | None:
    found = [metric.value for metric in payload.metrics if metric.name == _BD_SEQ]
    return int(found[0]) if found and isinstance(found[0], int) else None


def _rebirth(message: _Message) -> tuple[str, bytes]:
    return f"spBv1.0/{message.group}/NCMD/{message.node}", rebirth_request(message.received_us // 1000)
