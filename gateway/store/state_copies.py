"""Copies of the state database, and what is done at the start when it is damaged.

A copy is one consistent view, taken slowly so that no writer waits, checked as a whole, and only then named. At the
start, while nobody has the database open, it is checked too; a damaged one is set aside whole and the newest good
copy takes its place. What happened is a row of `state_restoration`, so people are told which span is missing, and no
ticket key of that span is used again (see `epoch_of`).
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from gateway.errors import GatewayError, TransientError
from gateway.store.durable import make_durable
from gateway.store.state_check import problem_of

_LOG = logging.getLogger(__name__)
NAME = "state.db"
COPIES = "state-copies"
ASIDE = "quarantine"
_PAGES = 128
_REST_S = 0.01
"""128 pages of 4 KiB, then a rest: 50 MB/s at most"""
_STAMP = "%Y%m%dT%H%M%SZ"
_RESTORATION = """CREATE TABLE IF NOT EXISTS state_restoration (
    id INTEGER NOT NULL PRIMARY KEY, at BIGINT NOT NULL, copied_at BIGINT,
    problem TEXT NOT NULL, aside TEXT NOT NULL)"""
_UNREADABLE = (sqlite3.Error, ValueError)
"""what reading a damaged database raises; the second for texts that are none any more"""
POINTS_LEFT_OUT = 1_000
"""indices that are skipped behind the newest known point, since the store may hold readings of some that are lost"""
POINTS_UNREADABLE = 200_000
"""as many where the damaged database does not tell its points any more"""


@dataclass(frozen=True, slots=True)
class Restoration:
    """That the state was restored: real times in us UTC."""

    at: int
    copied_at: int | None
    """when the copy was made; None = there was none, the state began anew"""
    problem: str
    aside: str
    """where the damaged files lie, relative to the data folder; empty when a person restored"""

    def __str__(self) -> str:
        """Return what people must know."""
        end = _moment(self.at)
        if self.copied_at is None:
            return f"the state database was damaged and began anew at {end}: {self.problem}; see {self.aside}"
        span = f"what was done between {_moment(self.copied_at)} and {end} is missing"
        where = f"; the old files are in {self.aside}" if self.aside else ""
        return f"the state database was restored from a copy: {span} ({self.problem}){where}"


def copy_state(folder: Path, keep: int, *, real: float | None = None) -> Path:
    """Copy the state database of a data folder, check the copy, keep the newest `keep`; return the file.

    Blocks for as long as the database is large, at 50 MB/s at most; writers do not wait. Raises TransientError if the
    disk is full or the copy is not whole; then the older copies stay.
    """
    stamp = time.strftime(_STAMP, time.gmtime(time.time() if real is None else real))
    copy = folder / COPIES / f"state-{stamp}.db"
    try:
        copy.parent.mkdir(exist_ok=True)
        copy_into(folder, copy)
        for old in copies_of(folder)[keep:]:
            old.unlink(missing_ok=True)
    except OSError as error:
        raise TransientError(f"the state database cannot be copied: {error}") from error
    return copy


def copy_into(folder: Path, file: Path) -> None:
    """Copy the state database of a data folder to a file that is not there yet, and check it. Raises TransientError."""
    fresh = file.with_name(f".{file.name}.part")
    try:
        fresh.unlink(missing_ok=True)
        _copy(folder / NAME, fresh)
        problem = problem_of(fresh)
        if problem:
            raise TransientError(f"the copy of the state database is not whole: {problem}")
        make_durable(fresh)
        fresh.replace(file)
        make_durable(file.parent)
    except (OSError, sqlite3.Error) as error:
        raise TransientError(f"the state database cannot be copied: {error}") from error
    finally:
        fresh.unlink(missing_ok=True)


def copies_of(folder: Path) -> list[Path]:
    """Return the copies in a data folder, the newest first."""
    return sorted((folder / COPIES).glob("state-*Z.db"), reverse=True)


def copied_at(copy: Path) -> int:
    """Return when a copy was made, real us UTC."""
    moment = datetime.strptime(copy.name, f"state-{_STAMP}.db").replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000


def make_whole(folder: Path) -> Restoration | None:
    """Check the state database of a data folder, and restore it if it is damaged; None if all is well.

    Nobody else may have it open. A missing database with copies beside it counts as damaged: a restoration may have
    been cut short. Raises GatewayError only if the disk does not let anything be written.
    """
    database = folder / NAME
    problem = problem_of(database) if database.exists() else "" if not copies_of(folder) else "there is no file"
    if not problem:
        return None
    _LOG.error("%s is damaged: %s", database, problem)
    try:
        return _restored(folder, None, problem)
    except (OSError, sqlite3.Error) as error:
        raise GatewayError(f"{database} is damaged ({problem}) and cannot be restored: {error}") from error


def restore_from(folder: Path, copy: Path) -> Restoration:
    """Put a copy that a person chose in the place of the state database, which is set aside.

    Nobody else may have it open. Raises GatewayError if the copy is not whole, or the disk is full.
    """
    problem = problem_of(copy) if copy.is_file() else "there is no file"
    if problem:
        raise GatewayError(f"{copy} is no whole state database: {problem}")
    try:
        return _restored(folder, copy, "a person restored it")
    except (OSError, sqlite3.Error) as error:
        raise GatewayError(f"the state database cannot be restored: {error}") from error


def _restored(folder: Path, chosen: Path | None, problem: str) -> Restoration:
    now = time.time()
    aside = folder / ASIDE / f"state-{time.strftime(_STAMP, time.gmtime(now))}-{int(now * 1e6) % 1_000_000:06d}"
    source = chosen or _newest_good(folder)
    fresh = folder / f".{NAME}.restored"
    fresh.unlink(missing_ok=True)
    if source is not None:
        shutil.copyfile(source, fresh)
    made = source.stat().st_mtime if chosen and source else None
    taken = None if source is None else int(made * 1e6) if made else copied_at(source)
    found = Restoration(int(now * 1e6), taken, problem, str(aside.relative_to(folder)))
    _write_down(fresh, folder / NAME, found)
    make_durable(fresh)
    aside.mkdir(parents=True)
    for suffix in ("-wal", "-shm", ""):
        with contextlib.suppress(FileNotFoundError):
            (folder / f"{NAME}{suffix}").replace(aside / f"{NAME}{suffix}")
    fresh.replace(folder / NAME)
    make_durable(folder)
    _LOG.error("%s", found)
    return found


def _newest_good(folder: Path) -> Path | None:
    for copy in copies_of(folder):
        problem = problem_of(copy)
        if not problem:
            return copy
        _LOG.error("%s cannot be used: %s", copy, problem)
    return None


def _write_down(fresh: Path, damaged: Path, found: Restoration) -> None:
    """Note in the restored database what happened, and take points over that the damaged one still tells."""
    with contextlib.closing(sqlite3.connect(fresh, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(_RESTORATION)
        values = (found.at, found.copied_at, found.problem, found.aside)
        connection.execute("INSERT INTO state_restoration (at, copied_at, problem, aside) VALUES (?, ?, ?, ?)", values)
        if connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'point'").fetchone()[0]:
            _take_points(connection, damaged)
        connection.execute("COMMIT")


def _take_points(connection: sqlite3.Connection, damaged: Path) -> None:
    """Take over newer points, and skip some indices: an index that the store has seen is never given out again."""
    (newest,) = connection.execute('SELECT coalesce(max("index"), -1) FROM point').fetchone()
    left_out = POINTS_UNREADABLE
    with contextlib.suppress(*_UNREADABLE):
        for index, name in _points_behind(damaged, newest):
            connection.execute('INSERT OR IGNORE INTO point ("index", point_id) VALUES (?, ?)', (index, name))
        left_out = POINTS_LEFT_OUT
    (newest,) = connection.execute('SELECT coalesce(max("index"), -1) FROM point').fetchone()
    if newest >= 0:
        name = f"restored-{newest + left_out}/flags"
        connection.execute('INSERT INTO point ("index", point_id) VALUES (?, ?)', (newest + left_out, name))


def _points_behind(damaged: Path, newest: int) -> Iterator[tuple[int, str]]:
    """Yield what can still be read of the points that were registered after a copy was made."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{damaged}?mode=ro", uri=True)) as connection:
            query = 'SELECT "index", point_id FROM point WHERE "index" > ? ORDER BY "index"'
            for index, name in connection.execute(query, (newest,)):
                if isinstance(index, int) and isinstance(name, str) and 0 <= index < 2**32 and "/" in name:
                    yield index, name
    except _UNREADABLE as error:
        _LOG.warning("newer points cannot be read from the damaged database: %s", error)
        raise


def _moment(us: int) -> str:
    return datetime.fromtimestamp(us // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _copy(database: Path, target: Path) -> None:
    with (
        contextlib.closing(sqlite3.connect(f"file:{database}?mode=rw", uri=True, isolation_level=None)) as source,
        contextlib.closing(sqlite3.connect(target)) as copy,
    ):
        source.execute("PRAGMA busy_timeout=10000")
        # one view for the whole copy: else every write of another process would make it begin again
        source.execute("BEGIN")
        source.execute("SELECT count(*) FROM sqlite_master").fetchone()
        source.backup(copy, pages=_PAGES, progress=lambda *_: time.sleep(_REST_S))
        copy.execute("PRAGMA journal_mode=DELETE")
