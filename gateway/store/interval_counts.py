"""What a month's intervals say of each meter, counted once: on which days it was measured, and when it was read first.

`counts/2026-01-1f2e3d4c.counts` is a Parquet file with a row for each meter of the month, and names the files that it
covers; the last part of its name is the file's CRC. It can be made anew from these at any time. Files that came since
are counted beside it, so an answer never depends on how old the counts are. What is counted twice, because files were
merged, counts once.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np

from gateway.errors import TransientError
from gateway.store.durable import crc_of, make_durable
from gateway.store.interval_rows import Ints, day_number
from gateway.store.interval_sql import COUNTED, COUNTS_OF, READ_OF

if TYPE_CHECKING:
    from gateway.store.intervals import IntervalStore

_LOG = logging.getLogger(__name__)
MOST_DAYS = 63
"""gas days of a span: one bit each"""
RECENT = timedelta(days=45)
"""months that reach into so long before the last day are counted at each look, of older ones one"""
_FOLDER = "counts"
_TRIES = 5
_ROW_GROUP = 122_880
_KEPT = "SELECT * FROM read_parquet($counts) WHERE hash(meter) % $parts = $part"


@dataclass(frozen=True, slots=True)
class _Counts:
    """A file of counts."""

    path: Path
    begin: int
    """us: anchors before it were not looked at"""
    covered: frozenset[str]


def read_meters(
    store: IntervalStore, first: date, last: date, *, begin: int, end: int, parts: int = 1
) -> Iterator[tuple[Sequence[str], Ints]]:
    """Yield meters with a register between two moments (us), and how many gas days of the span were measured.

    The meters come in so many parts, in no order, so that not all need be held at once; the span has at most
    `MOST_DAYS`. Raises TransientError.
    """
    if (last - first).days >= MOST_DAYS:
        raise ValueError(f"a span has at most {MOST_DAYS} gas days")
    days = (last - first).days + 1
    given = {"first": day_number(first), "last": day_number(last), "begin": begin, "end": end, "parts": parts}
    for part in range(parts):
        wanted = {**given, "mask": (1 << days) - 1, "part": part}
        found = _query(store, first, last, begin, wanted)
        if found is not None and len(found["meter"]):
            yield found["meter"].tolist(), np.asarray(found["days"], dtype=np.int64)


def count_months(store: IntervalStore, begin_of: Callable[[date], int], last: date) -> int:
    """Count the months anew of which files came, recent ones first; return how many were. For the one who adds.

    `begin_of` gives the first moment of a month's first gas day, us. A month that cannot be counted is left for the
    next time.
    """
    made, older = 0, 0
    for month in sorted(store.months(), reverse=True):
        recent = month + timedelta(days=31) >= last - RECENT
        if older and not recent:
            break
        try:
            if _count(store, month, begin_of(month)):
                made += 1
                older += not recent
        except (duckdb.Error, OSError) as error:
            _LOG.warning("the meters of %s cannot be counted: %s", f"{month:%Y-%m}", error)
    return made


def _count(store: IntervalStore, month: date, begin: int) -> bool:
    last = (month + timedelta(days=31)).replace(day=1) - timedelta(days=1)
    known = _known(store, month, begin)
    files = store.files_of(month, last)
    fresh = [file for file in files if known is None or _name(file) not in known.covered]
    if not fresh:
        return False
    folder = store.folder / _FOLDER
    folder.mkdir(exist_ok=True)
    part = folder / f"{month:%Y-%m}.part"
    covered = "\n".join(_name(file) for file in files)
    source = COUNTS_OF if known is None else f"{COUNTS_OF} UNION ALL SELECT * FROM read_parquet($counts)"  # noqa: S608
    given: dict[str, Any] = {"files": [str(file) for file in fresh], "begin": begin, "parts": 1, "part": 0}
    given |= {"first": day_number(month), "last": day_number(last)}
    given |= {} if known is None else {"counts": str(known.path)}
    with store.cursor() as connection:
        connection.execute(
            f"COPY ({COUNTED.format(source=source)}) TO '{_text(part)}' (FORMAT parquet, COMPRESSION zstd,"
            f" ROW_GROUP_SIZE {_ROW_GROUP}, KV_METADATA {{begin: '{begin}', covered: '{_text(covered)}'}})",
            given,
        )
    target = folder / f"{month:%Y-%m}-{crc_of(part):08x}.counts"
    make_durable(part)
    part.replace(target)
    make_durable(folder)
    for old in folder.glob(f"{month:%Y-%m}-*.counts"):
        if old != target:
            old.unlink()
    return True


def _query(store: IntervalStore, first: date, last: date, begin: int, asked: dict[str, Any]) -> dict[str, Any] | None:
    """Return columns meter and days; a file that vanished is looked for again, a damaged one left out."""
    bad: set[Path] = set()
    problem = ""
    for _ in range(_TRIES):
        known = _known(store, first, begin, bad) if (first.day, first.month) == (1, last.month) else None
        files = [file for file in store.files_of(first, last) if file not in bad]
        fresh = [file for file in files if known is None or _name(file) not in known.covered]
        if not files:
            return None
        given = {name: asked[name] for name in ("end", "mask", "parts", "part")}
        sources = []
        if known is not None:
            sources.append(_KEPT)
            given["counts"] = str(known.path)
        if fresh:
            sources.append(COUNTS_OF)
            given |= {name: asked[name] for name in ("first", "last", "begin")}
            given["files"] = [str(file) for file in fresh]
        source = " UNION ALL ".join(sources)
        sql = READ_OF.format(source=source if len(sources) == 1 else COUNTED.format(source=source))
        try:
            with store.cursor() as connection:
                found: dict[str, Any] = connection.execute(sql, given).fetchnumpy()
                return found
        except duckdb.Error as error:
            bad |= {file for file in files if not store.is_whole(file)}
            if known is not None and not _is_whole(known.path):
                bad.add(known.path)
            problem = str(error)
    raise TransientError(f"intervals cannot be read: {problem}")


def _known(store: IntervalStore, month: date, begin: int, bad: Collection[Path] = ()) -> _Counts | None:
    """Return the counts of a month, None if there are none from this moment on."""
    for path in sorted(set((store.folder / _FOLDER).glob(f"{month:%Y-%m}-*.counts")) - set(bad)):
        with suppress(duckdb.Error, KeyError, ValueError), store.cursor() as connection:
            rows = connection.execute(
                "SELECT decode(key), decode(value) FROM parquet_kv_metadata($path)", {"path": str(path)}
            ).fetchall()
            told = dict(rows)
            if int(told["begin"]) == begin:
                return _Counts(path, begin, frozenset(told["covered"].split("\n")))
    return None


def _is_whole(path: Path) -> bool:
    try:
        return f"{crc_of(path):08x}" == path.stem[-8:]
    except OSError:
        return False


def _name(file: Path) -> str:
    return f"{file.parent.name}/{file.name}"


def _text(text: object) -> str:
    return str(text).replace("'", "''")
