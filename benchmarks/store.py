"""The readings store: loading, a meter's year, and how long the sealing of a day holds up intake.

Intake is the real one: deliveries every few milliseconds, each committed with its fdatasync; its longest wait while a
day is sealed stands beside the longest without it, because a disk hesitates by itself too.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.measure import p99
from gateway.model.reading import ReadingBatch
from gateway.ports import Delivery
from gateway.runtime.clock import SystemClock
from gateway.runtime.intake import Intake
from gateway.runtime.loader import LOAD_ROWS, Loader
from gateway.store.dayfile import DAY_US
from gateway.store.readings import DuckReadings
from gateway.store.rewriter import Rewriter
from gateway.store.spool import FileSpool

HOUR_US = 3_600_000_000
START_US = 1_672_531_200_000_000
"""2023-01-01"""
_PACE_S = 0.005


def run(*, quick: bool) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_run(Path(folder), quick=quick))


async def _run(folder: Path, *, quick: bool) -> dict[str, float]:
    figures = await _loading(folder / "loading", loads=20 if quick else 100)
    figures |= await _year(folder / "year", meters=300 if quick else 3_000)
    figures |= await _hold(folder / "hold", meters=100_000 if quick else 1_000_000)
    figures["peak memory of this process, MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return figures


def _hours(meters: int, hours: range) -> ReadingBatch:
    """Return registers of all meters at these hours, as they come in: hour by hour, in any order of meters."""
    rng = np.random.default_rng(hours.start)
    points = np.concatenate([rng.permutation(meters) for _ in hours]).astype(np.uint32)
    hour = np.repeat(np.arange(hours.start, hours.stop), meters)
    times = START_US + hour * HOUR_US
    received = times + rng.integers(0, 60_000_000, len(times))
    value = np.round(points * 0.731 + hour * 0.25 + rng.integers(0, 100, len(times)) * 0.001, 3)
    return ReadingBatch.build(points, times, received, value)


async def _loading(folder: Path, loads: int) -> dict[str, float]:
    store = DuckReadings(folder)
    batches = [_hours(LOAD_ROWS, range(number, number + 1)) for number in range(loads)]
    seconds = []
    for seq, batch in enumerate(batches, start=1):
        began = time.perf_counter()
        await store.load(seq, batch)
        seconds.append(time.perf_counter() - began)
    again = batches[-1]
    began = time.perf_counter()
    await store.load(loads + 1, again)
    doubled_s = time.perf_counter() - began
    await store.close()
    return {
        "loaded rows/s": LOAD_ROWS * loads / sum(seconds),
        "doubled rows/s": LOAD_ROWS / doubled_s,
        "longest load of 100,000 rows, s": max(seconds),
    }


async def _year(folder: Path, meters: int) -> dict[str, float]:
    """Keep a year in month files and, for its last month, day files: the most files a store has to look at."""
    store = DuckReadings(folder)
    rows, import_s = 0, 0.0
    for first in range(0, 334, 31):
        days = range(first * 24, min(first + 31, 334) * 24)
        batch = _hours(meters, days)
        rows += len(batch)
        began = time.perf_counter()
        await store.bulk(batch)
        import_s += time.perf_counter() - began
    for day in range(334, 365):
        batch = _hours(meters, range(day * 24, (day + 1) * 24))
        rows += len(batch)
        await store.load(await store.loaded() + 1, batch)
    rewriter = Rewriter(store)
    while await rewriter.step(2**61):
        pass
    months = [one for one in store.shelf.files if one.name.is_month]
    size, kept = sum(one.path.stat().st_size for one in months), sum(one.count for one in months)
    points = np.random.default_rng(1).integers(0, meters, 60).astype(np.uint32)
    seconds = []
    for point in points:
        began = time.perf_counter()
        found = await store.history(np.array([point]), START_US, START_US + 365 * DAY_US)
        seconds.append(time.perf_counter() - began)
        assert len(found) == 365 * 24, len(found)
    await store.close()
    began = time.perf_counter()
    store = DuckReadings(folder)
    start_s = time.perf_counter() - began
    files = len(store.shelf.files)
    await store.close()
    return {
        "rows of the year": rows,
        "imported rows/s": kept / import_s,
        "files of the year": files,
        "bytes a row in month files": size / kept,
        "one meter's year, median ms": 1000 * float(np.median(seconds)),
        "one meter's year, longest ms": 1000 * max(seconds),
        "start with these files, s": start_s,
    }


async def _hold(folder: Path, meters: int) -> dict[str, float]:
    store, spool = DuckReadings(folder / "readings"), FileSpool(folder / "spool")
    day = _hours(meters, range(24))
    for seq, at in enumerate(range(0, len(day), LOAD_ROWS), start=1):
        await store.load(seq, day.take(slice(at, at + LOAD_ROWS)))
    spool.advance_to(await store.highest_seq())
    loader = Loader(spool, store, lambda _: None, checkpoint=store.checkpoint, checkpoint_s=5.0)
    intake = Intake(spool, SystemClock(), loader.notify)
    tasks = [asyncio.create_task(intake.run()), asyncio.create_task(loader.run())]
    numbers = iter(range(10**9))
    quiet = await _waits(intake, numbers, asyncio.create_task(asyncio.sleep(10)))
    began = time.perf_counter()
    rewriter = Rewriter(store)
    sealing = asyncio.create_task(rewriter.step(2**61))
    busy = await _waits(intake, numbers, sealing)
    seconds = time.perf_counter() - began
    assert rewriter.counts.rewritten == 1
    await intake.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await store.close()
    spool.close()
    return {
        "rows of the sealed day": len(day),
        "sealing, s": seconds,
        "intake p99 without sealing, ms": 1000 * p99(quiet),
        "intake longest without sealing, ms": 1000 * max(quiet),
        "intake p99 while sealing, ms": 1000 * p99(busy),
        "intake longest while sealing, ms": 1000 * max(busy),
        "peak memory of the sealing process, MiB": _peak.mib,
    }


class _Peak:
    """Most memory that a child of this process has had; asked now and then while it lives."""

    def __init__(self) -> None:
        self.mib = 0.0

    def look(self) -> None:
        for children in Path("/proc/self/task").glob("*/children"):
            for child in children.read_text(encoding="ascii").split():
                with contextlib.suppress(OSError):
                    status = Path(f"/proc/{child}/status").read_text(encoding="utf-8")
                    for line in status.splitlines():
                        if line.startswith("VmHWM:"):
                            self.mib = max(self.mib, int(line.split()[1]) / 1024)


_peak = _Peak()


async def _waits(intake: Intake, numbers: Iterator[int], until: asyncio.Task[object]) -> list[float]:
    """Deliver one message every few milliseconds until a task ends; return how long each waited for its commit."""
    waits: list[float] = []
    while not until.done():
        done = asyncio.Event()

        async def ack(done: asyncio.Event = done) -> None:
            done.set()

        began = time.perf_counter()
        at = START_US + DAY_US + 30 * 60_000_000 + next(numbers) * 1000
        await intake.put(
            Delivery("benchmark", ReadingBatch.build([1] * 24, [at + n for n in range(24)], at, [1.0] * 24), ack=ack)
        )
        await done.wait()
        waits.append(time.perf_counter() - began)
        if len(waits) % 20 == 0:
            _peak.look()
        await asyncio.sleep(_PACE_S)
    await until
    return waits
