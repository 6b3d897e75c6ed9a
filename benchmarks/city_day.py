"""The daily pass of a large city, part after part: a day's readings, boundaries, balances, detectors; time by meters.

A part is a set of whole zones. Its boundaries of the days before are known, as they are in a gateway that runs; what
is measured is what one more day takes, in processor seconds, so that other work on the machine does not count. The
balance of what stands above the parts is not in it, nor is the way of the readings from the store.
"""

from __future__ import annotations

import resource
import time

import numpy as np

from alarms.analysis.city import SiteFigures
from alarms.city_data import CityData, city_from_batch
from alarms.passes import Passes
from benchmarks.passes import GAS_DAY, START, synthetic_network
from gateway.meterdata.series import HOUR_US
from gateway.model.reading import PointId, ReadingBatch, from_us, point_id, to_us

METERS_PER_ZONE = 100
PART_ZONES = 100
DAYS = 61
SIZES = (23_500, 235_000)
"""2.35 million takes ten times as long as the second; --meters asks for it"""


def run(*, quick: bool = False, meters: int | None = None) -> dict[str, float]:
    """Return the figures."""
    sizes = (meters,) if meters is not None else SIZES[:1] if quick else SIZES
    figures: dict[str, float] = {}
    for size in sizes:
        seconds = rows = 0.0
        parts = max(round(size / (METERS_PER_ZONE * PART_ZONES)), 1)
        for number in range(parts):
            city, before_us, until_us = part_of_a_city(number)
            rows += sum(int((part.received > before_us).sum()) for part in city.series.values())
            city.prepare()
            passes = Passes(city, lookback_days=60, loss_days=1)
            passes.at(before_us)
            began = time.process_time()
            result = passes.at(until_us)
            seconds += time.process_time() - began
            assert len(result.loss) == PART_ZONES + 1
        figures |= {
            f"{size}_meters_new_readings": rows,
            f"{size}_meters_processor_s": seconds,
            f"{size}_meters_us_a_meter": 1e6 * seconds / (parts * PART_ZONES * METERS_PER_ZONE),
        }
    figures["peak_rss_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0
    figures["kept_bytes_a_meter"] = float((DAYS + 200) * (8 + 8 + 1))
    return figures


def part_of_a_city(seed: int) -> tuple[CityData, int, int]:
    """Return zones whose meters were read each morning, and hourly on the last day, with both days' moments."""
    rng = np.random.default_rng(seed)
    network, names = synthetic_network(PART_ZONES, METERS_PER_ZONE)
    gas_day, first = GAS_DAY, to_us(START)
    day = [gas_day.begins_us(gas_day.of(from_us(first + number * 24 * HOUR_US))) for number in range(DAYS + 1)]
    at = np.array([*day[:-1], *(day[-2] + hour * HOUR_US for hour in range(1, 25))], dtype=np.int64)
    span = np.diff(at, prepend=at[0] - 24 * HOUR_US) / (24 * HOUR_US)
    use = rng.gamma(4.0, 1.5, (PART_ZONES, METERS_PER_ZONE, 1)) * rng.gamma(9.0, 1.0 / 9.0, (1, 1, len(at))) * span
    use = use * rng.lognormal(0.0, 0.2, use.shape)
    supply = np.cumsum(use.sum(axis=1) * 1.01, axis=1)
    value = np.concatenate([np.cumsum(use, axis=2).reshape(-1, len(at)), supply])
    moments = np.tile(at, len(names))
    point = np.repeat(np.arange(len(names), dtype=np.uint32), len(at))
    batch = ReadingBatch.build(point, moments, moments + 1_000_000, np.round(value, 3).ravel())
    points: dict[int, PointId] = {
        number: point_id(name, network.meters[name].register) for number, name in enumerate(names)
    }
    city = city_from_batch(network, gas_day, SiteFigures(), batch, points)
    return city, day[-2] + HOUR_US // 2, day[-1] + HOUR_US // 2
