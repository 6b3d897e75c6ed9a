"""Meters of CJ/T 188 on a serial line and behind a converter, with a bus that shares no code with the collector."""

import asyncio
import os
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from collectors.cjt188_bus import Cjt188Collector, Cjt188Framing, MeterQuestion
from collectors.cjt188_config import Cjt188Config, MeterConfig
from collectors.modbus_frames import WrongReplyError
from collectors.probe import probe_cjt188
from gateway.errors import ConfigError, TransientError
from gateway.model.reading import Reason, Severity, quality
from gateway.ports import Delivery
from gateway.runtime.clock import SystemClock
from gateway.runtime.runner import PollRunner
from tests.collectors.sites import METERS, MemoryRegistry, network

ADDRESSES = {meter: f"1111{2000000000 + number}" for number, meter in enumerate(METERS[:4])}
PLACES = ("tcp", "serial")
# worked out by hand from the standard: to gas meter 11112000123456, serial number 5
ASK = "FE FE FE FE 68 30 56 34 12 00 20 11 11 01 03 90 1F 05 2E 16"
REPLY = "FE FE 68 30 56 34 12 00 20 11 11 81 16 90 1F 05 67 45 23 01 2C 00 00 23 01 2C 20 58 07 15 01 26 20 04 00 EC 16"
QUESTION = MeterQuestion.measured(0, MeterConfig(address="11112000123456", meter="M-000001"), "901F", 5)


def test_the_request_is_that_of_the_standard() -> None:
    assert Cjt188Framing().pack(QUESTION, 1) == bytes.fromhex(ASK)


@pytest.mark.parametrize("before", ["", "FE FE FE", ASK])
def test_the_reply_is_found_however_it_is_cut(before: str) -> None:
    data, framing = bytes.fromhex(before + REPLY), Cjt188Framing()
    for end in range(len(data)):
        assert framing.find(data[:end], QUESTION, 0) == (None, 0)
    assert framing.find(data + b"\xfe", QUESTION, 0) == (b"\0" + bytes.fromhex(REPLY)[2:], len(data))


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("90 1F 05", "90 1F 04", "earlier request"),
        ("56 34 12", "57 34 12", "a reply of meter 11112000123457"),
        ("81 16", "84 16", "control code 84H"),
        ("67 45", "68 45", "checksum"),
        ("FE FE 68", "FE FE 69", "no frame"),
        (REPLY, "FE " * 401, "nothing but"),
    ],
)
def test_another_reply_is_refused(old: str, new: str, problem: str) -> None:
    data = bytearray.fromhex(REPLY.replace(old, new, 1))
    if problem not in ("checksum", "nothing but"):
        data[-2] = sum(data[2:-2]) % 256
    with pytest.raises(WrongReplyError, match=problem):
        Cjt188Framing().find(data, QUESTION, 0)


@dataclass
class Bus:
    """Meters by address, each with its register; bytes go out as `send` is told."""

    registers: dict[str, int] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    fault: bool = False
    clock: str = "20260115080000"
    asked: list[str] = field(default_factory=list)
    url: str = ""
    connections: int = 0

    def take(self, buffer: bytearray, send: Callable[[bytes], object]) -> None:
        while True:
            while buffer[:1] == b"\xfe":
                del buffer[:1]
            if len(buffer) < 16:
                return
            request = bytes(buffer[:16])
            del buffer[:16]
            assert request[9:11] == b"\x01\x03"
            assert sum(request[:14]) % 256 == request[14]
            address = request[8:1:-1].hex()
            self.asked.append(address)
            if address in self.registers and address not in self.silent:
                send(b"\xfe\xfe" + self.reply(request, self.registers[address]))

    def reply(self, request: bytes, register: int) -> bytes:
        if self.fault:
            body = request[:9] + b"\xc1\x03" + request[13:14] + b"\x00\x01"
        else:
            amount = bytes.fromhex(f"{register:08d}")[::-1] + b"\x2c"
            data = request[11:14] + amount + amount + bytes.fromhex(self.clock)[::-1] + b"\x01\x00"
            body = request[:9] + b"\x81" + bytes([len(data)]) + data
        return body + bytes([sum(body) % 256, 0x16])


