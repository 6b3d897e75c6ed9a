"""Tables as a PDF to be filed or sent: made by the server, with Chinese glyphs from a font of the machine.

The font is embedded as far as it is used, so that the file looks alike everywhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from functools import cache
from itertools import islice
from pathlib import Path
from zoneinfo import ZoneInfo

from fpdf import FPDF, FontFace
from fpdf.enums import TableCellFillMode

from api.services.export import Cell, Table, plain
from gateway.errors import RefusedError

MEDIA_TYPE = "application/pdf"
MOST_ROWS = 1_000
"""rows of one table; more are for a spreadsheet"""
FONTS: tuple[tuple[str, int], ...] = (
    ("opentype/noto/NotoSansCJK-Regular.ttc", 2),
    ("truetype/wqy/wqy-microhei.ttc", 0),
    ("truetype/droid/DroidSansFallbackFull.ttf", 0),
    ("google-noto-cjk/NotoSansCJK-Regular.ttc", 2),
)
"""fonts with Chinese glyphs below a folder of fonts, the best first, and which of a collection is the simplified one"""
FOLDERS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
_FAMILY = "gasgate"
_TITLE, _HEADING, _TEXT, _LINE = 16, 11, 8, 4.2
_GREY = (235, 238, 241)
_WIDEST, _NARROWEST = 36, 6
_LONGEST_CELL = 500


def pdf_of(title: str, tables: Sequence[Table], *, subtitle: str, timezone: str) -> bytes:
    """Return tables as one PDF of landscape A4 pages; blocks for a second or two.

    Raises RefusedError 503 `no_font` if the machine has no font with Chinese glyphs.
    """
    document = _Document(orientation="landscape", format="A4")
    document.subtitle = f"{title}  ·  {subtitle}"
    path, number = _font()
    document.add_font(_FAMILY, "", path, collection_font_number=number)
    document.set_title(title)
    document.set_creator("gasgate")
    document.set_auto_page_break(auto=True, margin=14)
    document.add_page()
    document.set_font(_FAMILY, size=_TITLE)
    document.cell(0, 9, title, new_x="LMARGIN", new_y="NEXT")
    document.set_font(_FAMILY, size=_TEXT)
    document.cell(0, 6, subtitle, new_x="LMARGIN", new_y="NEXT")
    for table in tables:
        _draw(document, table, ZoneInfo(timezone))
    return bytes(document.output())


class _Document(FPDF):
    subtitle = ""

    def footer(self) -> None:
        """Write what it is and the page on each page."""
        self.set_y(-11)
        self.set_font(_FAMILY, size=_TEXT - 1)
        self.cell(0, 5, f"{self.subtitle}  ·  {self.page_no()}/{{nb}}", align="R")


def _draw(document: FPDF, table: Table, zone: ZoneInfo) -> None:
    rows = [[_shown(plain(cell, zone)) for cell in row] for row in islice(table.rows, MOST_ROWS)]
    heads = [column.header for column in table.columns]
    document.ln(4)
    document.set_font(_FAMILY, size=_HEADING)
    document.cell(0, 7, table.name, new_x="LMARGIN", new_y="NEXT")
    document.set_font(_FAMILY, size=_TEXT)
    widths = tuple(_width([head, *(row[number] for row in rows)]) for number, head in enumerate(heads))
    with document.table(
        col_widths=widths,
        line_height=_LINE,
        headings_style=FontFace(emphasis="", fill_color=_GREY),
        borders_layout="HORIZONTAL_LINES",
        cell_fill_mode=TableCellFillMode.NONE,
        text_align="LEFT",
        padding=0.6,
    ) as drawn:
        for row in (heads, *rows):
            line = drawn.row()
            for cell in row:
                line.cell(cell)


def _shown(cell: Cell) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "✓" if cell else ""
        case datetime():
            return cell.isoformat(sep=" ", timespec="minutes")
        case date():
            return cell.isoformat()
        case float():
            return f"{cell:.4g}" if abs(cell) < 1e4 else f"{cell:.0f}"
        case _:
            return str(cell)[:_LONGEST_CELL]


def _width(cells: Sequence[str]) -> float:
    """Return the share of the line that a column gets: by its longest text, within bounds."""
    longest = max(sum(2 if sign > "\u2e80" else 1 for sign in cell) for cell in cells)
    return float(max(_NARROWEST, min(_WIDEST, longest)))


@cache
def _font() -> tuple[Path, int]:
    for folder in FOLDERS:
        for name, number in FONTS:
            if (folder / name).is_file():
                return folder / name, number
    raise RefusedError(503, "no_font", "install a font with Chinese glyphs: apt-get install fonts-noto-cjk")
