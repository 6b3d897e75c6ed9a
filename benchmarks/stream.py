"""The stream to InfluxDB and to VictoriaMetrics against bare posts of the same lines, and what it costs the meters.

Bare: lines that were built before are posted in bodies of 5,000 over one connection, as fast as the server takes them.
Stream: a forwarder reads the same readings from the store, builds the lines, posts them and moves its place. The two
take turns, each time with a new server. Then messages are acknowledged at a fixed rate while there is no output,
while an output never answers, and while one takes a long gap.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import p99
from gateway.model.network import Network
from gateway.model.reading import PointId, ReadingBatch
from gateway.ports import Delivery, Output, ReadingStore
from gateway.runtime.clock import SystemClock
from gateway.runtime.forwarder import BATCH_ROWS, Forwarder
from gateway.runtime.intake import Intake
from gateway.runtime.interpreter import answer_quickly
from gateway.runtime.loader import Loader
from gateway.store.influx import InfluxV1, InfluxV2
from gateway.store.lines import LineFormat
from gateway.store.readings import DuckReadings
from gateway.store.spool import FileSpool
from gateway.store.state import State
from gateway.store.stream_rows import StreamRows
from tests.services import Server, influxd_server, victoria_metrics_server

METERS = 20_000
NETWORK = Network({}, {}, {}, {})
BARE = {"v1": "/write?db=gas&precision=u", "v2": "/api/v2/write?bucket=gas&org=-&precision=us"}
SERVERS: dict[str, Callable[[Path], Server]] = {"v1": influxd_server, "v2": victoria_metrics_server}
MESSAGES_PER_S, READINGS = 200, 24


def run(*, quick: bool) -> dict[str, float]:
    """Measure with 200,000 readings and 3 turns (quick), or with a million and 5."""
    answer_quickly()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="gasgate-stream-") as name:
        folder = Path(name)
        batches = list(_readings(200_000 if quick else 1_000_000))
        figures |= _cost_of_lines(batches)
        for kind in SERVERS:
            figures |= asyncio.run(_against_bare(folder / kind, kind, batches, turns=3 if quick else 5))
        figures |= asyncio.run(_acks(folder / "acks", batches, seconds=3.0 if quick else 10.0))
    gc.unfreeze()  # else DuckDB complains at the end of what it could not take down
    return figures


def _names(indices: NDArray[np.uint32]) -> list[PointId]:
    return [PointId(f"M-{index:06d}/register_measured_m3") for index in indices.tolist()]


def _readings(count: int) -> Iterator[ReadingBatch]:
    draw = np.random.default_rng(1)
    now_us = time.time_ns() // 1000 - count * 1000
    for at in range(0, count, BATCH_ROWS):
        times = now_us + (at + np.arange(BATCH_ROWS)) * 1000
        values = np.round(draw.random(BATCH_ROWS) * 1e4, 3)
        yield ReadingBatch.build(draw.integers(0, METERS, BATCH_ROWS, dtype=np.uint32), times, times, values)


def _cost_of_lines(batches: list[ReadingBatch]) -> dict[str, float]:
    form = LineFormat(_names, NETWORK)
    form.sort(batches[0])
    began = time.process_time()
    rows = sum(len(body.rows) for one in batches for body in form.bodies(one, form.sort(one)))
    return {"lines_built_per_s": rows / (time.process_time() - began)}


async def _against_bare(folder: Path, kind: str, batches: list[ReadingBatch], turns: int) -> dict[str, float]:
    form = LineFormat(_names, NETWORK)
    bodies = [body.data for one in batches for body in form.bodies(one, form.sort(one))]
    count = sum(map(len, batches))
    store = DuckReadings(folder / "readings")
    for seq, batch in enumerate(batches, 1):
        await store.load(seq, batch)
    took: dict[str, list[float]] = {"bare": [], "stream": []}
    work = 0.0
    for turn in range(turns):
        with _server(folder / f"bare-{turn}", kind) as server:
            took["bare"].append(await _post(server.url + BARE[kind], bodies))
        with _server(folder / f"stream-{turn}", kind) as server:
            began = time.process_time()
            took["stream"].append(
                await _stream(folder / f"state-{turn}", _output(kind, server.url), store, len(batches))
            )
            work += time.process_time() - began
    await store.close()
    rate = {side: count / float(np.median(seconds)) for side, seconds in took.items()}
    return {
        f"{kind}_ratio": rate["stream"] / rate["bare"],
        f"{kind}_bare_lines_per_s": rate["bare"],
        f"{kind}_lines_per_s": rate["stream"],
        f"{kind}_processor_us_per_line": work / turns / count * 1e6,
    }


@contextlib.contextmanager
def _server(folder: Path, kind: str) -> Iterator[Server]:
    folder.mkdir(parents=True)
    server = SERVERS[kind](folder)
    server.start()
    try:
        if kind == "v1":
            httpx.post(f"{server.url}/query", data={"q": "CREATE DATABASE gas"}).raise_for_status()
        yield server
    finally:
        server.stop()


def _output(kind: str, url: str, name: str = "o") -> Output:
    if kind == "v1":
        return InfluxV1(InfluxV1.Config(kind="influx_v1", name=name, url=url, database="gas"), _names, NETWORK)
    return InfluxV2(InfluxV2.Config(kind="influx_v2", name=name, url=url, bucket="gas"), _names, NETWORK)


async def _post(url: str, bodies: list[bytes]) -> float:
    async with httpx.AsyncClient(trust_env=False) as client:
        began = time.perf_counter()
        for body in bodies:
            (await client.post(url, content=body)).raise_for_status()
        return time.perf_counter() - began


class _Growing:
    """A store that is loaded just as fast as it is streamed: everything in it is live."""

    def __init__(self, store: ReadingStore) -> None:
        self._store = store
        self.shown = 0

    async def loaded(self) -> int:
        return self.shown

    async def since(self, seq: int, limit: int) -> tuple[int, ReadingBatch]:
        return await self._store.since(seq, limit)


async def _stream(folder: Path, output: Output, store: ReadingStore, loads: int) -> float:
    """Return the seconds until a forwarder has streamed everything."""
    state = State.in_folder(folder)
    growing: Any = _Growing(store)
    forwarder = Forwarder(output, growing, StreamRows(state), lambda *_: None)
    await forwarder.step()
    began = time.perf_counter()
    while forwarder.place.head < loads:
        growing.shown = min(forwarder.place.head + 2, loads)
        forwarder.notify(growing.shown)
        await forwarder.step()
    took = time.perf_counter() - began
    status = forwarder.status()
    if (status.rejected, status.lag, status.last_error) != (0, 0, ""):
        raise SystemExit(f"the stream did not go through: {status}")
    await output.close()
    state.close()
    return took


async def _acks(folder: Path, batches: list[ReadingBatch], seconds: float) -> dict[str, float]:
    """Return how long messages wait for their acknowledgement beside no output, a stalled and a busy one."""
    stalled = await asyncio.start_server(_never_answer, "127.0.0.1", 0)
    waits: dict[str, list[float]] = {"no_output": [], "stalled_output": [], "busy_output": []}
    with _server(folder / "influx", "v1") as server:
        silent = f"http://127.0.0.1:{stalled.sockets[0].getsockname()[1]}"
        urls = {"no_output": "", "stalled_output": silent, "busy_output": server.url}
        for turn in range(3):
            for side, url in urls.items():
                waits[side] += await _site(folder / f"{side}-{turn}", url, batches, seconds)
    stalled.close()
    alone = p99(waits["no_output"])
    figures = {f"ack_p99_ms_{side}": p99(found) * 1000 for side, found in waits.items()}
    ratios = {f"ack_ratio_{side}": p99(waits[side]) / alone for side in ("stalled_output", "busy_output")}
    return figures | ratios


async def _never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while await reader.read(65536):
            pass
    writer.close()


async def _site(folder: Path, url: str, batches: list[ReadingBatch], seconds: float) -> list[float]:
    """Deliver messages at a fixed rate to intake, spool, loader and store; return the wait of each for its ack."""
    store, state = DuckReadings(folder / "readings"), State.in_folder(folder)
    for seq, batch in enumerate(batches, 1):
        await store.load(seq, batch)
    spool = FileSpool(folder / "spool")
    spool.advance_to(len(batches))
    loader = Loader(spool, store, lambda _: None)
    intake = Intake(spool, SystemClock(), loader.notify)
    tasks = [asyncio.create_task(intake.run()), asyncio.create_task(loader.run())]
    output = _output("v1", url) if url else None
    if output is not None:
        tasks.append(asyncio.create_task(Forwarder(output, store, StreamRows(state), lambda *_: None).run()))
    waits: list[float] = []
    began = time.perf_counter()
    for number in range(int(seconds * MESSAGES_PER_S)):
        await asyncio.sleep(max(began + number / MESSAGES_PER_S - time.perf_counter(), 0))
        await intake.put(_message(number, waits))
    await intake.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if output is not None:
        await output.close()
    await store.close()
    spool.close()
    state.close()
    return waits


def _message(number: int, waits: list[float]) -> Delivery:
    now_us = time.time_ns() // 1000
    times = now_us - np.arange(READINGS) * 1_000_000
    put_at = time.perf_counter()

    async def ack() -> None:
        waits.append(time.perf_counter() - put_at)

    batch = ReadingBatch.build([METERS + number] * READINGS, times, now_us, np.arange(READINGS, dtype=np.float64))
    return Delivery("meters", batch, ack=ack)
