"""The readings store on real DuckDB files: order of arrival, months, damage, history import."""

import asyncio
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import PermanentError, RefusedError, TransientError
from gateway.model.reading import ReadingBatch
from gateway.store import queries, readings
from gateway.store.readings import DuckReadings
from tests.contracts.store_contract import HOUR, ROWS, T0, Row, StoreContract, batch_of, everything, rows_of
from tests.gateway.store.rewriting import Here

DAY = 24 * HOUR
MONTH = 31 * DAY
LATER = T0 + 1000 * DAY
"""a moment of the clock behind everything; what was received last counts then"""


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DuckReadings]:
    store = DuckReadings(tmp_path / "readings")
    yield store
    await store.close()


class TestDuckReadings(StoreContract):
    pass


def received(batch: ReadingBatch, at_us: int) -> ReadingBatch:
    return ReadingBatch.build(batch.point, batch.source_time, at_us, batch.value, batch.quality)


@settings(max_examples=12, deadline=None)
@given(rows=ROWS, data=st.data())
def test_neither_order_nor_doubling_changes_what_is_stored(rows: list[Row], data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(rows + rows[: len(rows) // 2]))
    cut = data.draw(st.integers(0, len(shuffled)))

    async def stored(loads: list[list[Row]]) -> tuple[object, object]:
        folder = Path(tempfile.mkdtemp())
        store = DuckReadings(folder)
        try:
            for seq, load in enumerate(loads, start=1):
                await store.load(seq, batch_of(load))
            before = await everything(store), rows_of(await store.latest(np.arange(3, dtype=np.uint32)))
            await store.close()
            store = DuckReadings(folder)
            assert await everything(store) == before[0]
        finally:
            await store.close()
            shutil.rmtree(folder)
        return before

    assert asyncio.run(stored([rows])) == asyncio.run(stored([shuffled[:cut], shuffled[cut:]]))


async def test_all_is_there_after_opening_again(store: DuckReadings, tmp_path: Path) -> None:
    await store.load(4, batch_of([(1, 1, 1.0), (1, 2, float("nan"))]))
    before = await everything(store)
    await store.close()
    again = DuckReadings(tmp_path / "readings")
    assert (await again.loaded(), await everything(again)) == (4, before)
    done = await again.load(5, batch_of([(1, 1, 1.0), (1, 1, 3.0)]))
    assert (done.duplicate, done.conflict) == (1, 1)
    await again.close()


async def test_a_second_owner_is_refused(store: DuckReadings, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="in use by another process"):
        DuckReadings(tmp_path / "readings")


async def test_a_closed_store_says_so(store: DuckReadings) -> None:
    await store.close()
    with pytest.raises(TransientError, match="closed"):
        await store.load(1, batch_of([(1, 1, 1.0)]))


async def test_late_readings_go_to_the_day_they_came_in(store: DuckReadings, tmp_path: Path) -> None:
    await store.load(1, received(batch_of([(1, 1, 1.0)]), T0))
    await store.load(2, received(batch_of([(1, 0, 5.0), (1, 1, 1.0), (1, 1, 2.0)]), T0 + MONTH))
    assert sorted(path.name for path in (tmp_path / "readings").glob("*.duckdb")) == [
        "open-2023-11-14.1.duckdb",
        "open-2023-12-15.1.duckdb",
    ]
    assert [row[:3] for row in await everything(store)] == [(1, 0, 5.0), (1, 1, 1.0), (1, 1, 2.0)]
    upto, both = await store.since(0, 100)
    assert (upto, len(both)) == (2, 3)


async def test_one_load_may_span_days(store: DuckReadings, tmp_path: Path) -> None:
    batch = ReadingBatch.concat(
        [received(batch_of([(1, 1, 1.0)]), T0), received(batch_of([(1, 2, 2.0)]), T0 + 2 * DAY)]
    )
    assert (await store.load(3, batch)).stored == 2
    await store.close()
    again = DuckReadings(tmp_path / "readings")
    assert (await again.loaded(), len(await everything(again))) == (3, 2)
    await again.close()


async def test_no_received_time_is_lost_for_its_file_name(store: DuckReadings, tmp_path: Path) -> None:
    times = [-(2**62), -1, 0, 2**62]
    await store.load(1, ReadingBatch.build([1] * 4, [1, 2, 3, 4], np.array(times), [1.0] * 4))
    await store.close()
    again = DuckReadings(tmp_path / "readings")
    assert (await again.loaded(), len(await again.history(np.array([1], np.uint32), 0, 9))) == (1, 4)
    await again.close()


async def test_after_a_fatal_error_it_opens_again(store: DuckReadings, monkeypatch: pytest.MonkeyPatch) -> None:
    await store.load(1, batch_of([(1, 1, 1.0)]))

    def broken(*_: object) -> None:
        raise duckdb.FatalException("the database has been invalidated")

    monkeypatch.setattr(readings, "insert", broken)
    with pytest.raises(TransientError, match="invalidated"):
        await store.load(2, batch_of([(1, 2, 2.0)]))
    monkeypatch.undo()
    assert (await store.load(2, batch_of([(1, 2, 2.0)]))).stored == 1
    assert [row[2] for row in await everything(store)] == [1.0, 2.0]


def test_a_full_disk_keeps_what_was_loaded_and_recovers(tmp_path: Path) -> None:
    """The kernel itself refuses to let the files grow, in a process of its own."""
    script = """
import asyncio, resource, signal, sys
from pathlib import Path
from typing import Any
import numpy as np
from gateway.errors import TransientError
from gateway.model.reading import ReadingBatch
from gateway.store.readings import DuckReadings
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
def batch(seq):
    times = np.arange(5000) + seq * 5000
    return ReadingBatch.build([1] * 5000, times, 0, np.random.default_rng(seq).random(5000))
async def main():
    store, seq, failed = DuckReadings(Path(sys.argv[1])), 0, 0
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))
    while failed < 3:
        try:
            await store.load(seq + 1, batch(seq + 1))
            seq += 1
        except TransientError:
            failed += 1
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    for number in range(await store.loaded() + 1, seq + 4):
        await store.load(number, batch(number))
    found = await store.history(np.array([1], np.uint32), 0, 2**62)
    print(seq > 0, len(found) == 5000 * (seq + 3), store.damage)
    await store.close()
    store = DuckReadings(Path(sys.argv[1]))
    print(await store.loaded() == seq + 3, store.damage)
    await store.close()
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout.splitlines() == ["True True []", "True []"], done.stderr


async def test_history_of_many_points_is_imported_in_order(store: DuckReadings) -> None:
    count, points = 300_000, 1_000
    rng = np.random.default_rng(3)
    times = T0 + np.arange(count) // points * HOUR
    batch = ReadingBatch.build(np.arange(count, dtype=np.uint32) % points, times, times, np.arange(count, dtype=float))
    mixed = batch.take(rng.permutation(count))
    assert (await store.bulk(mixed)).stored == count
    assert (await store.bulk(mixed.take(slice(0, 1000)))).duplicate == 1000
    one = await store.history(np.array([17], np.uint32), 0, 2**62)
    np.testing.assert_array_equal(one.value, np.arange(17, count, points))
    assert await store.highest_seq() == await store.loaded() > 1


def flip(path: Path, seed: int) -> None:
    rng = random.Random(seed)
    data = bytearray(path.read_bytes())
    data[rng.randrange(min(len(data), 12))] ^= 0xFF
    for _ in range(200):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)


async def test_a_damaged_file_is_set_aside_and_filled_again(store: DuckReadings, tmp_path: Path) -> None:
    old, new = batch_of([(1, 1, 1.0)]), batch_of([(1, 2, 2.0), (1, 3, 3.0)])
    await store.load(1, received(old, T0))
    await store.load(2, received(new, T0 + MONTH))
    await store.close()
    flip(tmp_path / "readings" / "open-2023-12-15.1.duckdb", 1)
    store = DuckReadings(tmp_path / "readings")
    assert store.damage == ["open-2023-12-15.1.duckdb"]
    assert len(list((tmp_path / "readings" / "quarantine").iterdir())) == 1
    assert [row[2] for row in await everything(store)] == [1.0]
    with pytest.raises(TransientError, match="saved first"):
        await store.load(2, received(new, T0 + MONTH))
    assert await Here(store).step(LATER)
    assert await store.loaded() == 0
    assert (await store.load(1, received(old, T0))).duplicate == 1
    await store.close()
    store = DuckReadings(tmp_path / "readings")
    assert (await store.load(2, received(new, T0 + MONTH))).stored == 2
    assert [row[2] for row in await everything(store)] == [1.0, 2.0, 3.0]
    await store.close()
    store = DuckReadings(tmp_path / "readings")
    assert (store.damage, await store.loaded(), store.incomplete()) == ([], 2, ["2023-12-15"])
    await store.close()


async def test_refilling_goes_on_after_an_interruption(store: DuckReadings, tmp_path: Path) -> None:
    await store.load(1, received(batch_of([(1, 1, 1.0)]), T0))
    await store.load(2, received(batch_of([(1, 2, 2.0)]), T0))
    await store.load(3, received(batch_of([(1, 3, 3.0)]), T0 + MONTH))
    await store.close()
    flip(tmp_path / "readings" / "open-2023-11-14.1.duckdb", 2)
    store = DuckReadings(tmp_path / "readings", first_kept=lambda: 1)
    assert await Here(store).step(LATER)
    assert (await store.loaded(), await store.highest_seq(), store.incomplete()) == (0, 3, [])
    await store.load(1, received(batch_of([(1, 1, 1.0)]), T0))
    await store.close()
    store = DuckReadings(tmp_path / "readings")
    assert (await store.loaded(), await store.highest_seq()) == (0, 3)
    for seq, row in enumerate([(1, 1, 1.0), (1, 2, 2.0)], start=1):
        await store.load(seq, received(batch_of([row]), T0))
    await store.load(3, received(batch_of([(1, 3, 3.0)]), T0 + MONTH))
    assert [row[2] for row in await everything(store)] == [1.0, 2.0, 3.0]
    await store.close()
    again = DuckReadings(tmp_path / "readings")
    assert await again.loaded() == 3
    await again.close()


def test_a_damaged_log_leaves_the_rest_of_its_day(tmp_path: Path) -> None:
    script = """
import asyncio, os, sys
from pathlib import Path
from typing import Any
from gateway.store import queries, readings
from gateway.store.readings import DuckReadings
from tests.contracts.store_contract import batch_of
async def main():
    store = DuckReadings(Path(sys.argv[1]))
    await store.load(1, batch_of([(1, 1, 1.0)]))
    await store.checkpoint()
    await store.load(2, batch_of([(1, 2, 2.0)]))
    os._exit(0)
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], timeout=30, check=True)
    (log,) = tmp_path.glob("*.wal")
    data = bytearray(log.read_bytes())
    data[len(data) // 2] ^= 0xFF
    log.write_bytes(data)

    async def check() -> None:
        store = DuckReadings(tmp_path)
        assert store.damage == [log.name]
        assert await store.loaded() == 0
        assert [row[2] for row in await everything(store)] == [1.0]
        assert (await store.load(1, batch_of([(1, 1, 1.0)]))).duplicate == 1
        assert (await store.load(2, batch_of([(1, 2, 2.0)]))).stored == 1
        await store.close()

    asyncio.run(check())


@pytest.mark.parametrize("seed", range(6))
async def test_the_start_never_fails_because_of_flipped_bits(store: DuckReadings, tmp_path: Path, seed: int) -> None:
    count = 20_000
    times = T0 + np.arange(count) * 1000
    batch = ReadingBatch.build(
        np.arange(count, dtype=np.uint32) % 50, times, times, np.random.default_rng(1).random(count)
    )
    await store.load(1, batch)
    if seed % 2:
        await store.checkpoint()
    await store.close()
    path = tmp_path / "readings" / "open-2023-11-14.1.duckdb"
    data = bytearray(path.read_bytes())
    data[random.Random(seed).randrange(len(data))] ^= 4
    path.write_bytes(data)
    store = DuckReadings(tmp_path / "readings")
    if store.damage:
        assert store.damage == [path.name]
        assert await Here(store).step(LATER)
        assert await store.loaded() == 0
        assert (await store.load(1, batch)).stored <= count
    found = await store.history(np.arange(50, dtype=np.uint32), 0, 2**62)
    assert found.value.sum() == pytest.approx(batch.value.sum())
    await store.close()


async def test_a_history_that_is_too_long_is_refused_before_it_fills_the_memory(
    store: DuckReadings, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.load(1, batch_of([(point, hour, 1.0) for point in range(10) for hour in range(100)]))
    fetched: list[int] = []

    def counted(result: Any) -> ReadingBatch:
        fetched.append(len(batch := as_batch(result)))
        return batch

    as_batch = queries.batch_of
    monkeypatch.setattr(queries, "batch_of", counted)
    points = np.arange(10, dtype=np.uint32)
    with pytest.raises(RefusedError, match="more than 20 rows") as refused:
        await store.history(points, 0, 2**62, most_rows=20)
    assert refused.value.status == 413
    assert fetched == [21]
    assert len(await store.history(points, 0, 2**62, most_rows=1000)) == 1000
