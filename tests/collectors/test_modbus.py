import asyncio
import struct
import time
from pathlib import Path
from typing import Any

import pytest
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from gateway.errors import TransientError
from gateway.model.reading import Reason
from gateway.runtime.clock import ManualClock
from tests.collectors.devices import MEMORY, Question, honest, in_turn, running, words
from tests.collectors.sites import METERS, START_US, MemoryRegistry, link, modbus, opened, write_profile

REGISTER, BALANCE, FLOW, VALVE = (
    "M-000001/register_measured_m3",
    "M-000001/balance_m3",
    "M-000001/flow_measured_m3h",
    "M-000001/valve",
)


@pytest.fixture
def registry() -> MemoryRegistry:
    return MemoryRegistry()


@pytest.fixture
def unit(tmp_path: Path) -> dict[str, Any]:
    return {"unit": 1, "profile": write_profile(tmp_path), "asset": "M-000001"}


async def test_one_request_brings_all_points(registry: MemoryRegistry, unit: dict[str, Any]) -> None:
    clock = ManualClock(START_US)
    async with running(honest) as device, opened(modbus(registry, link(device.port, unit), clock=clock)) as collector:
        (job,) = collector.jobs()
        batch = await collector.collect(job)
    assert registry.table(batch) == {REGISTER: 1234.567, BALANCE: -12.34, FLOW: 4.2, VALVE: 1.0}
    assert set(batch.source_time) == set(batch.received_time) == {START_US}
    assert [(one.function, one.start, one.count) for one in device.asked] == [(3, 10, 12)]
    assert (job.key, job.link, job.period_s) == ("site/a/1", "site/a", 60.0)
    assert 0 <= job.phase_s < 60


async def test_a_station_behind_a_pymodbus_server(registry: MemoryRegistry, free_port: Any) -> None:
    port = free_port()
    replies = [0x4020, 0x0000, 0x0000, 0x437A, 0x449A, 0x5000, 0xFFCB, 0x002A, 0x0003]
    data = SimData(0, values=replies, datatype=DataType.REGISTERS)
    server = ModbusTcpServer(SimDevice(3, simdata=[data]), address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    try:
        unit = {"unit": 3, "profile": "station_rtu", "asset": "S-01"}
        async with opened(modbus(registry, link(port, unit))) as collector:
            batch = await collector.collect(collector.jobs()[0])
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]
    assert registry.table(batch) == {
        "S-01/pressure_gauge_kpa": 2.5,
        "S-01/inlet_pressure_gauge_kpa": 250.0,
        "S-01/flow_base_m3h": 1234.5,
        "S-01/temperature_c": -5.3,
        "S-01/gas_lel_pct": 4.2,
        "S-01/valve": 1.0,
    }


async def test_members_of_a_concentrator(registry: MemoryRegistry) -> None:
    def answer(question: Question) -> bytes:
        return question.registers(
            [address % 1000 for address in range(question.start, question.start + question.count)]
        )

    unit = {"unit": 1, "profile": "ic_card_concentrator", "members": ["M-000001", "", *METERS[2:30]]}
    async with running(answer) as device, opened(modbus(registry, link(device.port, unit))) as collector:
        table = registry.table(await collector.collect(collector.jobs()[0]))
    assert table["M-000003/purchased_m3"] == ((24 << 16) + 25) / 100
    assert "M-000002/valve" not in table
    assert len(table) == 29 * 6
    assert len(device.asked) == 3
    assert sum(one.count for one in device.asked) <= 300


async def test_points_are_read_as_often_as_their_profile_says(registry: MemoryRegistry, tmp_path: Path) -> None:
    unit = {"unit": 1, "profile": write_profile(tmp_path, more=", every_s = 180"), "asset": "M-000001"}
    clock = ManualClock(START_US)
    async with running(honest) as device, opened(modbus(registry, link(device.port, unit), clock=clock)) as collector:
        (job,) = collector.jobs()
        seen = []
        for _ in range(6):
            seen.append(VALVE in registry.table(await collector.collect(job)))
            clock.advance(60)
    assert seen.count(True) == 2 + (seen[0] and not seen[3])
    assert len(device.asked) == 6


