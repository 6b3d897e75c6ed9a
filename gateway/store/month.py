"""Names and SQL of the readings store's month files. The only caller is `gateway.store.readings`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

COLUMNS = "point, source_time, received_time, value, quality"
_READING = (
    "CREATE TABLE IF NOT EXISTS {0}reading (point UINTEGER NOT NULL, source_time BIGINT NOT NULL,"
    " received_time BIGINT NOT NULL, value DOUBLE, quality UTINYINT NOT NULL, seq BIGINT NOT NULL)"
)
_LOAD = "CREATE TABLE IF NOT EXISTS {0}load (seq BIGINT NOT NULL, rows BIGINT NOT NULL, whole BOOLEAN NOT NULL)"
SCHEMA = (_READING, _LOAD)
INSERT_ROWS = f"INSERT INTO {{0}}.reading SELECT {COLUMNS}, $seq FROM incoming"  # noqa: S608 - our names
INSERT_LOAD = "INSERT INTO {0}.load VALUES ($seq, $rows, $whole)"
PROGRESS = "SELECT coalesce(max(seq), 0), coalesce(max(seq) FILTER (whole), 0) FROM load"
SPAN = (
    "SELECT count(*), coalesce(min(source_time), 0), coalesce(max(source_time), 0),"
    " bit_xor(hash(received_time, value, quality, seq)) FROM reading"
)
NEWEST = (
    f"SELECT {COLUMNS} FROM reading SEMI JOIN"  # noqa: S608 - our names
    " (SELECT point, max(source_time) AS source_time FROM reading GROUP BY point) USING (point, source_time)"
)
_LAST_MONTH = (10_000 - 1970) * 12 - 1
_NAME = re.compile(r"readings-(\d{4})-(\d{2})\.duckdb")


@dataclass(slots=True)
class Month:
    """A file of the readings received in one month, attached under `alias`."""

    path: Path
    touched: int = 0
    """newest load that put rows here"""
    whole: int = 0
    """newest load that was complete when it was written here"""
    count: int = 0
    low_us: int = 0
    high_us: int = 0
    """span of the source times; meaningless while `count` is 0"""

    @property
    def alias(self) -> str:
        """Return the name under which SQL knows the file."""
        return self.path.stem.replace("-", "_")

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


def is_month(path: Path) -> bool:
    """Tell whether a file is one of the store's."""
    return _NAME.fullmatch(path.name) is not None


def months_of(received_us: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the month of each moment as months since January 1970; what no file name can hold goes to the nearest."""
    number = received_us.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64)
    return np.clip(number, 0, _LAST_MONTH)


def file_of(month: int) -> str:
    """Return the file name of a month."""
    return f"readings-{np.datetime64(int(month), 'M')}.duckdb"


def every(months: list[Month], table: str, columns: str) -> str:
    """Return a query for these columns of one table of all these files. Needs one file at least."""
    return " UNION ALL ".join(f"SELECT {columns} FROM {month.alias}.{table}" for month in months)  # noqa: S608 - our names