class _Converter(asyncio.Protocol):
    def __init__(self, bus: Bus) -> None:
        self._bus, self._buffer = bus, bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._bus.connections += 1
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._bus.take(self._buffer, self._transport.write)


@asynccontextmanager
async def at(place: str) -> AsyncIterator[Bus]:
    loop, bus = asyncio.get_running_loop(), Bus(dict.fromkeys(ADDRESSES.values(), 1234567))
    if place == "tcp":
        server = await loop.create_server(lambda: _Converter(bus), "127.0.0.1", 0)
        bus.url = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield bus
        server.close()
        return
    far, near = os.openpty()
    tty.setraw(far)
    tty.setraw(near)
    bus.url, buffer = f"serial://{os.ttyname(near)}", bytearray()

    def come() -> None:
        buffer.extend(os.read(far, 4096))
        bus.take(buffer, lambda data: os.write(far, data))

    loop.add_reader(far, come)
    yield bus
    loop.remove_reader(far)
    os.close(far)
    os.close(near)


def settings_of(url: str, meters: int = 1, **changes: Any) -> dict[str, Any]:
    meter = [{"address": ADDRESSES[name], "meter": name} for name in METERS[:meters]]
    bus = {"name": "block", "url": url, "timeout_s": 0.2, "pause_s": 0.0, "meter": meter, **changes}
    return {"kind": "cjt188", "name": "stairs", "bus": [bus]}


def collector_of(registry: MemoryRegistry, table: dict[str, Any]) -> Cjt188Collector:
    return Cjt188Collector(Cjt188Config.model_validate(table), registry, network(), SystemClock())


@pytest.mark.parametrize("place", PLACES)
async def test_meters_of_a_bus_are_read(place: str) -> None:
    registry = MemoryRegistry()
    async with at(place) as bus:
        bus.registers[ADDRESSES["M-000002"]] = 4242
        collector = collector_of(registry, settings_of(bus.url, 2))
        await collector.open()
        for name, value in (("M-000001", 12345.67), ("M-000002", 42.42)):
            (job,) = (job for job in collector.jobs() if job.key.endswith(ADDRESSES[name]))
            batch = await collector.collect(job)
            assert registry.table(batch) == {
                f"{name}/register_measured_m3": value,
                f"{name}/valve": 0.0,
                f"{name}/flags": 0.0,
            }
            assert set(batch.source_time) == {int(datetime(2026, 1, 15, tzinfo=UTC).timestamp()) * 1_000_000}
            assert batch.good.all()
        await collector.close()


@pytest.mark.parametrize("clock", [True, False])
async def test_a_meter_without_a_clock_is_said_to_have_none(*, clock: bool) -> None:
    registry = MemoryRegistry()
    async with at("tcp") as bus:
        bus.clock = "00000000000000"
        collector = collector_of(registry, settings_of(bus.url, clock=clock))
        await collector.open()
        batch = await collector.collect(collector.jobs()[0])
        assert list(batch.source_time) == list(batch.received_time)
        wanted = quality(Severity.UNCERTAIN, Reason.NO_SOURCE_TIME) if clock else quality(Severity.GOOD)
        assert set(batch.quality) == {wanted}
        await collector.close()


@pytest.mark.parametrize("place", PLACES)
async def test_a_silent_meter_is_lost_and_found_and_the_others_stay(place: str) -> None:
    registry = MemoryRegistry()
    async with at(place) as bus:
        bus.silent.add(ADDRESSES["M-000001"])
        collector = collector_of(registry, settings_of(bus.url, 2))
        await collector.open()
        first, second = collector.jobs()
        with pytest.raises(TransientError):
            await collector.collect(first)
        assert (await collector.collect(second)).good.all()
        bus.silent.clear()
        assert (await collector.collect(first)).good.all()
        assert set(registry.table(collector.silent(first, 5)).values()) == {Reason.NO_REPLY}
        assert len(collector.silent(first, 5)) == 3
        await collector.close()


