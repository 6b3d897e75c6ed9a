"""What people are told of points that a device, which answers, does not let read."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest

from gateway.model.reading import Reason
from gateway.ports import Delivery
from gateway.runtime.clock import SystemClock
from gateway.runtime.runner import PollRunner
from tests.collectors.devices import Question, running
from tests.collectors.sites import MemoryRegistry, link, modbus, write_profile

REGISTER, BALANCE, FLOW, VALVE = (
    f"M-000001/{quantity}" for quantity in ("register_measured_m3", "balance_m3", "flow_measured_m3h", "valve")
)
ILLEGAL, FAILURE = "exception code 2 (illegal data address)", "exception code 4 (device failure)"


async def test_codes_and_holes_stand_beside_the_link_as_long_as_they_last(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    codes: dict[int, int] = {}

    def answer(question: Question) -> bytes:
        code = next((codes[one] for one in range(question.start, question.start + question.count) if one in codes), 0)
        return question.refusal(code) if code else question.registers([1] * question.count)

    got: list[Delivery] = []

    async def put(delivery: Delivery) -> None:
        got.append(delivery)

    async def fresh() -> None:
        """Wait for a poll that began after now."""
        count = len(got) + 2
        async with asyncio.timeout(60):
            while len(got) < count:  # noqa: ASYNC110 - tests watch from outside
                await asyncio.sleep(0.01)

    registry = MemoryRegistry()
    async with running(answer) as device:
        profile = write_profile(tmp_path, every_s=0.1)
        collector = modbus(registry, link(device.port, {"unit": 1, "profile": profile, "asset": "M-000001"}))
        runner = PollRunner(collector, put, SystemClock())
        task = asyncio.create_task(runner.run())
        with caplog.at_level(logging.WARNING):
            await fresh()
            said = [runner.link_states()[0].error]
            for now in ({12: 2}, {20: 9}, {20: 4, 21: 3}, {}, {20: 9}):
                codes.clear()
                codes.update(now)
                await fresh()
                said.append(runner.link_states()[0].error)
            table = registry.table(got[-1].batch)
        up = runner.link_states()[0].up
        task.cancel()
        await asyncio.wait([task])
    hole = f"{ILLEGAL}: {BALANCE}"
    together = f"{FLOW}, {VALVE}"
    assert said[0] == ""
    assert said[1] == hole
    assert said[2] == f"{hole}; exception code 9: {together}"
    assert said[3] == f"{hole}; {FAILURE}: {together}"
    assert (said[4], said[5]) == (said[1], said[2])
    assert up is True
    assert table[BALANCE] is Reason.ILLEGAL_ADDRESS
    assert table[FLOW] is table[VALVE] is Reason.DEVICE_FAULT
    assert table[REGISTER] == pytest.approx(65.537)
    told = [record.getMessage() for record in caplog.records if record.name == "collectors.modbus"]
    assert told == [f"site/a/1: points that cannot be read: {text}" for text in said[1:4]], "each of them once"


async def test_many_points_are_told_in_few_words(tmp_path: Path) -> None:
    names = ("battery_v", "temperature_c", "purchased_m3")
    more = "".join(
        f', {{ quantity = "{name}", at = "holding:{30 + n}", type = "uint16" }}' for n, name in enumerate(names)
    )
    profile = write_profile(tmp_path, more=" }" + more[: -len(" }")])
    async with running(lambda question: question.refusal(4)) as device:
        collector = modbus(MemoryRegistry(), link(device.port, {"unit": 1, "profile": profile, "asset": "M-000001"}))
        await collector.open()
        (job,) = collector.jobs()
        await collector.collect(job)
        await collector.close()
    assert collector.complaint_of(job) == (
        f"{FAILURE}: {BALANCE}, M-000001/battery_v, {FLOW}, M-000001/purchased_m3 and 3 more"
    )
