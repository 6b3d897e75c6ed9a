"""Finds line and column on which a key of a TOML file stands, so that an error can point at it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

_TABLE = re.compile(r"^\s*\[(?P<array>\[)?\s*(?P<name>[^\[\]]+?)\s*\]")
_KEY = re.compile(r"^\s*(?P<name>(?:[\w-]+|\"[^\"]*\"|'[^']*')(?:\s*\.\s*(?:[\w-]+|\"[^\"]*\"|'[^']*'))*)\s*=")

Location = tuple[str | int, ...]
Place = tuple[int, int]
"""line and column, both from 1"""


class TomlPlaces:
    """Where the tables and keys that begin a line of one TOML text stand; array entries carry their index."""

    def __init__(self, text: str) -> None:
        """Index a text."""
        self._places: dict[Location, Place] = {(): (1, 1)}
        counts: dict[Location, int] = {}
        table: Location = ()
        for number, line in enumerate(text.splitlines(), start=1):
            if header := _TABLE.match(line):
                table = _enter(_parts(header["name"]), counts, is_array=bool(header["array"]))
                self._places.setdefault(table, (number, line.index("[") + 1))
            elif key := _KEY.match(line):
                self._places.setdefault((*table, *_parts(key["name"])), (number, key.start("name") + 1))
        self._known = {place[:length] for place in self._places for length in range(len(place) + 1)}

    def of(self, location: Sequence[str | int]) -> Place:
        """Return the place of a pydantic error location: of its nearest known ancestor if it has none of its own.

        Union tags in the location, which stand in no file, are stepped over.
        """
        here: Location = ()
        for part in location:
            if (*here, part) in self._known:
                here = (*here, part)
        while here not in self._places:
            here = here[:-1]
        return self._places[here]

    def entries(self, table: str | int) -> int:
        """Return how many entries of an array of tables stand here."""
        return sum(1 for place in self._known if len(place) == 2 and place[0] == table and isinstance(place[1], int))

    def holds(self, key: str | int) -> bool:
        """Tell whether a table or key of the first level stands here."""
        return (key,) in self._known


class FilePlaces:
    """Where the keys of a configuration stand whose lists are spread over several files."""

    def __init__(self, files: Sequence[Path]) -> None:
        """Index files, in the order in which their lists were joined. Raises OSError."""
        self._files = [(file, TomlPlaces(file.read_text(encoding="utf-8"))) for file in files]
        self._entries: dict[tuple[int, str | int], int] = {}

    def of(self, location: Sequence[str | int]) -> str:
        """Return `file:line:column` of a location whose indices count through all files."""
        here = list(location)
        for number, (file, places) in enumerate(self._files):
            if len(here) > 1 and isinstance(here[1], int):
                held = self._held(number, places, here[0])
                if here[1] >= held:
                    here[1] -= held
                    continue
            elif not here or not places.holds(here[0]):
                continue
            return _written(file, places.of(here))
        file, places = self._files[0]
        return _written(file, places.of(here))

    def _held(self, number: int, places: TomlPlaces, table: str | int) -> int:
        if (number, table) not in self._entries:
            self._entries[number, table] = places.entries(table)
        return self._entries[number, table]


def _written(file: Path, place: Place) -> str:
    return f"{file}:{place[0]}:{place[1]}"


def _parts(name: str) -> list[str]:
    return [part.strip().strip("\"'") for part in name.split(".")]


def _enter(parts: list[str], counts: dict[Location, int], *, is_array: bool) -> Location:
    path: Location = ()
    for depth, part in enumerate(parts):
        path = (*path, part)
        if is_array and depth == len(parts) - 1:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path
