"""The files of the readings store, attached to one DuckDB connection: opened, lent to readers, swapped, set aside."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from gateway.errors import TransientError
from gateway.store import dayfile, journal, sealed
from gateway.store.dayfile import FIRST_RELEASE, OPEN, DayFile, Name, literal
from gateway.store.segment import sync_folder

_LOG = logging.getLogger(__name__)
QUARANTINE = "quarantine"
DAMAGED, KEPT = ".damaged", ".kept"
"""endings in the quarantine: not looked into yet; what was readable is in the store again"""
_NO_DAMAGE = ("Could not set lock", "No space left", "Permission denied", "Too many open files")
"""An error that says so tells about the machine, not about the file."""


def is_damage(error: duckdb.Error) -> bool:
    """Tell whether an error can come from a damaged file."""
    if isinstance(error, duckdb.OutOfMemoryException | duckdb.InterruptException):
        return False
    return not any(words in str(error) for words in _NO_DAMAGE)


class Shelf:
    """Attached files, each of which is either read by anybody or written by the one writer.

    `files` changes on the writer's thread only; readers borrow, and a file that was swapped is let go after the last
    of them.
    """

    def __init__(
        self, folder: Path, memory: str, threads: int, on_damage: Callable[[DayFile | None, str], None]
    ) -> None:
        """Make one that is closed; `on_damage` hears of each file that was set aside, None for a write-ahead log."""
        self.files: tuple[DayFile, ...] = ()
        self.folder, self._on_damage = folder, on_damage
        self._settings = dayfile.settings(folder, memory, threads)
        self._connection: Any = None
        self._lock = threading.Lock()
        self._retired: list[DayFile] = []

    @property
    def is_open(self) -> bool:
        """Tell whether files can be read."""
        return self._connection is not None

    def open(self) -> None:
        """Finish what was interrupted, check every open file, attach all. Raises duckdb.Error and OSError."""
        journal.recover(self.folder)
        names = sorted(name for path in self.folder.iterdir() if (name := dayfile.parse(path.name)) is not None)
        for name in names:
            if name.family in {OPEN, FIRST_RELEASE}:
                self._check_open(name)
        connection = duckdb.connect(":memory:", config=self._settings)
        files: list[DayFile] = []
        for name in names:
            if (self.folder / name.file).exists():
                try:
                    files.append(self._attach(connection, name))
                except duckdb.Error as error:
                    if not is_damage(error):
                        raise
                    self._quarantine(DayFile(self.folder / name.file, name), str(error))
        with self._lock:
            self._connection, self.files, self._retired = connection, tuple(files), []

    def close(self) -> None:
        """Let go of all files; may be called twice."""
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def cursor(self) -> Any:
        """Return a connection of its own to all files. Raises TransientError while they are being opened."""
        with self._lock:
            return self._cursor()

    @contextmanager
    def borrow(self, wanted: Callable[[DayFile], bool]) -> Iterator[tuple[Any, list[DayFile]]]:
        """Lend the files that are wanted, and a connection, to a reader in any thread. Raises TransientError."""
        with self._lock:
            connection = self._cursor()
            files = [one for one in self.files if wanted(one)]
            for one in files:
                one.users += 1
        try:
            yield connection, files
        finally:
            connection.close()
            with self._lock:
                for one in files:
                    one.users -= 1
            self._let_go()

    def open_file(self, span: str) -> DayFile:
        """Return the file that takes the rows of a day, a new one if need be. Raises duckdb.Error."""
        for one in self.files:
            if one.name.family == OPEN and one.name.span == span and not one.frozen:
                return one
        name = self.new_name(OPEN, span)
        with self.cursor() as connection:
            made = self._attach(connection, name)
        self._set_files([*self.files, made])
        return made

    def new_name(self, family: str, span: str, taken: int = 0) -> Name:
        """Return a name that no file of this span has; `taken` counts names that were given out just before."""
        with self._lock:
            numbers = [one.name.number for one in (*self.files, *self._retired) if one.name.span == span]
        return Name(span, family, max(numbers, default=0) + 1 + taken)

    def swap(self, made: Mapping[str, Name], gone: Sequence[DayFile]) -> list[DayFile]:
        """Put written files (part -> name) in the place of others, all or nothing.

        Raises duckdb.Error and OSError; then the shelf is closed, for what was begun is finished when it is opened.
        """
        appear = {part: name.file for part, name in made.items()}
        try:
            journal.swap(self.folder, appear, [one.path.name for one in gone])
            with self.cursor() as connection:
                new = [self._attach(connection, name) for name in made.values()]
        except (duckdb.Error, OSError):
            self.close()  # opening again finishes what was begun
            raise
        self._set_files([*(one for one in self.files if one not in gone), *new], retired=gone)
        return new

    def set_aside(self, damaged: DayFile, reason: str) -> None:
        """Take a file that cannot be read out of the store. Raises OSError."""
        if damaged in self.files:
            self._set_files([one for one in self.files if one is not damaged], retired=[damaged])
            self._quarantine(damaged, reason)

    def waiting(self) -> list[Path]:
        """Return the files in quarantine that nobody has looked into yet."""
        return sorted((self.folder / QUARANTINE).glob("*" + DAMAGED))

    def _set_files(self, files: Sequence[DayFile], retired: Sequence[DayFile] = ()) -> None:
        with self._lock:
            self.files = tuple(sorted(files, key=lambda one: one.name))
            self._retired += retired
        self._let_go()

    def _let_go(self) -> None:
        with self._lock:
            free = [one for one in self._retired if not one.users]
            self._retired = [one for one in self._retired if one.users]
            if self._connection is None or not free:
                return
            connection = self._connection.cursor()
        with connection:
            for one in free:
                connection.execute(f"DETACH {one.alias}")

    def _cursor(self) -> Any:
        if self._connection is None:
            raise TransientError("readings store: it is being repaired")
        return self._connection.cursor()

    def _attach(self, connection: Any, name: Name) -> DayFile:
        one = DayFile(self.folder / name.file, name)
        mode = " (READ_ONLY)" if one.sealed else ""
        connection.execute(f"ATTACH {literal(one.path)} AS {one.alias}{mode}")
        try:
            if one.sealed and name.family != FIRST_RELEASE:
                meta = sealed.read_meta(connection, one.alias)
                one.count, one.hash, one.low_us, one.high_us, one.touched, one.whole, one.lost = (
                    meta.rows, meta.hash, meta.low, meta.high, meta.touched, meta.whole, meta.lost,
                )  # fmt: skip
                return one
            if not one.sealed:
                for statement in dayfile.SCHEMA:
                    connection.execute(statement.format(f"{one.alias}."))
            one.touched, one.whole = connection.execute(dayfile.PROGRESS.format(one.alias)).fetchall()[0]
            one.count, one.low_us, one.high_us = connection.execute(dayfile.SPAN.format(one.alias)).fetchall()[0]
        except duckdb.Error:
            connection.execute(f"DETACH {one.alias}")
            raise
        return one

    def _check_open(self, name: Name) -> None:
        """Read a file that was open for writing, its write-ahead log included; set aside what cannot be read.

        The log goes first: without it the file may well be good as of its last checkpoint.
        """
        path = self.folder / name.file
        log = path.with_name(path.name + ".wal")
        try:
            with duckdb.connect(str(path), config=self._settings) as connection:
                for statement in dayfile.SCHEMA:
                    connection.execute(statement.format(""))
                sealed.content(connection, "reading")
                if log.exists():
                    connection.execute("CHECKPOINT")
        except duckdb.Error as error:
            if not is_damage(error):
                raise
            if log.exists():
                self._quarantine(DayFile(log, name), str(error), ending=KEPT)
                self._check_open(name)
            else:
                self._quarantine(DayFile(path, name), str(error))

    def _quarantine(self, damaged: DayFile, reason: str, ending: str = DAMAGED) -> None:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        place = self.folder / QUARANTINE
        place.mkdir(exist_ok=True)
        self._on_damage(None if ending == KEPT else damaged, damaged.path.name)
        log = damaged.path.with_name(damaged.path.name + ".wal")
        if log.exists():  # before its file, so that no other file of that name ever takes it for its own
            log.rename(place / f"{log.name}.{stamp}{KEPT}")
        damaged.path.rename(place / f"{damaged.path.name}.{stamp}{ending}")
        sync_folder(place)
        sync_folder(self.folder)
        _LOG.error("%s cannot be read and is set aside: %s", damaged.path.name, reason)
