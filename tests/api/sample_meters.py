"""Readings of some meters of the sample city: registers by the hour, cards, valves, signs, and a gap."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np

from api.deps import Parts, Readings
from gateway.model.network import Meter, MeterKind
from gateway.model.quantity import Quantity
from gateway.model.reading import ReadingBatch, from_us
from gateway.store import tables

HOUR = 3_600_000_000
DAY = 24 * HOUR
READ = (*(f"M-{n:06}" for n in range(1, 13)), "M-000017", "M-000241")
STUCK, THIEF = "M-000017", "M-000241"
CARD = (Quantity.REGISTER_MEASURED_M3, Quantity.PURCHASED_M3, Quantity.BALANCE_M3, Quantity.VALVE)
REMOTE = (
    Quantity.REGISTER_MEASURED_M3, Quantity.VALVE, Quantity.FLAGS, Quantity.BATTERY_V, Quantity.SIGNAL_DBM,
    Quantity.SENT,
)  # fmt: skip
STREETS = {"R-001": "柳园路", "R-002": "站前街", "R-003": "河东大道"}
FIRST = 100
"""index of the first point of a meter, behind those of the network"""


@dataclass(frozen=True)
class MeterStore:
    """A store that knows meters too; everything else is the other store's."""

    inner: Readings
    points: dict[int, tuple[str, Quantity]]
    now: Any
    """the site's time, us"""
    begin: int

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def history(self, points: Any, start_us: int, end_us: int) -> ReadingBatch:
        ours = [int(p) for p in points if int(p) in self.points]
        others = [int(p) for p in points if int(p) not in self.points]
        parts = [self._read(p, max(start_us, self.begin), min(end_us, self.now())) for p in ours]
        if others:
            parts.append(await self.inner.history(np.array(others, np.uint32), start_us, end_us))
        return ReadingBatch.concat(parts)

    async def latest(self, points: Any) -> ReadingBatch:
        ours = [int(p) for p in points if int(p) in self.points]
        others = [int(p) for p in points if int(p) not in self.points]
        now = self.now()
        parts = [self._read(p, now - 2 * HOUR, now).take(np.array([-1])) for p in ours]
        if others:
            parts.append(await self.inner.latest(np.array(others, np.uint32)))
        return ReadingBatch.concat(parts)

    def _read(self, point: int, start_us: int, end_us: int) -> ReadingBatch:
        name, quantity = self.points[point]
        times = np.arange(-(-start_us // HOUR) * HOUR, end_us, HOUR, dtype=np.int64)
        missing = (times >= self.begin + 150 * DAY) & (times < self.begin + 153 * DAY)
        times = times[~missing]
        values = value(name, quantity, times, self.begin)
        quality = np.zeros(len(times), np.uint8)
        bad = (times >= self.begin + 120 * DAY) & (times < self.begin + 120 * DAY + 30 * HOUR)
        values[bad], quality[bad] = np.nan, 2 << 6 | 1
        received = times + 4_000_000
        return ReadingBatch(np.full(len(times), point, np.uint32), times, received, values, quality)


def value(name: str, quantity: Quantity, times: Any, begin: int) -> Any:
    hours = (times - begin) / HOUR
    number = int(name[-3:])
    a_day = 0.4 + number % 7 * 0.15
    register = 1200 + number + a_day / 24 * (hours + 0.8 * 24 / math.tau * np.sin(math.tau * hours / 24))
    if name == STUCK:
        register = np.minimum(register, register[0] if len(hours) and hours[0] > 5000 else 1200 + number + a_day * 200)
    bought = np.floor(hours / 24 / 30 + 1) * 30.0
    return {
        Quantity.REGISTER_MEASURED_M3: np.round(register, 3),
        Quantity.PURCHASED_M3: 1300.0 + bought,
        Quantity.BALANCE_M3: np.round(np.maximum(1300.0 + bought - register, 0.0), 2),
        Quantity.VALVE: np.where((hours > 3000) & (hours < 3040), 0.0, 1.0),
        Quantity.FLAGS: np.where((hours > 4000) & (hours < 4006), 2.0, 0.0) + np.where(hours > 4900, 8.0, 0.0),
        Quantity.BATTERY_V: 3.6 - hours / 24 / 365 * 0.3,
        Quantity.SIGNAL_DBM: -88 + 6 * np.sin(hours / 5),
        Quantity.SENT: np.ones(len(times)),
    }[quantity]


def _named(meter: Meter) -> Meter:
    number = int(meter.meter_id[-3:])
    address = (
        f"{STREETS[meter.zone_id]} {number // 4 + 1} 号 {number % 4 + 1} 单元 {number % 6 + 1}0{number % 2 + 1} 室"
    )
    return replace(meter, account_no=f"4401{number:06}", address=address)


def add(parts: Parts) -> Parts:
    """Return the parts with accounts and addresses of all meters, and with readings of some."""
    meters = parts.network.meters
    assert isinstance(meters, dict)
    meters.update({name: _named(meter) for name, meter in meters.items()})
    points: dict[int, tuple[str, Quantity]] = {}
    for name in READ:
        for quantity in CARD if meters[name].kind is MeterKind.IC_CARD else REMOTE:
            points[FIRST + len(points)] = (name, quantity)
    with parts.state.write() as connection:
        rows = [{"index": n, "point_id": f"{name}/{quantity}"} for n, (name, quantity) in points.items()]
        connection.execute(tables.point.insert(), rows)
    begin = int((parts.clock.now() - timedelta(days=210)).timestamp()) * 1_000_000 // DAY * DAY
    assert from_us(begin) < parts.clock.now()
    return replace(parts, store=MeterStore(parts.store, points, parts.clock.now_us, begin))
