from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from collectors.modbus import ModbusCollector, make_unit
from collectors.modbus_config import LinkConfig, UnitConfig
from collectors.modbus_holes import holes_as_json, holes_from_json
from gateway.errors import TransientError
from gateway.model.reading import Reason
from gateway.runtime.clock import ManualClock
from gateway.store.memory import StateMemory
from gateway.store.state import State
from tests.collectors.devices import Question, running
from tests.collectors.sites import MemoryRegistry, link, modbus, write_profile

START_US = 1_768_435_200_000_000
FLOW = "M-000001/flow_measured_m3h"


@pytest.fixture
def unit(tmp_path: Path) -> dict[str, Any]:
    return {"unit": 1, "profile": write_profile(tmp_path), "asset": "M-000001"}


class Full:
    """A memory on a disk that is full."""

    def recall(self, owner: str) -> Mapping[str, object]:
        assert owner == "site"
        return {"site/a/1": {"profile": "test_device", "points": [[1]], "gaps": None}}

    def remember(self, owner: str, name: str, fact: Mapping[str, object]) -> None:
        raise TransientError("no room")


def refusing(*holes: int) -> Any:
    def answer(question: Question) -> bytes:
        cells = range(question.start, question.start + question.count)
        return question.refusal(2) if set(holes) & set(cells) else question.registers([1] * question.count)

    return answer


async def poll(collector: ModbusCollector, memory: Any, registry: MemoryRegistry) -> dict[str, float | Reason]:
    collector.remember_in(memory)
    await collector.open()
    try:
        return registry.table(await collector.collect(collector.jobs()[0]))
    finally:
        await collector.close()


async def test_holes_are_not_searched_again_after_a_restart_but_a_day_later(
    tmp_path: Path, unit: dict[str, Any]
) -> None:
    registry, clock = MemoryRegistry(), ManualClock(START_US)
    state = State.in_folder(tmp_path)
    async with running(refusing(15, 20)) as device:
        first = await poll(modbus(registry, link(device.port, unit), clock=clock), StateMemory(state), registry)
        assert len(device.asked) > 3
        state.close()
        device.asked.clear()
        state = State.in_folder(tmp_path)
        clock.advance(60)
        again = await poll(modbus(registry, link(device.port, unit), clock=clock), StateMemory(state), registry)
        assert again == first
        assert first[FLOW] is Reason.ILLEGAL_ADDRESS
        assert [(one.start, one.count) for one in device.asked] == [(10, 4), (21, 1)]
        device.asked.clear()
        device.answer = refusing()
        clock.advance(86_400)
        repaired = await poll(modbus(registry, link(device.port, unit), clock=clock), StateMemory(state), registry)
        assert repaired[FLOW] == pytest.approx(0.1)
        assert StateMemory(state).recall("site")["site/a/1"] == {"profile": "test_device", "points": [], "gaps": []}
    state.close()


async def test_a_memory_that_fails_costs_no_reading(unit: dict[str, Any]) -> None:
    registry = MemoryRegistry()
    async with running(refusing(20)) as device:
        table = await poll(modbus(registry, link(device.port, unit)), Full(), registry)
    assert table[FLOW] is Reason.ILLEGAL_ADDRESS
    assert len(table) == 4


def test_what_does_not_fit_any_more_is_forgotten(unit: dict[str, Any]) -> None:
    device = make_unit(UnitConfig.model_validate(unit), LinkConfig.model_validate(link(1, unit)))
    device.plan.holes = {2: START_US}
    fact = holes_as_json(device)
    assert holes_from_json(device, fact) == ({2: START_US}, {})
    assert holes_from_json(device, {**fact, "profile": "another"}) == ({}, {})
    assert holes_from_json(device, {**fact, "points": [["holding", 99, "uint16", 0, 1]]}) == ({}, {})
    damages: tuple[object, ...] = (None, [], {"profile": "test_device"}, {**fact, "gaps": [["nothing", 1, 2, 3]]})
    for damaged in damages:
        assert holes_from_json(device, damaged) == ({}, {})
