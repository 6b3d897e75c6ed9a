"""One real read of one device or broker, to be shown to a person. Never writes, and production loses nothing."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from collectors.cjt188_bus import Cjt188Collector
from collectors.cjt188_config import Cjt188Config
from collectors.mappers import TopicMapper, make_mappers, read_message
from collectors.modbus import make_unit
from collectors.modbus_config import ModbusConfig
from collectors.modbus_frames import WrongReplyError
from collectors.modbus_link import Link
from collectors.modbus_reply import RefusedByDeviceError, Reply
from collectors.mqtt_client import connect, make_client, receive
from collectors.mqtt_config import MqttConfig
from collectors.payload import DeadMessageError
from collectors.plan import Request
from gateway.errors import ConfigError, TransientError
from gateway.model.network import Network
from gateway.model.reading import PointId, Reading, ReadingBatch, Reason, Severity, from_us
from gateway.ports import Clock
from gateway.runtime.clock import SystemClock
from gateway.store.registry import MemoryRegistry

MAX_MESSAGES = 50


@dataclass(frozen=True, slots=True)
class ProbedRequest:
    """One request, the raw registers or bits that came, or what went wrong."""

    request: Request
    cells: tuple[int, ...]
    seconds: float
    error: str = ""


@dataclass(frozen=True, slots=True)
class ModbusProbe:
    """What one read of a unit brought."""

    key: str
    requests: tuple[ProbedRequest, ...]
    readings: tuple[Reading, ...]
    error: str = ""
    """why the unit could not be read at all"""
    through_gateway: bool = False
    """True if the running gateway read it over its own connection"""


@dataclass(frozen=True, slots=True)
class MeterProbe:
    """What one question to a meter on a CJ/T 188 bus brought."""

    key: str
    frame: bytes
    seconds: float
    readings: tuple[Reading, ...]
    error: str = ""
    """why the meter could not be read at all"""


@dataclass(frozen=True, slots=True)
class ProbedMessage:
    """One message, its readings, or why it would be a dead letter."""

    topic: str
    payload: bytes
    readings: tuple[Reading, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MqttProbe:
    """What a broker sent while somebody watched."""

    messages: tuple[ProbedMessage, ...]
    seconds: float


async def probe_modbus(
    config: ModbusConfig, link: str, unit: int, clock: Clock | None = None, *, connection: Link | None = None
) -> ModbusProbe:
    """Read all points of one unit once, over a connection of its own or in turn with all others over a given one.

    Raises ConfigError if the configuration has no such link or unit.
    """
    links = {one.name: one for one in config.links}
    if link not in links:
        raise ConfigError([f"source {config.name} has no link {link}: there are {', '.join(links)}"])
    units = {one.unit: one for one in links[link].units}
    if unit not in units:
        raise ConfigError([f"link {link} has no unit {unit}: there are {', '.join(map(str, units))}"])
    clock = clock or SystemClock()
    device = make_unit(units[unit], links[link])
    device.indices = np.arange(len(device.points), dtype=np.uint32)
    shared, own = connection, Link(links[link], clock)
    requests: list[ProbedRequest] = []

    async def read(request: Request) -> Reply:
        loop = asyncio.get_running_loop()
        began, problem = loop.time(), ""
        cells: tuple[int, ...] = ()
        try:
            reply = await (shared or own).read(unit, request, device.profile.pause_ms / 1000)
            cells = tuple(int(cell) for cell in reply.cells)
        except (RefusedByDeviceError, WrongReplyError, TransientError) as error:
            problem = str(error)
            raise
        finally:
            requests.append(ProbedRequest(request, cells, loop.time() - began, problem))
        return reply

    batch, error = ReadingBatch.empty(), ""
    try:
        batch = await device.poll(read, clock.now_us(), 0.0)
    except TransientError as lost:
        error = str(lost)
    finally:
        own.drop()
    names = [device.points[index] for index in batch.point]
    return ModbusProbe(f"{config.name}/{link}/{unit}", tuple(requests), _readings(names, batch), error)


async def probe_cjt188(config: Cjt188Config, network: Network, key: str, clock: Clock | None = None) -> MeterProbe:
    """Ask one meter, `source/bus/address`, once, over a connection of its own.

    Raises ConfigError if the configuration has no such meter, or one that the network does not know.
    """
    registry = MemoryRegistry()
    collector = Cjt188Collector(config, registry, network, clock or SystemClock())
    jobs = {job.key: job for job in collector.jobs()}
    if key not in jobs:
        raise ConfigError([f"there is no meter {key}: there are {', '.join(jobs)}"])
    await collector.open()
    began = time.monotonic()
    batch, error = ReadingBatch.empty(), ""
    try:
        batch = await collector.collect(jobs[key])
    except TransientError as lost:
        error = str(lost)
    finally:
        await collector.close()
    seconds = time.monotonic() - began
    return MeterProbe(key, collector.last_frame, seconds, _readings(registry.names(batch.point), batch), error)


async def probe_mqtt(
    config: MqttConfig, network: Network, seconds: float, clock: Clock | None = None, *, limit: int = MAX_MESSAGES
) -> MqttProbe:
    """Watch a source for some real seconds, with a client id and a session of its own.

    Ends early after `limit` messages. Raises TransientError if the broker cannot be reached.
    """
    clock = clock or SystemClock()
    mappers = make_mappers(config.topics, network)
    client = make_client(config, f"{config.client_id[:100]}-probe-{secrets.token_hex(4)}", clean=True)
    messages: list[ProbedMessage] = []
    loop = asyncio.get_running_loop()
    began = loop.time()
    try:
        await connect(client, config)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for topic, payload in receive(client, config):
                    messages.append(_probed(mappers, topic, payload, clock.now_us()))
                    if len(messages) >= limit:
                        break
    finally:
        await client.disconnect()
    return MqttProbe(tuple(messages), loop.time() - began)


def _probed(mappers: Sequence[TopicMapper], topic: str, payload: bytes, now_us: int) -> ProbedMessage:
    try:
        rows = read_message(mappers, topic, payload, now_us)
    except DeadMessageError as error:
        return ProbedMessage(topic, payload, (), str(error))
    names = [rows.points[place] for place in rows.which]
    batch = ReadingBatch.build(range(len(names)), rows.source_time, now_us, rows.value, rows.quality)
    return ProbedMessage(topic, payload, _readings(names, batch), rows.dead)


def _readings(names: Sequence[PointId], batch: ReadingBatch) -> tuple[Reading, ...]:
    return tuple(
        Reading(
            name,
            from_us(batch.source_time[row]),
            from_us(batch.received_time[row]),
            float(batch.value[row]),
            Severity(int(batch.quality[row]) >> 6),
            Reason(int(batch.quality[row]) & 63),
        )
        for row, name in enumerate(names)
    )
