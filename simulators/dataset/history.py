"""Write the demo's history: the city as it is served live, every register each hour."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from simulators import noise
from simulators.city import City, Plan
from simulators.dataset.network_files import POINT_QUANTITIES, settings, write_network, write_weather
from simulators.faults import HOUR_US

__all__ = ["report_phase_s", "supply_meter", "write_history", "write_network", "write_weather"]

QUARTER_US = HOUR_US // 4
_ROWS_AT_ONCE = 2_000_000


def supply_meter(zone_number: int) -> str:
    """Return the id of the supply meter of the n-th regulator zone, from 0."""
    return f"V-{zone_number + 1:03d}"


def report_phase_s(plan: Plan) -> NDArray[np.int64]:
    """Return how many seconds after each half hour a remote meter reports, 20 to 900: before a gas day is judged."""
    return (20 + 880 * noise.uniform(plan.seed, 51, plan.customers.key)).astype(np.int64)


def write_history(city: City, folder: Path, until: datetime, *, name: str, points_every_us: int = QUARTER_US) -> None:
    """Write the dataset of the city from the begin of its history up to `until` (left out), registers hourly."""
    plan = city.plan
    write_network(plan, folder, until)
    (folder / "dataset.toml").write_text(settings(plan, until, name), encoding="utf-8")
    hours = np.arange(plan.start_hour, int(until.timestamp()) // 3600, dtype=np.int64)
    _write_readings(city, folder / "readings.parquet", hours)
    _write_points(city, folder / "points.parquet", hours, points_every_us)


_TIME = pa.timestamp("ms", tz="UTC")
_READINGS = pa.schema([
    ("meter_id", pa.string()), ("time", _TIME), ("received", _TIME), ("register_m3", pa.float64()),
    ("valve", pa.int8()), ("flags", pa.uint32()), ("battery_v", pa.float32()), ("balance_m3", pa.float64()),
    ("purchased_m3", pa.float64()),
])  # fmt: skip
_POINTS = pa.schema([
    ("point_id", pa.string()), ("time", _TIME), ("received", _TIME), ("value", pa.float64()), ("quality", pa.uint8()),
])  # fmt: skip


def _write_readings(city: City, path: Path, hours: NDArray[np.int64]) -> None:
    """Write in pieces, so that a large city fits into little memory."""
    meters = len(city.plan.customers) + len(city.plan.ground.regulator_zones)
    piece = max(24, _ROWS_AT_ONCE // meters)
    with pq.ParquetWriter(path, _READINGS) as writer:
        for first in range(0, len(hours), piece):
            writer.write_table(_readings_table(city, hours[first : first + piece]))


def _readings_table(city: City, hours: NDArray[np.int64]) -> pa.Table:
    plan, customers = city.plan, city.plan.customers
    registers = city.registers(hours * HOUR_US)
    shown, (left, bought) = city.shown(registers), city.credit(registers)
    supply = np.floor(registers.supply * 100.0 + 1e-6) / 100.0
    zones, count = supply.shape[1], len(hours)
    names = [supply_meter(n) for n in range(zones)] + [m.meter_id for m in customers.meters]
    late_s = np.where(customers.ic_card, 2, report_phase_s(plan))
    delay_ms = np.concatenate([np.full(zones, 2), late_s]) * 1000
    time_ms = np.broadcast_to(hours * 3_600_000, (zones + len(customers), count))
    ic_card = np.concatenate([np.zeros(zones, bool), customers.ic_card])[:, None].repeat(count, axis=1)
    balance = np.zeros((zones + len(customers), count))
    purchased = balance.copy()
    balance[zones:], purchased[zones:] = np.round(left.T, 2), np.round(bought.T, 2)
    return pa.table(
        [
            _names(names, count),
            pa.array(time_ms.ravel()).cast(_TIME),
            pa.array((time_ms + delay_ms[:, None]).ravel()).cast(_TIME),
            pa.array(np.concatenate([supply.T, shown.T]).ravel()),
            pa.array(np.ones(time_ms.size, np.int8), mask=np.repeat(np.arange(zones + len(customers)) < zones, count)),
            pa.array(np.zeros(time_ms.size, np.uint32)),
            pa.array(np.full(time_ms.size, 3.6, np.float32)),
            pa.array(balance.ravel(), mask=~ic_card.ravel()),
            pa.array(purchased.ravel(), mask=~ic_card.ravel()),
        ],
        schema=_READINGS,
    )


def _names(names: Sequence[str], count: int) -> pa.Array:
    index = pa.array(np.repeat(np.arange(len(names), dtype=np.int32), count))
    return pa.DictionaryArray.from_arrays(index, pa.array(names)).cast(pa.string())


def _write_points(city: City, path: Path, hours: NDArray[np.int64], every_us: int) -> None:
    """Write every station's instruments, in pieces."""
    stations = len(city.plan.ground.stations)
    piece = max(24, _ROWS_AT_ONCE // (stations * len(POINT_QUANTITIES) * (HOUR_US // every_us)))
    with pq.ParquetWriter(path, _POINTS) as writer:
        for first in range(0, len(hours), piece):
            within = np.arange(HOUR_US // every_us) * every_us
            moments = (hours[first : first + piece, None] * HOUR_US + within).ravel()
            writer.write_table(_points_table(city, moments))


def _points_table(city: City, moments: NDArray[np.int64]) -> pa.Table:
    columns = {
        f"{station}/{quantity.value}": shown[quantity]
        for station, shown in city.station_columns(moments).items()
        for quantity in POINT_QUANTITIES
    }
    time_ms = np.tile(moments // 1000, len(columns))
    return pa.table(
        [
            _names(list(columns), len(moments)),
            pa.array(time_ms).cast(_TIME),
            pa.array(time_ms + 500).cast(_TIME),
            pa.array(np.round(np.concatenate(list(columns.values())), 4)),
            pa.array(np.zeros(len(time_ms), np.uint8)),
        ],
        schema=_POINTS,
    )