async def test_what_was_due_stays_due_after_a_silence(registry: MemoryRegistry, unit: dict[str, Any]) -> None:
    replies = iter([None, b"x"])
    async with running(lambda q: honest(q) if next(replies) else None) as device:
        clock = ManualClock(START_US)
        async with opened(modbus(registry, link(device.port, unit, timeout_s=0.1), clock=clock)) as collector:
            with pytest.raises(TransientError, match="unit 1 does not answer"):
                await collector.collect(collector.jobs()[0])
            assert len(await collector.collect(collector.jobs()[0])) == 4
    assert device.connections == 2


@pytest.mark.parametrize("holes", [{11}, {12, 13}, {20}, {10, 21}, {10, 12, 20, 21}])
async def test_an_illegal_address_costs_only_its_own_point(
    registry: MemoryRegistry, unit: dict[str, Any], holes: set[int]
) -> None:
    def answer(question: Question) -> bytes:
        touched = holes & set(range(question.start, question.start + question.count))
        return question.refusal(2) if touched else honest(question)

    clock = ManualClock(START_US)
    places = {REGISTER: {10, 11}, BALANCE: {12, 13}, FLOW: {20}, VALVE: {21}}
    good = {REGISTER: 1234.567, BALANCE: -12.34, FLOW: 4.2, VALVE: 1.0}
    wanted = {point: Reason.ILLEGAL_ADDRESS if place & holes else good[point] for point, place in places.items()}
    async with running(answer) as device, opened(modbus(registry, link(device.port, unit), clock=clock)) as collector:
        (job,) = collector.jobs()
        assert registry.table(await collector.collect(job)) == wanted
        clock.advance(60)
        device.asked.clear()
        assert registry.table(await collector.collect(job)) == wanted
        assert len(device.asked) <= 2
        assert not any(holes & set(range(one.start, one.start + one.count)) for one in device.asked)
        holes.clear()
        clock.advance(86_400)
        assert registry.table(await collector.collect(job)) == good


async def test_a_gap_that_cannot_be_read_through_is_found(registry: MemoryRegistry, unit: dict[str, Any]) -> None:
    def answer(question: Question) -> bytes:
        return question.refusal(2) if question.start <= 15 < question.start + question.count else honest(question)

    clock = ManualClock(START_US)
    async with running(answer) as device, opened(modbus(registry, link(device.port, unit), clock=clock)) as collector:
        (job,) = collector.jobs()
        assert len(registry.table(await collector.collect(job))) == 4
        clock.advance(60)
        device.asked.clear()
        assert registry.table(await collector.collect(job))[FLOW] == 4.2
        assert [(one.start, one.count) for one in device.asked] == [(10, 4), (20, 2)]


async def test_a_search_with_many_holes_goes_on_in_the_next_polls(registry: MemoryRegistry) -> None:
    holes = set(range(1000, 1300, 30)) | {1003, 1017}

    def answer(question: Question) -> bytes:
        cells = range(question.start, question.start + question.count)
        return question.refusal(2) if holes & set(cells) else question.registers([1] * question.count)

    clock = ManualClock(START_US)
    unit = {"unit": 1, "profile": "ic_card_concentrator", "members": list(METERS)}
    async with running(answer) as device, opened(modbus(registry, link(device.port, unit), clock=clock)) as collector:
        (job,) = collector.jobs()
        seen: dict[str, Any] = {}
        for _ in range(15):
            device.asked.clear()
            seen |= registry.table(await collector.collect(job))
            assert len(device.asked) <= 3 + 2 * len(holes) + 16
            if len(seen) == 180 and not any(
                holes & set(range(one.start, one.start + one.count)) for one in device.asked
            ):
                break
            clock.advance(900)
        else:
            pytest.fail("the search does not end")
    bad = {point for point, value in seen.items() if value is Reason.ILLEGAL_ADDRESS}
    assert len(bad) == len(holes)
    assert "M-000001/register_measured_m3" in bad
    assert "M-000001/purchased_m3" not in bad


