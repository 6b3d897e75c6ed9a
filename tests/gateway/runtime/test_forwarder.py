"""The stream behind its cursor: nothing skipped, nothing in the way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.errors import PermanentError, TransientError
from gateway.model.reading import ReadingBatch
from gateway.ports import Written
from gateway.runtime.forwarder import Forwarder
from gateway.store.dead_rows import list_dead, put_rejected
from gateway.store.readings import DuckReadings
from gateway.store.state import State
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

    async def write(self, batch: ReadingBatch) -> Written:
        self.attempts += 1
        if self.error is not None:
            raise self.error
        values = batch.value.tolist()
        self.values += [value for value in values if value not in self.refuse]
        bad = tuple((row, "400: no") for row, value in enumerate(values) if value in self.refuse)
        return Written(len(batch) - len(bad), bad)

    async def probe(self) -> str:
        return ""

    async def close(self) -> None:
        pass


class Parts:
    def __init__(self, folder: Path) -> None:
        self.store = DuckReadings(folder / "readings")
        self.state = State.in_folder(folder)
        self.server = Server()

    def forwarder(self) -> Forwarder:
        return Forwarder(
            self.server,
            self.store,
            self.state,
            lambda output, seq, letters: put_rejected(self.state, output, seq, letters),
            first_s=0.02,
            cap_s=0.05,
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
    while await forwarder.step():
        pass


async def test_it_goes_on_at_its_cursor_after_a_restart(parts: Parts) -> None:
    await parts.load(1, 1.0, 2.0)
    await until_idle(parts.forwarder())
    await parts.load(2, 3.0)
    again = parts.forwarder()
    task = asyncio.create_task(again.run())
    await until(lambda: len(parts.server.values) == 3, 3)
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
    task = asyncio.create_task(forwarder.run())
    await until(lambda: parts.server.attempts >= 3, 3)
    await parts.load(2, 2.0)
    await asyncio.sleep(0.1)
    status = forwarder.status()
    assert (status.connected, status.cursor, status.last_error) == (False, 0, str(error))
    assert (status.lag, parts.state.cursor("output:influx")) == (2, 0)
    parts.server.error = None
    await until(lambda: forwarder.cursor == 2, 3)
    task.cancel()
    assert parts.server.values == [1.0, 2.0]
    assert forwarder.status().connected
    assert (forwarder.status().lag, parts.state.cursor("output:influx")) == (0, 2)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]


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
    parts.state.set_cursor("output:influx", 0)
    again = parts.forwarder()
    await until_idle(again)
    assert len(list_dead(parts.state)) == 1
    assert again.status().rejected == 1


async def test_a_load_without_new_rows_moves_the_cursor(parts: Parts) -> None:
    await parts.load(1, 1.0)
    await parts.load(2, 1.0)
    forwarder = parts.forwarder()
    await until_idle(forwarder)
    assert (forwarder.cursor, parts.server.attempts) == (2, 1)
