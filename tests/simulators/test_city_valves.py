"""Valves of the simulated city, told over Modbus by pymodbus."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import numpy as np
import pytest
from pymodbus.client import AsyncModbusTcpClient

from simulators.city import LIVE_START, City, Plan, demo_plan
from simulators.customers import HEATED
from simulators.faults import HOUR_US, Fault, FaultKind
from simulators.live.devices import LinkPlan, build_servers, plan_links
from simulators.valves import TRAVEL_US, Closure, Valves

LIVE_US = int(LIVE_START.timestamp()) * 1_000_000


@dataclass
class Served:
    city: City
    links: dict[str, LinkPlan]
    now_us: int = LIVE_US + 1_235_000_000


@pytest.fixture
async def served(free_port: Callable[[], int]) -> AsyncIterator[Served]:
    plan = demo_plan(5, 8)
    wanted = ("reg-001", "concentrators")
    links = [LinkPlan(link.name, free_port(), link.units) for link in plan_links(plan, 1) if link.name in wanted]
    made = Served(City(plan), {link.name: link for link in links})
    made.city.registers(made.now_us)  # solve the pipes before somebody waits for an answer
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
    assert 0.1 < _float(words[0:2]) < 1.8


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
    valves.open_on_site("REG-001", 3_000_000)
    valves.open_on_site("REG-002", 3_000_000)
    assert told == [{"REG-001": 5, "M-000001": 9}, {"M-000001": 9}]
    assert (valves.closed_at("M-000001", 2_000_008), valves.closed_at("M-000001", 2_000_009)) == (None, 2_000_009)
    assert valves.closures() == (Closure("REG-001", 2_000_005, 3_000_000), Closure("M-000001", 2_000_009))


def test_what_a_closed_meter_does_not_use_is_not_supplied() -> None:
    plan = demo_plan(5, 8)
    closed_us, opened_us = LIVE_US + 1_235_000_000, LIVE_US + 40 * HOUR_US + 7_000_000
    column = ic_column(plan)
    meter, zone = plan.customers.meters[column].meter_id, plan.customers.zone[column]
    valves = Valves()
    city, untouched = City(plan, (), valves), City(plan)
    valves.order_closed(meter, closed_us - TRAVEL_US)
    moments = np.array([LIVE_US, closed_us, closed_us + 1_800_000_000, opened_us, opened_us + 9 * HOUR_US])
    for _ in ("while closed", "after a crew has opened it"):
        register, supply = city.registers(moments).customer[:, column], city.registers(moments).supply[:, zone]
        free = untouched.registers(moments)
        # a diaphragm meter counts about 0.9 for each base m3, by its gas
        missing, held = free.customer[:, column] - register, free.supply[:, zone] - supply
        assert np.allclose(missing[:2], 0.0)
        assert np.allclose(held[:2], 0.0)
        assert np.allclose(register[1:4], register[1])
        assert held[3] > held[2] > 0.0
        assert np.allclose(held[1:] * 0.9, missing[1:], rtol=0.12)
        others = [n for n in range(len(plan.ground.regulator_zones)) if n != zone]
        assert np.array_equal(city.registers(moments).supply[:, others], free.supply[:, others])
        valves.open_on_site(meter, opened_us)
    assert register[4] > register[3]
    # the pipes hold as much again once it is open
    assert np.isclose(held[4], held[3], atol=0.02)


def test_the_flow_falls_with_the_supply_and_a_restart_finds_the_same() -> None:
    plan = demo_plan(5, 8)
    column = ic_column(plan)
    meter, zone = plan.customers.meters[column].meter_id, plan.customers.zone[column]
    closed, now = LIVE_US - TRAVEL_US, LIVE_US + 100 * HOUR_US
    city, untouched = City(plan, (), Valves({meter: closed})), City(plan)
    hours = np.arange(LIVE_US, now, HOUR_US)
    fall = (untouched.supply_flow_m3h(hours) - city.supply_flow_m3h(hours))[:, zone]
    held = untouched.registers(now).supply[zone] - city.registers(now).supply[zone]
    assert np.isclose(fall.sum(), held)
    assert np.array_equal(City(plan, (), Valves({meter: closed})).registers(now).supply, city.registers(now).supply)
    assert city.supply_flow_m3h(np.array([LIVE_US - HOUR_US])) == pytest.approx(
        untouched.supply_flow_m3h(np.array([LIVE_US - HOUR_US]))
    )


def ic_column(plan: Plan) -> int:
    """Return the heated home with a card whose winter use is greatest."""
    customers = plan.customers
    return int(np.where(customers.ic_card & (customers.kind == HEATED), customers.winter_m3_d(), 0.0).argmax())


def _float(words: list[int]) -> float:
    return float(AsyncModbusTcpClient.convert_from_registers(words, AsyncModbusTcpClient.DATATYPE.FLOAT32))  # type: ignore[arg-type]
