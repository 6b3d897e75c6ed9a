"""From the spool into the store, over restarts and while the store fails."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from gateway.errors import TransientError
from gateway.model.reading import ReadingBatch
from gateway.ports import DeadLetter, Delivery, Loaded
from gateway.runtime import loader as loader_module
from gateway.runtime.accounting import Accounting
from gateway.runtime.loader import Loader
from gateway.store.dead_rows import list_dead, put_dead
from gateway.store.readings import DuckReadings
from gateway.store.spool import FileSpool
from gateway.store.state import State
from tests.contracts.spool_contract import rows
from tests.gateway.runtime.waiting import until
from tests.gateway.store.rewriting import Here


class Parts:
    def __init__(self, folder: Path) -> None:
        self.spool = FileSpool(folder / "spool", segment_bytes=300, cap_bytes=0)
        self.store = DuckReadings(folder / "readings")
        self.state = State.in_folder(folder)
        self.accounting = Accounting()

    def loader(self, **options: object) -> Loader:
        return Loader(
            self.spool,
            self.store,
            lambda letters: put_dead(self.state, letters),
            accounting=self.accounting,
            rng=random.Random(1),
            **options,  # type: ignore[arg-type]
        )


@pytest.fixture
async def parts(tmp_path: Path) -> AsyncIterator[Parts]:
    parts = Parts(tmp_path)
    yield parts
    parts.spool.close()
    await parts.store.close()
    parts.state.close()


async def stored(parts: Parts) -> list[float]:
    found = await parts.store.history(np.array([7], np.uint32), 0, 2**62)
    return sorted(found.value.tolist())


async def test_a_record_is_loaded_within_a_second(parts: Parts) -> None:
    loaded: list[int] = []
    loader = parts.loader(on_loaded=loaded.append)
    task = asyncio.create_task(loader.run())
    await asyncio.sleep(0.05)
    letter = DeadLetter("mqtt", "t", b"x", "r", 1)
    loader.notify(
        parts.spool.append([Delivery("a", rows(1.0, 2.0)), Delivery("mqtt", ReadingBatch.empty(), (letter,))])
    )
    await until(lambda: loaded, 60)
    task.cancel()
    assert (loaded, loader.lag, loader.loaded) == ([1], 0, 1)
    assert await stored(parts) == [1.0, 2.0]
    assert [(one.topic, one.payload) for one in list_dead(parts.state)] == [("t", b"x")]


async def test_records_are_loaded_together_up_to_a_bound(parts: Parts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader_module, "LOAD_ROWS", 5)
    for number, count in enumerate([2, 2, 2, 9, 1]):
        parts.spool.append([Delivery("a", rows(*[10.0 * number + one for one in range(count)], at=number * 10**9))])
    loader = parts.loader()
    steps = []
    while await loader.step():
        steps.append(loader.loaded)
    assert steps == [2, 3, 4, 5]
    assert len(await stored(parts)) == 16


async def test_duplicates_are_booked_to_their_source(parts: Parts) -> None:
    parts.accounting.live_after = 0
    for seq, (source, values) in enumerate([("a", (1.0, 2.0)), ("b", (1.0, 5.0)), ("b", (5.0,))], start=1):
        parts.accounting.received(source, len(values))
        batch = ReadingBatch.build([7] * len(values), [int(value) for value in values], 0, values)
        record = parts.spool.append([Delivery(source, batch)])
        parts.accounting.committed(record.seq, [(source, len(values), 0)])
        assert record.seq == seq
    await parts.loader().step()
    books = parts.accounting.snapshot()
    assert (books["a"]["stored"], books["a"]["duplicate"]) == (2, 0)
    assert (books["b"]["stored"], books["b"]["duplicate"]) == (1, 2)
    assert books["b"]["in_flight"] == 0


async def test_the_spool_is_released_only_behind_a_checkpoint(parts: Parts) -> None:
    for number in range(20):
        parts.spool.append([Delivery("a", rows(float(number)))])
    loader = parts.loader(checkpoint=parts.store.checkpoint, checkpoint_s=1000.0)
    await loader.step()
    assert parts.spool.first_seq() == 1
    loader._checkpointed_at = -1e9
    await loader._release()
    assert parts.spool.first_seq() > 15
    assert len(await stored(parts)) == 20


async def test_a_failing_store_is_tried_again_and_logged_once(
    parts: Parts, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failures = parts.store.load, 0

    async def flaky(seq: int, batch: ReadingBatch) -> Loaded:
        nonlocal failures
        failures += 1
        if failures <= 3:
            raise TransientError("readings store: No space left on device")
        return await real(seq, batch)

    monkeypatch.setattr(parts.store, "load", flaky)
    parts.spool.append([Delivery("a", rows(1.0), (DeadLetter("a", "t", b"", "r", 0),))])
    loader = parts.loader()
    loader._backoff.first_s = 0.01
    task = asyncio.create_task(loader.run())
    await asyncio.wait_for(loader.drained(), 30)
    await asyncio.sleep(0.05)
    task.cancel()
    assert (failures, await stored(parts), loader.healthy) == (4, [1.0], True)
    assert [record.levelname for record in caplog.records] == ["ERROR", "WARNING"]
    assert len(list_dead(parts.state)) == 1


async def test_a_damaged_store_is_filled_from_the_spool(parts: Parts, tmp_path: Path) -> None:
    for number in range(10):
        parts.spool.append([Delivery("a", rows(float(number), at=number * 10**9))])
    loader = parts.loader()
    while await loader.step():
        pass
    before = await stored(parts)
    await parts.store.close()
    (path,) = (tmp_path / "readings").glob("*.duckdb")
    path.write_bytes(b"\xff" * 100_000)
    parts.store = DuckReadings(tmp_path / "readings")
    assert parts.store.damage == [path.name]
    assert await Here(parts.store).step(0)
    loader = parts.loader()
    while await loader.step():
        pass
    assert await stored(parts) == before == [float(number) for number in range(10)]
