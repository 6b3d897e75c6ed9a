"""Topics that a configuration no longer has are taken out of the broker's session."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from collectors.mqtt import MqttCollector
from collectors.mqtt_config import MqttConfig
from collectors.session_filters import SessionFilters
from gateway.errors import TransientError
from gateway.ports import Memory
from gateway.runtime.clock import ManualClock
from gateway.store.memory import StateMemory
from gateway.store.state import State
from tests.collectors.mqtt_peers import NOW_US, Publisher, message
from tests.collectors.sites import MemoryRegistry, network
from tests.services import Server

OLD, NEW = "old/{meter}/up", "collect/{meter}/up"
MOMENT_S = 0.6


def config(port: int, topic: str, **changes: Any) -> MqttConfig:
    mapping = {
        "filter": topic,
        "identity": "$.id",
        "each": "$.readings[*]",
        "time": {"path": "t", "as": "epoch_ms"},
        "values": {"register_measured_m3": {"path": "v"}},
    }
    table = {"name": "meters", "url": f"mqtt://127.0.0.1:{port}", "client_id": "gasgate-filters", "topic": [mapping]}
    return MqttConfig.model_validate({**table, **changes})


def source(settings: MqttConfig, memory: Memory) -> MqttCollector:
    collector = MqttCollector(settings, MemoryRegistry(), network(), ManualClock(NOW_US))
    collector.remember_in(memory)
    return collector


async def all_that_comes(collector: MqttCollector, at_least: int = 0) -> list[str]:
    """Connect, take at least so much and what else comes within a moment, and return the sorts of it."""
    now = asyncio.get_running_loop().time
    seen: list[str] = []
    await collector.open()
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(60 if at_least else MOMENT_S) as limit:
                async for delivery in collector.deliveries():
                    seen += ["dead"] * len(delivery.dead) + ["reading"] * len(delivery.batch)
                    if delivery.ack is not None:
                        await delivery.ack()
                    if len(seen) >= at_least:
                        limit.reschedule(now() + MOMENT_S)
    finally:
        await collector.close()
    return sorted(seen)


@pytest.mark.parametrize("version", [5, "3.1.1"])
async def test_another_start_with_other_topics_ends_the_old_ones(
    mosquitto: Server, tmp_path: Path, version: object
) -> None:
    memory = StateMemory(State.in_folder(tmp_path))
    peer = Publisher(mosquitto.port)
    both = [(f"old/{topic.partition('/')[2]}", payload) for topic, payload in [message("M-000001", 1)]]
    both += [message("M-000001", 2)]
    assert await all_that_comes(source(config(mosquitto.port, OLD), memory)) == []
    assert await all_that_comes(source(config(mosquitto.port, NEW, version=version), memory)) == []
    await asyncio.to_thread(peer.send, *both)
    peer.close()
    assert await all_that_comes(source(config(mosquitto.port, NEW, version=version), memory), at_least=1) == ["reading"]


def test_filters_are_known_by_client_and_host_and_damaged_facts_are_none(tmp_path: Path) -> None:
    memory = StateMemory(State.in_folder(tmp_path))

    def begun(settings: MqttConfig) -> list[str]:
        fresh = SessionFilters("meters")
        fresh.memory = memory
        return fresh.begin(settings)

    assert begun(config(1883, OLD)) == []
    assert begun(config(8883, NEW, url="mqtts://127.0.0.1:8883")) == ["old/+/up"]
    assert begun(config(1883, NEW)) == ["old/+/up"], "what was not done is known still"
    assert begun(config(1883, NEW, client_id="other")) == []
    assert begun(config(1883, NEW, url="mqtt://127.0.0.2")) == []
    memory.remember("meters", "session gasgate-filters@127.0.0.1", {"filters": ["old/+/up", 7, ""]})
    assert begun(config(1883, NEW)) == ["old/+/up"]
    memory.remember("meters", "session gasgate-filters@127.0.0.1", {"filters": 3})
    assert begun(config(1883, NEW)) == []


def test_without_a_memory_a_change_in_place_is_still_known() -> None:
    class Full:
        def recall(self, owner: str) -> Mapping[str, object]:
            raise TransientError("no room")

        def remember(self, owner: str, name: str, fact: Mapping[str, object]) -> None:
            raise TransientError("no room")

    filters = SessionFilters("meters")
    filters.memory = Full()
    filters.begin(config(1883, OLD))
    assert filters.begin(config(1883, NEW)) == ["old/+/up"]
    filters.done(config(1883, NEW))
    assert filters.begin(config(1883, NEW)) == []
