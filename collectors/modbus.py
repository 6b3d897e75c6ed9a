"""Reads devices over Modbus TCP. The only file that knows pymodbus."""

from __future__ import annotations

import asyncio
import logging
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, ValidationInfo, field_validator
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException
from pymodbus.pdu import ModbusPDU

from collectors.decode import check_golden
from collectors.modbus_unit import BUSY_CODES, RefusedByDeviceError, Reply, Unit, WrongReplyError
from collectors.plan import Request
from gateway.errors import ConfigError, TransientError
from gateway.model.network import Network
from gateway.model.profile import RegisterTable
from gateway.model.reading import ReadingBatch
from gateway.ports import Clock, Job, PointRegistry
from gateway.profiles import load_profile
from gateway.settings import Settings

_BUSY_PAUSE_S = 0.2
_GATEWAY_CODES = (10, 11)
"""A converter says that the device behind it does not answer."""


class UnitConfig(Settings):
    """One device of a link."""

    unit: int = Field(ge=0, le=255)
    """unit number on the link"""
    profile: str
    """name of a shipped profile, or path of a profile of your own that ends in .toml"""
    asset: str = Field(default="", max_length=120)
    """station, regulator or meter whose points the device has; empty for a concentrator without points of its own"""
    members: tuple[str, ...] = ()
    """meter in each slot of a concentrator, in order; "" for an unused slot"""
    identity: str = ""
    """serial number that the device must show before its readings count; empty = not checked"""

    @field_validator("profile")
    @classmethod
    def _a_profile(cls, profile: str, info: ValidationInfo) -> str:
        folder = (info.context or {}).get("folder")
        if profile.endswith(".toml") and folder is not None:
            profile = str(Path(folder) / profile)
        try:
            check_golden(load_profile(profile))
        except ConfigError as error:
            raise ValueError(str(error)) from error
        return profile


class LinkConfig(Settings):
    """One connection that several devices share."""

    model_config = ConfigDict(populate_by_name=True)

    name: str = Field(min_length=1, max_length=60, pattern=r"^[^/\s]+$")
    """name of the link, unique in its source"""
    url: str
    """tcp://host:port"""
    timeout_s: float = Field(default=1.0, gt=0, le=60)
    """real seconds to wait for a connection or a reply"""
    units: tuple[UnitConfig, ...] = Field(alias="unit", min_length=1)
    """devices of the link"""

    @field_validator("url")
    @classmethod
    def _a_url(cls, url: str) -> str:
        host_and_port(url)
        return url


class ModbusConfig(Settings):
    """A source of kind "modbus"."""

    model_config = ConfigDict(populate_by_name=True)

    kind: Literal["modbus"] = "modbus"
    """always "modbus" here"""
    name: str = Field(min_length=1, max_length=60, pattern=r"^[^/\s]+$")
    """name of the source"""
    links: tuple[LinkConfig, ...] = Field(alias="link", min_length=1)
    """connections of the source"""

    @field_validator("links")
    @classmethod
    def _no_doubles(cls, links: tuple[LinkConfig, ...]) -> tuple[LinkConfig, ...]:
        names = [link.name for link in links]
        if doubled := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"link {', '.join(sorted(doubled))} appears twice")
        for link in links:
            numbers = [unit.unit for unit in link.units]
            if doubled_units := {number for number in numbers if numbers.count(number) > 1}:
                raise ValueError(f"link {link.name}: unit {min(doubled_units)} appears twice")
        return links


