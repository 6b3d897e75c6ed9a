"""A gateway that is killed while it gives a command: at its next start it looks at the device, and writes no more."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.model.command import CommandState
from tests.collectors.command_site import CommandSite, one_unit, running
from tests.collectors.valves import Asked, Valves, serving, write_profile

WITHIN_S = 20.0
THOROUGH = bool(os.environ.get("GASGATE_THOROUGH"))
KILLS = 25 if THOROUGH else 1
CASES = [
    ("lost", "written", CommandState.CONFIRMED),
    ("silent", "written", CommandState.MISMATCH),
    ("done", "settling", CommandState.CONFIRMED),
]


@contextmanager
def gateway(folder: Path, port: int, profile: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.collectors.command_site", str(folder), str(port), profile, "5"]
    with subprocess.Popen(command) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize(("manner", "moment", "state"), CASES if THOROUGH else CASES[:1])
async def test_a_killed_gateway_looks_and_does_not_write_again(
    tmp_path: Path, manner: str, moment: str, state: CommandState
) -> None:
    profile = write_profile(tmp_path, settle_s=0.5)
    killed = asyncio.Event()

    def kill_at_once(asked: Asked) -> str:
        if moment == "written":
            process.send_signal(signal.SIGKILL)
            killed.set()
        return manner

    async with serving(Valves(manner=kill_at_once)) as valves:
        registry, collector = one_unit(valves.port, profile)
        site = CommandSite(tmp_path, [collector.commander], registry)
        command = await site.ask("S-01")
        with gateway(tmp_path, valves.port, profile) as process:
            if moment == "settling":
                await _until(lambda: site.acts()[-1] == "answered")
                process.send_signal(signal.SIGKILL)
            else:
                await asyncio.wait_for(killed.wait(), WITHIN_S)
            await asyncio.to_thread(process.wait)
        assert site.now(command).state is CommandState.SENT
        await collector.open()
        async with running(site):
            await _until(lambda: site.now(command).state is not CommandState.SENT)
            assert site.now(command).state is CommandState.UNKNOWN
            over = await site.until_over(command, WITHIN_S)
        assert over.state is state
        assert [one.pdu for one in valves.writes] == [bytes.fromhex("050000FF00")]
        assert site.acts()[-2:] == ["unknown", state]
        await collector.close()


async def test_killed_at_any_moment_it_writes_once_at_most(tmp_path: Path) -> None:
    dice = random.Random(12)
    profile = write_profile(tmp_path, settle_s=0.2)
    async with serving(Valves(answer_s=0.05)) as valves:
        registry, collector = one_unit(valves.port, profile)
        await collector.open()
        for number in range(KILLS):
            folder = tmp_path / str(number)
            valves.log.clear()
            valves.closing.clear()
            site = CommandSite(folder, [collector.commander], registry)
            with gateway(folder, valves.port, profile) as process:
                await _until((folder / "up").exists)
                command = await site.ask("S-01")
                await asyncio.sleep(dice.uniform(0.0, 0.8))
                process.send_signal(signal.SIGKILL)
                await asyncio.to_thread(process.wait)
            async with running(site):
                over = await site.until_over(command, WITHIN_S)
            assert over.state in (CommandState.CONFIRMED, CommandState.MISMATCH)
            assert len(valves.writes) <= 1
            assert (over.state is CommandState.CONFIRMED) == (len(valves.writes) == 1)
        await collector.close()


async def _until(holds) -> None:
    until = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < until, "it never came"
        await asyncio.sleep(0.01)
