"""Asks meters that speak CJ/T 188, on a serial line or behind a converter that passes its bytes through."""

from __future__ import annotations

import asyncio
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from collectors import cjt188
from collectors.cjt188_config import BusConfig, Cjt188Config, MeterConfig
from collectors.modbus_frames import Question, WrongReplyError
from collectors.modbus_link import Link
from gateway.errors import ConfigError
from gateway.model.network import Network
from gateway.model.quantity import Quantity
from gateway.model.reading import GOOD, PointId, ReadingBatch, Reason, Severity, point_id, quality
from gateway.ports import Change, Clock, Job, PointRegistry

_QUANTITIES = (Quantity.VALVE, Quantity.FLAGS)
_SERIALS = 256
_WAKE = b"\xfe" * 4
_LONGEST = 400
_NO_SOURCE_TIME = quality(Severity.UNCERTAIN, Reason.NO_SOURCE_TIME)


@dataclass(frozen=True)
class MeterQuestion(Question):
    """A request to one meter; its serial number comes back in the reply."""

    serial: int

    @staticmethod
    def measured(place: int, meter: MeterConfig, identifier: str, serial: int) -> MeterQuestion:
        """Return the question for all that a meter measures; `place` tells it from others on its bus."""
        head = bytes([0x68, meter.type]) + bytes.fromhex(meter.address)[::-1]
        body = head + bytes([0x01, 3]) + bytes.fromhex(identifier) + bytes([serial])
        return MeterQuestion(place, body + bytes([sum(body) % 256, 0x16]), serial)

    @property
    def is_read(self) -> bool:
        """True: nothing is ever written."""
        return True

    def is_twin_of(self, other: Question | None) -> bool:
        """Say False: the serial number tells a second copy of an earlier reply from this one's."""
        del other
        return False


class Cjt188Framing:
    """Frames of CJ/T 188; a reply names its meter, and repeats the serial number of the request."""

    has_ids = False

    def pack(self, question: Question, transaction: int) -> bytes:
        """Return the bytes to send, with those that wake the line in front."""
        del transaction
        return _WAKE + question.pdu

    def find(self, data: bytes | bytearray, question: Question, transaction: int) -> tuple[bytes | None, int]:
        """Look for the reply behind bytes that wake the line, and behind the request where a converter repeats it.

        What is returned begins with a zero byte, then the frame.
        """
        del transaction
        assert isinstance(question, MeterQuestion)
        at = 0
        while True:
            while at < len(data) and data[at] == _WAKE[0]:
                at += 1
            if at == len(data):
                if at > _LONGEST:
                    raise WrongReplyError("nothing but bytes FE")
                return None, 0
            if data[at] != question.pdu[0]:
                raise WrongReplyError("bytes that are no frame of CJ/T 188")
            if len(data) < at + 11 or len(data) < at + 13 + data[at + 10]:
                return None, 0
            end = at + 13 + data[at + 10]
            frame = bytes(data[at:end])
            if frame != question.pdu:
                _check(frame, question)
                return b"\0" + frame, end
            at = end

    def size(self, question: Question) -> int:
        """Return how many bytes go over the wire, there and back."""
        return 2 * len(_WAKE) + len(question.pdu) + 35


def _check(message: bytes, question: MeterQuestion) -> None:
    try:
        frame = cjt188.parse(message)
    except cjt188.FrameError as error:
        raise WrongReplyError(str(error)) from error
    if message[1:9] != question.pdu[1:9]:
        raise WrongReplyError(f"a reply of meter {frame.address}")
    if frame.control not in (0x81, 0xC1):
        raise WrongReplyError(f"control code {frame.control:02X}H answers no request to read")
    serial_at = 2 if frame.control == 0x81 else 0
    if len(frame.data) <= serial_at or frame.data[serial_at] != question.serial:
        raise WrongReplyError("a reply to an earlier request")


@dataclass(frozen=True, slots=True, eq=False)
class _Poll:
    """A meter on its bus."""

    job: Job
    link: Link
    bus: BusConfig
    meter: MeterConfig
    place: int
    points: tuple[PointId, ...]


