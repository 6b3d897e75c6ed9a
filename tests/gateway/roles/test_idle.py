"""What a gateway does while nothing arrives: as little as it can, and still at once what somebody asks for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.config import load
from gateway.model.quantity import Quantity
from gateway.model.reading import ReadingBatch, point_id
from gateway.roles import analyse
from gateway.roles.analyse import Analyst
from gateway.roles.common import site_network
from gateway.store import edit_rows
from gateway.store.edit_rows import Edit
from gateway.store.registry import StateRegistry
from gateway.store.state import State
from tests.end_to_end.small_site import SmallSite, meter


class EmptyStore:
    """Knows no reading, and counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def latest(self, _points: NDArray[np.uint32]) -> ReadingBatch:
        self.asked += 1
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
    await asyncio.sleep(0.5)
    assert store.asked == 1
    with state.write() as connection:
        edit_rows.add_edit(connection, Edit(meter(0), "2026-01-01", 5, "ann", "read by hand", 1))
    await asyncio.sleep(0.5)
    assert store.asked == 2
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
