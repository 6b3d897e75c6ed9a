"""Write the simulated city as files: the network folder, and a history in the dataset format."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from gateway.model.network import MeterKind
from gateway.model.quantity import Quantity
from simulators import noise, weather
from simulators.city import City, Plan
from simulators.customers import BASE_K, BASE_KPA, CUSTOMER_KPA
from simulators.faults import HOUR_US

POINT_QUANTITIES = (
    Quantity.PRESSURE_GAUGE_KPA,
    Quantity.INLET_PRESSURE_GAUGE_KPA,
    Quantity.FLOW_BASE_M3H,
    Quantity.TEMPERATURE_C,
    Quantity.GAS_LEL_PCT,
)
QUARTER_US = HOUR_US // 4
_ROWS_AT_ONCE = 2_000_000


def supply_meter(zone_number: int) -> str:
    """Return the id of the supply meter of the n-th regulator zone, from 0."""
    return f"V-{zone_number + 1:03d}"


def report_phase_s(plan: Plan) -> NDArray[np.int64]:
    """Return how many seconds after each half hour a remote meter reports, 20 to 900: before a gas day is judged."""
    return (20 + 880 * noise.uniform(plan.seed, 51, plan.customers.key)).astype(np.int64)


def write_network(plan: Plan, folder: Path, until: datetime) -> None:
    """Write the CSV files and `network.geojson`; the weather reaches up to the last day that ended by `until`."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_csv(
        folder / "zones.csv",
        ("zone_id", "parent_id", "kind", "name", "pipe_volume_m3"),
        ((z.zone_id, z.parent_id, z.kind, z.name, z.pipe_volume_m3) for z in plan.ground.zones),
    )
    _write_csv(folder / "meters.csv", _METER_COLUMNS, (*_supply_rows(plan), *_customer_rows(plan)))
    _write_csv(
        folder / "points.csv",
        ("point_id", "zone_id", "quantity", "low", "high"),
        ((f"{s.station_id}/{q.value}", s.zone_id, q.value, None, None)
         for s in plan.ground.stations for q in POINT_QUANTITIES),
    )  # fmt: skip
    _write_csv(
        folder / "stations.csv",
        ("station_id", "kind", "zone_id", "name", "address", "x_m", "y_m", "set_pressure_gauge_kpa", "remote"),
        ((s.station_id, s.kind, s.zone_id, s.name, s.address, s.x_m, s.y_m, s.set_pressure_gauge_kpa, int(s.remote))
         for s in plan.ground.stations),
    )  # fmt: skip
    _write_csv(folder / "events.csv", ("meter_id", "time", "event", "old_register_m3", "new_register_m3"), ())
    write_weather(plan, folder, until)
    geojson = json.dumps(plan.ground.geojson(), ensure_ascii=False)
    (folder / "network.geojson").write_text(geojson, encoding="utf-8")


def write_weather(plan: Plan, folder: Path, until: datetime) -> None:
    """Write one row for each local day from the begin of the history that has ended by `until`."""
    offset = timedelta(hours=weather.UTC_OFFSET_H)
    day, last = (plan.start + offset).date(), (until + offset).date()
    rows = []
    while day < last:
        first = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) // 3600 - weather.UTC_OFFSET_H
        rows.append((day.isoformat(), round(weather.day_mean_c(plan.seed, first), 2)))
        day += timedelta(days=1)
    _write_csv(folder / "weather.csv", ("date", "temperature_mean_c"), rows)


def write_history(city: City, folder: Path, until: datetime, *, name: str, points_every_us: int = QUARTER_US) -> None:
    """Write the dataset of the city from the begin of its history up to `until` (left out), registers hourly."""
    plan = city.plan
    write_network(plan, folder, until)
    (folder / "dataset.toml").write_text(_settings(plan, until, name), encoding="utf-8")
    hours = np.arange(plan.start_hour, int(until.timestamp()) // 3600, dtype=np.int64)
    _write_readings(city, folder / "readings.parquet", hours)
    _write_points(city, folder / "points.parquet", hours, points_every_us)


_METER_COLUMNS = (
    "meter_id", "zone_id", "role", "kind", "customer_class", "digits", "decimals", "max_flow_m3h",
    "temperature_compensated", "installed_on", "account", "x_m", "y_m",
)  # fmt: skip


def _customer_rows(plan: Plan) -> Iterable[tuple[Any, ...]]:
    for m in plan.customers.meters:
        yield (m.meter_id, m.zone_id, m.role, m.kind, m.customer_class, m.digits, m.decimals, m.max_flow_m3h,
               int(m.temperature_compensated), m.installed_on.isoformat(), m.account, m.x_m, m.y_m)  # fmt: skip


def _supply_rows(plan: Plan) -> Iterable[tuple[Any, ...]]:
    for number, zone in enumerate(plan.ground.regulator_zones):
        site = plan.ground.regulator_of(zone)
        yield (supply_meter(number), zone, "supply", MeterKind.CORRECTOR, "", 8, 2, 400.0, 1,
               date(2022, 6, 1).isoformat(), "", site.x_m, site.y_m)  # fmt: skip


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Replace the file at once, so that a reader never sees half of it."""
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    part.replace(path)


def _settings(plan: Plan, until: datetime, name: str) -> str:
    text = (
        f'name = "{name}"\ntimezone = "Asia/Shanghai"\ngas_day_start = "06:00"\n'
        f"start = {_iso(plan.start)}\nend = {_iso(until)}\n"
        f"base_temperature_c = {BASE_K - 273.15:.1f}\nbase_pressure_kpa = {BASE_KPA}\n"
        f"customer_pressure_kpa = {CUSTOMER_KPA}\n"
    )
    tomllib.loads(text)
    return text


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


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