class Cjt188Collector:
    """Polls the meters of one source. Jobs of different buses may run at once, those of one bus take turns."""

    Config: ClassVar = Cjt188Config

    def __init__(self, config: Cjt188Config, registry: PointRegistry, network: Network, clock: Clock) -> None:
        """Lay out all meters. Raises ConfigError for meters that the network does not know."""
        self.name = config.name
        self._registry = registry
        self._clock = clock
        self._serial = 0
        self.last_frame = b""
        """the reply that came last, for people"""
        self._indices: dict[str, NDArray[np.uint32]] = {}
        self._polls = {poll.job.key: poll for bus in config.buses for poll in _polls(config.name, bus, clock)}
        problems = [
            f"source {config.name}, bus {poll.bus.name}: meter {poll.meter.meter} is not in meters.csv"
            for poll in self._polls.values()
            if not network.zone_of(poll.meter.meter)
        ]
        if problems:
            raise ConfigError(problems)

    def jobs(self) -> Sequence[Job]:
        """Return one job for each meter."""
        return [poll.job for poll in self._polls.values()]

    def keys_of(self, asset: str) -> Sequence[str]:
        """Return the job that reads a meter."""
        return [key for key, poll in self._polls.items() if poll.meter.meter == asset]

    async def open(self) -> None:
        """Look up the index of every point; meters are asked later."""
        self._indices = await asyncio.to_thread(self._look_up, self._polls)

    def _look_up(self, polls: Mapping[str, _Poll]) -> dict[str, NDArray[np.uint32]]:
        points = [point for poll in polls.values() for point in poll.points]
        table = np.asarray(self._registry.indices(points), np.uint32).reshape(len(polls), -1)
        return dict(zip(polls, table, strict=True))

    def reconfigure(self, config: Cjt188Config, network: Network) -> Change:
        """Return how to take a new configuration: a bus that stays as it is keeps its connection.

        Blocks; call it in a thread. Raises ConfigError or TransientError.
        """
        fresh = Cjt188Collector(config, self._registry, network, self._clock)
        before, after = _by_link(self._polls), _by_link(fresh._polls)
        stays = {link for link in before.keys() & after.keys() if before[link][0].bus == after[link][0].bus}
        polls = {one.job.key: one for link in after for one in (before if link in stays else after)[link]}
        indices = self._look_up(polls)

        async def apply() -> None:
            for link in before.keys() - stays:
                before[link][0].link.drop()
            self._polls, self._indices = polls, indices

        return Change(frozenset((before.keys() | after.keys()) - stays), apply)

    async def collect(self, job: Job) -> ReadingBatch:
        """Read one meter. Raises TransientError if it does not answer."""
        poll = self._polls[job.key]
        self._serial = (self._serial + 1) % _SERIALS
        question = MeterQuestion.measured(poll.place, poll.meter, poll.bus.identifier, self._serial)
        try:
            reply, arrived_us = await poll.link.ask(question)
            self.last_frame = reply[1:]
            fields = cjt188.decode(cjt188.parse(self.last_frame))
        except WrongReplyError:
            return self._bad(poll, Reason.WRONG_REPLY)
        except cjt188.FrameError:
            return self._bad(poll, Reason.DEVICE_FAULT)
        return self._batch(poll, fields, arrived_us)

    def _batch(self, poll: _Poll, fields: Mapping[str, Any], arrived_us: int) -> ReadingBatch:
        shown_us = _shown_us(fields, ZoneInfo(poll.bus.zone)) if poll.bus.clock else arrived_us
        good = GOOD if shown_us is not None else _NO_SOURCE_TIME
        pairs = [_value(fields.get(name, Reason.WRONG_REPLY), good) for name in ("total", "valve", "flags")]
        return ReadingBatch.build(
            self._indices[poll.job.key],
            np.full(len(pairs), arrived_us if shown_us is None else shown_us),
            arrived_us,
            [value for value, _ in pairs],
            [mark for _, mark in pairs],
        )

    def _bad(self, poll: _Poll, reason: Reason) -> ReadingBatch:
        now_us = self._clock.now_us()
        count = len(poll.points)
        marks = np.full(count, quality(Severity.BAD, reason))
        return ReadingBatch.build(
            self._indices[poll.job.key], np.full(count, now_us), now_us, np.full(count, np.nan), marks
        )

    def silent(self, job: Job, now_us: int) -> ReadingBatch:
        """Return one BAD `no_reply` row for each point of the meter."""
        batch = self._bad(self._polls[job.key], Reason.NO_REPLY)
        times = np.full(len(batch), now_us, np.int64)
        return replace(batch, source_time=times, received_time=times)

    async def close(self) -> None:
        """Close all connections; may be called twice."""
        for poll in self._polls.values():
            poll.link.drop()


def _polls(source: str, bus: BusConfig, clock: Clock) -> Iterator[_Poll]:
    link = Link(bus.as_link(), clock, framing=Cjt188Framing())
    for place, meter in enumerate(bus.meters):
        key = f"{source}/{bus.name}/{meter.address}"
        phase_s = zlib.crc32(key.encode()) / 2**32 * bus.every_s
        points = tuple(point_id(meter.meter, one) for one in (Quantity(bus.register_quantity), *_QUANTITIES))
        yield _Poll(Job(key, f"{source}/{bus.name}", bus.every_s, phase_s), link, bus, meter, place, points)


def _by_link(polls: Mapping[str, _Poll]) -> dict[str, list[_Poll]]:
    found: dict[str, list[_Poll]] = {}
    for poll in polls.values():
        found.setdefault(poll.job.link, []).append(poll)
    return found


def _value(field: float | Reason, good: int) -> tuple[float, int]:
    if isinstance(field, Reason):
        return math.nan, quality(Severity.BAD, field)
    return float(field), good


def _shown_us(fields: Mapping[str, Any], zone: ZoneInfo) -> int | None:
    """Return what the meter's clock shows in us UTC, None if it shows no time."""
    try:
        shown = datetime.fromisoformat(fields["time"]).replace(tzinfo=zone)
        return int(shown.timestamp()) * 1_000_000
    except (KeyError, TypeError, ValueError, OverflowError):
        return None
