"""Dead letters become readings once the mapping is right, and never before they are on disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from collectors.mqtt import MqttCollector
from collectors.mqtt_config import MqttConfig
from gateway.errors import TransientError
from gateway.model.reading import ReadingBatch
from gateway.ports import DeadLetter, Delivery
from gateway.roles.replay import Replay
from gateway.runtime.clock import SystemClock
from gateway.store import replay_rows
from gateway.store.dead_rows import dead_totals, list_dead, put_dead
from gateway.store.state import State
from tests.collectors.sites import MemoryRegistry, network
from tests.gateway.runtime.waiting import until

AT_US = 1_768_435_200_000_000


def collector(path: str) -> MqttCollector:
    topic = {"filter": "up/{meter}", "time": {"path": "t", "as": "epoch_s"}, "values": {"register_measured_m3": path}}
    table = {"name": "m", "url": "mqtt://127.0.0.1:1", "client_id": "c", "topic": [topic]}
    return MqttCollector(MqttConfig.model_validate(table), MemoryRegistry(), network(), SystemClock())


def letter(number: int, payload: bytes = b"") -> DeadLetter:
    body = payload or b'{"t": %d, "volume": %d}' % (AT_US // 1_000_000 + number, number)
    return DeadLetter("m", "up/M-000001", body, "shape", AT_US + number)


class Site:
    """Letters in a real database, and a disk that keeps what it is given a moment later."""

    def __init__(self, folder: Path) -> None:
        self.state = State.in_folder(folder)
        self.kept: list[ReadingBatch] = []
        self._acks: list[asyncio.Task[None]] = []

    async def put(self, delivery: Delivery) -> None:
        self._acks.append(asyncio.create_task(self._keep(delivery)))

    async def _keep(self, delivery: Delivery) -> None:
        await asyncio.sleep(0.01)
        self.kept.append(delivery.batch)
        assert delivery.ack is not None
        await delivery.ack()

    def ask(self, source: str = "m") -> int:
        with self.state.write() as connection:
            return replay_rows.ask(connection, source, "li", AT_US)

    def outcome(self, source: str = "m") -> dict[str, Any]:
        with self.state.read() as connection:
            return dict(replay_rows.replays(connection)[source])


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(tmp_path)
    yield site
    site.state.close()


async def test_letters_become_readings_with_their_times_when_the_mapping_is_right(site: Site) -> None:
    put_dead(site.state, [(1, number, letter(number)) for number in range(450)])
    put_dead(site.state, [(2, 0, letter(0, b"{torn")), (2, 1, DeadLetter("other", "x", b"y", "r", AT_US))])
    replay = Replay(site.state, lambda: [collector("volume")], site.put)
    assert site.ask() == 451
    await replay.replay("m")
    assert np.concatenate([one.value for one in site.kept]).tolist() == [float(number) for number in range(450)]
    assert site.kept[3].source_time.tolist() == [AT_US + 3_000_000]
    assert site.kept[3].received_time.tolist() == [AT_US + 3]
    assert [one.payload for one in list_dead(site.state)] == [b"y", b"{torn"]
    assert (dead_totals(site.state).rows, dead_totals(site.state).payload_bytes) == (2, 6)
    assert site.outcome() == {"state": "done", "who": "li", "asked_us": AT_US, "read": 450, "left": 1}


async def test_with_the_old_mapping_all_are_left(site: Site) -> None:
    put_dead(site.state, [(1, 0, letter(0))])
    await Replay(site.state, lambda: [collector("wrong")], site.put).replay("m")
    assert (len(list_dead(site.state)), site.kept) == (1, [])


async def test_a_letter_stays_until_its_readings_are_safe(site: Site) -> None:
    put_dead(site.state, [(1, 0, letter(0))])

    async def full(_delivery: Delivery) -> None:
        raise TransientError("No space left on device")

    with pytest.raises(TransientError):
        await Replay(site.state, lambda: [collector("volume")], full).replay("m")
    assert len(list_dead(site.state)) == 1


async def test_what_was_asked_for_is_done_once_also_for_a_source_that_is_gone(site: Site) -> None:
    put_dead(site.state, [(1, 0, letter(0))])
    site.ask()
    site.ask("gone")
    task = asyncio.create_task(Replay(site.state, lambda: [collector("volume")], site.put).run())
    await until(lambda: {site.outcome()["state"], site.outcome("gone")["state"]} == {"done"}, 60)
    task.cancel()
    assert (len(site.kept), site.outcome("gone")["problem"]) == (1, "no such source")
