"""The readings for good: DuckDB files by received day, written by one thread, read by two."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import duckdb
import numpy as np
from numpy.typing import NDArray

from gateway.errors import TransientError
from gateway.model.reading import PointId, ReadingBatch
from gateway.ports import Loaded
from gateway.store import dayfile, exporting, queries
from gateway.store.dayfile import DayFile, day_of
from gateway.store.duplicates import CONFLICT, fresh
from gateway.store.families import Families, Names
from gateway.store.history_import import write_history
from gateway.store.inserting import insert
from gateway.store.latest import Latest
from gateway.store.ownership import own
from gateway.store.read_ahead import AHEAD_ROWS, NOTHING_AHEAD, Ahead
from gateway.store.refill import Refill
from gateway.store.shelf import Shelf, is_damage

_LOG = logging.getLogger(__name__)
_T = TypeVar("_T")
_SNAPSHOT_S = 600.0
_FATAL = (duckdb.FatalException, duckdb.InternalException)


class _DamagedError(Exception):
    """A file turned out to be damaged while it was read."""

    def __init__(self, files: list[DayFile], reason: str) -> None:
        super().__init__(reason)
        self.files = files


class DuckReadings:
    """A `ReadingStore` in a folder, owned by one process.

    A load is complete when its last file says so; what a crash left half loaded is recognised as doubled when it
    comes again. A file that cannot be read is set aside (`damage` names it) and `loaded` begins at 0 again, so that
    the loader fills the gap from whatever the spool still holds; `Upkeep` saves what is readable of it.
    """

    def __init__(
        self,
        folder: Path,
        threads: int = 1,
        *,
        memory: str = "512MB",
        names: Names | None = None,
        first_kept: Callable[[], int] | None = None,
    ) -> None:
        """Open or make the folder. Raises PermanentError if another process owns it, TransientError if it is full.

        `names` tells the class of a point, `first_kept` the oldest load that could be repeated.
        """
        self.folder, self.memory = folder, memory
        self.damage: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)
        self._owner = own(folder)
        self._writer = ThreadPoolExecutor(1, "readings-write")
        self._readers = ThreadPoolExecutor(2, "readings-read")
        self.families = Families(names)
        self.refill = Refill(folder / "refill", first_kept)
        self.shelf = Shelf(folder, memory, threads, self._on_damage)
        self._latest = Latest()
        self._ahead = NOTHING_AHEAD
        self._loaded = self._highest = self._saved_seq = 0
        self._saved_at = time.monotonic()
        self.newest_received_us = 0
        try:
            self._writer.submit(self._open).result()
        except (duckdb.Error, OSError) as error:
            self._shut()
            raise TransientError(f"readings store {folder}: {error}") from error

    async def load(self, seq: int, batch: ReadingBatch) -> Loaded:
        """Store rows and "loaded up to seq"; a seq already loaded is skipped. Raises TransientError."""
        return await self.write(lambda: self._load(seq, batch))

    async def bulk(self, batch: ReadingBatch) -> Loaded:
        """Load history of any size under sequences of its own, oldest received first. Raises TransientError.

        Only for a store that no loader feeds at the moment, with nothing unloaded in a spool: the sequences follow
        the newest one known, and the spool has to be told to go on behind them. It is stored whole or not at all.
        """
        return await self.write(lambda: self._bulk(batch))

    async def loaded(self) -> int:
        """Return the newest seq that was loaded."""
        return self._loaded

    async def highest_seq(self) -> int:
        """Return the newest seq that any row carries; a spool must go on behind it."""
        return self._highest

    async def since(self, seq: int, limit: int) -> tuple[int, ReadingBatch]:
        """Return stored rows with a load seq > `seq`, whole seqs only, at least one if any, about `limit` rows."""
        return await self.read(lambda: self._since(seq, limit))

    async def history(
        self, points: NDArray[np.uint32], start_us: int, end_us: int, *, most_rows: int | None = None
    ) -> ReadingBatch:
        """Return rows with start <= source_time < end of these points, sorted by point and source time.

        Raises RefusedError (413) instead of gathering more than `most_rows`.
        """
        if not len(points):
            return ReadingBatch.empty()

        def ask(connection: Any, files: list[DayFile]) -> ReadingBatch:
            return queries.history(connection, files, points, (start_us, end_us), most_rows)

        return await self.read(lambda: self._ask(lambda one: one.may_hold(start_us, end_us - 1), ask))

    async def latest(self, points: NDArray[np.uint32]) -> ReadingBatch:
        """Return the row with the newest source time of each point that has one."""
        return self._latest.get(np.unique(points))

    async def days(self) -> tuple[date, date] | None:
        """Return the first and the last received day there may be readings of, None if there is none."""
        names = [one.name for one in self.shelf.files if one.count]
        if not names:
            return None
        return day_of(min(one.start_us for one in names)), day_of(max(one.end_us for one in names) - 1)

    async def export_day(self, family: str, day: date, points: NDArray[np.uint32] | None, path: Path) -> int:
        """Write a Parquet file of one family and day, return its rows; none, no file. Raises TransientError."""

        def choose(found: NDArray[np.uint32]) -> tuple[NDArray[np.uint32], list[PointId]]:
            chosen = found[self.families.network(found) == (family == dayfile.NETWORK)]
            if points is not None:
                chosen = chosen[np.isin(chosen, points)]
            return chosen, self.families.names(chosen)

        def write() -> int:
            with self.shelf.borrow(lambda one: exporting.covers(one, day)) as (connection, files):
                return exporting.write_day(connection, files, day, choose, path) if files else 0

        return await self.read(write)

    async def checkpoint(self) -> int:
        """Move the write-ahead logs into the files; return the seq up to which everything is there."""
        return await self.write(self._checkpoint)

    async def close(self) -> None:
        """Close; may be called twice."""
        if self._owner >= 0:
            await asyncio.to_thread(self._shut)

    def incomplete(self) -> list[str]:
        """Return the days and months of which damage took rows that could not be had again."""
        return sorted({one.name.span for one in self.shelf.files if one.lost})

    async def write(self, work: Callable[[], _T]) -> _T:
        """Do something on the one thread that changes files. Raises TransientError."""
        return await self._on(self._writer, lambda: self._opened(work))

    async def read(self, work: Callable[[], _T]) -> _T:
        """Do something on a thread that only reads. Raises TransientError."""
        return await self._on(self._readers, work)

    def known_points(self) -> NDArray[np.uint32]:
        """Return every point that has a reading, sorted."""
        return self._latest.points()

    async def set_aside(self, damaged: DayFile, reason: str) -> None:
        """Take a file that cannot be read out of the store. Raises TransientError."""
        await self.write(lambda: self.shelf.set_aside(damaged, reason))

    def files_changed(self) -> None:
        """Note that files were swapped; on the writer's thread."""
        self._ahead = NOTHING_AHEAD

    def begin_refill(self) -> None:
        """Load again whatever the spool still holds; on the writer's thread."""
        if self.refill.due:
            self._loaded = 0

    async def _on(self, pool: ThreadPoolExecutor, work: Callable[[], _T]) -> _T:
        if self._owner < 0:
            raise TransientError("readings store: closed")
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(pool, work)
        except _DamagedError as error:
            for one in error.files:
                await self.set_aside(one, str(error))
            raise TransientError(f"readings store: {error}") from error
        except duckdb.Error as error:
            if isinstance(error, _FATAL):
                await loop.run_in_executor(self._writer, self._recover)
            raise TransientError(f"readings store: {error}") from error
        except OSError as error:
            raise TransientError(f"readings store: {error.strerror}") from error

    def _open(self) -> None:
        """Open all files; learn what is newest from the copy and what came after it."""
        self.shelf.open()
        files = self.shelf.files
        self._latest = Latest()
        self._saved_seq = self._latest.restore(self._copy)
        with self.shelf.cursor() as connection:
            for one in files:
                if one.count and one.touched > self._saved_seq:
                    query = dayfile.NEWEST.format(one.alias)
                    self._latest.put(queries.batch_of(connection.execute(query, {"seq": self._saved_seq})))
        whole = max((one.whole for one in files), default=0)
        self._highest = max([self.refill.upto, *(one.touched for one in files), *(one.whole for one in files)])
        self._loaded = whole
        days = [one.name.end_us - dayfile.DAY_US for one in files]
        self.newest_received_us = max([self.newest_received_us, *days])
        self.refill.reach(whole)
        if self.refill.upto and not self.shelf.waiting():
            self.begin_refill()

    def _opened(self, work: Callable[[], _T]) -> _T:
        if not self.shelf.is_open:
            self._open()
        return work()

    def _recover(self) -> None:
        """Start again after an error that leaves DuckDB unusable; what is damaged is set aside."""
        self.shelf.close()
        try:
            self._open()
        except (duckdb.Error, OSError) as error:
            _LOG.warning("the readings store stays closed until it can be opened: %s", error)

    def _on_damage(self, damaged: DayFile | None, file: str) -> None:
        self.damage.append(file)
        self._ahead = NOTHING_AHEAD
        self.refill.wanted(damaged.touched if damaged is not None else 0, self._loaded)

    def _ask(
        self, wanted: Callable[[DayFile], bool], question: Callable[[Any, list[DayFile]], ReadingBatch]
    ) -> ReadingBatch:
        """Ask the files that are wanted; find out which of them is to blame for an error."""
        with self.shelf.borrow(wanted) as (connection, files):
            if not files:
                return ReadingBatch.empty()
            try:
                return question(connection, files)
            except duckdb.Error as error:
                if isinstance(error, _FATAL) or not is_damage(error):
                    raise
                bad = [one for one in files if self._fails(one, question)]
                if not bad:
                    raise
                raise _DamagedError(bad, f"{bad[0].path.name}: {error}") from error

    def _fails(self, one: DayFile, question: Callable[[Any, list[DayFile]], ReadingBatch]) -> bool:
        with self.shelf.cursor() as connection:
            try:
                question(connection, [one])
            except duckdb.Error as error:
                return is_damage(error)
        return False

    def _load(self, seq: int, batch: ReadingBatch) -> Loaded:
        if seq <= self._loaded:
            return Loaded(0, len(batch), 0, tuple(range(len(batch))))
        if self.refill.due and self.shelf.waiting():
            raise TransientError("readings store: what is readable of a damaged file is saved first")
        new, doubled = fresh(batch, self._latest.marks, self._same_keys)
        insert(self.shelf, seq, new, self.newest_received_us)
        self._latest.put(new)
        self._loaded, self._highest = seq, max(seq, self._highest)
        if len(batch):
            self.newest_received_us = max(self.newest_received_us, int(batch.received_time.max()))
        self.refill.loaded(seq)
        conflicts = int(np.count_nonzero(new.quality == CONFLICT))
        return Loaded(len(new) - conflicts, len(doubled), conflicts, tuple(doubled.tolist()))

    def _same_keys(self, rows: ReadingBatch) -> ReadingBatch:
        low, high = int(rows.source_time.min()), int(rows.source_time.max())
        return self._ask(
            lambda one: one.may_hold(low, high), lambda connection, files: queries.same_keys(connection, files, rows)
        )

    def _bulk(self, batch: ReadingBatch) -> Loaded:
        new, doubled = fresh(batch, self._latest.marks, self._same_keys)
        if len(new):
            last = write_history(self.shelf, new, self.families.network(new.point), self._highest)
            self._latest.put(new)
            self._highest = self._loaded = last
            self.newest_received_us = max(self.newest_received_us, int(new.received_time.max()))
            self.files_changed()
        conflicts = int(np.count_nonzero(new.quality == CONFLICT))
        return Loaded(len(new) - conflicts, len(doubled), conflicts, tuple(doubled.tolist()))

    def _since(self, seq: int, limit: int) -> tuple[int, ReadingBatch]:
        upto = self._loaded
        if upto <= seq:
            return seq, ReadingBatch.empty()
        known = self._ahead.get(seq, limit)
        if known is not None:
            return known

        ahead = NOTHING_AHEAD

        def ask(connection: Any, files: list[DayFile]) -> ReadingBatch:
            nonlocal ahead
            behind = any(one.sealed for one in files)
            seqs, rows = queries.since(connection, files, seq, upto, max(limit, AHEAD_ROWS) if behind else limit)
            ahead = Ahead(seq, seqs, rows)
            if behind:
                # a stream reads an old gap and what comes in by turns; only the gap is dear to read again
                self._ahead = ahead
            return rows

        self._ask(lambda one: one.count > 0 and one.touched > seq, ask)
        return ahead.get(seq, limit) or (upto, ReadingBatch.empty())

    def _checkpoint(self) -> int:
        with self.shelf.cursor() as connection:
            for one in self.shelf.files:
                if not one.sealed:
                    connection.execute(f"CHECKPOINT {one.alias}")
        if time.monotonic() - self._saved_at > _SNAPSHOT_S:
            self.save_newest()
        return self._loaded

    def save_newest(self) -> None:
        """Write the newest row of every point to its file, so that the next start need not look for them."""
        if self._saved_seq != self._loaded and not self.refill.upto:
            self._latest.save(self._copy, self._loaded)
            self._saved_seq = self._loaded
        self._saved_at = time.monotonic()

    @property
    def _copy(self) -> Path:
        return self.folder / "newest"

    def _end(self) -> None:
        if self.shelf.is_open:
            try:
                self.save_newest()
            except OSError as error:
                _LOG.warning("the newest readings are looked for at the next start: %s", error)
        self.shelf.close()

    def _shut(self) -> None:
        self._readers.shutdown()
        self._writer.submit(self._end).result()
        self._writer.shutdown()
        if self._owner >= 0:
            os.close(self._owner)
            self._owner = -1
