"""The files of the readings store: their names, what each says of itself, the SQL for their tables.

A name is `<family>-<span>.<number>.duckdb`. The span is a received day (UTC) or a month of them; the number tells
files of one span apart and is never used twice while one of them exists. Rows arrive in `open` files, in the order of
loading and of both families; the others are sealed: sorted by point and source time, never changed, replaced as a
whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

OPEN, METER, NETWORK, MINUTES, FIRST_RELEASE = "open", "meter", "network", "minutes", "readings"
"""`minutes` holds what is left of `network` days that are past their raw time; `readings` a month of the old layout"""
SEALED = (METER, NETWORK, MINUTES)
COLUMNS = "point, source_time, received_time, value, quality"
DAY_US = 86_400_000_000
_READING = (
    "CREATE TABLE IF NOT EXISTS {0}reading (point UINTEGER NOT NULL, source_time BIGINT NOT NULL,"
    " received_time BIGINT NOT NULL, value DOUBLE, quality UTINYINT NOT NULL, seq BIGINT NOT NULL)"
)
_LOAD = "CREATE TABLE IF NOT EXISTS {0}load (seq BIGINT NOT NULL, rows BIGINT NOT NULL, whole BOOLEAN NOT NULL)"
SCHEMA = (_READING, _LOAD)
META = (
    "CREATE TABLE {0}meta (rows BIGINT NOT NULL, hash VARCHAR NOT NULL, low BIGINT NOT NULL, high BIGINT NOT NULL,"
    " touched BIGINT NOT NULL, whole BIGINT NOT NULL, lost BIGINT NOT NULL)"
)
INSERT_ROWS = f"INSERT INTO {{0}}.reading SELECT {COLUMNS}, $seq FROM incoming"  # noqa: S608 - our names
INSERT_LOAD = "INSERT INTO {0}.load VALUES ($seq, $rows, $whole)"
PROGRESS = "SELECT coalesce(max(seq), 0), coalesce(max(seq) FILTER (whole), 0) FROM {0}.load"
SPAN = "SELECT count(*), coalesce(min(source_time), 0), coalesce(max(source_time), 0) FROM {0}.reading"
NEWEST = (
    f"SELECT {COLUMNS} FROM {{0}}.reading SEMI JOIN"  # noqa: S608 - our names
    " (SELECT point, max(source_time) AS source_time FROM {0}.reading WHERE seq > $seq GROUP BY point)"
    " USING (point, source_time)"
)
"""The newest row of each point that was loaded after a sequence, with others of its time."""
CONTENT = (
    "SELECT count(*), coalesce(sum(hash(point, source_time, received_time, value, quality, seq)), 0)::VARCHAR FROM {0}"
)
"""Row count and an order-free hash of every column of every row."""
_LAST_DAY = int(np.datetime64("9999-12-31", "D").astype(np.int64))
_NAME = re.compile(r"(open|meter|network|minutes)-(\d{4}-\d{2}(?:-\d{2})?)\.(\d+)\.duckdb")
_OLD_NAME = re.compile(r"readings-(\d{4}-\d{2})\.duckdb")


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """What a file's name says."""

    span: str
    """received day `YYYY-MM-DD` or month `YYYY-MM`"""
    family: str
    number: int

    @property
    def file(self) -> str:
        """Return the name of the file."""
        return f"{self.family}-{self.span}" + ("" if self.family == FIRST_RELEASE else f".{self.number}") + ".duckdb"

    @property
    def month(self) -> str:
        """Return the month in which the span lies."""
        return self.span[:7]

    @property
    def is_month(self) -> bool:
        """Tell whether the span is a whole month."""
        return len(self.span) == 7

    @property
    def sealed(self) -> bool:
        """Tell whether the file never changes."""
        return self.family != OPEN

    @property
    def start_us(self) -> int:
        """Return the first moment of the span, us UTC."""
        return _us(np.datetime64(self.span, "D"))

    @property
    def end_us(self) -> int:
        """Return the first moment behind the span, us UTC."""
        return self.month_end_us if self.is_month else _us(np.datetime64(self.span, "D") + 1)

    @property
    def month_end_us(self) -> int:
        """Return the first moment behind the month of the span, us UTC."""
        return _us(np.datetime64(self.month, "M") + 1)


@dataclass(slots=True)
class DayFile:
    """A file of the store that is attached under `alias`."""

    path: Path
    name: Name
    touched: int = 0
    """newest load that put rows here"""
    whole: int = 0
    """newest load that was complete when it was written here"""
    count: int = 0
    low_us: int = 0
    high_us: int = 0
    """span of the source times; meaningless while `count` is 0"""
    hash: str = ""
    """hash of the content of a sealed file"""
    lost: int = 0
    """rows known to be missing after damage, -1 if nobody can count them"""
    frozen: bool = False
    """True once no load may add to an open file, because it is being sealed"""
    users: int = 0
    """readers that are in it"""

    @property
    def alias(self) -> str:
        """Return the name under which SQL knows the file."""
        return re.sub(r"\W", "_", self.path.stem)

    @property
    def sealed(self) -> bool:
        """Tell whether the file never changes."""
        return self.name.sealed

    def may_hold(self, start_us: int, end_us: int) -> bool:
        """Tell whether a source time in start <= t <= end can be in the file."""
        return self.count > 0 and self.low_us <= end_us and start_us <= self.high_us

    def added(self, times: NDArray[np.int64]) -> None:
        """Widen the span by new rows."""
        if len(times):
            low, high = int(times.min()), int(times.max())
            self.low_us = min(self.low_us, low) if self.count else low
            self.high_us = max(self.high_us, high) if self.count else high
            self.count += len(times)


def _us(moment: np.datetime64) -> int:
    return int(moment.astype("datetime64[us]").astype(np.int64))


def parse(file: str) -> Name | None:
    """Return what a file name says, None if it is none of the store's."""
    found = _NAME.fullmatch(file)
    if found is not None:
        return Name(found[2], found[1], int(found[3]))
    old = _OLD_NAME.fullmatch(file)
    return None if old is None else Name(old[1], FIRST_RELEASE, 0)


def days_of(received_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the day of each moment, counted from 1970-01-01; what no file name can hold goes to the nearest."""
    return np.clip(received_us // DAY_US, 0, _LAST_DAY)


def day_of(us: int) -> date:
    """Return the day of a moment, the first or the last that a calendar knows where it lies outside."""
    return date(1970, 1, 1) + timedelta(min(max(us // DAY_US, 0), _LAST_DAY))


def span_of_day(day: int) -> str:
    """Return the span of a day counted from 1970-01-01."""
    return str(np.datetime64(int(day), "D"))


def every(files: list[DayFile], table: str, columns: str) -> str:
    """Return a query for these columns of one table of all these files. Needs one file at least."""
    return " UNION ALL ".join(f"SELECT {columns} FROM {one.alias}.{table}" for one in files)  # noqa: S608 - our names


def literal(path: Path) -> str:
    """Return a path as an SQL string."""
    return "'" + str(path).replace("'", "''") + "'"


def settings(folder: Path, memory: str, threads: int = 1) -> dict[str, Any]:
    """Return how DuckDB is to run: bounded, offline, with its overflow beside the data."""
    return {
        "threads": threads,
        "memory_limit": memory,
        "temp_directory": str(folder / "tmp"),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
