from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
from pymodbus import FramerType
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusIOException

from gateway.model.quantity import Quantity
from simulators.city import LIVE_START, City, demo_plan
from simulators.faults import Fault, FaultKind
from simulators.live.devices import LinkPlan, build_servers, plan_links
from simulators.story import past_faults
from tests.collectors.peers import cable
from tests.services import need

LIVE_US = int(LIVE_START.timestamp()) * 1_000_000


@dataclass
class Served:
    city: City
    links: dict[str, LinkPlan]
    now_us: int = LIVE_US + 1_235_000_000


@pytest.fixture
async def served(free_port: Callable[[], int]) -> AsyncIterator[Served]:
    plan = demo_plan(5, 8)
    links = [LinkPlan(link.name, free_port(), link.units) for link in plan_links(plan, 1)]
    made = Served(City(plan, past_faults(plan)), {link.name: link for link in links})
    made.city.registers(made.now_us)  # solve the pipes before somebody waits for an answer
    servers = build_servers(made.city, lambda: made.now_us, links)
    for server in servers:
        await server.start()
    yield made
    for server in servers:
        await server.stop()


async def _mbpoll(port: int, unit: int, table: str, first: int, count: int) -> list[int]:
    """Read registers with a program that shares no code with us; `table` is its type, 3 = input, 4 = holding."""
    place = ["-m", "tcp", "-p", str(port), "127.0.0.1"]
    output = await _run_mbpoll("-a", str(unit), "-t", table, "-0", "-r", str(first), "-c", str(count), "-1", *place)
    return _words(output)


async def _run_mbpoll(*words: str) -> str:
    process = await asyncio.create_subprocess_exec(
        need("mbpoll"), *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60.0)
    return output.decode()


def _words(output: str) -> list[int]:
    return [int(match) & 0xFFFF for match in re.findall(r"^\[\d+\]:\s+(-?\d+)", output, re.MULTILINE)]


async def test_mbpoll_reads_what_the_physics_say(served: Served) -> None:
    for name in ("s-01", "reg-002"):
        link = served.links[name]
        words = await _mbpoll(link.port, 1, "3", 0, 9)
        shown = served.city.station_values(served.now_us)[link.units[0].asset]
        assert _float(words[0:2]) == pytest.approx(shown[Quantity.PRESSURE_GAUGE_KPA], rel=1e-6)
        assert _float(words[3:1:-1]) == pytest.approx(shown[Quantity.INLET_PRESSURE_GAUGE_KPA], rel=1e-6)
        assert _float(words[4:6]) == pytest.approx(shown[Quantity.FLOW_BASE_M3H], rel=1e-6)
        assert words[6] == round(shown[Quantity.TEMPERATURE_C] * 10)
        assert words[7] == round(shown[Quantity.GAS_LEL_PCT] * 10)
        assert words[8] == 1


async def test_mbpoll_reads_every_corrector_and_ic_card_register(served: Served) -> None:
    registers = served.city.registers(served.now_us)
    port = served.links["correctors"].port
    for number in (1, 2, 3):
        words = await _mbpoll(port, number, "4", 100, 20)
        assert words[1] << 16 | words[0] == int(registers.supply[number - 1] * 100.0 + 1e-6)
        pressure = served.city.pressure_kpa(np.array([served.now_us]))[0, number - 1]
        assert _float(words[10:12]) == pytest.approx(pressure + 101.325, rel=1e-6)
    shown, (left, bought) = served.city.shown(registers), served.city.credit(registers)
    column = {meter.meter_id: n for n, meter in enumerate(served.city.plan.customers.meters)}
    link = served.links["concentrators"]
    for unit in link.units:
        words = []
        for first in range(0, len(unit.members) * 10, 120):
            words += await _mbpoll(link.port, unit.unit, "4", 1000 + first, 120)
        for slot, member in enumerate(unit.members):
            block, at = words[10 * slot : 10 * slot + 9], column[member]
            assert block[0] << 16 | block[1] == round(shown[at] * 1000)
            assert (block[2] << 16 | block[3]) / 100 == pytest.approx(left[at] % (2**32 / 100), abs=0.006)
            assert (block[4] << 16 | block[5]) / 100 == pytest.approx(bought[at], abs=0.006)
            assert block[6:9] == [1, 0, 600]


