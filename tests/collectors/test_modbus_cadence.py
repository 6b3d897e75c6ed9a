"""One dead unit among 32 on a link: the others keep their pace, on every way to them.

The long form, ten minutes at one poll a second and a timeout of one second: `GASGATE_THOROUGH=1`.
"""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from gateway.ports import Delivery
from gateway.runtime.clock import SystemClock
from gateway.runtime.runner import PollRunner
from tests.collectors.peers import Asked, Send, on_line, on_socket
from tests.collectors.sites import METERS, MemoryRegistry, modbus

THOROUGH = bool(os.environ.get("GASGATE_THOROUGH"))
SECONDS, PERIOD_S, TIMEOUT_S = (600.0, 1.0, 1.0) if THOROUGH else (6.0, 0.5, 0.15)
WAYS = ("tcp", "rtu+tcp", "ascii+tcp", "rtu")
UNITS, DEAD = 30, 5
PROFILE = f"""
name = "cadence"
description = "one register"
every_s = {PERIOD_S}
point = [{{ quantity = "register_measured_m3", at = "holding:10", type = "uint32" }}]
golden = [{{ ask = "03 000A 0002", reply = "03 04 0000 0005", gives = {{ register_measured_m3 = 5 }} }}]
"""


def answer(asked: Asked, send: Send) -> None:
    if asked.unit != DEAD:
        send(asked.honest())


@asynccontextmanager
async def polled(way: str, profile: str, counted: Counter[int]) -> AsyncIterator[None]:
    """Run a whole collector on one link and count the good readings of each unit."""
    serve = on_line if way == "rtu" else on_socket
    registry = MemoryRegistry()

    async def put(delivery: Delivery) -> None:
        if delivery.batch.good.all():
            (name,) = registry.names(delivery.batch.point)
            counted[METERS.index(name.split("/")[0]) + 1] += 1

    async with serve(way.split("+", maxsplit=1)[0], answer) as peer:
        units = [{"unit": unit, "profile": profile, "asset": METERS[unit - 1]} for unit in range(1, UNITS + 1)]
        url = f"{way}://{peer.path}" if peer.path else f"{way}://127.0.0.1:{peer.port}"
        collector = modbus(registry, {"name": "a", "url": url, "timeout_s": TIMEOUT_S, "unit": units})
        task = asyncio.create_task(PollRunner(collector, put, SystemClock()).run())
        yield
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 60)
async def test_the_others_keep_their_pace_beside_a_dead_unit(tmp_path: Path) -> None:
    profile = tmp_path / "cadence.toml"
    profile.write_text(PROFILE, encoding="utf-8")
    counted: dict[str, Counter[int]] = {way: Counter() for way in WAYS}
    async with AsyncExitStack() as stack:
        for way in WAYS:
            await stack.enter_async_context(polled(way, str(profile), counted[way]))
        await asyncio.sleep(SECONDS)
    for way, counts in counted.items():
        kept = {unit: counts[unit] * PERIOD_S / SECONDS for unit in range(1, UNITS + 1)}
        assert kept.pop(DEAD) == 0
        # one poll may lie beyond the end
        assert min(kept.values()) >= 0.95 - PERIOD_S / SECONDS, (way, kept)
