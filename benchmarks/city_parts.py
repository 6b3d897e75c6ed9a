"""Parts of a made-up city as benchmarks judge them: zones, readings of their meters, and one pass over each part."""

from __future__ import annotations

import resource
import time
from dataclasses import dataclass, replace

import numpy as np

from alarms.analysis.city import SiteFigures
from alarms.analysis.parts import above
from alarms.analysis.study import IN_TURN
from alarms.analysis.whole import UnitSums
from alarms.city_data import CityData, city_from_batch
from alarms.hourly_data import hourly_city
from alarms.passes import Passes, PassResult
from benchmarks.passes import GAS_DAY, START, synthetic_network
from gateway.meterdata.series import HOUR_US
from gateway.model.network import Network
from gateway.model.reading import PointId, ReadingBatch, from_us, point_id, to_us
from gateway.roles.pass_parts import PART_CUSTOMERS, TOLD_DAYS
from gateway.runtime import memory

METERS_PER_ZONE = 100
DAYS = 61
ZONES = PART_CUSTOMERS // METERS_PER_ZONE
"""of a part"""


@dataclass(frozen=True, slots=True, eq=False)
class Made:
    """What a pass over a part, or over what stands above, took."""

    rows: int
    """readings that were new"""
    seconds: float
    """of a processor"""
    peak_mib: float
    """of its process, with what makes the readings"""
    sums: tuple[UnitSums, ...] = ()
    """of the part at both passes"""
    supplies: ReadingBatch | None = None
    """readings of its supply meters; points are numbered by zone"""


def one_part(number: int) -> Made:
    """Judge one part that was judged the day before, when one more day of readings has come."""
    memory.reuse_freed()
    network, names = synthetic_network(ZONES, METERS_PER_ZONE, first_zone=number * ZONES)
    batch, before_us, until_us = readings_of(names, number)
    city = city_of(network, batch, points_of(network, names))
    new = sum(int((part.received > before_us).sum()) for part in city.series.values())
    fed = batch.take(batch.point >= ZONES * METERS_PER_ZONE)
    supplies = replace(fed, point=(fed.point - ZONES * METERS_PER_ZONE + number * ZONES).astype(np.uint32))
    del batch
    units = tuple(zone for zone in network.zones if zone != "CITY")
    first, last, seconds = two_passes(city, before_us, until_us, units)
    assert len(last.loss) == TOLD_DAYS * ZONES
    assert first.sums is not None
    assert last.sums is not None
    return Made(new, seconds, peak_mib(), (first.sums, last.sums), supplies)


def what_stands_above(parts: list[Made]) -> Made:
    """Judge what stands above the parts from their sums."""
    count = len(parts) * ZONES
    network, _ = synthetic_network(count, 0)
    units = frozenset(zone for zone in network.zones if zone != "CITY")
    names = [f"V-{zone:05d}" for zone in range(count)]
    batch = ReadingBatch.concat([part.supplies for part in parts if part.supplies is not None])
    _, before_us, until_us = readings_of([], 0)
    city = city_of(above(network, units), batch, points_of(network, names))
    city = replace(city, model=replace(city.model, elsewhere=units))
    first, last = ([part.sums[turn] for part in parts] for turn in (0, 1))
    city.prepare()
    passes = Passes(city, lookback_days=60, loss_days=TOLD_DAYS)
    passes.at(before_us, first)
    began = time.process_time()
    result = passes.at(until_us, last)
    seconds = time.process_time() - began
    assert [row.loss_m3 is not None for row in result.loss] == [True] * TOLD_DAYS
    return Made(len(batch), seconds, peak_mib())


def two_passes(
    city: CityData, before_us: int, until_us: int, units: tuple[str, ...]
) -> tuple[PassResult, PassResult, float]:
    """Make the passes of two days; return both and the processor seconds of the second."""
    city.prepare()
    passes = Passes(
        city, lookback_days=60, loss_days=TOLD_DAYS, units=units, hourly=hourly_city(city, until_us, until_us)
    )
    first = passes.at(before_us)
    began = time.process_time()
    last = passes.at(until_us)
    return first, last, time.process_time() - began


def peak_mib() -> float:
    """Return the most memory that this process had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0


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
    return city_from_batch(network, GAS_DAY, SiteFigures(), batch, points, config=IN_TURN)
