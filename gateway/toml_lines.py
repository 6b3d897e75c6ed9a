"""Finds the line on which a key of a TOML file stands, so that an error can point at it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_TABLE = re.compile(r"^\s*\[(?P<array>\[)?\s*(?P<name>[^\[\]]+?)\s*\]")
_KEY = re.compile(r"^\s*(?P<name>(?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*=")

Path = tuple[str | int, ...]


def index_lines(text: str) -> dict[Path, int]:
    """Map each table and key that begins a line to its line number (from 1); array entries carry their index."""
    lines: dict[Path, int] = {(): 1}
    counts: dict[Path, int] = {}
    table: Path = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _TABLE.match(line):
            table = _enter(_parts(header["name"]), counts, is_array=bool(header["array"]))
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            lines.setdefault((*table, *_parts(key["name"])), number)
    return lines


def line_of(lines: dict[Path, int], location: Sequence[str | int]) -> int:
    """Return the line of a pydantic error location: its nearest known ancestor where it has no line of its own.

    Union tags in the location, which stand in no file, are stepped over.
    """
    here: Path = ()
    for part in location:
        deeper = (*here, part)
        if any(known[: len(deeper)] == deeper for known in lines):
            here = deeper
    while here not in lines:
        here = here[:-1]
    return lines[here]


def _parts(name: str) -> list[str]:
    return [part.strip().strip("\"'") for part in name.split(".")]


def _enter(parts: list[str], counts: dict[Path, int], *, is_array: bool) -> Path:
    path: Path = ()
    for depth, part in enumerate(parts):
        path = (*path, part)
        if is_array and depth == len(parts) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path
