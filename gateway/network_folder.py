"""Reads the folder that describes a network: zones, meters, stations, points, pipes. Checked, never changed."""

from __future__ import annotations

import json
from collections.abc import Collection, Container, Iterable, Mapping
from pathlib import Path

from gateway.csv_table import Row, Table
from gateway.errors import ConfigError
from gateway.meters_csv import read_meters
from gateway.model.network import Network, Point, Station, Zone, ZoneKind
from gateway.model.quantity import Quantity
from gateway.model.reading import PointId, point_id

MAX_GEOJSON_BYTES = 64 * 1024 * 1024
STATION_KINDS = ("station", "regulator")


def read_network(folder: Path, *, cache: Path | None = None) -> Network:
    """Read zones, meters, stations, points and pipes of a network folder.

    `zones.csv` and `meters.csv` must be there, `stations.csv`, `points.csv` and `network.geojson` may. `cache` is a
    file in which the meters of a large city are kept in a form that is quick to read; several processes share it.
    Raises ConfigError with every problem, each naming file, line, column and remedy.
    """
    problems: list[str] = []
    zones = _zones(Table(folder / "zones.csv", problems))
    meters = read_meters(folder, zones, problems, cache)
    stations = _stations(Table(folder / "stations.csv", problems), zones)
    points = _points(Table(folder / "points.csv", problems), zones)
    geojson = _geojson(folder / "network.geojson", problems)
    problems += [
        f"{folder}: {name!r} names more than one asset; rename one" for name in _shared(zones, meters, stations)
    ]
    if problems:
        raise ConfigError(problems)
    return Network(zones, meters, stations, points, geojson)


def _zones(table: Table) -> dict[str, Zone]:
    zones: dict[str, Zone] = {}
    lines: dict[str, Row] = {}
    for row in table.rows(("zone_id", "parent_id", "kind", "name")):
        name = table.unique(zones, row, "zone_id")
        kind = row.one_of("kind", ZoneKind, ZoneKind.CITY)
        volume = row.optional("pipe_volume_m3", least=0.0)
        zones[name] = Zone(name, row.text("parent_id"), kind, row.text("name") or name, volume)
        lines[name] = row
    for name, zone in zones.items():
        if zone.parent_id and zone.parent_id not in zones:
            lines[name].problem("parent_id", f"{zone.parent_id!r} is no zone; add it or leave the cell empty")
        elif _in_a_ring(zones, name):
            lines[name].problem("parent_id", f"{name!r} lies below itself; break the ring")
    return zones


def _in_a_ring(zones: Mapping[str, Zone], name: str) -> bool:
    at, steps = name, 0
    while at in zones and zones[at].parent_id and steps <= len(zones):
        at, steps = zones[at].parent_id, steps + 1
        if at == name:
            return True
    return False


def _zone_of(row: Row, zones: Mapping[str, Zone]) -> str:
    name = row.text("zone_id")
    if name not in zones:
        row.problem("zone_id", f"{name!r} is no zone; add it to zones.csv")
    return name


def _stations(table: Table, zones: Mapping[str, Zone]) -> dict[str, Station]:
    stations: dict[str, Station] = {}
    if not table.path.exists():
        return stations
    for row in table.rows(("station_id", "kind", "zone_id", "name", "x_m", "y_m", "set_pressure_gauge_kpa")):
        name = table.unique(stations, row, "station_id")
        kind = row.text("kind")
        if kind not in STATION_KINDS:
            row.problem("kind", f"{kind!r} is unknown; use one of {', '.join(STATION_KINDS)}")
        stations[name] = Station(
            station_id=name,
            kind=kind,
            zone_id=_zone_of(row, zones),
            name=row.text("name") or name,
            address=row.text("address"),
            x_m=row.number("x_m"),
            y_m=row.number("y_m"),
            set_pressure_gauge_kpa=row.number("set_pressure_gauge_kpa", least=0.0),
            remote=row.flag("remote") if row.text("remote") else False,
        )
    return stations


def _points(table: Table, zones: Mapping[str, Zone]) -> dict[PointId, Point]:
    points: dict[PointId, Point] = {}
    if not table.path.exists():
        return points
    seen: set[str] = set()
    for row in table.rows(("point_id", "zone_id", "quantity")):
        written = table.unique(seen, row, "point_id")
        seen.add(written)
        quantity = row.one_of("quantity", Quantity, Quantity.PRESSURE_GAUGE_KPA)
        asset = written.removesuffix(f"/{quantity}")
        if "/" in asset:
            row.problem("point_id", f"{written!r} is not <asset>/{quantity}; rename it")
        low, high = row.optional("low"), row.optional("high")
        if low is not None and high is not None and low >= high:
            row.problem("low", f"{low:g} is not below the high limit {high:g}; exchange them")
        name = point_id(asset, quantity)
        points[name] = Point(name, asset, quantity, _zone_of(row, zones), low, high)
    return points


def _geojson(path: Path, problems: list[str]) -> str:
    if not path.exists():
        return ""
    try:
        if path.stat().st_size > MAX_GEOJSON_BYTES:
            problems.append(f"{path}: larger than {MAX_GEOJSON_BYTES} bytes; simplify the lines")
            return ""
        text = path.read_text(encoding="utf-8")
        content = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        problems.append(f"{path}: not readable as GeoJSON: {error}; export it again")
        return ""
    if not isinstance(content, dict) or content.get("type") != "FeatureCollection":
        problems.append(f"{path}: not a FeatureCollection; wrap the features in one")
        return ""
    return text


def _shared(zones: Iterable[str], meters: Container[str], stations: Collection[str]) -> list[str]:
    doubled = {name for name in zones if name in stations or name in meters}
    return sorted(doubled | {name for name in stations if name in meters})
