"""The files of a dataset beside its readings: the network folder, the settings, the weather."""

from __future__ import annotations

import csv
import json
import tomllib
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.model.network import Meter, MeterKind, MeterRole, Station
from gateway.model.quantity import Quantity
from simulators import weather
from simulators.city import Plan
from simulators.customers import BASE_K, BASE_KPA, CUSTOMER_KPA

POINT_QUANTITIES = (
    Quantity.PRESSURE_GAUGE_KPA,
    Quantity.INLET_PRESSURE_GAUGE_KPA,
    Quantity.FLOW_BASE_M3H,
    Quantity.TEMPERATURE_C,
    Quantity.GAS_LEL_PCT,
)
COLUMNS = {
    "zones.csv": ("zone_id", "parent_id", "kind", "name", "pipe_volume_m3"),
    "meters.csv": (
        "meter_id", "zone_id", "role", "kind", "customer_class", "digits", "decimals", "max_flow_m3h",
        "temperature_compensated", "installed_on", "account", "x_m", "y_m",
    ),
    "points.csv": ("point_id", "zone_id", "quantity", "low", "high"),
    "stations.csv": (
        "station_id", "kind", "zone_id", "name", "address", "x_m", "y_m", "set_pressure_gauge_kpa", "remote",
    ),
    "events.csv": ("meter_id", "time", "event", "old_register_m3", "new_register_m3"),
}  # fmt: skip
Rows = Iterable[Sequence[Any]]


def write_network(
    plan: Plan, folder: Path, until: datetime, *, supplies: Sequence[Meter] | None = None, events: Rows = ()
) -> None:
    """Write the CSV files and `network.geojson`; the weather reaches up to the last day that ended by `until`.

    `supplies` are the supply meters, by default one at each regulator. A regulator without one measures no flow.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in network_rows(plan, supplies_at_regulators(plan) if supplies is None else supplies).items():
        write_csv(folder / name, COLUMNS[name], rows)
    write_csv(folder / "events.csv", COLUMNS["events.csv"], events)
    write_weather(plan, folder, until)
    geojson = json.dumps(plan.ground.geojson(), ensure_ascii=False)
    (folder / "network.geojson").write_text(geojson, encoding="utf-8")


def network_rows(plan: Plan, supplies: Sequence[Meter]) -> dict[str, Rows]:
    """Return the rows of the network's CSV files but for events and weather, by file."""
    stations, metered = plan.ground.stations, {meter.zone_id for meter in supplies}
    return {
        "zones.csv": ((z.zone_id, z.parent_id, z.kind, z.name, z.pipe_volume_m3) for z in plan.ground.zones),
        "meters.csv": (_meter_row(m) for m in (*supplies, *plan.customers.meters)),
        "points.csv": (
            (f"{s.station_id}/{q.value}", s.zone_id, q.value, None, None)
            for s in stations
            for q in measured(s, metered)
        ),
        "stations.csv": (
            (s.station_id, s.kind, s.zone_id, s.name, s.address, s.x_m, s.y_m, s.set_pressure_gauge_kpa, int(s.remote))
            for s in stations
        ),
    }


def write_weather(plan: Plan, folder: Path, until: datetime) -> None:
    """Write one row for each local day from the begin of the history that has ended by `until`."""
    offset = timedelta(hours=weather.UTC_OFFSET_H)
    day, last = (plan.start + offset).date(), (until + offset).date()
    rows = []
    while day < last:
        first = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) // 3600 - weather.UTC_OFFSET_H
        rows.append((day.isoformat(), round(weather.day_mean_c(plan.seed, first), 2)))
        day += timedelta(days=1)
    write_csv(folder / "weather.csv", ("date", "temperature_mean_c"), rows)


def measured(station: Station, metered: set[str]) -> tuple[Quantity, ...]:
    """Return what the instruments of a station or regulator measure, for the zones that have a supply meter."""
    if station.kind == "station" or station.zone_id in metered:
        return POINT_QUANTITIES
    return tuple(quantity for quantity in POINT_QUANTITIES if quantity is not Quantity.FLOW_BASE_M3H)


def supplies_at_regulators(plan: Plan) -> list[Meter]:
    """Return one supply meter for each regulator."""
    return [
        supply(plan, zone, f"V-{number + 1:03d}", 400.0, date(2022, 6, 1))
        for number, zone in enumerate(plan.ground.regulator_zones)
    ]


def supply(plan: Plan, zone: str, meter_id: str, max_flow_m3h: float, installed_on: date) -> Meter:
    """Return the supply meter of a zone, at its regulator or gate."""
    site = next((s for s in plan.ground.stations if s.zone_id == zone), None)
    return Meter(
        meter_id, zone, MeterRole.SUPPLY, MeterKind.CORRECTOR, "", 8, 2, max_flow_m3h, True, installed_on, "",
        None if site is None else site.x_m, None if site is None else site.y_m,
    )  # fmt: skip


def _meter_row(m: Meter) -> tuple[Any, ...]:
    return (m.meter_id, m.zone_id, m.role, m.kind, m.customer_class, m.digits, m.decimals, m.max_flow_m3h,
            int(m.temperature_compensated), m.installed_on.isoformat(), m.account, m.x_m, m.y_m)  # fmt: skip


def write_csv(path: Path, columns: Sequence[str], rows: Rows) -> None:
    """Replace the file at once, so that a reader never sees half of it."""
    part = path.with_suffix(".part")
    with part.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
    part.replace(path)


def settings(plan: Plan, until: datetime, name: str) -> str:
    """Return the text of `dataset.toml`."""
    text = (
        f'name = "{name}"\ntimezone = "Asia/Shanghai"\ngas_day_start = "06:00"\n'
        f"start = {iso(plan.start)}\nend = {iso(until)}\n"
        f"base_temperature_c = {BASE_K - 273.15:.1f}\nbase_pressure_kpa = {BASE_KPA}\n"
        f"customer_pressure_kpa = {CUSTOMER_KPA}\n"
    )
    tomllib.loads(text)
    return text


def iso(moment: datetime) -> str:
    """Return a moment as the format writes it."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