async def test_what_a_meter_cannot_do_is_its_own_fault() -> None:
    registry = MemoryRegistry()
    async with at("tcp") as bus:
        bus.fault = True
        collector = collector_of(registry, settings_of(bus.url))
        await collector.open()
        batch = await collector.collect(collector.jobs()[0])
        assert set(registry.table(batch).values()) == {Reason.DEVICE_FAULT}
        await collector.close()


async def test_the_runner_polls_a_bus_beside_a_dead_meter() -> None:
    registry = MemoryRegistry()
    good: dict[str, int] = {}
    async with at("tcp") as bus:
        bus.silent.add(ADDRESSES["M-000001"])
        collector = collector_of(registry, settings_of(bus.url, 3, every_s=0.2, timeout_s=0.1))

        async def put(delivery: Delivery) -> None:
            for name, row in zip(registry.names(delivery.batch.point), delivery.batch.good, strict=True):
                good[name] = good.get(name, 0) + int(row)

        task = asyncio.create_task(PollRunner(collector, put, SystemClock()).run())
        await asyncio.sleep(2.0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert good["M-000001/valve"] == 0
    assert min(good["M-000002/valve"], good["M-000003/valve"]) >= 5


async def test_a_probe_shows_the_frame_and_the_values() -> None:
    async with at("tcp") as bus:
        config = Cjt188Config.model_validate(settings_of(bus.url, 2))
        probe = await probe_cjt188(config, network(), f"stairs/block/{ADDRESSES['M-000002']}")
        assert (probe.error, probe.frame[:2], probe.frame[-1:]) == ("", b"\x68\x30", b"\x16")
        assert next((one.point, one.value) for one in probe.readings) == ("M-000002/register_measured_m3", 12345.67)
        bus.silent.update(ADDRESSES.values())
        probe = await probe_cjt188(config, network(), f"stairs/block/{ADDRESSES['M-000001']}")
        assert "does not answer" in probe.error
        assert (probe.frame, probe.readings) == (b"", ())
    with pytest.raises(ConfigError, match="there is no meter stairs/block/1: there are stairs/block/11112"):
        await probe_cjt188(config, network(), "stairs/block/1")


async def test_a_bus_that_stays_as_it_is_keeps_its_connection() -> None:
    registry = MemoryRegistry()
    async with at("tcp") as bus:
        table = settings_of(bus.url)
        collector = collector_of(registry, table)
        await collector.open()
        await collector.collect(collector.jobs()[0])
        other = settings_of(bus.url, 2)["bus"][0]
        table["bus"].append({**other, "name": "second", "meter": other["meter"][1:]})
        change = collector.reconfigure(Cjt188Config.model_validate(table), network())
        assert change.links == {"stairs/second"}
        await change.apply()
        for job in collector.jobs():
            assert (await collector.collect(job)).good.all()
        assert bus.connections == 2
        change = collector.reconfigure(Cjt188Config.model_validate(settings_of(bus.url, every_s=60)), network())
        assert change.links == {"stairs/second", "stairs/block"}
        await collector.close()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"url": "tcp://192.0.2.1"}, "leads to no bus"),
        ({"url": "rtu:///dev/ttyS0"}, "leads to no bus"),
        ({"serial": {"baud": 1200}}, "serial is for"),
        ({"zone": "Asia/Nowhere"}, "no time zone"),
        ({"meter": [{"address": "1", "meter": "M-000001"}]}, "pattern"),
        ({"meter": [{"address": "11112000123456", "meter": "M-000001"}] * 2}, "appears twice"),
    ],
)
def test_a_wrong_bus_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        Cjt188Config.model_validate(settings_of(**{"url": "tcp://192.0.2.1:4001", **changes}))


def test_an_unknown_meter_is_named() -> None:
    table = settings_of("tcp://192.0.2.1:4001", meter=[{"address": "11112000123456", "meter": "M-999999"}])
    with pytest.raises(ConfigError, match=r"bus block: meter M-999999 is not in meters\.csv"):
        collector_of(MemoryRegistry(), table)
