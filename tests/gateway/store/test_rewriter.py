"""Sealing, merging, thinning, deletion and rescue of the store's files, by the real process that does it."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import duckdb
import msgspec
import numpy as np
import pytest

from gateway.errors import TransientError
from gateway.model.quantity import Quantity
from gateway.model.reading import PointId, ReadingBatch, point_id
from gateway.store import journal, rewrite
from gateway.store.dayfile import DAY_US
from gateway.store.readings import DuckReadings
from gateway.store.rewrite import Done, Job
from gateway.store.rewriter import Rewriter
from gateway.store.upkeep import Retention
from tests.gateway.store.rewriting import Here, tidy

START = 1_704_067_200_000_000
"""2024-01-01"""
HOUR = 3_600_000_000
MINUTE = 60_000_000
POINTS = 8
"""even ones are registers, odd ones pressures"""


def names(points: np.ndarray) -> list[PointId]:
    kinds = (Quantity.REGISTER_BASE_M3, Quantity.PRESSURE_GAUGE_KPA)
    return [point_id(f"A-{point}", kinds[point % 2]) for point in points.tolist()]


def day(number: int, every_us: int = HOUR, seed: int = 0) -> ReadingBatch:
    """Return a day's readings in the order in which they came."""
    times = np.repeat(START + number * DAY_US + np.arange(0, DAY_US, every_us), POINTS)
    points = np.tile(np.arange(POINTS, dtype=np.uint32), len(times) // POINTS)
    return ReadingBatch.build(points, times, times, np.random.default_rng([number, seed]).random(len(times)))


async def all_rows(store: DuckReadings) -> ReadingBatch:
    return await store.history(np.arange(POINTS, dtype=np.uint32), 0, 2**62)


def same(one: ReadingBatch, other: ReadingBatch) -> None:
    for got, wanted in zip(one.columns(), other.columns(), strict=True):
        np.testing.assert_array_equal(got, wanted)


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix == ".duckdb")


async def filled(folder: Path, days: range, **options: object) -> DuckReadings:
    store = DuckReadings(folder, names=names, **options)  # type: ignore[arg-type]
    for number in days:
        batch = day(number)
        half = len(batch) // 2
        await store.load(await store.loaded() + 1, batch.take(slice(0, half)))
        await store.load(await store.loaded() + 1, batch.take(slice(half, None)))
    return store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[DuckReadings]:
    store = await filled(tmp_path, range(3))
    yield store
    await store.close()


async def test_closed_days_are_sealed_by_family_and_nothing_else_changes(store: DuckReadings, tmp_path: Path) -> None:
    before, loads = await all_rows(store), await store.since(0, 10**6)
    await tidy(Rewriter(store))
    assert files_in(tmp_path) == [
        "meter-2024-01-01.2.duckdb", "meter-2024-01-02.2.duckdb",
        "network-2024-01-01.3.duckdb", "network-2024-01-02.3.duckdb", "open-2024-01-03.1.duckdb",
    ]  # fmt: skip
    same(await all_rows(store), before)
    upto, rows = await store.since(0, 10**6)
    assert upto == loads[0]
    order = np.lexsort((rows.point, rows.source_time))
    same(rows.take(order), loads[1].take(np.lexsort((loads[1].point, loads[1].source_time))))
    with duckdb.connect(str(tmp_path / "meter-2024-01-01.2.duckdb"), read_only=True) as file:
        kept = file.execute("SELECT point, source_time FROM reading").fetchall()
        assert kept == sorted(kept)
        assert {point % 2 for point, _ in kept} == {0}
        assert len(kept) == 24 * POINTS // 2
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".part"]  # noqa: ASYNC240


async def test_streaming_goes_on_over_sealed_days_in_whole_loads(store: DuckReadings) -> None:
    await tidy(Here(store))
    cursor, count = 0, 0
    while True:
        upto, rows = await store.since(cursor, 50)
        if upto == cursor:
            break
        assert upto == cursor + 1
        cursor, count = upto, count + len(rows)
    assert (cursor, count) == (6, 3 * 24 * POINTS)


