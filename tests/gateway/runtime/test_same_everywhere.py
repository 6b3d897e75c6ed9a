"""After a messy history InfluxDB (v1) and VictoriaMetrics (v2) hold what the store holds, value by value."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.model.network import Network
from gateway.model.reading import PointId, ReadingBatch, Reason, Severity, quality
from gateway.ports import Output
from gateway.runtime.forwarder import Forwarder
from gateway.store.dead_rows import put_rejected
from gateway.store.influx import InfluxV1, InfluxV2
from gateway.store.readings import DuckReadings
from gateway.store.state import State
from gateway.store.stream_rows import StreamRows
from tests.gateway.runtime.waiting import until
from tests.services import Server

ASSETS = ["M-000001", "表 42, 东", 'a=b "c"', "x,y z=,= ", "O'Neil/7", "é" * 60, "last=", "{k}", "100%", "#1"]
QUANTITIES = ["register_measured_m3", "pressure_gauge_kpa", "flags"]
POINTS = [PointId(f"{asset}/{quantity}") for asset in ASSETS for quantity in QUANTITIES]
BAD = quality(Severity.BAD, Reason.NO_REPLY)
DOUBTFUL = quality(Severity.UNCERTAIN, Reason.CLOCK_SUSPECT)
NETWORK = Network({}, {}, {}, {})
Held = Mapping[tuple[str, int], frozenset[tuple[float | None, int]]]
"""(point, us): value and quality; two of them where two values stand against each other"""


def names(indices: NDArray[np.uint32]) -> list[PointId]:
    return [POINTS[index] for index in indices.tolist()]


def messy(seed: int, now_us: int) -> ReadingBatch:
    """Return readings of any age up to 20 days, out of order, some bad, infinite, huge or tiny, some twice."""
    draw = np.random.default_rng(seed)
    count = 400
    point = draw.integers(0, len(POINTS), count, dtype=np.uint32)
    times = now_us - draw.integers(0, 20 * 86_400, count) * 1_000_000
    value = np.round(draw.normal(0, 1, count) * 10.0 ** draw.integers(-6, 9, count).astype(np.float64), 6)
    mark = draw.choice(np.array([0, DOUBTFUL, BAD], dtype=np.uint8), count, p=[0.8, 0.1, 0.1])
    value[draw.random(count) < 0.02] = math.inf
    value[mark == BAD] = math.nan
    batch = ReadingBatch.build(point, times, now_us, value, mark)
    return batch.take(np.concatenate([np.arange(count), draw.integers(0, count, 60)]))


async def in_store(store: DuckReadings) -> Held:
    batch = await store.history(np.arange(len(POINTS), dtype=np.uint32), 0, 2**62)
    held: dict[tuple[str, int], set[tuple[float | None, int]]] = defaultdict(set)
    columns = (batch.point, batch.source_time, batch.value, batch.quality)
    for point, at, value, mark in zip(*(column.tolist() for column in columns), strict=True):
        held[POINTS[point], at].add((value if math.isfinite(value) else None, mark))
    return {key: frozenset(found) for key, found in held.items()}


def in_influx(url: str, database: str) -> dict[tuple[str, int], tuple[float | None, int]]:
    params = {"db": database, "q": "SELECT value, q FROM /.*/ GROUP BY point", "epoch": "u"}
    (result,) = httpx.get(f"{url}/query", params=params, timeout=20).json()["results"]
    found = {}
    for series in result["series"]:
        for at, value, mark in series["values"]:
            found[series["tags"]["point"], at] = (value, mark)
    return found


def in_victoria(url: str) -> dict[tuple[str, int], tuple[float | None, int]]:
    httpx.get(f"{url}/internal/force_flush")
    fields: dict[str, dict[tuple[str, int], float]] = {"value": {}, "q": {}}
    answer = httpx.get(f"{url}/api/v1/export", params={"match[]": '{point!=""}'}, timeout=20)
    # the server is shared: other tests may have left points of other names in it
    for series in (line for line in map(json.loads, answer.text.splitlines()) if line["metric"]["point"] in POINTS):
        field = fields[series["metric"]["__name__"].rpartition("_")[2]]
        for at, value in zip(series["timestamps"], series["values"], strict=True):
            field[series["metric"]["point"], at * 1000] = value
    return {key: (fields["value"].get(key), int(mark)) for key, mark in fields["q"].items()}


def same(one: float | None, other: float | None, digits: float) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=digits)


def assert_same(held: Held, there: Mapping[tuple[str, int], tuple[float | None, int]], digits: float) -> None:
    assert set(there) == set(held)
    for key, (value, mark) in there.items():
        stored = held[key]
        assert any(same(value, kept, digits) for kept, _ in stored), (key, value, stored)
        if len(stored) == 1:
            assert mark == next(iter(stored))[1], key


@pytest.mark.timeout(60)
async def test_both_servers_hold_what_the_store_holds(
    tmp_path: Path, influxdb_v1: Server, victoria_metrics: Server
) -> None:
    store, state = DuckReadings(tmp_path / "readings"), State.in_folder(tmp_path)
    v1 = InfluxV1.Config(kind="influx_v1", name="one", url=influxdb_v1.url, database=tmp_path.name, timeout_s=5)
    v2 = InfluxV2.Config(kind="influx_v2", name="two", url=victoria_metrics.url, bucket="gas", timeout_s=5)
    now_us = time.time_ns() // 1_000_000_000 * 1_000_000 - 10_000_000

    def begin() -> tuple[list[Forwarder], list[Output], list[asyncio.Task[None]]]:
        outputs: list[Output] = [InfluxV1(v1, names, NETWORK), InfluxV2(v2, names, NETWORK)]
        forwarders = [
            Forwarder(one, store, StreamRows(state), lambda *letters: put_rejected(state, *letters), cap_s=0.2)
            for one in outputs
        ]
        return forwarders, outputs, [asyncio.create_task(one.run()) for one in forwarders]

    async def end(outputs: list[Output], tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for output in outputs:
            await output.close()

    forwarders, outputs, tasks = begin()
    for seq in range(1, 31):
        await store.load(seq, messy(seq % 25, now_us))
        for forwarder in forwarders:
            forwarder.notify(seq)
        match seq:
            case 8:
                influxdb_v1.stop()
            case 12:
                victoria_metrics.stop()
            case 16:
                await end(outputs, tasks)
                forwarders, outputs, tasks = begin()
            case 20:
                influxdb_v1.start()
                victoria_metrics.start()
        await asyncio.sleep(0.05)
    await until(lambda: all(one.place.head == 30 and not one.status().lag for one in forwarders), 40)
    await end(outputs, tasks)
    held = await in_store(store)
    assert len(held) > 8_000
    assert_same(held, in_influx(influxdb_v1.url, tmp_path.name), 0.0)
    assert_same(held, in_victoria(victoria_metrics.url), 1e-13)
    assert all(one.status().rejected == 0 for one in forwarders)
    await store.close()
    state.close()