def host_and_port(url: str) -> tuple[str, int]:
    """Split `tcp://host:port`; the port is 502 where it is missing. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme != "tcp" or not parts.hostname or parts.path or parts.query or parts.username:
        raise ValueError(f"{url!r} is no Modbus address: write tcp://host:port")
    return parts.hostname, parts.port or 502


class Link:
    """One TCP connection with one owner: one request in flight, opened when it is needed, and again after a timeout.

    After a timeout or a cancellation a late reply may still be on its way, so the connection is not used again.
    pymodbus 3.16 takes a reply with another function code, another length or transaction id 0 for a good one, so
    every frame is checked before pymodbus sees it.
    """

    def __init__(self, config: LinkConfig, clock: Clock) -> None:
        """Make a link; nothing is connected yet."""
        self.config = config
        self._clock = clock
        self._lock = asyncio.Lock()
        self._client: AsyncModbusTcpClient | None = None
        self._asked: tuple[int, int, int] | None = None
        """unit, function code and size of the reply that is waited for"""

    async def read(self, unit: int, request: Request, pause_s: float = 0.0) -> Reply:
        """Ask one request. Raises TransientError, RefusedByDeviceError or WrongReplyError."""
        async with self._lock:
            try:
                reply = await self._ask(unit, request)
                if reply.isError() and reply.exception_code in BUSY_CODES:
                    await asyncio.sleep(_BUSY_PAUSE_S)
                    reply = await self._ask(unit, request)
            except BaseException:
                # also on cancellation: the reply to this request must not meet the next one
                self.drop()
                raise
            arrived_us = self._clock.now_us()
            if pause_s:
                await asyncio.sleep(pause_s)
        if not reply.isError():
            return Reply((reply.bits if request.table.of_bits else reply.registers)[: request.count], arrived_us)
        if reply.exception_code in _GATEWAY_CODES:
            raise TransientError(f"{self.config.name}: the converter says that unit {unit} does not answer")
        raise RefusedByDeviceError(reply.exception_code)

    async def _ask(self, unit: int, request: Request) -> ModbusPDU:
        client = await self._connected()
        size = -(-request.count // 8) if request.table.of_bits else 2 * request.count
        self._asked = (unit, request.table.read_function, size)
        try:
            reply: ModbusPDU = await _READERS[request.table](client, request.start, count=request.count, device_id=unit)
        except (ModbusException, OSError) as error:
            raise TransientError(f"{self.config.name}: unit {unit} does not answer") from error
        finally:
            self._asked = None
        return reply

    async def _connected(self) -> AsyncModbusTcpClient:
        if self._client is not None and self._client.connected:
            return self._client
        self.drop()
        host, port = host_and_port(self.config.url)
        self._client = client = AsyncModbusTcpClient(
            host,
            port=port,
            timeout=self.config.timeout_s,
            retries=0,
            reconnect_delay=0,
            trace_packet=self._inspect,
            trace_connect=self._connection_changed,
        )
        if not await client.connect():
            raise TransientError(f"{self.config.name}: no connection to {host}:{port}")
        return client

    def _inspect(self, sending: bool, data: bytes) -> bytes:
        if not sending and self._client is not None and self._asked is not None:
            problem = wrong_reply(data, self._client.ctx.request_transaction_id, *self._asked)
            if problem:
                self._fail(WrongReplyError(f"{self.config.name}: {problem}"))
                return b""
        return data

    def _connection_changed(self, up: bool) -> None:
        if not up:
            self._fail(ConnectionResetError("connection lost"))

    def _fail(self, error: Exception) -> None:
        """Let the request in flight fail now instead of after its timeout."""
        if self._client is not None and self._asked is not None and not self._client.ctx.response_future.done():
            self._client.ctx.response_future.set_exception(error)

    def drop(self) -> None:
        """Close the connection; the next request opens a new one."""
        client, self._client = self._client, None
        if client is not None:
            client.close()


def wrong_reply(data: bytes, transaction: int, unit: int, function: int, size: int) -> str:
    """Say what is wrong with the reply among the received bytes; empty if nothing is, or it has not come yet.

    A frame with another transaction id answers an earlier question: it is stepped over, not judged.
    """
    at = 0
    while len(data) >= at + 8:
        got_transaction, protocol, length, got_unit, got_function = struct.unpack_from(">HHHBB", data, at)
        if protocol != 0 or length < 3:
            return "a frame that is not Modbus"
        if got_transaction == 0:
            return "a reply without transaction id"
        if len(data) < at + 6 + length:
            return ""
        if got_transaction == transaction:
            if got_unit != unit:
                return f"a reply of unit {got_unit} instead of {unit}"
            if got_function == function | 0x80 and length == 3:
                return ""
            if got_function != function:
                return f"a reply to function {got_function} instead of {function}"
            if length != 3 + size or data[at + 8] != size:
                return f"a reply of {length - 3} bytes instead of {size}"
        at += 6 + length
    return ""


_READERS: dict[RegisterTable, Any] = {
    RegisterTable.HOLDING: AsyncModbusTcpClient.read_holding_registers,
    RegisterTable.INPUT: AsyncModbusTcpClient.read_input_registers,
    RegisterTable.COIL: AsyncModbusTcpClient.read_coils,
    RegisterTable.DISCRETE: AsyncModbusTcpClient.read_discrete_inputs,
}


class ModbusCollector:
    """Polls the devices of one source. Jobs of different links may run at once, those of one link take turns."""

    Config: ClassVar = ModbusConfig

    def __init__(self, config: ModbusConfig, registry: PointRegistry, network: Network, clock: Clock) -> None:
        """Lay out all units. Raises ConfigError for assets that the network does not know and for bad members."""
        self.name = config.name
        self._registry = registry
        self._clock = clock
        self._polls: dict[str, _Poll] = {}
        problems: list[str] = []
        for link_config in config.links:
            link = Link(link_config, clock)
            for unit_config in link_config.units:
                where = f"source {config.name}, link {link_config.name}, unit {unit_config.unit}"
                problems += [f"{where}: {problem}" for problem in _problems(unit_config, network)]
                if not problems:
                    poll = _make_poll(config.name, link, unit_config)
                    self._polls[poll.job.key] = poll
        problems += _doubled_points(self._polls.values())
        if problems:
            raise ConfigError(problems)

    def jobs(self) -> Sequence[Job]:
        """Return one job for each unit; its period divides all periods of the unit's points."""
        return [poll.job for poll in self._polls.values()]

    async def open(self) -> None:
        """Look up the index of every point; devices are connected when they are first asked."""
        # pymodbus logs every timeout; the runner says once that a device is away
        logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
        points = [point for poll in self._polls.values() for point in poll.unit.points]
        indices = await asyncio.to_thread(self._registry.indices, points)
        at = 0
        for poll in self._polls.values():
            poll.unit.indices = indices[at : at + len(poll.unit.points)]
            at += len(poll.unit.points)

    async def collect(self, job: Job) -> ReadingBatch:
        """Read what is due in one unit. Raises TransientError if it does not answer."""
        poll = self._polls[job.key]
        return await poll.unit.poll(poll.read, self._clock.now_us(), job.phase_s)

    def silent(self, job: Job, now_us: int) -> ReadingBatch:
        """Return one BAD `no_reply` row for each point of the unit."""
        return self._polls[job.key].unit.silent(now_us)

    async def close(self) -> None:
        """Close all connections; may be called twice."""
        for poll in self._polls.values():
            poll.link.drop()


