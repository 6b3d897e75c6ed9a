"""Rewrites files of the readings store in a process of its own, so that intake neither waits nor shares its memory.

`python -m gateway.store.rewrite` reads one `Job` as a line of JSON, writes what was made as one `Done`, and ends as
soon as its standard input closes: it never outlives who asked. It writes only files that nobody knows yet; whoever
asked renames them. Memory stays bounded because points are taken in ranges of about `_RANGE_ROWS` rows.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import numpy as np

from gateway.model.reading import Reason, Severity, quality
from gateway.store import dayfile, sealed
from gateway.store.dayfile import COLUMNS, NETWORK, OPEN, literal
from gateway.store.sealed import Sealed

_RANGE_ROWS = 2_000_000
_BUCKET_POINTS = 256
_SALVAGE_ROWS = 122_880
"""rows of a DuckDB row group"""
_SMALLEST_ROWS = 2_048
_BAD_FROM = quality(Severity.BAD)
_CONFLICT = quality(Severity.UNCERTAIN, Reason.CONFLICT)
_MINUTE_US = 60_000_000
_THIN = f"""
    SELECT {COLUMNS}, seq FROM ({{0}}) WINDOW
        minute AS (PARTITION BY point, source_time // {_MINUTE_US}, quality >= {_BAD_FROM}),
        newest AS (PARTITION BY point, source_time // {_MINUTE_US} ORDER BY source_time DESC, seq DESC),
        moment AS (PARTITION BY point, source_time)
    QUALIFY row_number() OVER newest = 1 OR count(*) OVER moment > 1 OR quality = {_CONFLICT} OR
        (quality < {_BAD_FROM} AND source_time IN
            (arg_min(source_time, value) OVER minute, arg_max(source_time, value) OVER minute))
"""  # noqa: S608 - our names


class Job(msgspec.Struct, frozen=True):
    """What is to be made of which files."""

    kind: str
    """`seal` (sort and merge), `thin` (seal, and keep of each point and minute only lowest, highest and last),
    `salvage` (seal what is readable), `check` (read one file)"""
    folder: str
    inputs: tuple[str, ...]
    """names of files in the folder; those that may still be attached for writing are copied first"""
    outputs: dict[str, str]
    """family -> name of the file to write"""
    lost: int = 0
    """rows that are missing from the inputs already, -1 if nobody can count them"""
    covered: bool = False
    """True if everything that cannot be saved will be loaded again"""
    network_points: str = ""
    """file of little-endian uint32: the points of class C and D, where the inputs hold both families"""
    memory: str = "512MB"


class Done(msgspec.Struct, frozen=True):
    """What a job made: one entry per output that was written."""

    made: dict[str, Sealed]
    problem: str = ""
    """why a file that was to be checked or saved cannot be read"""


def main() -> int:
    """Do the job that standard input names."""
    os.nice(19)
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        done = run(job)
    except (duckdb.Error, OSError, ValueError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(done))
    return 0


def run(job: Job) -> Done:
    """Do a job here. Raises duckdb.Error, OSError, and ValueError if what was written is not what was read."""
    work = _Work(job)
    try:
        return work.check() if job.kind == "check" else work.salvage() if job.kind == "salvage" else work.seal()
    finally:
        work.close()


class _Work:
    def __init__(self, job: Job) -> None:
        self._job, self._folder = job, Path(job.folder)
        self._copies: list[Path] = []
        self._connect()

    def close(self) -> None:
        self._connection.close()
        for path in self._copies:
            path.unlink(missing_ok=True)

    def check(self) -> Done:
        (name,) = self._job.inputs
        try:
            self._attach(self._original(name), "checked")
            found = sealed.content(self._connection, "checked.reading")
            if not self._has_meta("checked"):
                return Done({})
            meant = sealed.read_meta(self._connection, "checked")
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error as error:
            return Done({}, str(error))
        same = found == (meant.rows, meant.hash)
        return Done({}, "" if same else f"its {found[0]} rows are not the {meant.rows} that were written")

    def seal(self) -> Done:
        aliases = [self._attach(self._original(name), f"i{at}") for at, name in enumerate(self._job.inputs)]
        progress = [self._progress(alias) for alias in aliases]
        touched, whole = (max(one) for one in zip(*progress, strict=True))
        self._register_network()
        source = " UNION ALL ".join(f"SELECT {COLUMNS}, seq FROM {alias}.reading" for alias in aliases)  # noqa: S608
        made: dict[str, Sealed] = {}
        for family, file in self._job.outputs.items():
            chosen = source
            if len(self._job.outputs) > 1:
                negate = "" if family == NETWORK else "NOT"
                chosen = f"SELECT * FROM ({source}) WHERE {negate} point IN (FROM network_point)"  # noqa: S608
            one = self._write(self._folder / file, chosen, touched, whole)
            if one is not None:
                made[family] = one
        # a file without any row still says how far loading got
        return Done(made or self._empty(touched, whole))

    def salvage(self) -> Done:
        """Copy the rows that are readable to a file of their own, then seal that one."""
        (name,) = self._job.inputs
        good = self._folder / f"good-{os.getpid()}.part"
        self._copies.append(good)
        try:
            kept, meant = self._copy_readable(self._original(name), good)
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error as error:
            return Done({} if self._job.covered else self._nothing_left(), str(error))
        lost = 0 if self._job.covered else max(meant - kept, 0)
        self._job = msgspec.structs.replace(self._job, inputs=(good.name,), lost=lost, kind="seal")
        return Done(self.seal().made, f"{meant - kept} of {meant} rows cannot be read" if kept < meant else "")

    def _nothing_left(self) -> dict[str, Sealed]:
        """Write a file without rows that says that an unknown number is lost."""
        self._job = msgspec.structs.replace(self._job, lost=-1)
        return self._empty(0, 0)

    def _empty(self, touched: int, whole: int) -> dict[str, Sealed]:
        family, file = next(iter(self._job.outputs.items()))
        with sealed.writing(self._connection, self._folder / file):
            pass
        return {family: self._finish(self._folder / file, (0, "0"), touched, whole)}

    def _copy_readable(self, damaged: Path, good: Path) -> tuple[int, int]:
        """Return how many rows were copied, and how many there should be. Raises duckdb.Error if nothing can be."""
        self._attach(damaged, "bad")
        (meant,) = self._one("SELECT count(*) FROM bad.reading")
        with duckdb.connect(str(good), config=self._settings()) as made:
            for statement in dayfile.SCHEMA:
                made.execute(statement.format(""))
        kept, spans = 0, [(at, at + _SALVAGE_ROWS) for at in range(0, meant, _SALVAGE_ROWS)][::-1]
        self._connection.execute(f"ATTACH {literal(good)} AS good")
        while spans:
            start, end = spans.pop()
            try:
                kept += self._one(
                    f"INSERT INTO good.reading FROM bad.reading WHERE rowid >= {start} AND rowid < {end}"
                )[0]
            except duckdb.OutOfMemoryException:
                raise
            except duckdb.Error:
                self._reconnect(damaged, good)
                if end - start > _SMALLEST_ROWS:
                    middle = (start + end) // 2
                    spans += [(middle, end), (start, middle)]
        with contextlib.suppress(duckdb.Error):
            self._connection.execute("INSERT INTO good.load FROM bad.load")
        self._connection.execute("DETACH good")
        return kept, meant

    def _reconnect(self, damaged: Path, good: Path) -> None:
        self._connection.close()
        self._connect()
        self._attach(damaged, "bad")
        self._connection.execute(f"ATTACH {literal(good)} AS good")

    def _write(self, path: Path, source: str, touched: int, whole: int) -> Sealed | None:
        """Write one sealed file of these rows, sorted; return None, and write nothing, if there are none."""
        meant = sealed.content(self._connection, f"({source})")
        if not meant[0]:
            return None
        with sealed.writing(self._connection, path):
            for low, high in self._ranges(source):
                rows = f"SELECT {COLUMNS}, seq FROM ({source}) WHERE point BETWEEN {low} AND {high}"  # noqa: S608
                chosen = _THIN.format(rows) if self._job.kind == "thin" else rows
                self._connection.execute(f"INSERT INTO made.reading {chosen} ORDER BY point, source_time, seq")
            if self._job.kind == "thin":
                self._compare_minutes(source)
                meant = sealed.content(self._connection, "made.reading")
        return self._finish(path, meant, touched, whole)

    def _finish(self, path: Path, meant: tuple[int, str], touched: int, whole: int) -> Sealed:
        return sealed.finish(self._connection, path, meant, touched=touched, whole=whole, lost=self._job.lost)

    def _compare_minutes(self, source: str) -> None:
        count = "SELECT count(*) FROM (SELECT DISTINCT point, source_time // {} FROM {})"
        before = self._one(count.format(_MINUTE_US, f"({source})"))
        if self._one(count.format(_MINUTE_US, "made.reading")) != before:
            raise ValueError("a minute of a point got lost")

    def _ranges(self, source: str) -> list[tuple[int, int]]:
        """Cut the points into ranges, both ends included, that hold about `_RANGE_ROWS` rows each."""
        found = self._connection.execute(
            f"SELECT point // {_BUCKET_POINTS} AS b, count(*) AS n FROM ({source}) GROUP BY b ORDER BY b"  # noqa: S608
        ).fetchnumpy()
        bucket, filled = found["b"].astype(np.int64), np.cumsum(found["n"])
        last = np.flatnonzero(np.diff(filled // _RANGE_ROWS, append=np.iinfo(np.int64).max) > 0)
        first = np.concatenate([[0], last[:-1] + 1])
        low, high = bucket[first] * _BUCKET_POINTS, (bucket[last] + 1) * _BUCKET_POINTS - 1
        return list(zip(low.tolist(), high.tolist(), strict=True))

    def _progress(self, alias: str) -> tuple[int, int]:
        if self._has_meta(alias):
            meta = sealed.read_meta(self._connection, alias)
            return meta.touched, meta.whole
        touched, whole = self._one(dayfile.PROGRESS.format(alias))
        return touched, whole

    def _has_meta(self, alias: str) -> bool:
        tables = f"FROM duckdb_tables() WHERE database_name = '{alias}' AND table_name = 'meta'"
        return bool(self._one(f"SELECT count(*) {tables}")[0])

    def _register_network(self) -> None:
        points = np.zeros(0, dtype=np.uint32)
        if self._job.network_points:
            points = np.fromfile(self._folder / self._job.network_points, dtype="<u4")
        self._connection.register("given", {"point": points})
        self._connection.execute("CREATE TABLE memory.network_point AS SELECT point::UINTEGER AS point FROM given")

    def _original(self, name: str) -> Path:
        """Return a file that nobody writes to: a copy, unless it is sealed."""
        path = self._folder / name
        known = dayfile.parse(name)
        if known is not None and known.family != OPEN:
            return path
        copy = self._folder / f"copy-{os.getpid()}-{len(self._copies)}.part"
        self._copies.append(copy)
        shutil.copyfile(path, copy)
        return copy

    def _attach(self, path: Path, alias: str) -> str:
        self._connection.execute(f"ATTACH {literal(path)} AS {alias} (READ_ONLY)")
        return alias

    def _one(self, query: str) -> Any:
        return self._connection.execute(query).fetchall()[0]

    def _connect(self) -> None:
        self._connection: Any = duckdb.connect(":memory:", config=self._settings())

    def _settings(self) -> dict[str, Any]:
        return dayfile.settings(self._folder, self._job.memory)


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
