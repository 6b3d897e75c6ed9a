"""Readings as Parquet files: one per family and received day, in folders that analysis tools know as hive layout.

`family=meter/day=2026-01-31/readings.parquet` has the columns asset, quantity, source_time, received_time (both UTC),
value, severity and reason. A file appears under its name only when it is whole.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gateway.model.reading import PointId, Reason, Severity
from gateway.store.dayfile import DAY_US, METER, NETWORK, DayFile, every, literal
from gateway.store.journal import PART
from gateway.store.segment import sync_folder

FAMILIES = (METER, NETWORK)
_ROW_GROUP = 122_880
Points = NDArray[np.uint32]


class ExportSource(Protocol):
    """Where an export comes from: the store itself, or the store service of a running gateway."""

    async def days(self) -> tuple[date, date] | None:
        """Return the first and the last received day there may be readings of, None if there is none."""
        ...

    async def export_day(self, family: str, day: date, points: Points | None, path: Path) -> int:
        """Write one file and return its number of rows; writes nothing if there are none. Raises TransientError."""
        ...


async def export(
    source: ExportSource,
    out: Path,
    days: tuple[date, date],
    points: Points | None,
    progress: Callable[[int, int, int], None],
) -> int:
    """Write the days, both ends included, and return the number of rows.

    `progress` hears days done, days altogether, rows so far. A file that was there already is replaced. Raises
    TransientError and OSError; what was finished stays and a second run begins anew.
    """
    rows, count = 0, (days[1] - days[0]).days + 1
    for number in range(count):
        day = days[0] + timedelta(number)
        for family in FAMILIES:
            folder = out / f"family={family}" / f"day={day}"
            folder.mkdir(parents=True, exist_ok=True)
            part = folder / ("readings.parquet" + PART)
            written = await source.export_day(family, day, points, part)
            if written:
                _finish(part)
                rows += written
            else:
                folder.rmdir()
        progress(number + 1, count, rows)
    return rows


def covers(one: DayFile, day: date) -> bool:
    """Tell whether a file may hold readings received on a day."""
    return one.count > 0 and str(day).startswith(one.name.span)


def write_day(
    connection: Any,
    files: list[DayFile],
    day: date,
    choose: Callable[[Points], tuple[Points, list[PointId]]],
    path: Path,
) -> int:
    """Write a day's rows of the points that are chosen, sorted where the files are; return their number.

    `choose` gets every point of the day and returns those that are wanted, with their names. Raises duckdb.Error.
    """
    start = (day - date(1970, 1, 1)).days * DAY_US
    chosen = f"received_time >= {start} AND received_time < {start + DAY_US}"
    rows = f"SELECT * FROM ({every(files, 'reading', '*')}) WHERE {chosen}"  # noqa: S608 - our names
    found = connection.execute(f"SELECT DISTINCT point FROM ({rows})").fetchnumpy()["point"]  # noqa: S608
    points, names = choose(np.sort(np.ma.filled(found, 0)).astype(np.uint32))
    if not len(points):
        return 0
    split = [name.rpartition("/") for name in names]
    connection.register(
        "named",
        {
            "point": points,
            "asset": np.array([asset or name for asset, _, name in split], dtype=object),
            "quantity": np.array([name if asset else "" for asset, _, name in split], dtype=object),
        },
    )
    query = (
        f"SELECT asset, quantity, make_timestamp(source_time) AS source_time,"  # noqa: S608 - our names
        f" make_timestamp(received_time) AS received_time, value, {_words('quality >> 6', Severity)} AS severity,"
        f" {_words('quality & 63', Reason)} AS reason FROM ({rows}) JOIN named USING (point)"
    )
    copied = connection.execute(
        f"COPY ({query}) TO {literal(path)} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})"
    ).fetchall()
    return int(copied[0][0])


def _words(code: str, kinds: type[Severity | Reason]) -> str:
    """Return SQL that says a code in words; nothing for no reason."""
    cases = " ".join(f"WHEN {int(kind)} THEN '{'' if kind.name == 'NONE' else kind.name.lower()}'" for kind in kinds)
    return f"CASE {code} {cases} END"


def _finish(part: Path) -> None:
    handle = os.open(part, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    part.replace(part.with_name(part.name.removesuffix(PART)))
    sync_folder(part.parent)
