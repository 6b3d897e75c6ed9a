"""Commands on a busy link: 32 units polled each second, one of them dead; then a gateway killed again and again.

Shows that a command waits for one request at most and is never written twice. The devices are a Modbus server in this
process that notes every request; `--quick` gives fewer commands and kills.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from collectors.modbus_frames import Question
from collectors.modbus_link import Link
from gateway.model.command import CommandState, DeviceCommand
from gateway.runtime.runner import PollRunner
from gateway.store import command_rows
from tests.collectors.command_site import CommandSite, one_unit, running
from tests.collectors.sites import METERS, MemoryRegistry, link, modbus
from tests.collectors.valves import Valves, serving, write_profile

ANSWER_S = 0.01
TIMEOUT_S = 0.5
DEAD = 7
WARM_S = 3.0


@dataclass
class _Watched:
    """What went before each write after it was asked for."""

    valves: Valves
    ahead: list[int] = field(default_factory=list)
    waited_s: list[float] = field(default_factory=list)

    def watch(self, one: Link) -> None:
        ask = one.ask

        async def noting(question: Question, *args: Any, **more: Any) -> tuple[bytes, int]:
            if question.is_read:
                return await ask(question, *args, **more)
            had, began = len(self.valves.log), time.monotonic()
            try:
                return await ask(question, *args, **more)
            finally:
                places = [at for at, seen in enumerate(self.valves.log) if at >= had and seen.is_write]
                if places:
                    self.ahead.append(places[0] - had)
                    self.waited_s.append(self.valves.log[places[0]].at - began)

        one.ask = noting  # type: ignore[method-assign]


def run(*, quick: bool = False) -> dict[str, float]:
    """Return the figures."""
    command_rows.MOST_A_MINUTE = sys.maxsize  # people are slower than a benchmark
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(_busy_link(Path(folder), 12 if quick else 300))
        return figures | asyncio.run(_kills(Path(folder), 4 if quick else 100))


async def _busy_link(folder: Path, commands: int) -> dict[str, float]:
    valves = Valves(dead=frozenset({DEAD}), answer_s=ANSWER_S)
    async with serving(valves):
        registry = MemoryRegistry()
        profile = write_profile(folder)
        assets = (*METERS, "S-01", "CITY")
        units: list[dict[str, Any]] = [
            {"unit": number + 1, "profile": profile, "asset": asset} for number, asset in enumerate(assets)
        ]
        collector = modbus(registry, link(valves.port, *units, timeout_s=TIMEOUT_S))
        watched = _Watched(valves)
        for place in {id(poll.link): poll.link for poll in collector.commander.units()}.values():
            watched.watch(place)
        site = CommandSite(folder / "busy", [collector.commander], registry)
        polls = asyncio.create_task(PollRunner(collector, _throw_away, site.clock).run())
        await asyncio.sleep(WARM_S)
        async with running(site):
            over = [await _one(site, number) for number in range(commands)]
        polls.cancel()
        await asyncio.gather(polls, return_exceptions=True)
        await collector.close()
    return {
        "commands": float(commands),
        "confirmed": float(sum(one.state is CommandState.CONFIRMED for one in over)),
        "most_requests_that_went_before": float(max(watched.ahead)),
        "median_wait_for_the_link_ms": 1000 * statistics.median(watched.waited_s),
        "longest_wait_for_the_link_ms": 1000 * max(watched.waited_s),
        "writes_per_command": len(valves.writes) / commands,
    }


async def _one(site: CommandSite, number: int) -> DeviceCommand:
    living = [meter for place, meter in enumerate(METERS) if place + 1 != DEAD]
    command = await site.ask(living[number % len(living)], who=f"person {number}")
    return await site.until_over(command, 20.0)


async def _kills(folder: Path, kills: int) -> dict[str, float]:
    """Kill a gateway at a random moment of a command; its successor must look, and not write again."""
    dice = random.Random(12)
    writes: list[int] = []
    states: list[CommandState] = []
    profile = write_profile(folder, settle_s=0.2)
    async with serving(Valves(answer_s=0.05)) as valves:
        registry, collector = one_unit(valves.port, profile)
        await collector.open()
        for number in range(kills):
            valves.log.clear()
            valves.closing.clear()
            site = CommandSite(folder / str(number), [collector.commander], registry)
            over = await _killed(site, valves.port, profile, dice.uniform(0.0, 0.8))
            states.append(over.state)
            writes.append(len(valves.writes))
        await collector.close()
    wrong = [
        state for state, count in zip(states, writes, strict=True) if (state is CommandState.CONFIRMED) != (count == 1)
    ]
    return {
        "kills": float(kills),
        "most_writes_of_one_command": float(max(writes)),
        "commands_that_were_never_written": float(writes.count(0)),
        "outcomes_that_were_not_the_truth": float(len(wrong)),
    }


async def _killed(site: CommandSite, port: int, profile: str, after_s: float) -> DeviceCommand:
    command = [sys.executable, "-m", "tests.collectors.command_site", str(site.folder), str(port), profile, "5"]
    process = await asyncio.create_subprocess_exec(*command)
    await _there(site.folder / "up")
    asked = await site.ask("S-01")
    await asyncio.sleep(after_s)
    process.kill()
    await process.wait()
    async with running(site):
        return await site.until_over(asked, 20.0)


async def _there(file: Path) -> None:
    for _ in range(3000):
        if file.exists():  # noqa: ASYNC240 - a look at a local file
            return
        await asyncio.sleep(0.01)
    raise TimeoutError(f"{file} did not appear")


async def _throw_away(_delivery: object) -> None:
    """Let readings go."""