@pytest.mark.parametrize(
    ("code", "reason"), [(1, Reason.DEVICE_FAULT), (4, Reason.DEVICE_FAULT), (6, Reason.DEVICE_BUSY)]
)
async def test_other_refusals_are_the_reason(
    registry: MemoryRegistry, unit: dict[str, Any], code: int, reason: Reason
) -> None:
    async with (
        running(lambda q: q.refusal(code)) as device,
        opened(modbus(registry, link(device.port, unit))) as collector,
    ):
        table = registry.table(await collector.collect(collector.jobs()[0]))
    assert table == dict.fromkeys((REGISTER, BALANCE, FLOW, VALVE), reason)
    assert device.connections == 1


async def test_a_busy_device_is_asked_once_more(registry: MemoryRegistry, unit: dict[str, Any]) -> None:
    turns = iter([True, False])
    async with (
        running(lambda q: q.refusal(6) if next(turns) else honest(q)) as device,
        opened(modbus(registry, link(device.port, unit))) as collector,
    ):
        assert registry.table(await collector.collect(collector.jobs()[0]))[FLOW] == 4.2


async def test_a_converter_that_finds_nobody_is_silence(registry: MemoryRegistry, unit: dict[str, Any]) -> None:
    async with (
        running(lambda q: q.refusal(11)) as device,
        opened(modbus(registry, link(device.port, unit))) as collector,
    ):
        with pytest.raises(TransientError, match="converter"):
            await collector.collect(collector.jobs()[0])


WRONG = {
    "other function": lambda q: q.frame(struct.pack(">BB12H", 4, 24, *words(q))),
    "unknown function": lambda q: q.frame(bytes([0x55, 1, 2, 3])),
    "refusal of another function": lambda q: q.frame(bytes([0x84, 2])),
    "too few registers": lambda q: q.registers(words(q)[:-1]),
    "too many registers": lambda q: q.registers([*words(q), 0]),
    "count does not fit its bytes": lambda q: q.frame(bytes([3, 24, 0, 1])),
    "no transaction id": lambda q: q.frame(struct.pack(">BB12H", 3, 24, *words(q)), transaction=0),
    "another unit": lambda q: q.frame(struct.pack(">BB12H", 3, 24, *words(q)), unit=9),
    "not Modbus": lambda _: b"HTTP/1.1 400 Bad Request\r\n\r\n",
}


@pytest.mark.parametrize("kind", WRONG)
async def test_a_wrong_reply_is_never_a_reading(registry: MemoryRegistry, unit: dict[str, Any], kind: str) -> None:
    answers = (WRONG[kind], honest)
    async with running(in_turn(*answers)) as device:
        clock = ManualClock(START_US)
        async with opened(modbus(registry, link(device.port, unit), clock=clock)) as collector:
            table = registry.table(await collector.collect(collector.jobs()[0]))
            assert table == dict.fromkeys((REGISTER, BALANCE, FLOW, VALVE), Reason.WRONG_REPLY)
            clock.advance(60)
            assert registry.table(await collector.collect(collector.jobs()[0]))[REGISTER] == 1234.567
    assert device.connections == 2


async def test_a_late_reply_does_not_answer_the_next_question(registry: MemoryRegistry, unit: dict[str, Any]) -> None:
    async def late(question: Question) -> bytes:
        await asyncio.sleep(0.25)
        return question.registers([7] * question.count)

    answers = (late, honest)
    async with running(in_turn(*answers)) as device:
        clock = ManualClock(START_US)
        async with opened(modbus(registry, link(device.port, unit, timeout_s=0.15), clock=clock)) as collector:
            with pytest.raises(TransientError):
                await collector.collect(collector.jobs()[0])
            await asyncio.sleep(0.2)
            assert registry.table(await collector.collect(collector.jobs()[0]))[REGISTER] == 1234.567


