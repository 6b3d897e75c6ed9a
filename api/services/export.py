"""Tables as files for spreadsheets: CSV and XLSX, written row by row, with numbers and times as such.

A table names its columns in the reader's language, each with its unit; times are the site's, and the header names
the zone. What is not known is an empty cell.
"""

from __future__ import annotations

import contextlib
import csv
import io
import math
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from itertools import chain, islice
from typing import IO, Any
from zoneinfo import ZoneInfo

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter

from gateway.errors import RefusedError

Cell = str | int | float | bool | datetime | date | None
KINDS = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""what a table can be written as, with the media type of each"""
MOST_XLSX_ROWS = 100_000
"""a workbook with more takes minutes to write and to open"""
MOST_CSV_ROWS = 3_000_000
_ROWS_AT_ONCE = 2_000
_BLOCK = 1 << 16
_LONGEST_CELL = 32_000
_WIDEST, _NARROWEST = 40, 10
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")
_room = threading.BoundedSemaphore(2)
_BOLD = Font(bold=True)
_TOP = Alignment(wrap_text=True, vertical="top")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its title in the reader's language and the unit of its numbers."""

    title: str
    unit: str = ""

    @property
    def header(self) -> str:
        """Title with unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title


@dataclass(frozen=True, slots=True)
class Table:
    """A table to be written once: `rows` may be an iterator; `name` becomes the file's and the sheet's."""

    name: str
    columns: Sequence[Column]
    rows: Iterable[Sequence[Any]]
    timezone: str


def file_of(table: Table, kind: str) -> Iterator[bytes]:
    """Return a table as the bytes of a CSV or XLSX file, piece by piece.

    Raises RefusedError 422 `unknown_kind`, `too_many_rows`; the latter before the first piece of a workbook, and never
    in the midst of a CSV file, whose rows are simply bounded. Raises RefusedError 503 while two others have a workbook
    made. The first rows are read at once: what refuses them is told instead of the file.
    """
    if kind == "csv":
        pieces = _csv(table)
        return chain([next(pieces) + next(pieces)], pieces)
    if kind == "xlsx":
        with in_turn():
            return _pieces(_xlsx(table))
    raise RefusedError(422, "unknown_kind", f"use one of {', '.join(KINDS)}")


@contextlib.contextmanager
def in_turn() -> Iterator[None]:
    """Let two files be made at once, each of which takes a core for seconds. Raises RefusedError 503 for a third."""
    if not _room.acquire(blocking=False):
        raise RefusedError(503, "busy", "others are having files made: try again", retry_after_s=5)
    try:
        yield
    finally:
        _room.release()


def _csv(table: Table) -> Iterator[bytes]:
    """Yield lines in UTF-8 behind a byte order mark, by which Excel knows it."""
    zone = ZoneInfo(table.timezone)
    yield "\ufeff".encode()
    header: list[Sequence[Any]] = [[column.header for column in table.columns]]
    lines = chain(header, islice(table.rows, MOST_CSV_ROWS))
    while rows := list(islice(lines, _ROWS_AT_ONCE)):
        out = io.StringIO()
        csv.writer(out, lineterminator="\r\n").writerows([[_text(plain(cell, zone)) for cell in row] for row in rows])
        yield out.getvalue().encode("utf-8", "replace")


def _xlsx(table: Table) -> IO[bytes]:
    """Write a workbook into a temporary file that has no name."""
    zone = ZoneInfo(table.timezone)
    book = Workbook(write_only=True)
    sheet: Any = book.create_sheet(_sheet_name(table.name))
    sheet.freeze_panes = "A2"
    for number, column in enumerate(table.columns, 1):
        width = max(_NARROWEST, min(_WIDEST, _width(column.header) + 3))
        sheet.column_dimensions[get_column_letter(number)].width = width
    try:
        sheet.append([_typed(sheet, column.header, bold=True) for column in table.columns])
        count = 0
        for count, row in enumerate(_bounded(table.rows), 1):  # noqa: B007 - the last one is used
            sheet.append([_typed(sheet, plain(cell, zone)) for cell in row])
    except BaseException:
        # the library keeps the file of a sheet that is not saved until the process ends
        sheet.close()
        sheet._writer.cleanup()  # noqa: SLF001
        raise
    sheet.auto_filter.ref = f"A1:{get_column_letter(len(table.columns))}{count + 1}"
    out = tempfile.TemporaryFile()  # noqa: SIM115 - whoever reads it closes it
    book.save(out)
    out.seek(0)
    return out


def _bounded(rows: Iterable[Sequence[Any]]) -> Iterator[Sequence[Any]]:
    for count, row in enumerate(rows):
        if count >= MOST_XLSX_ROWS:
            raise RefusedError(422, "too_many_rows", f"a workbook holds {MOST_XLSX_ROWS} rows here; take CSV")
        yield row


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while block := file.read(_BLOCK):
            yield block


def plain(cell: Any, zone: ZoneInfo) -> Cell:
    """Return what a spreadsheet knows: moments as the site's local time without a zone, unknown numbers as None."""
    if isinstance(cell, datetime):
        return (cell.astimezone(zone) if cell.tzinfo is not None else cell).replace(tzinfo=None, microsecond=0)
    if isinstance(cell, Enum):
        cell = cell.value
    if isinstance(cell, float) and not math.isfinite(cell):
        return None
    if cell is None or isinstance(cell, str | int | float | date):
        return cell
    return str(cell)


def harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula (OWASP, "CSV injection")."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _text(cell: Cell) -> str:
    """Return a cell of a CSV file; a spreadsheet takes no text for a formula."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return harmless(cell)
    return repr(cell) if isinstance(cell, float) else str(cell)


def _typed(sheet: Any, cell: Cell, *, bold: bool = False) -> Any:
    """Return a cell of a workbook; text is text, whatever it begins with."""
    if not isinstance(cell, str):
        return cell
    made = WriteOnlyCell(sheet, value=ILLEGAL_CHARACTERS_RE.sub("", cell)[:_LONGEST_CELL])
    made.data_type = "s"
    if bold:
        made.font, made.alignment = _BOLD, _TOP
    return made


def _width(text: str) -> int:
    """Return how many columns of a fixed font a text takes; a Chinese sign takes two."""
    return sum(2 if sign > "\u2e80" else 1 for sign in text)


def _sheet_name(name: str) -> str:
    return "".join("-" if sign in "[]:*?/\\" else sign for sign in name)[:31] or "table"
