"""Self metrics of a real role keep: complete, and no more series for a large city than for a small one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client.core import Metric

from api.deps import Parts
from api.services.live import Board
from api.services.metrics import Figures
from api.services.pulse import Pulse
from gateway.model.reading import PointId, ReadingBatch
from gateway.ports import DeadLetter, Delivery
from gateway.runtime.delays import Delays, WaitingSince
from tests.end_to_end.small_site import SmallSite, meter
from tests.gateway.roles.reloaded import Running, devices, link, running, write_sources

EXPECTED = {
    "gasgate_readings", "gasgate_readings_in_flight", "gasgate_readings_refused", "gasgate_dead_letters",
    "gasgate_commit_delay_seconds", "gasgate_commit_delay_sum_seconds", "gasgate_commit_groups",
    "gasgate_ack_delay_seconds", "gasgate_ack_delay_sum_seconds", "gasgate_ack_groups", "gasgate_acks_failed",
    "gasgate_spool_bytes", "gasgate_spool_age_seconds", "gasgate_loader_lag_records",
    "gasgate_stream_lag_records", "gasgate_stream_lag_seconds", "gasgate_stream_up", "gasgate_stream_readings",
    "gasgate_requests", "gasgate_request_timeouts", "gasgate_request_failures", "gasgate_bisects",
    "gasgate_poll_overrun", "gasgate_breakers_open", "gasgate_queue_size", "gasgate_clocks_suspect",
}  # fmt: skip
Series = dict[tuple[str, ...], float]


async def series(folder: Path, parts: Parts, meters: int, units: int, port: int) -> Series:
    site = SmallSite(folder / f"with-{meters}", port, meters=meters, influx_url="http://127.0.0.1:9")
    async with devices() as device:
        links = [
            link(f"a{n}", device.port, *((1 + n * 10 + u, meter(n * 10 + u)) for u in range(10)))
            for n in range(units // 10)
        ]
        write_sources(site, *links, every_s=0.2)
        async with running(site) as role:
            await _bring(role, meters)
            parts.store.status = _answer(role)  # type: ignore[method-assign]
            board, pulse = Board(parts), Pulse(parts)
            await pulse.refresh()
            return dict(_flat(Figures(parts, board, pulse).collect()))


async def _bring(role: Running, meters: int) -> None:
    """Let every meter report once, one of them say something unreadable, and the devices answer."""
    names = [PointId(f"{meter(number)}/flags") for number in range(meters)]
    index = role.keeper._registry.indices(names)
    dead = DeadLetter("meters", "t", b"", f"unknown meter {meter(meters)}", 1)
    times = np.full(meters, 1_760_000_000_000_000)
    await role.keeper.intake.put(Delivery("meters", ReadingBatch.build(index, times, times, np.zeros(meters)), (dead,)))
    async with asyncio.timeout(60):
        while True:
            counts = role.keeper._sources.counts()["stations"]
            snapshot = role.keeper._accounting.snapshot().get("meters", {})
            if counts["requests"] > 10 and snapshot.get("stored") == meters:
                return
            await asyncio.sleep(0.05)


def _answer(role: Running) -> Callable[[], Any]:
    async def status() -> dict[str, Any]:
        return dict(role.keeper.status())

    return status


def _flat(families: Any) -> list[tuple[tuple[str, ...], float]]:
    found = []
    family: Metric
    for family in families:
        for sample in family.samples:
            assert set(sample.labels) <= {"source", "class", "reason"}
            found.append(((family.name, *map(str, sample.labels.values())), sample.value))
    return found


async def test_series_are_complete_and_do_not_grow_with_the_meters(
    tmp_path: Path, parts: Parts, free_port: Callable[[], int]
) -> None:
    few = await series(tmp_path, parts, 10, 10, free_port())
    many = await series(tmp_path, parts, 2000, 200, free_port())
    assert set(few) == set(many)
    assert {name for name, *_ in few} >= EXPECTED
    assert not [key for key in many if any("M-0" in part for part in key)]
    assert many["gasgate_readings", "meters", "stored"] == 2000
    assert many["gasgate_requests", "stations"] > 10
    assert many["gasgate_readings_refused", "D"] == 0
    assert many["gasgate_queue_size", "", "intake"] >= 0


def test_delays_are_of_the_newest_events_only() -> None:
    delays = Delays()
    assert delays.snapshot() == {"count": 0, "total_s": 0.0, "p50": None, "p99": None, "max": None}
    for _ in range(3000):
        delays.add(0.001)
    delays.add(0.5)
    found = delays.snapshot()
    assert (found["count"], found["p50"], found["max"]) == (3001, 0.001, 0.5)
    assert len(delays._newest) == 2000


async def test_what_waits_has_the_age_of_its_oldest_record() -> None:
    waiting = WaitingSince(every_s=0.0, most=100)
    assert waiting.age_s(0, 0) == 0.0
    waiting.came(1)
    await asyncio.sleep(0.1)
    waiting.came(2)
    assert 0.1 <= waiting.age_s(0, 2) < 1
    assert waiting.age_s(1, 2) < 0.1
    assert waiting.age_s(2, 2) == 0.0
    for seq in range(3, 1000):
        waiting.came(seq)
    assert len(waiting._noted) <= 101
