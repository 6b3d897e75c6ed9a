"""Builds the columns of a large file of meters, in a process of its own: `python -m gateway.meters_build`."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from gateway.columns_file import write_columns
from gateway.csv_table import MAX_ROWS, Row, Table
from gateway.meters_csv import BUILT, CELLS, NOT_PLAIN, REQUIRED, stamp
from gateway.model.meters import KINDS, TEXTS, WORDS, MeterTable
from gateway.model.names import NameTable
from gateway.model.network import MeterKind, MeterRole
from gateway.model.text_column import TextColumn

Columns = dict[str, NDArray[Any]]
_POSITION = ("x_m", "y_m")
_NUMBERS: Mapping[str, Callable[[Any], Any]] = {
    "role": tuple(MeterRole).index,
    "kind": tuple(MeterKind).index,
    "installed_on": lambda day: day.toordinal(),
}
_MOST_WORDS = 200_000
_TEXTS_AT_ONCE = 50_000


class _NotPlainError(Exception):
    """The file has to be read row by row."""


def main() -> int:
    """Build what the command line names: meters, zones, and the file to be written. Returns the exit code."""
    path, zones, cache = map(Path, sys.argv[1:])
    return BUILT if build(path, zones, cache) else NOT_PLAIN


def build(path: Path, zones: Path, cache: Path) -> bool:
    """Write the columns of a plain file; return whether it is one. Raises OSError if they cannot be written."""
    of = stamp(path, zones)
    known = {row.text("zone_id") for row in Table(zones).rows(("zone_id",))}
    try:
        with duckdb.connect() as connection:
            connection.execute("SET threads = 2")
            meters = _read(connection, path, known)
    except (_NotPlainError, duckdb.Error, UnicodeError, csv.Error, ValueError):
        return False
    write_columns(cache, {"of": of, "words": meters.words}, meters.columns())
    return True


def _read(connection: Any, path: Path, zones: Container[str]) -> MeterTable:
    header = _header(path)
    source = _source(path, header)
    distinct = ", ".join(f"list_sort(list(DISTINCT coalesce({name}, '')))" for name in CELLS)
    count, *lists = connection.execute(f"SELECT count(*), {distinct} FROM {source}").fetchone()  # noqa: S608
    written: dict[str, list[str]] = dict(zip(CELLS, lists, strict=True))
    _must(0 < count <= MAX_ROWS and all(len(words) <= _MOST_WORDS for words in lists))
    cells = {name: _cells(name, words) for name, words in written.items()}
    _must(all(zone in zones for zone in cells["zone_id"]))
    texts = {name: _text(connection, source, name if name in header else "''", count) for name in TEXTS}
    table = _fetch(connection, source, written, [name for name in _POSITION if name in header])
    names = NameTable.of(_plain_names(table.pop("meter_id")))
    _must(names.first_double() < 0)
    columns = {name.removesuffix("_id"): _column(name, table.pop(name), cells[name]) for name in CELLS}
    positions = {name: _position(table, name, count) for name in _POSITION}
    words = {name.removesuffix("_id"): cells[name] for name in CELLS if name.removesuffix("_id") in WORDS}
    return MeterTable(names, {**columns, **positions}, words, texts)


def _must(holds: bool) -> None:
    if not holds:
        raise _NotPlainError


def _header(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8-sig") as handle:
        header = next(csv.reader(handle), [])
    _must(len({name.lower() for name in header}) == len(header) and set(REQUIRED) <= set(header))
    return header


def _source(path: Path, header: Sequence[str]) -> str:
    """Return the table function that reads the file as text."""
    columns = ", ".join(f"{_quoted(name)}: 'VARCHAR'" for name in header)
    return (
        f"read_csv({_quoted(str(path))}, header = true, auto_detect = false, strict_mode = true, delim = ',', "
        f"quote = '\"', escape = '\"', columns = {{{columns}}})"
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _cells(name: str, words: Sequence[str]) -> list[Any]:
    """Return what each distinct word of a column means, read as in a row."""
    scratch = Table(Path())
    found = [CELLS[name](Row(scratch, 0, {name: word})) for word in words]
    _must(not scratch.problems)
    return found


def _fetch(connection: Any, source: str, written: Mapping[str, Sequence[str]], positions: Sequence[str]) -> Columns:
    """Return the ids, the positions as far as they are numbers, and the place of each other cell in its words."""
    for name, words in written.items():
        connection.execute(f"CREATE TYPE word_{name} AS ENUM ({', '.join(map(_quoted, words))})")
    select = ["coalesce(meter_id, '') AS meter_id"]
    select += [f"enum_code(coalesce({name}, '')::word_{name})::INTEGER AS {name}" for name in written]
    select += [f"coalesce(trim({name}), '') = '' AS {name}_empty" for name in positions]
    select += [f"coalesce(TRY_CAST({name} AS DOUBLE), 'nan'::DOUBLE) AS {name}" for name in positions]
    found: Columns = connection.execute(f"SELECT {', '.join(select)} FROM {source}").fetchnumpy()  # noqa: S608
    return {name: np.ma.getdata(column) for name, column in found.items()}


def _text(connection: Any, source: str, column: str, count: int) -> TextColumn:
    """Return a column of texts, some of them at a time."""
    found = connection.execute(f"SELECT coalesce({column}, '') FROM {source}")  # noqa: S608 - our names

    def texts() -> Iterator[str]:
        while rows := found.fetchmany(_TEXTS_AT_ONCE):
            yield from (text.strip() for (text,) in rows)

    column_of = TextColumn.of(texts())
    _must(len(column_of) == count)
    return column_of


def _plain_names(names: NDArray[Any]) -> list[str]:
    found: list[str] = names.tolist()
    _must(all(name and name == name.strip() and "/" not in name for name in found))
    return found


def _column(name: str, codes: NDArray[np.int32], cells: Sequence[Any]) -> NDArray[Any]:
    kept = name.removesuffix("_id")
    if kept in WORDS:
        return codes.astype(KINDS[kept])
    number = _NUMBERS.get(name, lambda cell: cell)
    return np.array([number(cell) for cell in cells], dtype=KINDS[kept])[codes]


def _position(table: Columns, name: str, count: int) -> NDArray[np.float64]:
    """Return a coordinate, NaN where its cell is empty."""
    if name not in table:
        return np.full(count, np.nan)
    _must(bool(np.all(np.isfinite(table[name]) | table[f"{name}_empty"])))
    return table[name]


if __name__ == "__main__":
    sys.exit(main())
