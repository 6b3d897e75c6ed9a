"""The readings for good: DuckDB files by received month, written by one thread, read by two."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import numpy as np
from numpy.typing import NDArray

from gateway.errors import RefusedError, TransientError
from gateway.model.reading import ReadingBatch
from gateway.ports import Loaded
from gateway.store import month as months
from gateway.store.duplicates import CONFLICT, mark, settled, sort_out
from gateway.store.latest import Latest
from gateway.store.month import COLUMNS, Month
from gateway.store.ownership import own

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
_BULK_ROWS = 200_000
_LOADS_AT_ONCE = 10_000
_NO_DAMAGE = ("Could not set lock", "No space left", "Permission denied", "Too many open files")
"""An error that says so tells about the machine, not about the file."""


class DuckReadings:
    """A `ReadingStore` in a folder, owned by one process.

    A load is complete when its last file says so; what a crash left half loaded is recognised as doubled when it
    comes again. A file that cannot be read is set aside at the start (`damage` names it) and `loaded` begins at 0
    again, so that the loader fills the gap from whatever the spool still holds.
    """

    def __init__(self, folder: Path, threads: int = 1, *, memory: str = "1GB") -> None:
        """Open or make the folder. Raises PermanentError if another process owns it, TransientError if it is full."""
        self.damage: list[str] = []
        self._folder = folder
        self._config: dict[str, str | bool | int | float | list[str]] = {
            "threads": threads,
            "memory_limit": memory,
            "temp_directory": str(folder / "tmp"),
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        folder.mkdir(parents=True, exist_ok=True)
        self._owner = own(folder)
        self._writer = ThreadPoolExecutor(1, "readings-write")
        self._readers = ThreadPoolExecutor(2, "readings-read")
        self._connection: Any = None
        self._months: dict[str, Month] = {}
        self._latest = Latest()
        self._loaded = self._highest = 0
        try:
            self._writer.submit(self._open).result()
        except (duckdb.Error, OSError) as error:
            self._shut()
            raise TransientError(f"readings store {folder}: {error}") from error

    async def load(self, seq: int, batch: ReadingBatch) -> Loaded:
        """Store rows and "loaded up to seq"; a seq already loaded is skipped. Raises TransientError."""
        return await self._write(lambda: self._load(seq, batch))

    async def bulk(self, batch: ReadingBatch) -> Loaded:
        """Load history of any size under sequences of its own, oldest received first. Raises TransientError.

        Only for a store that no loader feeds at the moment, with nothing unloaded in a spool: the sequences follow
        the newest one known, and the spool has to be told to go on behind them.
        """
        return await self._write(lambda: self._bulk(batch))

    async def loaded(self) -> int:
        """Return the newest seq that was loaded."""
        return self._loaded

    async def highest_seq(self) -> int:
        """Return the newest seq that any row carries; a spool must go on behind it."""
        return self._highest

    async def since(self, seq: int, limit: int) -> tuple[int, ReadingBatch]:
        """Return stored rows with a load seq > `seq`, whole seqs only, at least one if any, about `limit` rows."""
        return await self._read(lambda connection: self._since(connection, seq, limit))

    async def history(
        self, points: NDArray[np.uint32], start_us: int, end_us: int, *, most_rows: int | None = None
    ) -> ReadingBatch:
        """Return rows with start <= source_time < end of these points, sorted by point and source time.

        Raises RefusedError (413) instead of gathering more than `most_rows`.
        """
        return await self._read(lambda connection: self._history(connection, points, (start_us, end_us), most_rows))

    async def latest(self, points: NDArray[np.uint32]) -> ReadingBatch:
        """Return the row with the newest source time of each point that has one."""
        return self._latest.get(np.unique(points))

    async def checkpoint(self) -> int:
        """Move the write-ahead logs into the files; return the seq up to which everything is there."""
        return await self._write(self._checkpoint)

    async def close(self) -> None:
        """Close; may be called twice."""
        if self._owner >= 0:
            await asyncio.to_thread(self._shut)

    async def _write(self, work: Callable[[], _T]) -> _T:
        return await self._on(self._writer, lambda: self._opened(work))

    async def _read(self, work: Callable[[Any], _T]) -> _T:
        def with_cursor() -> _T:
            if self._connection is None:
                raise TransientError("readings store: it is being repaired")
            with self._connection.cursor() as connection:
                return work(connection)

        return await self._on(self._readers, with_cursor)

    async def _on(self, pool: ThreadPoolExecutor, work: Callable[[], _T]) -> _T:
        if self._owner < 0:
            raise TransientError("readings store: closed")
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, work)
        except duckdb.Error as error:
            if isinstance(error, duckdb.FatalException | duckdb.InternalException):
                await asyncio.get_running_loop().run_in_executor(self._writer, self._recover)
            raise TransientError(f"readings store: {error}") from error
        except OSError as error:
            raise TransientError(f"readings store: {error.strerror}") from error

    def _open(self) -> None:
        """Check every file on its own, then attach all of them to one connection."""
        self._latest, self._months = Latest(), {}
        for path in sorted(filter(months.is_month, self._folder.iterdir())):
            month = self._checked(path)
            if month is not None:
                self._months[path.name] = month
        self._connection = duckdb.connect(":memory:", config=self._config)
        for month in self._months.values():
            self._attach(month)
        whole = max((month.whole for month in self._months.values()), default=0)
        self._highest = max([self._refill_upto(), *(month.touched for month in self._months.values())])
        self._loaded = whole
        if self._refill_marker.exists():
            self._loaded = 0
            self._refill_marker.write_text(str(max(whole, self._refill_upto())), encoding="ascii")

    def _opened(self, work: Callable[[], _T]) -> _T:
        if self._connection is None:
            self._open()
        return work()

    def _recover(self) -> None:
        """Start again after an error that leaves DuckDB unusable; what is damaged is set aside."""
        self._disconnect()
        try:
            self._open()
        except (duckdb.Error, OSError) as error:
            _LOG.warning("the readings store stays closed until it can be opened: %s", error)

    def _checked(self, path: Path) -> Month | None:
        """Read a whole file and note its newest rows; set it aside and return None if that fails.

        If it has a write-ahead log, that goes first: without it the file may well be good as of its last checkpoint.
        """
        try:
            with duckdb.connect(str(path), config=self._config) as connection:
                for statement in months.SCHEMA:
                    connection.execute(statement.format(""))
                touched, whole = connection.execute(months.PROGRESS).fetchone() or (0, 0)
                count, low_us, high_us, _ = connection.execute(months.SPAN).fetchone() or (0, 0, 0, 0)
                self._latest.put(_batch(connection.execute(months.NEWEST)))
            return Month(path, touched, whole, count, low_us, high_us)
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error as error:
            if any(words in str(error) for words in _NO_DAMAGE):
                raise
            log = path.with_name(path.name + ".wal")
            if log.exists():
                self._set_aside(log, str(error))
                return self._checked(path)
            self._set_aside(path, str(error))
            return None

    def _set_aside(self, path: Path, reason: str) -> None:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        self._refill_marker.write_text(str(self._refill_upto()), encoding="ascii")
        path.rename(path.with_name(f"{path.name}.damaged-{stamp}"))
        self.damage.append(path.name)
        _LOG.error("%s cannot be read and is set aside, the spool fills it again: %s", path.name, reason)

    @property
    def _refill_marker(self) -> Path:
        return self._folder / "refill"

    def _refill_upto(self) -> int:
        """Return the seq up to which a damaged file is being filled again, 0 if none is."""
        try:
            return int(self._refill_marker.read_text(encoding="ascii") or 0)
        except (FileNotFoundError, ValueError):
            return 0

    def _attach(self, month: Month) -> None:
        name = str(month.path).replace("'", "''")
        self._connection.execute(f"ATTACH '{name}' AS {month.alias}")
        for statement in months.SCHEMA:
            self._connection.execute(statement.format(f"{month.alias}."))

    def _month(self, number: int) -> Month:
        name = months.file_of(number)
        if name not in self._months:
            month = Month(self._folder / name)
            self._attach(month)
            self._months = {**self._months, name: month}
        return self._months[name]

    def _load(self, seq: int, batch: ReadingBatch) -> Loaded:
        if seq <= self._loaded:
            return Loaded(0, len(batch), 0, tuple(range(len(batch))))
        found = sort_out(batch)
        rows = mark(batch.take(found.order), found.conflict)
        duplicate, conflict = self._against_stored(rows, ~found.duplicate)
        duplicate |= found.duplicate
        new = mark(rows, conflict).take(~duplicate)
        self._insert(seq, new)
        self._latest.put(new)
        self._loaded, self._highest = seq, max(seq, self._highest)
        if self._refill_marker.exists() and seq >= self._refill_upto():
            self._refill_marker.unlink()
        conflicts = int(np.count_nonzero(new.quality == CONFLICT))
        doubled = found.order[duplicate]
        return Loaded(len(new) - conflicts, len(doubled), conflicts, tuple(doubled.tolist()))

    def _against_stored(
        self, rows: ReadingBatch, wanted: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which rows are stored already, and which stand against another stored value."""
        duplicate, conflict = np.zeros(len(rows), dtype=np.bool_), np.zeros(len(rows), dtype=np.bool_)
        late = np.flatnonzero(wanted & (rows.source_time <= self._latest.marks(rows.point)))
        if len(late):
            late_rows = rows.take(late)
            stored = self._same_keys(late_rows)
            found = sort_out(ReadingBatch.concat([stored, late_rows]))
            incoming = found.order >= len(stored)
            at = late[found.order[incoming] - len(stored)]
            duplicate[at], conflict[at] = found.duplicate[incoming], found.conflict[incoming]
        return duplicate, conflict

    def _same_keys(self, rows: ReadingBatch) -> ReadingBatch:
        """Return the stored rows that share point and source time with any of these."""
        low, high = int(rows.source_time.min()), int(rows.source_time.max())
        places = [month for month in self._months.values() if month.may_hold(low, high)]
        if not places:
            return ReadingBatch.empty()
        with self._connection.cursor() as connection:
            connection.register("wanted", {"point": rows.point, "source_time": rows.source_time})
            return ReadingBatch.concat(
                [
                    _batch(
                        connection.execute(
                            f"SELECT {COLUMNS} FROM {place.alias}.reading"  # noqa: S608 - our names
                            " SEMI JOIN wanted USING (point, source_time) WHERE source_time BETWEEN $low AND $high",
                            {"low": low, "high": high},
                        )
                    )
                    for place in places
                ]
            )

    def _insert(self, seq: int, rows: ReadingBatch) -> None:
        """Write each month's rows in a transaction of its own; the last one makes the load whole."""
        month_of = months.months_of(rows.received_time)
        numbers = np.unique(month_of).tolist() or [self._newest_month()]
        for position, number in enumerate(numbers):
            month = self._month(number)
            part = rows if len(numbers) == 1 else rows.take(month_of == number)
            whole = position == len(numbers) - 1
            self._commit(month, seq, part, whole=whole)
            month.added(part.source_time)
            month.touched = seq
            month.whole = seq if whole else month.whole

    def _commit(self, month: Month, seq: int, rows: ReadingBatch, *, whole: bool) -> None:
        with self._connection.cursor() as connection:
            connection.begin()
            try:
                if len(rows):
                    connection.register("incoming", _as_table(rows))
                    connection.execute(months.INSERT_ROWS.format(month.alias), {"seq": seq})
                connection.execute(
                    months.INSERT_LOAD.format(month.alias), {"seq": seq, "rows": len(rows), "whole": whole}
                )
                connection.commit()
            except duckdb.Error:
                _roll_back(connection)
                raise

    def _newest_month(self) -> int:
        """Return the month that takes the note of a load without rows."""
        if self._months:
            return int(np.datetime64(max(self._months)[9:16], "M").astype(np.int64))
        return int(months.months_of(np.array([time.time_ns() // 1000]))[0])

    def _bulk(self, batch: ReadingBatch) -> Loaded:
        order = np.argsort(batch.received_time, kind="stable")
        pieces = [order[at : at + _BULK_ROWS] for at in range(0, len(batch), _BULK_ROWS)]
        done = [self._load(self._highest + 1, batch.take(piece)) for piece in pieces]
        return Loaded(*(sum(getattr(one, name) for one in done) for name in ("stored", "duplicate", "conflict")))

    def _since(self, connection: Any, seq: int, limit: int) -> tuple[int, ReadingBatch]:
        places = [month for month in self._months.values() if month.touched > seq]
        upto = self._loaded
        if not places or upto <= seq:
            return seq, ReadingBatch.empty()
        bounds = {"seq": seq, "upto": upto}
        loads = connection.execute(
            f"SELECT seq, sum(rows) FROM ({months.every(places, 'load', 'seq, rows')})"  # noqa: S608 - our names
            f" WHERE seq > $seq AND seq <= $upto GROUP BY seq ORDER BY seq LIMIT {_LOADS_AT_ONCE}",
            bounds,
        ).fetchall()
        if not loads:
            return seq, ReadingBatch.empty()
        filled = np.cumsum([rows for _, rows in loads])
        last = min(int(np.searchsorted(filled, limit)), len(loads) - 1)
        if last > 0 and filled[last] > limit and filled[last - 1] > 0:
            last -= 1
        bounds["upto"] = loads[last][0]
        rows = connection.execute(
            f"SELECT {COLUMNS} FROM ({months.every(places, 'reading', COLUMNS + ', seq')})"  # noqa: S608 - our names
            " WHERE seq > $seq AND seq <= $upto ORDER BY seq",
            bounds,
        )
        return int(loads[last][0]), _batch(rows)

    def _history(
        self, connection: Any, points: NDArray[np.uint32], span: tuple[int, int], most_rows: int | None
    ) -> ReadingBatch:
        start_us, end_us = span
        places = [month for month in self._months.values() if month.may_hold(start_us, end_us - 1)]
        if not places or not len(points):
            return ReadingBatch.empty()
        connection.register("wanted", {"point": np.unique(points).astype(np.uint32)})
        rows = connection.execute(
            f"SELECT {COLUMNS} FROM ({months.every(places, 'reading', COLUMNS)}) SEMI JOIN wanted USING (point)"  # noqa: S608
            " WHERE source_time >= $start AND source_time < $end"
            + ("" if most_rows is None else f" LIMIT {most_rows + 1}"),
            {"start": start_us, "end": end_us},
        )
        found = _batch(rows)
        if most_rows is not None and len(found) > most_rows:
            raise RefusedError(
                413, "too_many_rows", f"more than {most_rows} rows; ask for a shorter span or fewer points"
            )
        return settled(found)

    def _checkpoint(self) -> int:
        for month in self._months.values():
            self._connection.execute(f"CHECKPOINT {month.alias}")
        return self._loaded

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _shut(self) -> None:
        self._readers.shutdown()
        self._writer.submit(self._disconnect).result()
        self._writer.shutdown()
        if self._owner >= 0:
            os.close(self._owner)
            self._owner = -1


def _batch(result: Any) -> ReadingBatch:
    """Return a query's rows; DuckDB gives back NULL for the NaN of a BAD row."""
    columns = result.fetchnumpy()
    value = np.ma.filled(columns["value"], np.nan)
    return ReadingBatch(
        np.ma.filled(columns["point"], 0).astype(np.uint32),
        np.ma.filled(columns["source_time"], 0).astype(np.int64),
        np.ma.filled(columns["received_time"], 0).astype(np.int64),
        value.astype(np.float64),
        np.ma.filled(columns["quality"], 0).astype(np.uint8),
    )


def _as_table(rows: ReadingBatch) -> dict[str, NDArray[np.generic]]:
    """Return the columns under their names, aligned and contiguous: a batch read from bytes is neither."""
    names = COLUMNS.split(", ")
    return {
        name: np.require(column, requirements=["C", "A"]) for name, column in zip(names, rows.columns(), strict=True)
    }


def _roll_back(connection: Any) -> None:
    try:
        connection.rollback()
    except duckdb.Error as error:
        _LOG.debug("nothing to roll back: %s", error)
