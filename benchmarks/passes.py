"""Full daily passes of a synthetic city, one after the other, as nice as the role analyse."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, time, timedelta

import numpy as np

from alarms.analysis.city import SiteFigures
from alarms.city_data import CityData, city_from_batch
from alarms.passes import daily_pass
from gateway.model.gasday import GasDay
from gateway.model.network import Meter, MeterKind, MeterRole, Network, Zone, ZoneKind
from gateway.model.reading import PointId, ReadingBatch, point_id, to_us
from gateway.roles.analyse import NICENESS
from gateway.runtime import child

START = datetime(2026, 1, 1, 22, tzinfo=UTC)
GAS_DAY = GasDay("Asia/Shanghai", time(6))


def synthetic_city(zones: int, meters_per_zone: int, days: int, seed: int = 1) -> tuple[CityData, int]:
    """Return a healthy city with a reading per meter and day, and the moment at which its last day has ended."""
    rng = np.random.default_rng(seed)
    network, names = synthetic_network(zones, meters_per_zone)
    meters = network.meters
    use = rng.gamma(4.0, 1.5, (zones, meters_per_zone, days))
    customers = np.cumsum(use, axis=2).reshape(-1, days)
    supply = np.cumsum(use.sum(axis=1) * 1.01, axis=1)
    values = np.concatenate([customers, supply])
    at = np.array([to_us(START + timedelta(days=day)) for day in range(days)], dtype=np.int64)
    point = np.repeat(np.arange(len(names), dtype=np.uint32), days)
    moments = np.tile(at, len(names))
    batch = ReadingBatch.build(point, moments, moments + 1_000_000, values.ravel())
    points: dict[int, PointId] = {i: point_id(name, meters[name].register) for i, name in enumerate(names)}
    city = city_from_batch(network, GAS_DAY, SiteFigures(), batch, points)
    return city, int(at[-1]) + 3_600_000_000


def synthetic_network(zones: int, meters_per_zone: int, first_zone: int = 0) -> tuple[Network, list[str]]:
    """Return zones with a supply meter each, and the names of all meters, those of supply last."""
    tree = {"CITY": Zone("CITY", "", ZoneKind.CITY, "City")}
    meters: dict[str, Meter] = {}
    every = range(first_zone, first_zone + zones)
    for z in every:
        zone = f"R-{z:05d}"
        tree[zone] = Zone(zone, "CITY", ZoneKind.REGULATOR, zone)
        meters[f"V-{z:05d}"] = _meter(f"V-{z:05d}", zone, MeterRole.SUPPLY, MeterKind.CORRECTOR)
        for m in range(meters_per_zone):
            name = f"M-{z * meters_per_zone + m:07d}"
            meters[name] = _meter(name, zone, MeterRole.CUSTOMER, MeterKind.REMOTE)
    network = Network(zones=tree, meters=meters, stations={}, points={})
    homes = range(every.start * meters_per_zone, every.stop * meters_per_zone)
    names = [*(f"M-{i:07d}" for i in homes), *(f"V-{z:05d}" for z in every)]
    return network, names


def _meter(name: str, zone: str, role: MeterRole, kind: MeterKind) -> Meter:
    return Meter(name, zone, role, kind, "residential", 8, 3, 100.0, True, date(2020, 1, 1), "open")


def main() -> None:
    """Run passes until the parent ends."""
    child.die_with_parent()
    os.nice(NICENESS)
    city, until = synthetic_city(zones=60, meters_per_zone=80, days=60)
    while True:
        daily_pass(city, until)


if __name__ == "__main__":
    main()