async def test_a_sealed_store_opens_again_and_knows_what_is_doubled(store: DuckReadings, tmp_path: Path) -> None:
    await tidy(Here(store))
    before, loaded = await all_rows(store), await store.loaded()
    newest = await store.latest(np.arange(POINTS, dtype=np.uint32))
    await store.close()
    for lost in ("", "newest"):
        if lost:
            (tmp_path / lost).write_bytes(b"GSN1 nonsense")
        again = DuckReadings(tmp_path, names=names)
        same(await all_rows(again), before)
        same(await again.latest(np.arange(POINTS, dtype=np.uint32)), newest)
        assert (await again.loaded(), again.damage) == (loaded, [])
        assert (await again.load(loaded + 1, day(0))).duplicate == len(day(0))
        loaded += 1
        await again.close()


async def test_closed_months_become_one_file_of_each_family(tmp_path: Path) -> None:
    store = await filled(tmp_path, range(29, 34))
    before = await all_rows(store)
    await tidy(Here(store, Retention(network_raw_days=1)))
    found = files_in(tmp_path)
    assert [name for name in found if name.startswith("meter-2024-01")] == ["meter-2024-01.1.duckdb"]
    assert [name for name in found if name.startswith("minutes-2024-01")] == ["minutes-2024-01.2.duckdb"]
    assert "meter-2024-02-01.2.duckdb" in found
    same(await all_rows(store), before)
    await store.close()


async def test_rows_that_come_for_a_sealed_day_join_it(store: DuckReadings, tmp_path: Path) -> None:
    rewriter = Here(store)
    await tidy(rewriter)
    await store.load(7, day(0, seed=1).take(slice(0, 5)))
    assert "open-2024-01-01.4.duckdb" in files_in(tmp_path)
    before = await all_rows(store)
    await tidy(rewriter)
    assert len([name for name in files_in(tmp_path) if "2024-01-01" in name]) == 2
    same(await all_rows(store), before)