@dataclass(frozen=True, slots=True)
class _Poll:
    """A unit on its link."""

    job: Job
    link: Link
    unit: Unit
    number: int

    async def read(self, request: Request) -> Reply:
        return await self.link.read(self.number, request, self.unit.profile.pause_ms / 1000)


def _make_poll(source: str, link: Link, config: UnitConfig) -> _Poll:
    unit = make_unit(config)
    key = f"{source}/{link.config.name}/{config.unit}"
    # the hash spreads the starts of many units evenly, and is the same after a restart
    phase_s = zlib.crc32(key.encode()) / 2**32 * unit.period_s
    return _Poll(Job(key, f"{source}/{link.config.name}", unit.period_s, phase_s), link, unit, config.unit)


def make_unit(config: UnitConfig) -> Unit:
    """Lay out the points of one configured device. Raises ConfigError."""
    profile = load_profile(config.profile)
    try:
        return Unit(profile, config.asset if profile.points else "", config.members, config.identity)
    except ValueError as error:
        raise ConfigError([f"profile {profile.name}: {error}"]) from error


def _problems(config: UnitConfig, network: Network) -> list[str]:
    profile = load_profile(config.profile)
    problems = []
    if profile.points and not config.asset:
        problems.append(f"profile {profile.name} has points of its own: name the asset that they belong to")
    slots = len(profile.slots())
    if len(config.members) > slots:
        problems.append(f"profile {profile.name} has {slots} slots, but {len(config.members)} members are given")
    if config.identity and profile.identity is None:
        problems.append(f"profile {profile.name} has no identity register: leave identity out")
    known = {point.asset for point in network.points.values()}
    strangers = [
        asset
        for asset in (config.asset, *config.members)
        if asset and not network.zone_of(asset) and asset not in known
    ]
    return problems + [f"{asset} is neither in meters.csv, stations.csv nor points.csv" for asset in strangers]


def _doubled_points(polls: Iterable[_Poll]) -> list[str]:
    owner: dict[str, str] = {}
    problems = []
    for poll in polls:
        for point in poll.unit.points:
            if point in owner:
                problems.append(f"{point} is read by {owner[point]} and by {poll.job.key}: one of them is wrong")
            owner[point] = poll.job.key
    return problems
