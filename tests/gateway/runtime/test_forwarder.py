"""The stream behind its cursor: nothing skipped, nothing in the way."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import copy
import gc
import random
import time
import tracemalloc
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from gateway.errors import PermanentError, TransientError
from gateway.model.reading import PointId, ReadingBatch
from gateway.model.stream import Limits, Place
from gateway.ports import Written
from gateway.runtime import forwarder as forwarder_module
from gateway.runtime.forwarder import Forwarder
from gateway.runtime.point_class import PointClasses
from gateway.store.dead_rows import list_dead, put_rejected
from gateway.store.readings import DuckReadings
from gateway.store.state import State, put_cursor
from gateway.store.stream_rows import StreamRows
from tests.contracts.store_contract import batch_of
from tests.gateway.runtime.waiting import until


class Server:
    """An output that fails on demand and remembers what it accepted."""

    name = "influx"

    def __init__(self) -> None:
        self.values: list[float] = []
        self.error: Exception | None = None
        self.attempts = 0
        self.refuse: set[float] = set()
        self.slow_s = 0.0
        self.silent_from: int | None = None
        """it answers no more once it has so many values"""
        self.at: list[float] = []

    async def write(self, batch: ReadingBatch) -> Written:
        self.attempts += 1
        await asyncio.sleep(self.slow_s)
        if self.silent_from is not None and len(self.values) >= self.silent_from:
            await asyncio.Event().wait()
        if self.error is not None:
            raise copy.copy(self.error)
        values = batch.value.tolist()
        self.values += [value for value in values if value not in self.refuse]
        self.at += [time.monotonic()] * (len(self.values) - len(self.at))
        bad = tuple((row, "400: no") for row, value in enumerate(values) if value in self.refuse)
        return Written(len(batch) - len(bad), bad)

    def has(self, value: float) -> bool:
        return value in self.values

    async def probe(self) -> str:
        return ""

    async def close(self) -> None:
        pass


class Parts:
    def __init__(self, folder: Path) -> None:
        self.store = DuckReadings(folder / "readings")
        self.state = State.in_folder(folder)
        self.server = Server()

    def forwarder(self, limits: Limits | None = None, classes: PointClasses | None = None) -> Forwarder:
        return Forwarder(
            self.server,
            self.store,
            StreamRows(self.state),
            lambda output, seq, letters: put_rejected(self.state, output, seq, letters),
            first_s=0.02,
            cap_s=0.05,
            permanent_s=0.05,
            limits=limits,
            classes=classes,
            rng=random.Random(1),
        )

    async def load(self, seq: int, *values: float) -> None:
        await self.store.load(seq, batch_of([(1, int(value), value) for value in values]))


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    parts = Parts(tmp_path)
    yield parts
    await parts.store.close()
    parts.state.close()


async def until_idle(forwarder: Forwarder) -> None:
    """Step until nothing waits; the pauses between slices of a gap are waited for."""
    await forwarder.step()
    while forwarder.status().lag or await forwarder.step():
        await forwarder.step()
        await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def running(forwarder: Forwarder) -> AsyncIterator[Forwarder]:
    task = asyncio.create_task(forwarder.run())
    try:
        yield forwarder
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_goes_on_at_its_cursor_after_a_restart(parts: Parts) -> None:
    await parts.load(1, 1.0, 2.0)
    await until_idle(parts.forwarder())
    await parts.load(2, 3.0)
    again = parts.forwarder()
    task = asyncio.create_task(again.run())
    await until(lambda: len(parts.server.values) == 3, 20)
    await parts.load(3, 4.0)
    again.notify(3)
    await until(lambda: len(parts.server.values) == 4, 0.9)
    task.cancel()
    assert parts.server.values == [1.0, 2.0, 3.0, 4.0]


@pytest.mark.parametrize("error", [TransientError("away"), PermanentError("401: no"), KeyError("a fault of ours")])
async def test_what_is_not_accepted_is_kept_and_sent_later(
    parts: Parts, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    parts.server.error = error
    await parts.load(1, 1.0)
    forwarder = parts.forwarder()
    async with running(forwarder):
        await until(lambda: parts.server.attempts >= 3, 20)
        await parts.load(2, 2.0)
        forwarder.notify(2)
        await asyncio.sleep(0.1)
        status = forwarder.status()
        assert (status.connected, status.last_error) == (False, str(error))
        assert status.needs_a_person is isinstance(error, PermanentError)
        assert ("401: no" in forwarder.problem()) is isinstance(error, PermanentError)
        assert status.lag == 2
        parts.server.error = None
        await until(lambda: forwarder.status().lag == 0, 20)
    assert sorted(parts.server.values) == [1.0, 2.0]
    assert forwarder.status().connected
    assert forwarder.problem() == ""
    assert StreamRows(parts.state).load("output:influx") == Place(2)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


async def test_a_server_that_is_away_for_long_is_a_problem(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarder_module, "LONG_AWAY_S", 0.1)
    parts.server.error = TransientError("connection refused")
    await parts.load(1, 1.0)
    forwarder = parts.forwarder()
    async with running(forwarder):
        await until(lambda: parts.server.attempts > 0, 20)
        assert forwarder.problem() == ""
        await until(lambda: "connection refused" in forwarder.problem(), 20)


async def test_it_waits_as_long_as_the_server_says(parts: Parts) -> None:
    parts.server.error = TransientError("busy", retry_after_s=0.5)
    await parts.load(1, 1.0)
    task = asyncio.create_task(parts.forwarder().run())
    await asyncio.sleep(0.35)
    task.cancel()
    assert parts.server.attempts == 1


async def test_refused_rows_become_dead_letters_before_the_cursor_moves(parts: Parts) -> None:
    parts.server.refuse = {2.0}
    await parts.load(1, 1.0, 2.0, 3.0)
    await until_idle(parts.forwarder())
    (dead,) = list_dead(parts.state)
    assert (dead.source, dead.topic, dead.reason) == ("output:influx", "1", "400: no")
    assert b"2.0" in dead.payload
    assert parts.server.values == [1.0, 3.0]
    with parts.state.write() as connection:
        put_cursor(connection, "output:influx", 0)
    again = parts.forwarder()
    await until_idle(again)
    assert len(list_dead(parts.state)) == 1
    assert again.status().rejected == 1


async def test_of_very_many_refused_rows_only_the_first_become_dead_letters(parts: Parts) -> None:
    values = [float(value) for value in range(1, 1501)]
    parts.server.refuse = set(values)
    await parts.load(1, *values)
    forwarder = parts.forwarder()
    forwarder._slice = 5000
    await until_idle(forwarder)
    letters = list_dead(parts.state, limit=2000)
    assert (forwarder.status().rejected, len(letters)) == (1500, 1000)
    assert any("500 more" in letter.reason for letter in letters)


async def test_a_load_without_new_rows_moves_the_cursor(parts: Parts) -> None:
    await parts.load(1, 1.0)
    await parts.load(2, 1.0)
    forwarder = parts.forwarder()
    await until_idle(forwarder)
    assert (forwarder.place, parts.server.attempts) == (Place(2), 1)


async def test_after_an_outage_live_readings_go_before_the_gap(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarder_module, "_MOST_SLICE", 200)
    monkeypatch.setattr(forwarder_module, "BATCH_ROWS", 1000)
    parts.server.error = TransientError("away")
    for seq in range(1, 101):
        await parts.load(seq, *[seq * 100.0 + row for row in range(60)])
    forwarder = parts.forwarder()
    async with running(forwarder):
        await until(lambda: forwarder.place.head == 100, 20)
        forwarder._slice, parts.server.slow_s = 200, 0.02
        parts.server.error = None
        for seq in range(101, 109):
            await parts.load(seq, seq * 100.0)
            forwarder.notify(seq)
            before = len(parts.server.values)
            await until(partial(parts.server.has, seq * 100.0), 20)
            waited_for = parts.server.values.index(seq * 100.0) - before
            assert waited_for <= 3 * forwarder._slice, "the gap is filled beside it, not before it"
        await until(lambda: forwarder.status().lag == 0, 20)
    values = parts.server.values
    assert len(values) == len(set(values)) == 100 * 60 + 8, "nothing is lost, nothing is sent twice"


async def test_a_gap_takes_at_most_half_of_the_pace(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarder_module, "BATCH_ROWS", 100)
    for seq in range(1, 11):
        await parts.load(seq, *[seq * 1000.0 + row for row in range(100)])
    parts.server.slow_s = 0.05
    forwarder = parts.forwarder()
    forwarder._slice = 100
    began = time.monotonic()
    async with running(forwarder):
        await until(lambda: forwarder.status().lag == 0, 20)
    took = time.monotonic() - began
    assert took >= 2 * 0.05 * (parts.server.attempts - 1)


async def test_a_restart_in_the_middle_of_a_gap_sends_nothing_needlessly_twice(parts: Parts) -> None:
    parts.server.error = TransientError("away")
    for seq in range(1, 41):
        await parts.load(seq, *[seq * 1000.0 + row for row in range(700)])
    first = parts.forwarder()
    async with running(first):
        await until(lambda: first.place.head == 40, 20)
        parts.server.error = None
        parts.server.silent_from = 5_000
        await parts.load(41, 41_000.0)
        first.notify(41)
        await until(lambda: len(parts.server.values) >= 5_000, 20)
    assert len(parts.server.values) < 40 * 700
    parts.server.silent_from = None
    again = parts.forwarder()
    async with running(again):
        await until(lambda: again.place.head == 41 and again.status().lag == 0, 10)
    values = parts.server.values
    assert len(set(values)) == 40 * 700 + 1
    assert len(values) - len(set(values)) <= 20_000, "at most the piece that was on its way"
    assert StreamRows(parts.state).load("output:influx") == Place(41)


async def test_an_output_may_begin_with_what_comes_from_now_on(parts: Parts) -> None:
    await parts.load(1, 1.0)
    parts.server.error = TransientError("away")
    first = parts.forwarder(Limits(from_now=True))
    async with running(first):
        await until(lambda: first.place == Place(1), 20)
        await parts.load(2, 2.0)
        first.notify(2)
        await until(lambda: parts.server.attempts > 0, 20)
    parts.server.error = None
    again = parts.forwarder(Limits(from_now=True))
    async with running(again):
        await until(lambda: parts.server.values == [2.0], 20)
        await until(lambda: again.place == Place(2), 20)


DAY_US = 86_400_000_000
POINTS = ["M-1/gas_lel_pct", "M-1/register_measured_m3", "S-1/pressure_gauge_kpa", "M-1/battery_v"]


async def load_days(parts: Parts, days: int) -> None:
    """Load ten readings of each class a day, every day in a load of its own."""
    for day in range(1, days + 1):
        point = np.repeat(np.arange(4, dtype=np.uint32), 10)
        times = day * DAY_US + np.arange(40) * 1000
        values = (day * 1000 + point * 100 + np.arange(40) % 10).astype(np.float64)
        batch = ReadingBatch.build(point, times, times, values)
        await parts.store.load(day, batch)


def class_of(value: float) -> str:
    return "ABCD"[int(value) % 1000 // 100]


@pytest.mark.parametrize(
    ("limits", "dropped"),
    [
        (Limits(), (0, 0, 0, 0)),
        (Limits(most_rows=350), (0, 0, 0, 50)),
        (Limits(most_rows=250), (0, 0, 50, 100)),
        (Limits(most_rows=120), (40, 40, 100, 100)),
        (Limits(most_age_us=int(4.5 * DAY_US)), (50, 50, 50, 50)),
    ],
)
async def test_what_is_too_much_or_too_old_is_given_up_in_order(
    parts: Parts,
    limits: Limits,
    dropped: tuple[int, int, int, int],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forwarder_module, "_COUNT_ROWS", 40)
    monkeypatch.setattr(forwarder_module, "BATCH_ROWS", 40)
    await load_days(parts, 10)
    parts.server.error = TransientError("away")
    names = [PointId(name) for name in POINTS]
    forwarder = parts.forwarder(limits, PointClasses(lambda points: [names[point] for point in points.tolist()]))
    async with running(forwarder):
        await until(lambda: forwarder.place.gaps != () and all(gap.rows for gap in forwarder.place.gaps), 20)
        status = forwarder.status()
        assert status.dropped == dropped
        assert sum(status.waiting) == 400 - sum(dropped)
        parts.server.error = None
        await until(lambda: forwarder.status().lag == 0, 20)
    arrived = collections.Counter(map(class_of, parts.server.values))
    assert tuple(100 - arrived[letter] for letter in "ABCD") == dropped
    newest = {value for value in parts.server.values if value >= 10_000}
    assert len(newest) == 40 - (dropped[3] == 100) * 10 - (dropped[2] == 100) * 10, "the oldest go first"
    assert len(parts.server.values) == len(set(parts.server.values))
    assert StreamRows(parts.state).load("output:influx") == Place(10, (), dropped)
    assert any("kept in the store" in record.message for record in caplog.records) is (sum(dropped) > 0)


async def test_a_faulty_store_is_not_asked_without_end(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    async def fail() -> int:
        nonlocal asked
        asked += 1
        raise TransientError("being repaired")

    monkeypatch.setattr(parts.store, "loaded", fail)
    monkeypatch.setattr(forwarder_module, "_LONGEST_SLEEP_S", 0.05)
    async with running(parts.forwarder()):
        await until(lambda: asked >= 2, 20)
        before = asked
        await asyncio.sleep(0.3)
    assert asked - before < 60


class EndlessStore:
    """A day of loads, 100 readings every 10 s, made when they are asked for."""

    def __init__(self) -> None:
        self.upto = 0

    async def loaded(self) -> int:
        return self.upto

    async def since(self, seq: int, limit: int) -> tuple[int, ReadingBatch]:
        last = min(self.upto, seq + max(limit // 100, 1))
        if last <= seq:
            return seq, ReadingBatch.empty()
        times = np.repeat(np.arange(seq + 1, last + 1) * 10_000_000, 100)
        return last, ReadingBatch.build(np.zeros(len(times), np.uint32), times, times, times.astype(np.float64))


async def test_a_day_without_the_server_costs_no_memory(tmp_path: Path) -> None:
    state, server, store = State.in_folder(tmp_path), Server(), EndlessStore()
    server.error = TransientError("away")
    put: Any = partial(put_rejected, state)
    forwarder = Forwarder(server, cast("Any", store), StreamRows(state), put, first_s=0.01, cap_s=0.02)
    async with running(forwarder):
        store.upto = 300
        forwarder.notify(300)
        await until(lambda: forwarder.status().waiting[0] > 0, 20)
        tracemalloc.start()
        held = tracemalloc.get_traced_memory()[0]
        for upto in range(400, 8_641, 120):
            store.upto = upto
            forwarder.notify(upto)
            await asyncio.sleep(0.005)
        await until(lambda: forwarder.status().waiting[0] > 500_000, 20)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - held
        tracemalloc.stop()
    assert grown < 8_000_000
    assert len(forwarder.place.gaps) < 60
    state.close()
