"""What a gateway does while nothing arrives: as little as it can, and still at once what somebody asks for."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, cast

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from alarms.service.calendar import official
from gateway.config import load
from gateway.model.quantity import Quantity
from gateway.model.reading import ReadingBatch, point_id
from gateway.roles import alarm, analyse, common
from gateway.roles.alarm import Judge
from gateway.roles.analyse import Analyst
from gateway.roles.common import site_network
from gateway.runtime.clock import SystemClock
from gateway.runtime.http import serve
from gateway.store import edit_rows, health_rows
from gateway.store.edit_rows import Edit
from gateway.store.registry import StateRegistry
from gateway.store.state import State, put_cursor
from gateway.store.tail import TailRing
from tests.end_to_end.small_site import SmallSite, meter
from tests.gateway.runtime.waiting import until


class EmptyStore:
    """Knows no reading, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def loaded(self) -> int:
        self.asked += 1
        return 0

    async def since(self, seq: int, _limit: int) -> tuple[int, ReadingBatch]:
        return seq, ReadingBatch.empty()

    async def latest(self, _points: NDArray[np.uint32]) -> ReadingBatch:
        return ReadingBatch.empty()

    async def close(self) -> None:
        """Close nothing."""


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    state = State.in_folder(tmp_path / "data")
    yield state
    state.close()


async def test_a_city_without_readings_is_passed_once_and_again_after_a_decision(
    tmp_path: Path, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load(SmallSite(tmp_path / "site", 1, meters=2).config)
    StateRegistry(state).indices([point_id(meter(n), Quantity.FLAGS) for n in range(2)])
    store = EmptyStore()
    monkeypatch.setattr(analyse, "remote_store", lambda _config: store)
    monkeypatch.setattr(analyse, "LOOK_S", 0.02)
    analyst = Analyst(config, state, site_network(config))
    running = asyncio.create_task(analyst.run())
    await until(lambda: store.asked, 60)
    await asyncio.sleep(0.5)
    assert store.asked == 1
    with state.write() as connection:
        edit_rows.add_edit(connection, Edit(meter(0), "2026-01-01", 5, "ann", "read by hand", 1))
    await until(lambda: store.asked > 1, 60)
    await asyncio.sleep(0.2)
    assert store.asked == 2
    await ended(running)


async def test_a_role_says_again_what_is_new_and_else_seldom(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "BEAT_S", 0.01)
    said: list[int] = []
    beat = health_rows.beat

    def counted(*args: Any, detail: Mapping[str, Any], **values: Any) -> None:
        said.append(detail["seq"])
        beat(*args, detail=detail, **values)

    monkeypatch.setattr(health_rows, "beat", counted)
    now = {"seq": 1}
    beating = asyncio.create_task(common.heartbeat(state, "keep", lambda: (True, dict(now))))
    await until(lambda: said, 60)
    await asyncio.sleep(0.3)
    now["seq"] = 2
    await until(lambda: 2 in said, 60)
    await asyncio.sleep(0.3)
    assert said == [1, 2]
    assert health_rows.detail(state, "keep") == {"seq": 2}
    monkeypatch.setattr(common, "REPEAT_S", 0.05)
    await until(lambda: len(said) >= 4, 60)
    await ended(beating)


class Pipeline:
    """Counts how often it looks at the time."""

    def __init__(self) -> None:
        self.seq, self.calm, self.ticks = 0, True, 0

    def tick(self, _now: datetime) -> None:
        self.ticks += 1


async def test_time_is_looked_at_when_it_may_matter(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarm, "CALM_TICK_S", 60.0)
    pipeline = Pipeline()
    judge = Judge(cast("Any", pipeline), state, SystemClock(), cast("Any", EmptyStore()), calendar=official())
    ticking = asyncio.create_task(judge._every("timers", 0.01, judge._tick, judge._tick_is_due))
    await until(lambda: pipeline.ticks, 60)
    await asyncio.sleep(0.3)
    assert pipeline.ticks == 1
    with state.write() as connection:
        put_cursor(connection, "somebody", 1)
    await until(lambda: pipeline.ticks > 1, 60)
    await asyncio.sleep(0.3)
    assert pipeline.ticks == 2
    pipeline.seq = 7
    await until(lambda: pipeline.ticks > 2, 60)
    await asyncio.sleep(0.3)
    assert pipeline.ticks == 3
    pipeline.calm = False
    await until(lambda: pipeline.ticks >= 6, 60)
    pipeline.calm = True
    monkeypatch.setattr(alarm, "CALM_TICK_S", 0.05)
    before = pipeline.ticks
    await until(lambda: pipeline.ticks >= before + 2, 60)
    await ended(ticking)


async def test_who_waits_for_readings_is_answered_when_the_service_ends(free_port: Callable[[], int]) -> None:
    ring, asked, port = TailRing(), asyncio.Event(), free_port()

    async def tail(_request: Request) -> Response:
        asked.set()
        await ring.wait(30.0)
        return Response("none came")

    app = Starlette(routes=[Route("/tail", tail)])
    serving = asyncio.create_task(serve(app, f"127.0.0.1:{port}", on_end=ring.end))
    async with httpx.AsyncClient(trust_env=False, timeout=20.0) as client:
        async with asyncio.timeout(20.0):
            while True:
                asking = asyncio.create_task(client.get(f"http://127.0.0.1:{port}/tail"))
                told = asyncio.create_task(asked.wait())
                await asyncio.wait([asking, told], return_when=asyncio.FIRST_COMPLETED)
                if asked.is_set():
                    break
                assert isinstance(asking.exception(), httpx.ConnectError)
                told.cancel()
                await asyncio.sleep(0.05)
        began = time.monotonic()
        await ended(serving)
        assert time.monotonic() - began < 15, "at once, not when its time is over"
        assert (await asking).text == "none came"


async def ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
