"""Final intervals as Parquet files: one process adds revisions, any process reads; nothing is ever changed in place.

`gas_day=2026-01-31/rev-000007-1f2e3d4c.parquet` holds those rows of a gas day that one audit found new; the last
part of the name is the file's CRC. Rows are sorted by meter. A day's files become one when there are many, and old
months become one file, `month=2026-01/rev-...`, with every revision kept. A file appears whole or not at all: it is
written beside, made durable and renamed. While two files hold the same row, because a merge was just made or cut
short, readers take it once.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from threading import Lock
from typing import Any

import duckdb

from gateway.errors import TransientError
from gateway.store import interval_counts
from gateway.store.durable import crc_of, make_durable
from gateway.store.interval_rows import (
    ALL,
    COLUMNS,
    IntervalColumns,
    IntervalRow,
    Ints,
    as_array,
    day_number,
    day_of,
    row_of,
)
from gateway.store.interval_sql import CHANGED, FRESH, newest, nothing
from gateway.store.ownership import own

_LOG = logging.getLogger(__name__)
MOST_DAY_FILES = 4
"""files that a gas day may have before they become one"""
_ROW_GROUP = 40_960
"""rows that are decoded at least to find one meter"""
SPLIT_ROWS = 8_000_000
"""a month with more rows becomes sixteen files, by the first digit of the MD5 of the meter: one is read for a meter"""
_TRIES = 5
"""a file that was merged away between being listed and being read is looked for again this often"""
LATE_FILES = 20
"""files of single days of a month that is one file already, from which that is made anew"""
_NAME = re.compile(r"rev-(\d{6,})-([0-9a-f]{8})(?:-([0-9a-f]))?\.parquet")
FOLDER = re.compile(r"gas_day=(\d{4}-\d{2}-\d{2})|month=(\d{4}-\d{2})")


class IntervalStore:
    """The folder of the final intervals. Safe to use from several threads."""

    def __init__(self, folder: Path, *, memory_mib: int = 256) -> None:
        """Use a folder, which need not exist; `memory_mib` bounds what a query or a merge may take."""
        self._folder = folder
        self._memory_mib = memory_mib
        self._made: Any = None
        self._lock = Lock()
        self.damage: list[str] = []
        """files that could not be read and were set aside or left out"""

    def close(self) -> None:
        """Let go of everything; may be called twice."""
        with self._lock:
            if self._made is not None:
                self._made.close()
                self._made = None

    def of_meter(self, meter: str, first: date, last: date) -> list[IntervalRow]:
        """Return all revisions of a meter's gas days, oldest day first, newest revision last. Raises TransientError."""
        found = self._query(
            f"SELECT DISTINCT {ALL} FROM read_parquet($files, hive_partitioning = false)"  # noqa: S608
            " WHERE meter BETWEEN $low AND $high AND gas_day BETWEEN $first AND $last ORDER BY gas_day, revision",
            first, last, {"low": meter, "high": meter}, piece=_piece_of(meter),
        )  # fmt: skip
        return [row_of(row) for row in found]

    def estimates(self, meters: Sequence[str], first: date, last: date) -> dict[tuple[str, str], int]:
        """Return the units of those newest revisions that were estimated by rule, by meter and gas day.

        `meters` are sorted. Raises TransientError.
        """
        if not meters:
            return {}
        found = self._query(
            f"SELECT meter, gas_day, units FROM ({newest('$files')})"  # noqa: S608 - our names
            " WHERE status = 'estimated' AND method <> 'manual'",
            first, last, {"low": meters[0], "high": meters[-1]},
        )  # fmt: skip
        wanted = set(meters)
        return {(name, day_of(number).isoformat()): units for name, number, units in found if name in wanted}

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self._folder

    def months(self) -> set[date]:
        """Return the first day of each month that has gas days."""
        names = {folder.name.partition("=")[2][:7] for folder in self._folders()}
        return {date.fromisoformat(f"{name}-01") for name in names}

    def read_meters(
        self, first: date, last: date, *, begin: int, end: int, parts: int = 1
    ) -> Iterator[tuple[Sequence[str], Ints]]:
        """Yield meters with a register between two moments, as `interval_counts.read_meters`."""
        return interval_counts.read_meters(self, first, last, begin=begin, end=end, parts=parts)

    def count_months(self, begin_of: Callable[[date], int], last: date) -> int:
        """Count what the months say of each meter, as `interval_counts.count_months`. Raises PermanentError."""
        with self.adding():
            return interval_counts.count_months(self, begin_of, last)

    def changed_days(self, after_us: int, upto_us: int) -> list[date]:
        """Return the gas days with revisions that were computed at after < t <= upto. Raises TransientError."""
        found = self._query(
            "SELECT DISTINCT gas_day FROM read_parquet($files, hive_partitioning = false)"
            " WHERE gas_day BETWEEN $first AND $last AND computed_at > $after AND computed_at <= $upto ORDER BY 1",
            date.min, date.max, {"after": after_us, "upto": upto_us},
        )  # fmt: skip
        return [day_of(number) for (number,) in found]

    def changed(self, day: date, after_us: int, upto_us: int, behind: str, most: int) -> list[IntervalRow]:
        """Return newest revisions of a gas day that were computed at after < t <= upto, of meters > `behind`, sorted.

        At most so many; raises TransientError.
        """
        found = self._query(
            f"SELECT {ALL} FROM (SELECT DISTINCT {ALL} FROM read_parquet($files, hive_partitioning = false)"  # noqa: S608 - our names
            " WHERE gas_day BETWEEN $first AND $last AND meter > $behind"
            " QUALIFY row_number() OVER (PARTITION BY meter ORDER BY revision DESC) = 1)"
            f" WHERE computed_at > $after AND computed_at <= $upto ORDER BY meter LIMIT {most:d}",
            day, day, {"after": after_us, "upto": upto_us, "behind": behind},
        )  # fmt: skip
        return [row_of(row) for row in found]

    @contextmanager
    def adding(self) -> Iterator[Adding]:
        """Take in the results of one audit; they are to be seen once the block has ended well, day by day.

        A block that fails leaves everything as it was. Raises PermanentError if another process adds, TransientError
        if the disk is full.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        handle = own(self._folder)
        beside = self._folder / ".new"
        try:
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir()
            adding = Adding(self, beside)
            yield adding
            adding.publish()
        except (duckdb.IOException, duckdb.OutOfMemoryException, OSError) as error:
            raise TransientError(f"intervals cannot be written: {error}") from error
        finally:
            shutil.rmtree(beside, ignore_errors=True)
            os.close(handle)

    def tidy(self, before: date) -> int:
        """Make one file of days that have many, and of months that ended before a day; return how many were made.

        Nothing is lost or seen twice if this is cut short. Raises what `adding` raises.
        """
        with self.adding() as adding:
            places: dict[str, list[Path]] = {}
            for folder in self._folders():
                inside = sorted(folder.glob("rev-*.parquet"))
                kind, _, name = folder.name.partition("=")
                if kind == "month" or _month_ends(name) < before:
                    places.setdefault(f"month={name[:7]}", []).extend(inside)
                elif len(inside) > MOST_DAY_FILES:
                    places[folder.name] = inside
            return sum(adding.merge(place, files) for place, files in places.items() if _is_worth_it(place, files))

    def _query(
        self, sql: str, first: date, last: date, given: dict[str, Any], *, piece: str = ""
    ) -> list[tuple[Any, ...]]:
        """Run a query over the files of a span; one that vanished is looked for again, a damaged one left out."""
        span = {"first": day_number(first), "last": day_number(last)}
        bad: set[Path] = set()
        problem = ""
        for _ in range(_TRIES):
            files = [file for file in self.files_of(first, last, piece) if file not in bad]
            if not files:
                return []
            try:
                with self.cursor() as connection:
                    wanted = {"files": [str(file) for file in files], **span, **given}
                    return list(connection.execute(sql, wanted).fetchall())
            except duckdb.Error as error:
                bad |= {file for file in files if not self.is_whole(file)}
                problem = str(error)
        raise TransientError(f"intervals cannot be read: {problem}")

    def is_whole(self, file: Path) -> bool:
        """Tell whether a file holds what was written; name a damaged one once."""
        try:
            name_of = _NAME.fullmatch(file.name)
            whole = name_of is not None and crc_of(file) == int(name_of[2], 16)
        except FileNotFoundError:
            return True
        except OSError:
            whole = False
        name = f"{file.parent.name}/{file.name}"
        if not whole and name not in self.damage:
            _LOG.error("%s is damaged and left out; days that are audited again are written anew", name)
            self.damage.append(name)
        return whole

    def whole(self, files: Sequence[Path]) -> list[Path]:
        """Return the files that are whole; set the others aside. For the one who adds."""
        good = [file for file in files if self.is_whole(file)]
        for file in set(files) - set(good):
            aside = self._folder / "quarantine"
            aside.mkdir(exist_ok=True)
            file.replace(aside / f"{file.parent.name}-{file.name}")
        return good

    def files_of(self, first: date, last: date, piece: str = "") -> list[Path]:
        """Return the files that may hold gas days of a span; of split months only one piece, if one is named."""
        found: list[Path] = []
        low, high = first.isoformat(), last.isoformat()
        for folder in self._folders():
            kind, _, name = folder.name.partition("=")
            if (kind == "gas_day" and low <= name <= high) or (kind == "month" and low[:7] <= name <= high[:7]):
                names = ((file, _NAME.fullmatch(file.name)) for file in folder.glob("rev-*.parquet"))
                found += sorted(file for file, name in names if name and (not piece or name[3] in {None, piece}))
        return found

    def next_number(self, place: str) -> int:
        """Return the number of the next file of a day or month."""
        numbers = [int(found[1]) for file in (self._folder / place).glob("rev-*") if (found := _NAME.match(file.name))]
        return max(numbers, default=0) + 1

    def place(self, name: str) -> Path:
        """Return the folder of a day or month, which is made if it is missing."""
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        return folder

    @contextmanager
    def cursor(self) -> Iterator[Any]:
        """Give a cursor of an in-memory database of our own."""
        with self._lock:
            if self._made is None:
                spill = str(self._folder / ".spill")
                self._made = duckdb.connect(
                    config={"threads": 1, "memory_limit": f"{self._memory_mib}MiB", "temp_directory": spill}
                )
            cursor = self._made.cursor()
        try:
            yield cursor
        finally:
            cursor.close()

    def _folders(self) -> Iterator[Path]:
        if self._folder.is_dir():
            yield from sorted(path for path in self._folder.iterdir() if FOLDER.fullmatch(path.name))


class Adding:
    """What one audit adds; made by `IntervalStore.adding`."""

    def __init__(self, store: IntervalStore, beside: Path) -> None:
        self._store, self._beside = store, beside
        self._parts: list[tuple[Path, set[int]]] = []
        self._checked: set[Path] = set()

    def add(self, rows: IntervalColumns) -> int:
        """Take in those rows that differ from the newest revision; return how many. Each meter and day comes once."""
        if not len(rows):
            return 0
        first, last = (day_of(int(number)) for number in (rows.gas_day.min(), rows.gas_day.max()))
        part = self._beside / f"part-{len(self._parts)}.parquet"
        files = [str(file) for file in self._whole(self._store.files_of(first, last))]
        with self._store.cursor() as connection:
            connection.register("fresh", {name: getattr(rows, name) for name in COLUMNS})
            source = newest("$files") if files else f"SELECT {ALL} FROM ({nothing()})"  # noqa: S608
            given = {"files": files, "first": day_number(first), "last": day_number(last)}
            given |= {"low": min(rows.meter), "high": max(rows.meter)}
            connection.execute(f"CREATE OR REPLACE TEMP TABLE newest AS {source}", given if files else None)
            connection.execute(f"CREATE OR REPLACE TEMP TABLE changed AS {CHANGED}")
            days = {int(number) for (number,) in connection.execute("SELECT DISTINCT gas_day FROM changed").fetchall()}
            (count,) = connection.execute("SELECT count(*) FROM changed").fetchone()
            if count:
                connection.execute(f"COPY changed TO {_quoted(part)} (FORMAT parquet, ROW_GROUP_SIZE {_ROW_GROUP})")
                self._parts.append((part, days))
            connection.execute("DROP TABLE newest; DROP TABLE changed")
        return int(count)

    def set_by_hand(self, meter: str, day: date, units: int | None, *, who: str, note: str, now_us: int) -> int:
        """Take in what a person set of a day that stands written already, if that is new; return how many rows.

        Without `units` the newest revision that nobody set by hand holds again.
        """
        found = self._store.of_meter(meter, day, day)
        by_rule = [row for row in found if row.method != "manual"]
        if not by_rule:
            return 0
        told = {**{name: getattr(by_rule[-1], name) for name in COLUMNS}, "gas_day": day_number(day)}
        if units is not None:
            told |= {"units": units, "status": "estimated", "method": "manual", "who": who, "note": note}
        told["computed_at"] = now_us
        return self.add(IntervalColumns(**{name: as_array([value]) for name, value in told.items()}))

    def keep(self, rows: Sequence[IntervalRow]) -> None:
        """Take in rows with their revisions as they are: those of an older release."""
        names = (*COLUMNS, "revision")
        table = {name: [getattr(row, name) for row in rows] for name in names}
        table["gas_day"] = [day_number(date.fromisoformat(row.gas_day)) for row in rows]
        columns = {name: as_array(values) for name, values in table.items()}
        part = self._beside / f"part-{len(self._parts)}.parquet"
        with self._store.cursor() as connection:
            connection.register("fresh", columns)
            connection.execute(
                f"COPY (SELECT {FRESH}, revision::INTEGER AS revision FROM fresh ORDER BY gas_day, meter)"  # noqa: S608
                f" TO {_quoted(part)} (FORMAT parquet)"
            )
        self._parts.append((part, set(table["gas_day"])))

    def merge(self, place: str, files: Sequence[Path]) -> int:
        """Put all rows of these files into one, then remove them; return how many files were made."""
        good = self._store.whole(files)
        if not good:
            return 0
        names = [str(file) for file in good]
        for piece in self._pieces(place, names):
            self._write(place, names, f"substr(md5(meter), 1, {len(piece)}) = '{piece}'", piece)
        for file in good:
            file.unlink()
        for folder in {file.parent for file in files}:
            if not any(folder.iterdir()):
                folder.rmdir()
        return 1

    def publish(self) -> None:
        """Let the rows be seen, gas day by gas day."""
        for number in sorted(set().union(*(days for _, days in self._parts))):
            parts = [str(part) for part, days in self._parts if number in days]
            self._write(f"gas_day={day_of(number).isoformat()}", parts, f"gas_day = {number}")

    def _whole(self, files: Sequence[Path]) -> list[Path]:
        """Leave out damaged files; each is looked at once."""
        fresh = [file for file in files if file not in self._checked]
        good = set(self._store.whole(fresh))
        self._checked |= good
        return [file for file in files if file in self._checked]

    def _pieces(self, place: str, files: list[str]) -> str | tuple[str]:
        with self._store.cursor() as connection:
            query = "SELECT count(*) FROM read_parquet($files, hive_partitioning = false)"
            (rows,) = connection.execute(query, {"files": files}).fetchone()
        return "0123456789abcdef" if place.startswith("month=") and rows > SPLIT_ROWS else ("",)

    def _write(self, place: str, files: list[str], wanted: str, piece: str = "") -> None:
        fresh = self._beside / "fresh.parquet"
        with self._store.cursor() as connection:
            connection.execute(
                f"COPY (SELECT DISTINCT {ALL} FROM read_parquet($files, hive_partitioning = false) WHERE {wanted}"  # noqa: S608 - our names
                f" ORDER BY meter, gas_day, revision) TO {_quoted(fresh)}"
                f" (FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION V2, ROW_GROUP_SIZE {_ROW_GROUP})",
                {"files": files},
            )
        folder = self._store.place(place)
        name = f"rev-{self._store.next_number(place):06d}-{crc_of(fresh):08x}{'-' * len(piece)}{piece}.parquet"
        make_durable(fresh)
        fresh.replace(folder / name)
        make_durable(folder)
        make_durable(folder.parent)


def _month_ends(day: str) -> date:
    """Return a day not before the end of a gas day's month."""
    return date.fromisoformat(day).replace(day=1) + timedelta(days=31)


def _is_worth_it(place: str, files: Sequence[Path]) -> bool:
    """Tell whether files are to be merged: not a large month for a few late days."""
    late = sum(file.parent.name != place for file in files)
    return late < len(files) > 1 if place.startswith("gas_day=") else late == len(files) > 0 or late >= LATE_FILES


def _piece_of(meter: str) -> str:
    return hashlib.md5(meter.encode(), usedforsecurity=False).hexdigest()[0]


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
