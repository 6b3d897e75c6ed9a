"""Readings kept from pass to pass are those that asking for everything anew brings, whatever came when."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import RefusedError, TransientError
from gateway.model.quantity import Quantity
from gateway.model.reading import ReadingBatch, point_id
from gateway.roles import kept_rows
from gateway.roles.kept_rows import KeptRows
from gateway.store.readings import DuckReadings

DAY_US = 86_400_000_000
START = 1_767_225_600_000_000
QUANTITIES = (Quantity.REGISTER_MEASURED_M3, Quantity.VALVE, Quantity.FLAGS)
NAMES = [point_id(f"M-{number}", quantity) for number in range(4) for quantity in QUANTITIES]
BACK = 20
EVERY = np.arange(len(NAMES), dtype=np.uint32)


def names(points) -> Any:
    return [NAMES[point] for point in points.tolist()]


def batch_of(rng, received_day) -> Any:
    """Readings of any age of some points: some far older than the lookback, doubled, contradicting or ahead."""
    count = int(rng.integers(1, 60))
    point = rng.choice([0, 0, 0, 1, 2, 3, 6, 9], count)
    age = rng.choice([0.0, 0.1, 1.0, 5.0, 19.9, 20.1, 60.0, 190.0, 230.0, -2.0], count) * rng.choice([1.0, 0.9], count)
    time = START + ((received_day - age) * 24).astype(np.int64) * 3_600_000_000
    return ReadingBatch.build(point, time, START + int(received_day * DAY_US), rng.integers(0, 3, count))


def same(one, other) -> None:
    for mine, theirs in zip(one.columns(), other.columns(), strict=True):
        np.testing.assert_array_equal(mine, theirs)


async def histories(folder, seed, days) -> None:
    rng = np.random.default_rng(seed)
    store, kept, seq = DuckReadings(folder), KeptRows(BACK), 0
    for day in np.cumsum(days):
        for _ in range(int(rng.integers(0, 4))):
            seq += 1
            await store.load(seq, batch_of(rng, day))
        now = START + int(day * DAY_US)
        rows, known = await kept.at(store, EVERY, names, now)
        anew, known_anew = await KeptRows(BACK).at(store, EVERY, names, now)
        same(rows, anew)
        assert known == known_anew
        assert not len(rows) or rows.source_time.max() < now
    await store.close()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.lists(st.sampled_from([0.0, 0.25, 1.0, 6.5, 30.0]), min_size=2, max_size=6))
def test_any_order_of_readings_and_passes_keeps_what_asking_anew_brings(seed, days):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(kept_rows, "SELDOM_ROWS", 4)
        patched.setattr(kept_rows, "ANEW_US", 60 * DAY_US)
        asyncio.run(histories(Path(folder), seed, days))


class Counting:
    """A store that counts the rows it gave away, and can be away."""

    def __init__(self, store) -> None:
        self.store, self.given, self.away_after = store, 0, 10**9

    async def loaded(self) -> Any:
        return await self.store.loaded()

    async def since(self, seq, limit) -> Any:
        return await self._told(self.store.since(seq, limit))

    async def history(self, points, start_us, end_us) -> Any:
        return await self._told(self.store.history(points, start_us, end_us))

    async def latest(self, points) -> Any:
        return await self.store.latest(points)

    async def _told(self, asked) -> Any:
        answer = await asked
        self.away_after -= 1
        if self.away_after < 0:
            raise TransientError("away")
        self.given += len(answer[1] if isinstance(answer, tuple) else answer)
        return answer


def hourly(first, last) -> Any:
    at = START + np.arange(first, last) * 3_600_000_000
    point = np.repeat(np.array([0, 3, 6, 9]), len(at))
    at = np.tile(at, 4)
    return ReadingBatch.build(point, at, at + 1_000_000, np.arange(float(len(at))))


async def test_a_second_pass_asks_only_for_what_came_since(tmp_path):
    store = Counting(DuckReadings(tmp_path))
    await store.store.load(1, hourly(0, 480))
    kept = KeptRows(BACK)
    rows, _ = await kept.at(store, EVERY, names, START + 20 * DAY_US)
    assert len(rows) == 4 * 480
    store.given = 0
    await store.store.load(2, hourly(480, 486))
    rows, _ = await kept.at(store, EVERY, names, START + 20 * DAY_US + 6 * 3_600_000_000)
    assert (len(rows), store.given) == (4 * 480, 24)
    await store.store.close()


async def test_a_store_that_goes_away_amid_a_pass_costs_no_reading(tmp_path):
    store = Counting(DuckReadings(tmp_path))
    await store.store.load(1, hourly(0, 480))
    now = START + 20 * DAY_US
    for after in range(3):
        kept = KeptRows(BACK)
        store.away_after = after
        with_pass = 0
        for _ in range(4):
            try:
                rows, _ = await kept.at(store, EVERY, names, now)
                with_pass += 1
            except TransientError:
                store.away_after = 10**9
                await store.store.load(await store.store.loaded() + 1, hourly(500 + 9 * after, 501 + 9 * after))
                now = START + 22 * DAY_US
        assert with_pass >= 3
        same(rows, (await KeptRows(BACK).at(store, EVERY, names, now))[0])
    await store.store.close()


async def test_a_store_that_was_set_back_is_read_anew(tmp_path):
    store = DuckReadings(tmp_path / "one")
    await store.load(7, hourly(0, 48))
    kept = KeptRows(BACK)
    now = START + 3 * DAY_US
    assert len((await kept.at(store, EVERY, names, now))[0]) == 4 * 48
    other = DuckReadings(tmp_path / "two")
    await other.load(3, hourly(0, 24))
    assert len((await kept.at(other, EVERY, names, now))[0]) == 4 * 24
    await store.close()
    await other.close()


async def test_more_readings_than_a_pass_may_hold_are_refused_and_let_go(tmp_path, monkeypatch):
    store = DuckReadings(tmp_path)
    await store.load(1, hourly(0, 48))
    kept = KeptRows(BACK)
    await kept.at(store, EVERY, names, START + 2 * DAY_US)
    await store.load(2, hourly(48, 60))
    with monkeypatch.context() as patched:
        patched.setattr(kept_rows, "MOST_ROWS", 200)
        with pytest.raises(RefusedError, match="more than 200 readings"):
            await kept.at(store, EVERY, names, START + 3 * DAY_US)
    assert len((await kept.at(store, EVERY, names, START + 3 * DAY_US))[0]) == 4 * 60
    await store.close()