async def test_network_values_are_thinned_to_what_minutes_need(tmp_path: Path) -> None:
    store = DuckReadings(tmp_path, names=names)
    await store.load(1, day(0, MINUTE // 6))
    await store.load(2, day(3))
    before = await all_rows(store)
    await tidy(Here(store, Retention(network_raw_days=1)))
    kept = await all_rows(store)
    meters = before.take(before.point % 2 == 0)
    same(kept.take(kept.point % 2 == 0), meters)
    for point in (1, 3):
        own = before.take((before.point == point) & (before.source_time < START + DAY_US))
        left = kept.take((kept.point == point) & (kept.source_time < START + DAY_US))
        minutes = own.value.reshape(-1, 6)
        wanted = {*minutes.min(axis=1).tolist(), *minutes.max(axis=1).tolist(), *minutes[:, -1].tolist()}
        assert sorted(left.value.tolist()) == sorted(wanted)
    assert [name for name in files_in(tmp_path) if name.startswith("minutes")] == ["minutes-2024-01-01.4.duckdb"]
    await store.close()


async def test_what_is_past_its_time_is_deleted_as_whole_files(tmp_path: Path) -> None:
    store = await filled(tmp_path, range(0, 12, 3))
    rewriter = Here(store, Retention(meter_days=7, network_raw_days=2, network_days=4))
    await tidy(rewriter)
    left = await all_rows(store)
    days = {family: set(((left.source_time - START) // DAY_US)[left.point % 2 == family].tolist()) for family in (0, 1)}
    assert days == {0: {3, 6, 9}, 1: {6, 9}}
    assert rewriter.counts.deleted == 3
    await store.close()


async def test_a_clock_that_is_far_ahead_deletes_nothing(store: DuckReadings) -> None:
    rewriter = Here(store, Retention(meter_days=10, network_raw_days=10, network_days=10))
    await tidy(rewriter, START + 40_000 * DAY_US)
    assert rewriter.counts.deleted == 0


async def test_the_month_files_of_the_first_release_are_taken_over(tmp_path: Path) -> None:
    batch = day(0)
    with duckdb.connect(str(tmp_path / "readings-2024-01.duckdb")) as old:
        old.execute(
            "CREATE TABLE reading (point UINTEGER NOT NULL, source_time BIGINT NOT NULL,"
            " received_time BIGINT NOT NULL, value DOUBLE, quality UTINYINT NOT NULL, seq BIGINT NOT NULL)"
        )
        old.execute("CREATE TABLE load (seq BIGINT NOT NULL, rows BIGINT NOT NULL, whole BOOLEAN NOT NULL)")
        names_of = ("point", "source_time", "received_time", "value", "quality")
        old.register("rows", dict(zip(names_of, batch.columns(), strict=True)))
        old.execute("INSERT INTO reading SELECT *, 5 FROM rows")
        old.execute("INSERT INTO load VALUES (5, 192, true)")
    store = DuckReadings(tmp_path, names=names)
    before = await all_rows(store)
    assert (len(before), await store.loaded()) == (len(batch), 5)
    await tidy(Here(store))
    assert files_in(tmp_path) == ["meter-2024-01.1.duckdb", "network-2024-01.2.duckdb"]
    same(await all_rows(store), before)
    await store.close()
    store = DuckReadings(tmp_path, names=names)
    assert await store.loaded() == 5
    await store.close()


async def test_history_read_while_its_file_is_swapped_stays_whole(store: DuckReadings) -> None:
    before = await all_rows(store)
    stop = asyncio.Event()

    async def read() -> int:
        count = 0
        while not stop.is_set():
            same(await all_rows(store), before)
            count += 1
        return count

    readers = [asyncio.create_task(read()) for _ in range(2)]
    await tidy(Here(store))
    stop.set()
    assert min(await asyncio.gather(*readers)) > 2


def job_for(folder: Path, kind: str = "seal") -> Job:
    inputs = ("open-2024-01-01.1.duckdb",)
    (folder / "points.part").write_bytes(np.array([1, 3, 5, 7], dtype="<u4").tobytes())
    outputs = {"meter": "meter-2024-01-01.2.duckdb.part", "network": "network-2024-01-01.3.duckdb.part"}
    return Job(kind, str(folder), inputs, outputs, network_points="points.part")


class Killed(BaseException):
    """Stands for SIGKILL inside this process: nothing of ours catches it."""


@pytest.mark.parametrize("step", range(7))
async def test_a_kill_at_any_step_of_a_swap_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Every change to the folder that a swap makes is a step before which the process may die."""
    store = await filled(tmp_path, range(2))
    before = await all_rows(store)
    left = step

    def dying(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            nonlocal left
            if left == 0:
                raise Killed
            left -= 1
            return real(*arguments, **options)

        return call

    for name in ("rename", "replace", "unlink"):
        monkeypatch.setattr(Path, name, dying(getattr(Path, name)))
    with pytest.raises(Killed):
        await tidy(Here(store))
    monkeypatch.undo()
    await store.close()
    again = DuckReadings(tmp_path, names=names)
    same(await all_rows(again), before)
    assert (again.damage, await again.loaded()) == ([], 4)
    upto, rows = await again.since(0, 10**6)
    assert (upto, len(rows)) == (4, len(before))
    await tidy(Here(again))
    same(await all_rows(again), before)
    await again.close()


def rewriting() -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "gateway.store.rewrite"], stdin=subprocess.PIPE)


@pytest.mark.parametrize("after_s", [0.3, 0.5])
async def test_a_killed_rewriting_process_leaves_everything_as_it_was(
    store: DuckReadings, tmp_path: Path, after_s: float
) -> None:
    before = await all_rows(store)
    await store.checkpoint()
    process = rewriting()
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(job_for(tmp_path)) + b"\n")
    process.stdin.flush()
    await asyncio.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdin.close()
    same(await all_rows(store), before)
    await tidy(Rewriter(store))
    same(await all_rows(store), before)


async def test_a_rewriting_process_ends_with_the_one_that_asked() -> None:
    process = rewriting()
    assert process.stdin is not None
    process.stdin.close()
    assert await asyncio.to_thread(process.wait, 10) != 0


async def test_a_file_that_was_written_wrong_is_not_taken(
    store: DuckReadings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await store.checkpoint()
    monkeypatch.setattr(rewrite._Work, "_ranges", lambda *_: [(0, 3)])
    with pytest.raises(ValueError, match="were written where"):
        rewrite.run(job_for(tmp_path))


def flip_middle(folder: Path, family: str) -> Path:
    """Flip a bit in the middle of the only file of a family's first day."""
    (path,) = folder.glob(f"{family}-2024-01-01*")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return path


async def test_a_damaged_sealed_file_is_found_saved_and_filled_again(tmp_path: Path) -> None:
    store = DuckReadings(tmp_path, names=names, first_kept=lambda: 1)
    loads = [day(0, 30_000_000), day(1)]
    for seq, batch in enumerate(loads, start=1):
        await store.load(seq, batch)
    before = await all_rows(store)
    await tidy(Here(store))
    await store.close()
    path = flip_middle(tmp_path, "meter")
    store = DuckReadings(tmp_path, names=names, first_kept=lambda: 1)
    rewriter = Here(store)
    for _ in range(len(store.shelf.files)):
        await rewriter.check_one()
    assert store.damage == [path.name]
    await tidy(rewriter)
    assert rewriter.counts.saved == 1
    for seq, batch in enumerate(loads, start=1):
        await store.load(seq, batch)
    await tidy(rewriter)
    same(await all_rows(store), before)
    assert (store.damage, store.incomplete()) == ([path.name], [])
    await store.close()


async def test_of_a_damaged_old_file_the_readable_rest_is_kept_and_the_day_marked(tmp_path: Path) -> None:
    store = DuckReadings(tmp_path, names=names, first_kept=lambda: 100)
    await store.load(1, day(0, 4_000_000))
    await store.load(2, day(1))
    before = await all_rows(store)
    await tidy(Here(store))
    await store.close()
    path = flip_middle(tmp_path, "meter")
    store = DuckReadings(tmp_path, names=names, first_kept=lambda: 100)
    with pytest.raises(TransientError, match="Corrupt"):
        await all_rows(store)
    rewriter = Here(store)
    await tidy(rewriter)
    kept = await all_rows(store)
    assert 0.5 * len(before) < len(kept) < len(before)
    assert (store.damage, store.incomplete(), await store.loaded()) == ([path.name], ["2024-01-01"], 2)
    await store.close()
    store = DuckReadings(tmp_path, names=names, first_kept=lambda: 100)
    assert (store.damage, store.incomplete(), await store.loaded()) == ([], ["2024-01-01"], 2)
    await store.close()


async def test_a_swap_that_the_disk_refuses_is_finished_when_it_can_be(
    store: DuckReadings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, rename, failures = await all_rows(store), Path.rename, iter([False, True])

    def refused(path: Path, target: Path) -> Path:
        if next(failures, False):
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refused)
    with pytest.raises(TransientError, match="Input/output"):
        await tidy(Here(store))
    await store.load(7, ReadingBatch.empty())
    same(await all_rows(store), before)
    await tidy(Here(store))
    same(await all_rows(store), before)
    assert "swap.json" not in {path.name for path in tmp_path.iterdir()}  # noqa: ASYNC240
    assert len(files_in(tmp_path)) == 5


async def test_a_file_that_cannot_be_sealed_stands_in_nobodys_way(store: DuckReadings, tmp_path: Path) -> None:
    await store.load(7, day(0, MINUTE, seed=2))
    await store.checkpoint()
    path = tmp_path / "open-2024-01-01.1.duckdb"
    with path.open("r+b") as file:
        for at in range(20_000, path.stat().st_size, 200_000):
            file.seek(at)
            file.write(b"\xff" * 4000)
    with pytest.raises(TransientError):
        await tidy(Here(store))
    assert store.damage == [path.name]
    await tidy(Here(store))
    assert [name for name in files_in(tmp_path) if name.startswith("open")] == ["open-2024-01-03.1.duckdb"]
    assert await store.loaded() == 0, "the spool fills it again"


async def test_without_room_nothing_is_rewritten_and_nothing_is_left(
    store: DuckReadings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files_in(tmp_path)
    monkeypatch.setattr("gateway.store.rewriter._SPARE_BYTES", 2**60)
    with pytest.raises(TransientError, match="no room to seal"):
        await tidy(Here(store))
    assert files_in(tmp_path) == before
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".part"]  # noqa: ASYNC240


async def test_what_cannot_be_saved_is_given_up_after_some_tries(tmp_path: Path) -> None:
    (tmp_path / "quarantine").mkdir()
    (tmp_path / "quarantine" / "meter-2024-01-01.1.duckdb.20240102T000000Z.damaged").write_bytes(b"")

    class Failing(Here):
        async def _process(self, job: Job) -> Done:
            raise TransientError("the child was killed")

    store = DuckReadings(tmp_path, names=names)
    rewriter = Failing(store)
    for _ in range(3):
        with pytest.raises(TransientError, match="killed"):
            await rewriter.step(0)
    assert await rewriter.step(0)
    assert not await rewriter.step(0)
    await store.close()


async def test_an_unreadable_intent_of_a_swap_is_dropped(store: DuckReadings, tmp_path: Path) -> None:
    before = await all_rows(store)
    await store.close()
    (tmp_path / "swap.json").write_text("{ nonsense")
    journal.recover(tmp_path)
    again = DuckReadings(tmp_path, names=names)
    same(await all_rows(again), before)
    await again.close()
