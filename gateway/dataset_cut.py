"""Writes what was known of a dataset at a moment, as a dataset of its own; and all of it, without its truth."""

from __future__ import annotations

import csv
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb

from gateway.dataset import read_settings
from gateway.errors import ConfigError

_TABLES = ("readings.parquet", "points.parquet")
_TRUTH = "truth.json"


def copy_without_truth(folder: Path, out: Path) -> None:
    """Copy a dataset into a new folder, except for what really happened; large files are linked where that works."""
    out.mkdir(parents=True)
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.name != _TRUTH:
            _link_or_copy(path, out / path.name)


def copy_known(folder: Path, out: Path, cut: datetime) -> None:
    """Write into a new folder what had been received, recorded or measured by `cut`; the dataset ends there.

    A weather day is known when it has ended. Raises ConfigError if the dataset cannot be read.
    """
    settings = read_settings(folder)
    out.mkdir(parents=True)
    text = (folder / "dataset.toml").read_text(encoding="utf-8")
    stamp = cut.astimezone(UTC).isoformat().replace("+00:00", "Z")
    (out / "dataset.toml").write_text(re.sub(r"(?m)^end\s*=.*$", f"end = {stamp}", text), encoding="utf-8")
    today = cut.astimezone(ZoneInfo(settings.timezone)).date().isoformat()
    filtered: dict[str, Callable[[dict[str, str]], bool]] = {
        "events.csv": lambda row: _moment(row["time"]) <= cut,
        "weather.csv": lambda row: row["date"] < today,
    }
    for path in sorted(folder.iterdir()):
        if path.name in {"dataset.toml", _TRUTH} or not path.is_file():
            continue
        if path.name in filtered:
            _copy_rows(path, out / path.name, filtered[path.name])
        elif path.name in _TABLES:
            _copy_received(path, out / path.name, cut)
        else:
            _link_or_copy(path, out / path.name)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source.resolve())
    except OSError:
        shutil.copyfile(source, target)


def _copy_rows(source: Path, target: Path, known: Callable[[dict[str, str]], bool]) -> None:
    with source.open(newline="", encoding="utf-8-sig") as old, target.open("w", newline="", encoding="utf-8") as new:
        reader = csv.DictReader(old)
        writer = csv.DictWriter(new, reader.fieldnames or (), lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        try:
            writer.writerows(row for row in reader if known(row))
        except (KeyError, ValueError, TypeError) as error:
            raise ConfigError([f"{source}:{reader.line_num}: cannot be read ({error}); correct it"]) from error


def _copy_received(source: Path, target: Path, cut: datetime) -> None:
    quoted = [str(path).replace("'", "''") for path in (source, target)]
    limit = cut.astimezone(UTC).isoformat()
    try:
        with duckdb.connect() as connection:
            connection.execute("SET threads = 2; SET TimeZone = 'UTC'; SET preserve_insertion_order = false")
            connection.execute(
                f"COPY (SELECT * FROM read_parquet('{quoted[0]}') WHERE received <= TIMESTAMPTZ '{limit}') "  # noqa: S608 - own path
                f"TO '{quoted[1]}' (FORMAT parquet)"
            )
    except duckdb.Error as error:
        raise ConfigError([f"{source}: {str(error).splitlines()[0]}; write the parquet file again"]) from error


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
