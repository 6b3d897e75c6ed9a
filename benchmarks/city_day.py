"""The daily pass of a large city, part after part, in processor seconds by number of meters; and the same from a store.

A part is a set of whole zones, as a running site deals them out to processes, one for each core. In the first
measurement its boundaries of the days before are known and one more day of readings comes, 24 of each meter. In the
second nothing is known: each part reads its whole lookback from a readings store on the disk, as the processes of a
running site do, and is judged. Last, what stands above the parts is balanced from their sums. Processor seconds do not
count other work on the machine.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from alarms.analysis.parts import above, part_of, plan
from alarms.analysis.whole import UnitSums
from alarms.hourly_data import hourly_city
from alarms.passes import Passes
from benchmarks.chart import growth_chart
from benchmarks.city_parts import (
    DAYS,
    METERS_PER_ZONE,
    city_of,
    one_part,
    peak_mib,
    points_of,
    readings_of,
    what_stands_above,
)
from benchmarks.passes import synthetic_network
from gateway.pass_runs import cores
from gateway.roles.kept_rows import KeptRows
from gateway.roles.pass_parts import PART_CUSTOMERS, TOLD_DAYS
from gateway.runtime import memory
from gateway.store.readings import DuckReadings

SIZES = (10_000, 25_000, 50_000, 100_000, 235_000)
"""2.35 million takes ten times as long as the last; --meters asks for it"""
STORED = 25_000
"""meters of which the readings store is filled; a part is read alike however many there are"""
CORES = 2.0
"""of the machine that is aimed at"""


def run(*, quick: bool = False, meters: int | None = None, chart: Path | None = None) -> dict[str, float]:
    """Return the figures, and print how the time grows with the meters; draw it where `chart` names a file."""
    sizes = (meters,) if meters is not None else SIZES[:1] if quick else SIZES
    figures: dict[str, float] = {}
    print(f"{'meters':>10} {'parts, s':>10} {'above, s':>10} {'us a meter':>11} {'two cores, s':>13} {'MiB':>7}")
    for size in sizes:
        seconds, top, peak, rows = _judged(max(round(size / PART_CUSTOMERS), 2))
        whole = seconds / CORES + top
        each = 1e6 * (seconds + top) / size
        print(f"{size:>10,} {seconds:>10.1f} {top:>10.2f} {each:>11.1f} {whole:>13.1f} {peak:>7,.0f}", flush=True)
        figures |= {
            f"{size}_meters_new_readings": rows,
            f"{size}_meters_parts_processor_s": seconds,
            f"{size}_meters_above_s": top,
            f"{size}_meters_us_a_meter": each,
            f"{size}_meters_on_two_cores_s": whole,
            f"{size}_meters_process_mib": peak,
        }
    if chart is not None:
        points = [
            (float(size), figures[f"{size}_meters_parts_processor_s"] + figures[f"{size}_meters_above_s"])
            for size in sizes
        ]
        chart.write_text(growth_chart(points, "meters", "processor seconds of a daily pass"), encoding="utf-8")
    memory.reuse_freed()
    with tempfile.TemporaryDirectory() as folder:
        figures |= asyncio.run(_from_store(Path(folder), PART_CUSTOMERS * 2 if quick else STORED))
    figures["peak_rss_mib"] = peak_mib()
    return figures


def _judged(count: int) -> tuple[float, float, float, float]:
    """Return processor seconds of so many parts and of what stands above, the most memory of a process, new rows."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(cores(), count), context) as pool:
        parts = list(pool.map(one_part, range(count)))
    # in a process of its own, as a running site does
    with ProcessPoolExecutor(1, context) as pool:
        top = pool.submit(what_stands_above, parts).result()
    rows = float(sum(part.rows for part in parts))
    return sum(p.seconds for p in parts), top.seconds, max(p.peak_mib for p in [*parts, top]), rows


async def _from_store(folder: Path, meters: int) -> dict[str, float]:
    network, names = synthetic_network(meters // METERS_PER_ZONE, METERS_PER_ZONE)
    points = points_of(network, names)
    batch, _, until_us = readings_of(names, 1)
    store = DuckReadings(folder)
    await store.bulk(batch)
    del batch
    dealt = plan(network, PART_CUSTOMERS)
    assert dealt is not None
    place = {name: index for index, name in enumerate(names)}
    sums: list[UnitSums] = []
    read_s = judge_s = rows = zones = 0.0
    for units in (*dealt.parts, ()):
        began = time.process_time()
        own = part_of(network, units) if units else above(network, dealt.units)
        wanted = np.array(sorted(place[name] for name in own.meters), dtype=np.uint32)
        batch, known = await KeptRows(DAYS + 4).at(store, wanted, lambda some: [points[int(n)] for n in some], until_us)
        rows += len(batch)
        read_s += time.process_time() - began
        began = time.process_time()
        city = city_of(own, batch, known)
        if not units:
            city = replace(city, model=replace(city.model, elsewhere=dealt.units))
        passes = Passes(
            city, lookback_days=60, loss_days=TOLD_DAYS, units=units, hourly=hourly_city(city, until_us, until_us)
        )
        result = passes.at(until_us, () if units else sums)
        judge_s += time.process_time() - began
        zones += len(result.loss) / TOLD_DAYS
        sums += [] if result.sums is None else [result.sums]
    await store.close()
    assert zones == len(network.zones)
    return {
        "store_meters": float(meters),
        "store_parts": float(len(dealt.parts)),
        "store_readings_read": rows,
        "store_read_us_a_meter": 1e6 * read_s / meters,
        "store_judge_us_a_meter": 1e6 * judge_s / meters,
        "store_2_35_million_on_two_cores_s": 2.35 * 1e6 * (read_s + judge_s) / meters / CORES,
    }
