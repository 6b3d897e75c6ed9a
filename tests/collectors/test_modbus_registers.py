"""Registers that say something about others: exponents, clocks, serial numbers; and devices without transaction ids."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from collectors.decode import check_golden, make_clock_decoder
from collectors.modbus import ModbusCollector
from gateway.errors import ConfigError, TransientError
from gateway.model.profile import ClockRegister
from gateway.model.reading import ReadingBatch, Reason, Severity, quality
from gateway.profiles import parse_profile
from gateway.runtime.clock import ManualClock
from tests.collectors.devices import Device, Question, running
from tests.collectors.sites import MemoryRegistry, link, modbus

START_US = 1_768_435_200_000_000
PROFILE = """
name = "corrector"
description = "hourly registers with their time, a pressure with its exponent, a mode of three bits"
max_gap = 20
identity = { at = "holding:40", type = "uint16" }
point = [
  { quantity = "register_measured_m3", at = "holding:10", type = "uint32", together = "hour" },
  { quantity = "register_base_m3", at = "holding:12", type = "uint32", exponent = "holding:17", together = "hour" },
  { quantity = "pressure_gauge_kpa", at = "holding:20", type = "uint16", exponent = "holding:21", offset = -101.325 },
  { quantity = "flags", at = "holding:22", type = "bit", bit = 4, bits = 3 },
]
time = [{ together = "hour", at = "holding:14", type = "bcd12", zone = "Asia/Shanghai" }]
[[golden]]
ask = "03 000A 000D"
reply = "03 1A 0000 0005 0000 04D2 2601 1508 0000 FFFE 0000 0000 8C6E FFFE 00D0"
[golden.gives]
register_measured_m3 = 5
register_base_m3 = 12.34
"register_base_m3@" = 1768435200
pressure_gauge_kpa = 258.175
flags = 5
"""
HOUR = (0x2601, 0x1508, 0x0000)


@dataclass
class Registers:
    cells: dict[int, int] = field(
        default_factory=lambda: {11: 5, 13: 1234, 17: 0xFFFE, 20: 35950, 21: 0xFFFE, 22: 0xD0, 40: 77}
    )

    def set_clock(self, words: tuple[int, ...]) -> None:
        self.cells.update(zip((14, 15, 16), words, strict=True))

    def answer(self, question: Question) -> bytes:
        return question.registers([self.cells.get(question.start + place, 0) for place in range(question.count)])


@asynccontextmanager
async def site(
    folder: Path, registers: Registers, identity: str = ""
) -> AsyncIterator[tuple[ModbusCollector, Device, MemoryRegistry, ManualClock]]:
    path = folder / "corrector.toml"
    path.write_text(PROFILE, encoding="utf-8")
    unit = {"unit": 1, "profile": str(path), "asset": "M-000001", "identity": identity}
    registry, clock = MemoryRegistry(), ManualClock(START_US + 7_000_000)
    async with running(registers.answer) as device:
        collector = modbus(registry, link(device.port, unit), clock=clock)
        await collector.open()
        yield collector, device, registry, clock
        await collector.close()


async def collect(collector: ModbusCollector) -> ReadingBatch:
    return await collector.collect(collector.jobs()[0])


def by_name(registry: MemoryRegistry, batch: ReadingBatch) -> dict[str, int]:
    return {name.split("/")[1]: row for row, name in enumerate(registry.names(batch.point))}


def test_golden_frames_show_exponents_bits_and_times() -> None:
    check_golden(parse_profile(PROFILE, "corrector.toml"))
    with pytest.raises(ConfigError, match=r"register_base_m3@ is 1768435200\.0, not 1768464000"):
        check_golden(parse_profile(PROFILE.replace('@" = 1768435200', '@" = 1768464000'), "corrector.toml"))


async def test_values_taken_together_have_the_time_of_the_device(tmp_path: Path) -> None:
    registers = Registers()
    registers.set_clock(HOUR)
    async with site(tmp_path, registers) as (collector, _, registry, clock):
        batch = await collect(collector)
        row = by_name(registry, batch)
        assert set(batch.source_time[[row["register_measured_m3"], row["register_base_m3"]]]) == {START_US}
        assert set(batch.source_time[[row["pressure_gauge_kpa"], row["flags"]]]) == {clock.now_us()}
        assert set(batch.received_time) == {clock.now_us()}
        values = {name: batch.value[place] for name, place in row.items()}
        assert values == pytest.approx(
            {"register_measured_m3": 5, "register_base_m3": 12.34, "pressure_gauge_kpa": 258.175, "flags": 5}
        )
        assert batch.good.all()


@pytest.mark.parametrize("words", [(0, 0, 0), (0xFFFF,) * 3, (0x2613, 0x4508, 0), (0x26A1, 0x1508, 0)])
async def test_a_clock_that_shows_no_time_makes_readings_uncertain(tmp_path: Path, words: tuple[int, ...]) -> None:
    registers = Registers()
    registers.set_clock(words)
    async with site(tmp_path, registers) as (collector, _, registry, clock):
        batch = await collect(collector)
        row = by_name(registry, batch)["register_measured_m3"]
        assert batch.source_time[row] == clock.now_us()
        assert batch.quality[row] == quality(Severity.UNCERTAIN, Reason.NO_SOURCE_TIME)
        assert batch.value[row] == 5


async def test_an_exponent_beyond_reason_is_no_value(tmp_path: Path) -> None:
    registers = Registers()
    registers.set_clock(HOUR)
    registers.cells[21] = 300
    async with site(tmp_path, registers) as (collector, _, registry, _):
        table = registry.table(await collect(collector))
        assert table["M-000001/pressure_gauge_kpa"] is Reason.OUT_OF_RANGE
        assert table["M-000001/register_measured_m3"] == 5


@pytest.mark.parametrize(
    ("register", "words", "moment"),
    [
        (ClockRegister(0, "uint32"), (0x6967, 0xE2C0), datetime(2026, 1, 14, 18, 38, 56, tzinfo=UTC)),
        (ClockRegister(0, "uint32", "CDAB"), (0xE2C0, 0x6967), datetime(2026, 1, 14, 18, 38, 56, tzinfo=UTC)),
        (ClockRegister(0, "uint64"), (0, 0, 0x6967, 0xE2C0), datetime(2026, 1, 14, 18, 38, 56, tzinfo=UTC)),
        (ClockRegister(0, "bcd12"), (0x2602, 0x2823, 0x5959), datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)),
        (ClockRegister(0, "uint32"), (0, 0), None),
        (ClockRegister(0, "uint32"), (0xFFFF, 0xFFFF), None),
        (ClockRegister(0, "bcd12"), (0x2602, 0x3023, 0x5959), None),
    ],
)
def test_clocks(register: ClockRegister, words: tuple[int, ...], moment: datetime | None) -> None:
    shown_us = make_clock_decoder(register)(words)
    assert shown_us == (None if moment is None else moment.timestamp() * 1e6)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('together = "hour", at = "holding:14"', 'together = "day", at = "holding:14"', "needs points with together"),
        ('together = "hour", at = "holding:14"', 'together = "hour", at = "input:14"', "needs points with together"),
        ('type = "bcd12", zone', 'type = "bcd8", zone', "no type of a time: allowed are uint32, uint64, bcd12"),
        ("Asia/Shanghai", "Asia/Nowhere", "no time zone"),
        ('exponent = "holding:21"', 'exponent = "input:21"', "a register of the same table"),
        ("bits = 3", "bits = 13", "16 is the last"),
        ('type = "uint16", exponent', 'type = "uint16", bits = 2, exponent', "16 is the last"),
    ],
)
def test_what_cannot_be_is_refused(old: str, new: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse_profile(PROFILE.replace(old, new), "corrector.toml")


async def test_a_device_is_identified_again_after_each_new_connection(tmp_path: Path) -> None:
    registers = Registers()
    registers.set_clock(HOUR)
    async with site(tmp_path, registers, identity="77") as (collector, device, registry, clock):
        assert (await collect(collector)).good.all()
        clock.advance(60)
        assert (await collect(collector)).good.all()
        assert [one.start for one in device.asked].count(40) == 1
        # somebody pulls the cable and connects another meter
        await collector.close()
        registers.cells[40] = 78
        clock.advance(60)
        assert set(registry.table(await collect(collector)).values()) == {Reason.IDENTITY}
        registers.cells[40] = 77
        clock.advance(30)
        assert not (await collect(collector)).good.any()
        clock.advance(60)
        assert (await collect(collector)).good.all()
        assert device.connections == 2


@pytest.mark.parametrize("allowed", [True, False])
async def test_a_device_without_transaction_ids_must_be_allowed(tmp_path: Path, *, allowed: bool) -> None:
    registers = Registers()
    delays_s: list[float] = []

    async def answer(question: Question) -> bytes:
        frame = registers.answer(question)
        if delays_s:
            await asyncio.sleep(delays_s.pop())
        return b"\0\0" + frame[2:]

    path = tmp_path / "device.toml"
    path.write_text(f"zero_transaction = {str(allowed).lower()}\n{PROFILE}", encoding="utf-8")
    registry, clock = MemoryRegistry(), ManualClock(START_US)
    async with running(answer) as device:
        unit = {"unit": 1, "profile": str(path), "asset": "M-000001"}
        collector = modbus(registry, link(device.port, unit, timeout_s=0.15), clock=clock)
        await collector.open()
        register = "M-000001/register_measured_m3"
        assert registry.table(await collect(collector))[register] == (5 if allowed else Reason.WRONG_REPLY)
        if allowed:
            # nothing but its time tells a late reply: it must not reach the next question
            delays_s.append(0.2)
            clock.advance(60)
            with pytest.raises(TransientError):
                await collect(collector)
            registers.cells[11] = 6
            assert registry.table(await collect(collector))[register] == 6
            assert device.connections == 2
        await collector.close()
