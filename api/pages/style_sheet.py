"""The style sheets of all pages as one file: a browser that opens its first page asks once, not for each."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from fastapi import APIRouter, Response

FOLDER = Path(__file__).parents[1] / "static" / "css"
SHEETS = (
    "base",
    "frame",
    "strip",
    "panels",
    "lists",
    "tickets",
    "alarm",
    "map",
    "quiet",
    "tables",
    "cards",
    "commands",
    "meters",
    "login",
    "people",
    "dialogs",
    "board",
    "room",
    "reports",
    "places",
    "sizes",
    "print",
)
"""style sheets in the order in which they hold: sizes and print come last"""
_PATH = "/gasgate.css"

router = APIRouter(include_in_schema=False)


def address() -> str:
    """Return where the style sheet is found, new whenever one of the files is."""
    return f"{_PATH}?v={_version():x}"


@router.get(_PATH)
async def style_sheet() -> Response:
    """Return all style sheets in their order; a browser keeps them until their address changes."""
    headers = {"cache-control": "public, max-age=31536000, immutable"}
    return Response(_joined(_version()), media_type="text/css", headers=headers)


def _version() -> int:
    return max((FOLDER / f"{name}.css").stat().st_mtime_ns for name in SHEETS)


@lru_cache(maxsize=1)
def _joined(_version: int) -> str:
    return "\n".join((FOLDER / f"{name}.css").read_text(encoding="utf-8") for name in SHEETS)