async def test_a_foreign_frame_before_the_reply_is_stepped_over(registry: MemoryRegistry, unit: dict[str, Any]) -> None:
    def answer(question: Question) -> bytes:
        return question.frame(b"\x03\x02\x00\x09", transaction=question.transaction + 7) + honest(question)

    async with running(answer) as device, opened(modbus(registry, link(device.port, unit))) as collector:
        assert registry.table(await collector.collect(collector.jobs()[0]))[REGISTER] == 1234.567


async def test_a_cut_connection_is_noticed_at_once(registry: MemoryRegistry, unit: dict[str, Any]) -> None:
    def hang_up(_: Question) -> bytes:
        raise ConnectionResetError

    async with (
        running(hang_up) as device,
        opened(modbus(registry, link(device.port, unit, timeout_s=60.0))) as collector,
    ):
        began = time.monotonic()
        with pytest.raises(TransientError):
            await collector.collect(collector.jobs()[0])
        assert time.monotonic() - began < 30


async def test_a_closed_port_is_transient(registry: MemoryRegistry, unit: dict[str, Any], free_port: Any) -> None:
    async with opened(modbus(registry, link(free_port(), unit))) as collector:
        with pytest.raises(TransientError, match="no connection"):
            await collector.collect(collector.jobs()[0])


async def test_a_cancelled_poll_returns_quickly(registry: MemoryRegistry, unit: dict[str, Any]) -> None:
    async with (
        running(lambda _: None) as device,
        opened(modbus(registry, link(device.port, unit, timeout_s=30.0))) as collector,
    ):
        poll = asyncio.create_task(collector.collect(collector.jobs()[0]))
        async with asyncio.timeout(60):
            while not device.asked:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        began = time.monotonic()
        poll.cancel()
        with pytest.raises(asyncio.CancelledError):
            await poll
        assert time.monotonic() - began < 15


async def test_half_a_reply_keeps_what_came(registry: MemoryRegistry) -> None:
    def answer(question: Question) -> bytes | None:
        return question.registers([1] * question.count) if question.start < 1050 else None

    unit = {"unit": 1, "profile": "ic_card_concentrator", "members": list(METERS)}
    async with running(answer) as device, opened(modbus(registry, link(device.port, unit, timeout_s=0.1))) as collector:
        table = registry.table(await collector.collect(collector.jobs()[0]))
    assert len(table) == 180
    assert table["M-000001/balance_m3"] == 655.37
    assert table["M-000030/balance_m3"] is Reason.NO_REPLY
    assert len(device.asked) == 2


async def test_silence_has_a_row_for_every_point(registry: MemoryRegistry, unit: dict[str, Any]) -> None:
    async with opened(modbus(registry, link(1, unit))) as collector:
        batch = collector.silent(collector.jobs()[0], START_US)
    assert registry.table(batch) == dict.fromkeys((REGISTER, BALANCE, FLOW, VALVE), Reason.NO_REPLY)
    assert set(batch.source_time) == {START_US}


IDENTITY = 'identity = { at = "holding:40", type = "text4" }'


async def test_a_swapped_meter_does_not_feed_another_customers_register(
    registry: MemoryRegistry, tmp_path: Path
) -> None:
    serial = {40: 0x4142, 41: 0x3132}

    def answer(question: Question) -> bytes:
        cells = range(question.start, question.start + question.count)
        return question.registers([{**MEMORY, **serial}.get(address, 0) for address in cells])

    unit = {"unit": 1, "profile": write_profile(tmp_path, tail=IDENTITY), "asset": "M-000001", "identity": "AB12"}
    clock = ManualClock(START_US)
    async with running(answer) as device, opened(modbus(registry, link(device.port, unit), clock=clock)) as collector:
        (job,) = collector.jobs()
        assert registry.table(await collector.collect(job))[REGISTER] == 1234.567
        serial[41] = 0x3939
        clock.advance(3600)
        assert set(registry.table(await collector.collect(job)).values()) == {Reason.IDENTITY}
