"""A pass of a city that is too large for it: it says so, and takes no more memory than it may."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.config import load
from gateway.model.quantity import Quantity
from gateway.model.reading import ReadingBatch, point_id, to_us
from gateway.roles import kept_rows
from gateway.roles.analyse import Analyst
from gateway.roles.common import site_network
from gateway.runtime.clock import SystemClock
from gateway.store.registry import StateRegistry
from gateway.store.remote import RemoteStore
from gateway.store.state import State
from tests.end_to_end.small_site import SmallSite, meter

METERS = 6


DAY_US = 86_400_000_000
BACK = (1, 2, 3, 4, 5, 90, 150)


class Store:
    """Every point with an even index has a reading on each of the last days, and two of long ago."""

    def __init__(self) -> None:
        self.now_us = to_us(SystemClock().now())
        self.asked: list[int] = []
        self.oldest: dict[int, int] = {}

    async def loaded(self) -> int:
        return 0

    async def since(self, seq: int, _limit: int) -> tuple[int, ReadingBatch]:
        return seq, ReadingBatch.empty()

    async def latest(self, points: NDArray[np.uint32]) -> ReadingBatch:
        return self._rows(points[points % 2 == 0], (1,))

    async def history(self, points: NDArray[np.uint32], start_us: int, end_us: int) -> ReadingBatch:
        self.asked += points.tolist() if end_us >= self.now_us else []
        rows = self._rows(points, BACK)
        rows = rows.take((rows.source_time >= start_us) & (rows.source_time < end_us))
        back = (self.now_us - rows.source_time) // DAY_US
        for point in np.unique(rows.point).tolist():
            self.oldest[point] = max(self.oldest.get(point, 0), int(back[rows.point == point].max()))
        return rows

    def _rows(self, points: NDArray[np.uint32], back: tuple[int, ...]) -> ReadingBatch:
        point = np.repeat(points, len(back))
        at = self.now_us - DAY_US * np.tile(np.array(back[::-1]), len(points))
        return ReadingBatch.build(point, at, at, np.ones(len(point)))


@pytest.fixture
def analyst(tmp_path: Path) -> Any:
    config = load(SmallSite(tmp_path / "site", 1, meters=METERS).config)
    state = State.in_folder(config.data.folder)
    names = [
        point_id(meter(n), quantity)
        for n in range(METERS)
        for quantity in (Quantity.REGISTER_MEASURED_M3, Quantity.FLAGS)
    ]
    StateRegistry(state).indices(names)
    yield Analyst(config, state, site_network(config))
    state.close()


async def passed(analyst: Analyst, monkeypatch: pytest.MonkeyPatch) -> Store:
    store = Store()
    monkeypatch.setattr(analyst, "_audit", lambda *_: None)
    await analyst._pass(cast("RemoteStore", store), SystemClock().now())
    return store


async def test_only_points_with_readings_are_asked_for(analyst: Analyst, monkeypatch: pytest.MonkeyPatch) -> None:
    store = await passed(analyst, monkeypatch)
    assert sorted(store.asked) == [0, 2, 4, 6, 8, 10]
    well, detail = analyst.health()
    assert well
    assert detail["problems"] == []
    assert "last_pass" in detail


async def test_registers_that_are_read_seldom_are_asked_for_as_far_back_as_they_tell_a_level(
    analyst: Analyst, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await passed(analyst, monkeypatch)
    assert store.oldest == dict.fromkeys([0, 2, 4, 6, 8, 10], 150)
    monkeypatch.setattr(kept_rows, "SELDOM_ROWS", 5)
    monkeypatch.setattr(analyst, "_rows", kept_rows.KeptRows(65))
    assert (await passed(analyst, monkeypatch)).oldest == dict.fromkeys([0, 2, 4, 6, 8, 10], 5)


@pytest.mark.parametrize(("bound", "most", "asked"), [("MOST_POINTS", 5, 0), ("MOST_ROWS", 19, 4)])
async def test_a_city_that_is_too_large_is_not_judged(
    analyst: Analyst, monkeypatch: pytest.MonkeyPatch, bound: str, most: int, asked: int
) -> None:
    monkeypatch.setattr(kept_rows, bound, most)
    monkeypatch.setattr(kept_rows, "POINTS_AT_ONCE", 2)
    store = await passed(analyst, monkeypatch)
    assert len(store.asked) == asked
    well, detail = analyst.health()
    assert not well
    assert f"more than {most}" in detail["problems"][0]
    assert "last_pass" not in detail
    monkeypatch.undo()
    await passed(analyst, monkeypatch)
    assert analyst.health()[0]
