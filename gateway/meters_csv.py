"""Reads the meters of a network: a small file row by row, a large city's column by column, once for all processes.

What is plain in a large file is read by columns. A file with anything else in it, a fault above all, is read row by
row, which names every fault. The columns are kept in a file that all processes map. A process of its own makes it,
since the memory that reading needs for a moment would stay with a process that runs for months.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Container, Mapping
from pathlib import Path
from typing import Any

from gateway.columns_file import only_one, read_columns
from gateway.csv_table import Row, Table
from gateway.model.meters import TEXTS, MeterTable
from gateway.model.network import Meter, MeterKind, MeterRole

MANY_BYTES = 8 << 20
"""a file from this size on is worth a process and a cache; some 80,000 meters"""
ACCOUNTS = ("open", "closed", "never_opened", "")
BUILT, NOT_PLAIN = 0, 3
"""exit codes of the process that reads a large file"""
_FORMAT = 2


def _account(row: Row) -> str:
    account = row.text("account")
    if account not in ACCOUNTS:
        row.problem("account", f"{account!r} is unknown; use one of {', '.join(filter(None, ACCOUNTS))}")
    return account


CELLS: Mapping[str, Callable[[Row], Any]] = {
    "zone_id": lambda row: row.text("zone_id"),
    "role": lambda row: row.one_of("role", MeterRole, MeterRole.CUSTOMER),
    "kind": lambda row: row.one_of("kind", MeterKind, MeterKind.REMOTE),
    "customer_class": lambda row: row.text("customer_class"),
    "digits": lambda row: row.whole("digits", 1, 15),
    "decimals": lambda row: row.whole("decimals", 0, 9),
    "max_flow_m3h": lambda row: row.number("max_flow_m3h", least=0.0),
    "temperature_compensated": lambda row: row.flag("temperature_compensated"),
    "installed_on": lambda row: row.day("installed_on"),
    "account": _account,
}
"""how a cell is read that has few distinct words in a city, so that each word need be read but once"""
REQUIRED = ("meter_id", *CELLS)


def read_meters(folder: Path, zones: Container[str], problems: list[str], cache: Path | None) -> Mapping[str, Meter]:
    """Return the meters of a network folder; what cannot be read is added to `problems`.

    `cache` is where the columns of a large file are kept; without it they leave nothing on the disk.
    """
    table = Table(folder / "meters.csv", problems)
    if table.path.exists() and table.path.stat().st_size >= MANY_BYTES and not problems:
        found = many_meters(table.path, folder / "zones.csv", cache)
        if found is not None:
            return found
    return row_by_row(table, zones)


def row_by_row(table: Table, zones: Container[str]) -> dict[str, Meter]:
    """Return the meters of a table, each an object."""
    meters: dict[str, Meter] = {}
    for row in table.rows(REQUIRED):
        name = table.unique(meters, row, "meter_id")
        cells = {column: read(row) for column, read in CELLS.items()}
        if cells["zone_id"] not in zones:
            row.problem("zone_id", f"{cells['zone_id']!r} is no zone; add it to zones.csv")
        place: dict[str, Any] = {"x_m": row.optional("x_m"), "y_m": row.optional("y_m")}
        place |= {column: row.text(column) for column in TEXTS}
        meters[name] = Meter(meter_id=name, **cells, **place)
    return meters


def many_meters(path: Path, zones: Path, cache: Path | None) -> MeterTable | None:
    """Return the meters of a large file, from the cache if that is of these very files; None if it is not plain."""
    if cache is None:
        with tempfile.TemporaryDirectory(prefix="gasgate-") as name:
            return _fresh(path, zones, Path(name) / "meters.columns")
    with only_one(cache.with_name(f"{cache.name}.lock")):
        return _cached(path, zones, cache) or _fresh(path, zones, cache)


def _cached(path: Path, zones: Path, cache: Path) -> MeterTable | None:
    found = read_columns(cache)
    if found is None or found[0].get("of") != stamp(path, zones):
        return None
    return MeterTable.kept(found[1], found[0]["words"])


def _fresh(path: Path, zones: Path, cache: Path) -> MeterTable | None:
    command = [sys.executable, "-m", "gateway.meters_build", str(path), str(zones), str(cache)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False)  # noqa: S603
    return _cached(path, zones, cache) if done.returncode == BUILT else None


def stamp(*paths: Path) -> list[list[int]]:
    """Return what changes when a file changes."""
    found = [path.stat() for path in paths]
    return [[_FORMAT], *([one.st_size, one.st_mtime_ns, one.st_ctime_ns, one.st_ino] for one in found)]
