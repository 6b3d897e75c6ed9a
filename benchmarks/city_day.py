"""The daily pass of a large city, part after part, in processor seconds by number of meters; and the same from a store.

A part is a set of whole zones, as a running site deals them out. In the first measurement its boundaries of the days
before are known and one more day of readings comes, 24 of each meter. In the second nothing is known: each part reads
its whole lookback from a readings store on the disk, as the processes of a running site do, and is judged; last, what
stands above the parts is balanced from their sums. Processor seconds do not count other work on the machine.
"""

from __future__ import annotations

import asyncio
import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from alarms.analysis.city import SiteFigures
from alarms.analysis.parts import above, part_of, plan
from alarms.analysis.whole import UnitSums
from alarms.city_data import CityData, city_from_batch
from alarms.passes import Passes
from benchmarks.passes import GAS_DAY, START, synthetic_network
from gateway.meterdata.series import HOUR_US
from gateway.model.network import Network
from gateway.model.reading import PointId, ReadingBatch, from_us, point_id, to_us
from gateway.roles.kept_rows import KeptRows
from gateway.roles.pass_parts import PART_CUSTOMERS, TOLD_DAYS
from gateway.store.readings import DuckReadings

METERS_PER_ZONE = 100
DAYS = 61
SIZES = (23_500, 235_000)
"""2.35 million takes ten times as long as the second; --meters asks for it"""
STORED = 23_500
"""meters of which the readings store is filled; a part is read alike however many there are"""


def run(*, quick: bool = False, meters: int | None = None) -> dict[str, float]:
    """Return the figures."""
    sizes = (meters,) if meters is not None else SIZES[:1] if quick else SIZES
    figures: dict[str, float] = {}
    for size in sizes:
        seconds = rows = 0.0
        count = max(round(size / PART_CUSTOMERS), 1)
        for number in range(count):
            network, names = synthetic_network(PART_CUSTOMERS // METERS_PER_ZONE, METERS_PER_ZONE)
            batch, before_us, until_us = readings_of(names, number)
            city = city_of(network, batch, points_of(network, names))
            del batch
            rows += sum(int((part.received > before_us).sum()) for part in city.series.values())
            city.prepare()
            passes = Passes(city, lookback_days=60, loss_days=TOLD_DAYS)
            passes.at(before_us)
            began = time.process_time()
            result = passes.at(until_us)
            seconds += time.process_time() - began
            assert len(result.loss) == TOLD_DAYS * len(network.zones)
        figures |= {
            f"{size}_meters_new_readings": rows,
            f"{size}_meters_processor_s": seconds,
            f"{size}_meters_us_a_meter": 1e6 * seconds / (count * PART_CUSTOMERS),
        }
    with tempfile.TemporaryDirectory() as folder:
        figures |= asyncio.run(_from_store(Path(folder), PART_CUSTOMERS * 2 if quick else STORED))
    figures["peak_rss_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    return figures


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
        result = Passes(city, lookback_days=60, loss_days=TOLD_DAYS, units=units).at(until_us, () if units else sums)
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
        "store_2_35_million_on_two_cores_s": 2.35 * 1e6 * (read_s + judge_s) / meters / 2.0,
    }


def readings_of(names: list[str], seed: int) -> tuple[ReadingBatch, int, int]:
    """Return readings of each morning, and hourly ones of the last day, with the moments of the last two passes.

    `names` are customers' meters zone by zone, and behind them the zones' supply meters.
    """
    rng = np.random.default_rng(seed)
    zones = len(names) // (METERS_PER_ZONE + 1)
    first = to_us(START)
    day = [GAS_DAY.begins_us(GAS_DAY.of(from_us(first + number * 24 * HOUR_US))) for number in range(DAYS + 1)]
    at = np.array([*day[:-1], *(day[-2] + hour * HOUR_US for hour in range(1, 25))], dtype=np.int64)
    span = np.diff(at, prepend=at[0] - 24 * HOUR_US) / (24 * HOUR_US)
    use = rng.gamma(4.0, 1.5, (zones, METERS_PER_ZONE, 1)) * rng.gamma(9.0, 1.0 / 9.0, (1, 1, len(at))) * span
    use = use * rng.lognormal(0.0, 0.2, use.shape)
    supply = np.cumsum(use.sum(axis=1) * 1.01, axis=1)
    value = np.concatenate([np.cumsum(use, axis=2).reshape(-1, len(at)), supply])
    moments = np.tile(at, len(names))
    point = np.repeat(np.arange(len(names), dtype=np.uint32), len(at))
    batch = ReadingBatch.build(point, moments, moments + 1_000_000, np.round(value, 3).ravel())
    return batch, day[-2] + HOUR_US // 2, day[-1] + HOUR_US // 2


def points_of(network: Network, names: list[str]) -> dict[int, PointId]:
    """Return the register of each meter by its number."""
    return {number: point_id(name, network.meters[name].register) for number, name in enumerate(names)}


def city_of(network: Network, batch: ReadingBatch, points: dict[int, PointId]) -> CityData:
    """Return a network with its readings."""
    return city_from_batch(network, GAS_DAY, SiteFigures(), batch, points)