@pytest.fixture
async def line_end(free_port: Callable[[], int]) -> AsyncIterator[str]:
    """The path of a serial line at whose other end a city's correctors hang."""
    plan = demo_plan(5, 8)
    city = City(plan, past_faults(plan))
    links = [replace(link, port=free_port()) for link in plan_links(plan, 1) if link.name == "correctors"]
    city.registers(LIVE_US)
    (server,) = build_servers(city, lambda: LIVE_US, links)
    server.framer = FramerType.RTU
    await server.start()
    async with cable(server.port) as path:
        yield path
    await server.stop()


async def test_mbpoll_reads_a_corrector_on_a_serial_line(line_end: str) -> None:
    line = ["-m", "rtu", "-b", "19200", "-P", "even", "-0", "-1", "-o", "0.5"]
    output = await _run_mbpoll(*line, "-a", "1", "-t", "4", "-r", "100", "-c", "20", line_end)
    plan = demo_plan(5, 8)
    supply = City(plan, past_faults(plan)).registers(LIVE_US).supply[0]
    words = _words(output)
    assert len(words) == 20, output
    assert words[1] << 16 | words[0] == int(supply * 100.0 + 1e-6)
    silent = await _run_mbpoll(*line, "-a", "99", "-t", "4", "-r", "100", "-c", "1", line_end)
    assert "timed out" in silent, silent
    refused = await _run_mbpoll(*line, "-a", "1", "-t", "4", "-r", "9000", "-c", "1", line_end)
    assert "Illegal data address" in refused, refused


async def test_pymodbus_sees_registers_move_with_city_time(served: Served) -> None:
    port = served.links["correctors"].port
    async with AsyncModbusTcpClient("127.0.0.1", port=port, timeout=2) as client:
        first = await client.read_holding_registers(100, count=2, device_id=1)
        served.now_us += 600_000_000
        second = await client.read_holding_registers(100, count=2, device_id=1)
        wrong = await client.read_holding_registers(900, count=2, device_id=1)
    steps = (second.registers[1] - first.registers[1]) * 65536 + second.registers[0] - first.registers[0]
    flow = served.city.registers(served.now_us).supply[0] - served.city.registers(served.now_us - 600_000_000).supply[0]
    assert steps / 100 == pytest.approx(flow, abs=0.011)
    assert steps > 0
    assert wrong.isError()
    assert wrong.exception_code == 2


async def test_a_silent_station_accepts_and_says_nothing(served: Served) -> None:
    link = served.links["s-02"]
    quiet = Fault("q", FaultKind.SILENT, "S-02", served.now_us, served.now_us + 60_000_000)
    served.city.replace_faults([*served.city.faults, quiet])
    async with AsyncModbusTcpClient("127.0.0.1", port=link.port, timeout=0.3, retries=0) as client:
        assert client.connected
        with pytest.raises(ModbusIOException):
            await client.read_input_registers(0, count=2, device_id=1)
    served.now_us += 60_000_000
    async with AsyncModbusTcpClient("127.0.0.1", port=link.port, timeout=2) as client:
        answer = await client.read_input_registers(0, count=2, device_id=1)
    assert _float(answer.registers) == pytest.approx(350.0, rel=0.05)


async def test_writing_is_refused(served: Served) -> None:
    async with AsyncModbusTcpClient("127.0.0.1", port=served.links["correctors"].port, timeout=2) as client:
        assert (await client.write_register(100, 0, device_id=1)).isError()


def _float(words: list[int]) -> float:
    return float(AsyncModbusTcpClient.convert_from_registers(words, AsyncModbusTcpClient.DATATYPE.FLOAT32))  # type: ignore[arg-type]
