"""What every `ReadingStore` must do."""

from __future__ import annotations

from math import isnan

import numpy as np
from hypothesis import strategies as st

from gateway.model.reading import ReadingBatch, Reason, Severity, quality
from gateway.ports import ReadingStore

T0 = 1_700_000_000_000_000
HOUR = 3_600_000_000
BAD = quality(Severity.BAD, Reason.NO_REPLY)
CONFLICT = quality(Severity.UNCERTAIN, Reason.CONFLICT)

Row = tuple[int, int, float]
"""point, hour, value; NaN for BAD"""


def batch_of(rows: list[Row]) -> ReadingBatch:
    return ReadingBatch.build(
        [point for point, _, _ in rows],
        [T0 + hour * HOUR for _, hour, _ in rows],
        T0 + 100 * HOUR,
        [value for _, _, value in rows],
        [BAD if isnan(value) else 0 for _, _, value in rows],
    )


def rows_of(batch: ReadingBatch) -> list[tuple[int, int, float | None, int]]:
    """Return (point, hour, value or None, quality), ready to compare."""
    hours = ((batch.source_time - T0) // HOUR).tolist()
    values = [None if isnan(value) else value for value in batch.value.tolist()]
    return list(zip(batch.point.tolist(), hours, values, batch.quality.tolist(), strict=True))


async def everything(store: ReadingStore, points: int = 10) -> list[tuple[int, int, float | None, int]]:
    return rows_of(await store.history(np.arange(points, dtype=np.uint32), T0 - 1000 * HOUR, T0 + 1000 * HOUR))


ROWS = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 3), st.sampled_from([1.0, 2.0, float("nan")])), min_size=1, max_size=12
)


class StoreContract:
    async def test_history_is_sorted_and_half_open(self, store: ReadingStore) -> None:
        done = await store.load(1, batch_of([(2, 3, 5.0), (1, 4, 6.0), (1, 2, 7.0), (3, 2, 8.0)]))
        assert (done.stored, done.duplicate, done.conflict) == (4, 0, 0)
        part = await store.history(np.array([2, 1], np.uint32), T0 + 2 * HOUR, T0 + 4 * HOUR)
        assert rows_of(part) == [(1, 2, 7.0, 0), (2, 3, 5.0, 0)]

    async def test_a_loaded_seq_is_skipped(self, store: ReadingStore) -> None:
        await store.load(5, batch_of([(1, 1, 1.0)]))
        done = await store.load(5, batch_of([(1, 2, 2.0)]))
        assert (done.stored, done.duplicate, await store.loaded()) == (0, 1, 5)
        assert await everything(store) == [(1, 1, 1.0, 0)]

    async def test_a_load_without_rows_counts(self, store: ReadingStore) -> None:
        await store.load(3, ReadingBatch.empty())
        assert await store.loaded() == 3

    async def test_doubles_are_dropped_and_named(self, store: ReadingStore) -> None:
        nan = float("nan")
        await store.load(1, batch_of([(1, 1, 1.0), (1, 2, nan)]))
        done = await store.load(2, batch_of([(1, 3, 3.0), (1, 1, 1.0), (1, 3, 3.0), (1, 2, nan)]))
        assert (done.stored, done.duplicate, done.conflict) == (1, 3, 0)
        assert sorted(done.duplicate_rows) == [1, 2, 3]
        assert await everything(store) == [(1, 1, 1.0, 0), (1, 2, None, BAD), (1, 3, 3.0, 0)]

    async def test_a_conflict_keeps_both_and_marks_both(self, store: ReadingStore) -> None:
        await store.load(1, batch_of([(1, 1, 1.0), (1, 2, 4.0)]))
        done = await store.load(2, batch_of([(1, 1, 2.0)]))
        assert (done.stored, done.duplicate, done.conflict) == (0, 0, 1)
        assert await everything(store) == [(1, 1, 1.0, CONFLICT), (1, 1, 2.0, CONFLICT), (1, 2, 4.0, 0)]

    async def test_a_silence_does_not_contradict_a_value(self, store: ReadingStore) -> None:
        await store.load(1, batch_of([(1, 1, 1.0)]))
        done = await store.load(2, batch_of([(1, 1, float("nan"))]))
        assert (done.stored, done.conflict) == (1, 0)
        assert await everything(store) == [(1, 1, 1.0, 0), (1, 1, None, BAD)]

    async def test_latest_is_the_newest_source_time(self, store: ReadingStore) -> None:
        await store.load(1, batch_of([(1, 5, 1.0), (2, 1, 2.0)]))
        await store.load(2, batch_of([(1, 3, 9.0), (2, 4, float("nan"))]))
        found = await store.latest(np.array([3, 2, 1], np.uint32))
        assert sorted(rows_of(found), key=lambda row: row[0]) == [(1, 5, 1.0, 0), (2, 4, None, BAD)]

    async def test_latest_in_conflict_is_uncertain(self, store: ReadingStore) -> None:
        await store.load(1, batch_of([(1, 5, 1.0)]))
        await store.load(2, batch_of([(1, 5, 2.0)]))
        (row,) = rows_of(await store.latest(np.array([1], np.uint32)))
        assert row[3] == CONFLICT

    async def test_since_gives_whole_loads_in_order(self, store: ReadingStore) -> None:
        for seq in range(1, 7):
            await store.load(10 * seq, batch_of([(1, seq, 1.0), (2, seq, 1.0)]))
        upto, batch = await store.since(0, 4)
        assert (upto, len(batch)) == (20, 4)
        upto, batch = await store.since(20, 1)
        assert (upto, rows_of(batch)) == (30, [(1, 3, 1.0, 0), (2, 3, 1.0, 0)])
        upto, batch = await store.since(30, 1000)
        assert (upto, len(batch)) == (60, 6)
        assert (await store.since(60, 1000))[0] == 60

    async def test_since_passes_loads_that_only_had_doubles(self, store: ReadingStore) -> None:
        await store.load(1, batch_of([(1, 1, 1.0)]))
        await store.load(2, batch_of([(1, 1, 1.0)]))
        upto, batch = await store.since(1, 10)
        assert (upto, len(batch)) == (2, 0)

    async def test_close_may_be_called_twice(self, store: ReadingStore) -> None:
        await store.close()
        await store.close()
