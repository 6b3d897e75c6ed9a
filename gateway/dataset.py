"""The folder that describes a network and the city dataset made of it: read in, checked, never changed."""

from __future__ import annotations

import csv
import json
import math
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from gateway.errors import ConfigError
from gateway.model.network import Meter, MeterKind, MeterRole, Network, Point, Station, Zone, ZoneKind
from gateway.model.quantity import Quantity
from gateway.model.reading import PointId, point_id

MAX_ROWS = 5_000_000
"""more rows than a city has meters: a file beyond this is not what it says it is"""
MAX_GEOJSON_BYTES = 64 * 1024 * 1024
STATION_KINDS = ("station", "regulator")
ACCOUNTS = ("open", "closed", "never_opened", "")

Kind = TypeVar("Kind", bound=StrEnum)


@dataclass(slots=True)
class _Table:
    """One CSV file being read: its rows, and the problems found so far."""

    path: Path
    problems: list[str] = field(default_factory=list)

    def rows(self, columns: tuple[str, ...]) -> Iterator[_Row]:
        """Yield the rows; a file without one of the columns yields none and is a problem."""
        try:
            with self.path.open(newline="", encoding="utf-8-sig") as handle:
                yield from self._rows(csv.DictReader(handle), columns)
        except OSError as error:
            self.problems.append(f"{self.path}: cannot read: {error.strerror}; put the file there")
        except (csv.Error, UnicodeDecodeError) as error:
            self.problems.append(f"{self.path}: not a CSV file in UTF-8: {error}; export it again")

    def _rows(self, reader: csv.DictReader[str], columns: tuple[str, ...]) -> Iterator[_Row]:
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            self.problems.append(f"{self.path}:1: column {', '.join(missing)} is missing; add it to the header")
            return
        for count, row in enumerate(reader):
            if count >= MAX_ROWS:
                self.problems.append(f"{self.path}: more than {MAX_ROWS} rows; split the network")
                return
            yield _Row(self, reader.line_num, row)

    def unique(self, seen: Container[str], row: _Row, column: str) -> str:
        """Return the row's id; a missing or repeated one is a problem."""
        name = row.text(column)
        if not name:
            row.problem(column, "is empty; give every row an id")
        elif "/" in name and column != "point_id":
            row.problem(column, f"{name!r} holds a slash, which separates asset and quantity; rename it")
        elif name in seen:
            row.problem(column, f"{name!r} stands here twice; remove one")
        return name


@dataclass(slots=True)
class _Row:
    """One row with typed access; what cannot be read becomes a problem and a harmless value."""

    table: _Table
    line: int
    cells: Mapping[str, str | None]

    def problem(self, column: str, text: str) -> None:
        """Note what is wrong with one cell."""
        self.table.problems.append(f"{self.table.path}:{self.line}: column {column}: {text}")

    def text(self, column: str) -> str:
        """Return a cell without white space around it; empty where it is absent."""
        return (self.cells.get(column) or "").strip()

    def number(self, column: str, *, least: float = -math.inf) -> float:
        """Return a finite number, which must not be below `least`."""
        return self._convert(column, lambda text: _number(text, least), 0.0)

    def optional(self, column: str, *, least: float = -math.inf) -> float | None:
        """Return a finite number, None where the cell is empty or absent."""
        return self.number(column, least=least) if self.text(column) else None

    def whole(self, column: str, least: int, most: int) -> int:
        """Return a whole number within its limits."""
        return self._convert(column, lambda text: _whole(text, least, most), least)

    def flag(self, column: str) -> bool:
        """Return a 0 or 1."""
        return self.whole(column, 0, 1) == 1

    def day(self, column: str) -> date:
        """Return a date written as 2024-01-31."""
        return self._convert(column, date.fromisoformat, date.min)

    def one_of(self, column: str, kind: type[Kind], default: Kind) -> Kind:
        """Return a member of a closed set of words."""
        text = self.text(column)
        try:
            return kind(text)
        except ValueError:
            self.problem(column, f"{text!r} is unknown; use one of {', '.join(kind)}")
            return default

    def _convert(self, column: str, convert: Callable[[str], Cell], default: Cell) -> Cell:
        text = self.text(column)
        try:
            return convert(text)
        except ValueError as error:
            self.problem(column, f"{text!r} cannot be used ({error}); correct it")
            return default


