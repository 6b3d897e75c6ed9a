"""Reads CSV tables that people export: every fault is named by file, line and column, none stops the reading."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

MAX_ROWS = 5_000_000
"""more rows than a city has meters: a file beyond this is not what it says it is"""

Kind = TypeVar("Kind", bound=StrEnum)
Cell = TypeVar("Cell")


@dataclass(slots=True)
class Table:
    """One CSV file being read: its rows, and the problems found so far, in a list that may be shared."""

    path: Path
    problems: list[str] = field(default_factory=list)

    def rows(self, columns: tuple[str, ...]) -> Iterator[Row]:
        """Yield the rows; a file without one of the columns yields none and is a problem."""
        try:
            with self.path.open(newline="", encoding="utf-8-sig") as handle:
                yield from self._rows(csv.DictReader(handle), columns)
        except OSError as error:
            self.problems.append(f"{self.path}: cannot read: {error.strerror}; put the file there")
        except (csv.Error, UnicodeDecodeError) as error:
            self.problems.append(f"{self.path}: not a CSV file in UTF-8: {error}; export it again")

    def _rows(self, reader: csv.DictReader[str], columns: tuple[str, ...]) -> Iterator[Row]:
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            self.problems.append(f"{self.path}:1: column {', '.join(missing)} is missing; add it to the header")
            return
        for count, row in enumerate(reader):
            if count >= MAX_ROWS:
                self.problems.append(f"{self.path}: more than {MAX_ROWS} rows; split the network")
                return
            yield Row(self, reader.line_num, row)

    def unique(self, seen: Container[str], row: Row, column: str) -> str:
        """Return the row's id; a missing or repeated one is a problem."""
        name = row.text(column)
        if not name:
            row.problem(column, "is empty; give every row an id")
        elif "/" in name and column != "point_id":
            row.problem(column, f"{name!r} holds a slash, which separates asset and quantity; rename it")
        elif name in seen:
            row.problem(column, f"{name!r} stands here twice; remove one")
        return name


@dataclass(slots=True)
class Row:
    """One row with typed access; what cannot be read becomes a problem and a harmless value."""

    table: Table
    line: int
    cells: Mapping[str, str | None]

    def problem(self, column: str, text: str) -> None:
        """Note what is wrong with one cell."""
        self.table.problems.append(f"{self.table.path}:{self.line}: column {column}: {text}")

    def text(self, column: str) -> str:
        """Return a cell without white space around it; empty where it is absent."""
        return (self.cells.get(column) or "").strip()

    def number(self, column: str, *, least: float = -math.inf) -> float:
        """Return a finite number, which must not be below `least`."""
        return self._convert(column, lambda text: _number(text, least), 0.0)

    def optional(self, column: str, *, least: float = -math.inf) -> float | None:
        """Return a finite number, None where the cell is empty or absent."""
        return self.number(column, least=least) if self.text(column) else None

    def whole(self, column: str, least: int, most: int) -> int:
        """Return a whole number within its limits."""
        return self._convert(column, lambda text: _whole(text, least, most), least)

    def flag(self, column: str) -> bool:
        """Return a 0 or 1."""
        return self.whole(column, 0, 1) == 1

    def day(self, column: str) -> date:
        """Return a date written as 2024-01-31."""
        return self._convert(column, date.fromisoformat, date.min)

    def moment(self, column: str) -> datetime:
        """Return a moment; one without zone is UTC."""
        value = self._convert(column, datetime.fromisoformat, datetime.min.replace(tzinfo=UTC))
        return value if value.tzinfo else value.replace(tzinfo=UTC)

    def one_of(self, column: str, kind: type[Kind], default: Kind) -> Kind:
        """Return a member of a closed set of words."""
        text = self.text(column)
        try:
            return kind(text)
        except ValueError:
            self.problem(column, f"{text!r} is unknown; use one of {', '.join(kind)}")
            return default

    def _convert(self, column: str, convert: Callable[[str], Cell], default: Cell) -> Cell:
        text = self.text(column)
        try:
            return convert(text)
        except ValueError as error:
            self.problem(column, f"{text!r} cannot be used ({error}); correct it")
            return default


def _number(text: str, least: float) -> float:
    value = float(text)
    if not math.isfinite(value) or value < least:
        raise ValueError(f"a number of at least {least:g} is wanted" if least > -math.inf else "not a finite number")
    return value


def _whole(text: str, least: int, most: int) -> int:
    value = int(text)
    if not least <= value <= most:
        raise ValueError(f"{least} to {most} is wanted")
    return value
