"""Valves of the simulated city, told over Modbus by pymodbus."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import pytest
from pymodbus.client import AsyncModbusTcpClient

from simulators.city import LIVE_START, City, demo_plan
from simulators.devices import LinkPlan, build_servers, plan_links
from simulators.faults import Fault, FaultKind
from simulators.valves import Valves

LIVE_US = int(LIVE_START.timestamp()) * 1_000_000


@dataclass
class Served:
    city: City
    links: dict[str, LinkPlan]
    now_us: int = LIVE_US + 1_234_567_890


@pytest.fixture
async def served(free_port: Callable[[], int]) -> AsyncIterator[Served]:
    plan = demo_plan(5, 8)
    wanted = ("reg-001", "concentrators")
    links = [LinkPlan(link.name, free_port(), link.units) for link in plan_links(plan, 1) if link.name in wanted]
    made = Served(City(plan), {link.name: link for link in links})
    servers = build_servers(made.city, lambda: made.now_us, links)
    for server in servers:
        await server.start()
    yield made
    for server in servers:
        await server.stop()


async def test_an_ic_card_meter_closes_and_its_register_rests(served: Served) -> None:
    link = served.links["concentrators"]
    async with AsyncModbusTcpClient("127.0.0.1", port=link.port, timeout=2) as client:

        async def slot(number: int) -> list[int]:
            return list((await client.read_holding_registers(1000 + 10 * number, count=9, device_id=1)).registers)

        wrong = await client.write_register(1039, 1, device_id=1)
        done = await client.write_register(1039, 0x00C5, device_id=1)
        assert (wrong.exception_code, done.registers) == (3, [0x00C5])
        moving = await slot(3)
        served.now_us += 2_000_000
        closed, other = await slot(3), await slot(4)
        served.now_us += 20 * 86_400_000_000
        later, other_later = await slot(3), await slot(4)
    assert (moving[6], closed[6], other[6]) == (1, 0, 1)
    assert later == closed
    assert other_later != other


async def test_a_regulator_trips_only_by_the_right_order_and_loses_its_pressure(served: Served) -> None:
    link = served.links["reg-001"]
    async with AsyncModbusTcpClient("127.0.0.1", port=link.port, timeout=2) as client:
        assert (await client.write_coil(0, False, device_id=1)).exception_code == 3
        assert (await client.write_coil(1, True, device_id=1)).exception_code == 2
        assert not (await client.write_coil(0, True, device_id=1)).isError()
        served.now_us += 600_000_000
        words = (await client.read_input_registers(0, count=9, device_id=1)).registers
    assert words[8] == 0
    assert _float(words[4:6]) == 0.0
    assert 0.5 < _float(words[0:2]) < 1.5


async def test_a_stuck_valve_says_yes_and_stays_open(served: Served) -> None:
    served.city.replace_faults([*served.city.faults, Fault("v", FaultKind.STUCK_VALVE, "REG-001", served.now_us)])
    async with AsyncModbusTcpClient("127.0.0.1", port=served.links["reg-001"].port, timeout=2) as client:
        assert not (await client.write_coil(0, True, device_id=1)).isError()
        served.now_us += 60_000_000
        assert (await client.read_input_registers(8, count=1, device_id=1)).registers == [1]


def test_closed_valves_are_told_of_and_opened_on_site_only() -> None:
    told: list[dict[str, int]] = []
    valves = Valves({"REG-001": 5}, lambda: told.append(dict(valves.closed)))
    valves.order_closed("REG-001", 9)
    valves.order_closed("M-000001", 9)
    valves.open_on_site("REG-001")
    valves.open_on_site("REG-002")
    assert told == [{"REG-001": 5, "M-000001": 9}, {"M-000001": 9}]
    assert (valves.closed_at("M-000001", 2_000_008), valves.closed_at("M-000001", 2_000_009)) == (None, 2_000_009)


def _float(words: list[int]) -> float:
    return float(AsyncModbusTcpClient.convert_from_registers(words, AsyncModbusTcpClient.DATATYPE.FLOAT32))  # type: ignore[arg-type]