Cell = TypeVar("Cell")


def _number(text: str, least: float) -> float:
    value = float(text)
    if not math.isfinite(value) or value < least:
        raise ValueError(f"a number of at least {least:g} is wanted" if least > -math.inf else "not a finite number")
    return value


def _whole(text: str, least: int, most: int) -> int:
    value = int(text)
    if not least <= value <= most:
        raise ValueError(f"{least} to {most} is wanted")
    return value


def read_network(folder: Path) -> Network:
    """Read zones, meters, stations, points and pipes of a network folder.

    `zones.csv` and `meters.csv` must be there, `stations.csv`, `points.csv` and `network.geojson` may.
    Raises ConfigError with every problem, each naming file, line, column and remedy.
    """
    problems: list[str] = []
    zones = _zones(_Table(folder / "zones.csv", problems))
    meters = _meters(_Table(folder / "meters.csv", problems), zones)
    stations = _stations(_Table(folder / "stations.csv", problems), zones)
    points = _points(_Table(folder / "points.csv", problems), zones)
    geojson = _geojson(folder / "network.geojson", problems)
    problems += [
        f"{folder}: {name!r} names more than one asset; rename one" for name in _shared(zones, meters, stations)
    ]
    if problems:
        raise ConfigError(problems)
    return Network(zones, meters, stations, points, geojson)


def _zones(table: _Table) -> dict[str, Zone]:
    zones: dict[str, Zone] = {}
    lines: dict[str, _Row] = {}
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


def _meters(table: _Table, zones: Mapping[str, Zone]) -> dict[str, Meter]:
    meters: dict[str, Meter] = {}
    columns = ("meter_id", "zone_id", "role", "kind", "customer_class", "digits", "decimals", "max_flow_m3h")
    for row in table.rows((*columns, "temperature_compensated", "installed_on", "account")):
        name = table.unique(meters, row, "meter_id")
        meters[name] = Meter(
            meter_id=name,
            zone_id=_zone_of(row, zones),
            role=row.one_of("role", MeterRole, MeterRole.CUSTOMER),
            kind=row.one_of("kind", MeterKind, MeterKind.REMOTE),
            customer_class=row.text("customer_class"),
            digits=row.whole("digits", 1, 15),
            decimals=row.whole("decimals", 0, 9),
            max_flow_m3h=row.number("max_flow_m3h", least=0.0),
            temperature_compensated=row.flag("temperature_compensated"),
            installed_on=row.day("installed_on"),
            account=_account(row),
            x_m=row.optional("x_m"),
            y_m=row.optional("y_m"),
        )
    return meters


def _account(row: _Row) -> str:
    account = row.text("account")
    if account not in ACCOUNTS:
        row.problem("account", f"{account!r} is unknown; use one of {', '.join(filter(None, ACCOUNTS))}")
    return account


def _zone_of(row: _Row, zones: Mapping[str, Zone]) -> str:
    name = row.text("zone_id")
    if name not in zones:
        row.problem("zone_id", f"{name!r} is no zone; add it to zones.csv")
    return name


def _stations(table: _Table, zones: Mapping[str, Zone]) -> dict[str, Station]:
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


def _points(table: _Table, zones: Mapping[str, Zone]) -> dict[PointId, Point]:
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


def _shared(*groups: Mapping[str, object]) -> list[str]:
    counts = Counter(name for group in groups for name in group)
    return sorted(name for name, count in counts.items() if count > 1)
