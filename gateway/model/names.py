"""Many names as columns: found by name or by row without an object for each, and mapped from a file.

A Python dict of two million names takes some 350 MB in every process; these columns take 20 bytes and the letters
for each name, once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from gateway.model.text_column import TextColumn

_LARGEST_TEXT = 2**32 - 1
_CHUNK = 100_000


class NameTable:
    """Distinct names in a fixed order. An empty name holds a row that nothing finds."""

    def __init__(self, columns: Mapping[str, NDArray[Any]], prefix: str = "") -> None:
        """Take the columns as `columns` gave them; they are not copied. Raises KeyError if one is missing."""
        self._columns = {name: columns[prefix + name] for name in _COLUMNS}
        self._hashes = self._columns["hashes"]
        self._ends = self._columns["ends"]
        self._mask = _buckets(len(self._ends)) - 1
        self._views = tuple(memoryview(self._columns[name].data) for name in ("text", "ends", "order", "starts"))

    @staticmethod
    def of(names: Iterable[str], after: NameTable | None = None) -> NameTable:
        """Return a table of names, behind those of another one. Raises ValueError for more than 4 GiB of letters."""
        coded = [name.encode() for name in names]
        text = np.frombuffer(b"".join(coded), dtype=np.uint8)
        lengths = np.fromiter(map(len, coded), dtype=np.int64, count=len(coded))
        hashes = np.fromiter(map(crc32, coded), dtype=np.uint32, count=len(coded))
        del coded
        if after is not None:
            kept = after.columns()
            text = np.concatenate([kept["text"], text])
            lengths = np.concatenate([np.diff(kept["ends"].astype(np.int64), prepend=0), lengths])
            hashes = np.concatenate([kept["hashes"], hashes])
        if len(text) > _LARGEST_TEXT:
            raise ValueError("the names take more than 4 GiB")
        mask = _buckets(len(hashes)) - 1
        bucket = hashes & np.uint32(mask)
        starts = np.concatenate([[0], np.cumsum(np.bincount(bucket, minlength=mask + 1))]).astype(np.uint32)
        order = np.argsort(bucket, kind="stable").astype(np.uint32)
        ends = np.cumsum(lengths).astype(np.uint32)
        return NameTable({"text": text, "ends": ends, "hashes": hashes, "order": order, "starts": starts})

    def columns(self, prefix: str = "") -> dict[str, NDArray[Any]]:
        """Return the columns by name, to be kept in a file.

        They are the letters in UTF-8, one name behind the other, and where each ends; the CRC-32 of each name; the rows
        sorted by bucket, the lowest bits of that; and where each bucket starts.
        """
        return {prefix + name: column for name, column in self._columns.items()}

    @property
    def texts(self) -> TextColumn:
        """The names as texts, to be found by any part of them."""
        return TextColumn(self._columns["text"], self._ends)

    def __len__(self) -> int:
        """Return the number of names."""
        return len(self._ends)

    def find(self, name: str) -> int:
        """Return the row of a name, -1 if there is none."""
        text, ends, order, starts = self._views
        coded = name.encode()
        bucket = crc32(coded) & self._mask
        for place in range(starts[bucket], starts[bucket + 1]):
            row = order[place]
            if text[ends[row - 1] if row else 0 : ends[row]] == coded and coded:
                return row
        return -1

    def name(self, row: int) -> str:
        """Return the name of a row. Raises IndexError if there is no such row."""
        text, ends, _, _ = self._views
        return str(text[ends[row - 1] if row else 0 : ends[row]], "utf-8")

    def names(self, rows: Iterable[int]) -> list[str]:
        """Return the names of rows. Raises IndexError if there is no such row."""
        return [self.name(row) for row in rows]

    def __iter__(self) -> Iterator[str]:
        """Yield all names in order."""
        text, ends, _, _ = self._views
        for begin in range(0, len(self), _CHUNK):
            last = 0 if begin == 0 else ends[begin - 1]
            for end in self._ends[begin : begin + _CHUNK].tolist():
                yield str(text[last:end], "utf-8")
                last = end

    def first_double(self) -> int:
        """Return a row whose name stands in an earlier row too, -1 if all are distinct."""
        values, counts = np.unique(self._hashes, return_counts=True)
        for row in np.flatnonzero(np.isin(self._hashes, values[counts > 1])).tolist():
            name = self.name(row)
            if name and self.find(name) != row:
                return int(row)
        return -1


_COLUMNS = ("text", "ends", "hashes", "order", "starts")


def _buckets(count: int) -> int:
    """Return the number of buckets: a power of two, one name in each or less on average."""
    return 1 << max(count - 1, 0).bit_length()
