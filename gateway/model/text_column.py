"""Many short texts as two columns, mapped from a file, and found by any part of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LARGEST_TEXT = 2**32 - 1
_AT_ONCE = 1 << 20


class TextColumn:
    """Texts in a fixed order: all letters in UTF-8, one text behind the other, and where each ends."""

    def __init__(self, text: NDArray[np.uint8], ends: NDArray[np.uint32]) -> None:
        """Take the columns, which are not copied."""
        self._letters, self._ends = text, ends
        self._text = memoryview(text.data)
        self._last = memoryview(ends.data)

    @staticmethod
    def of(texts: Iterable[str]) -> TextColumn:
        """Return a column of texts. Raises ValueError for more than 4 GiB of letters."""
        coded = [text.encode() for text in texts]
        lengths = np.fromiter(map(len, coded), dtype=np.int64, count=len(coded))
        if int(lengths.sum()) > _LARGEST_TEXT:
            raise ValueError("the texts take more than 4 GiB")
        return TextColumn(np.frombuffer(b"".join(coded), dtype=np.uint8), np.cumsum(lengths).astype(np.uint32))

    @staticmethod
    def kept(columns: Mapping[str, NDArray[Any]], name: str) -> TextColumn:
        """Return the column whose parts were kept. Raises KeyError if one is missing."""
        return TextColumn(columns[f"{name}_text"], columns[f"{name}_ends"])

    def columns(self, name: str) -> dict[str, NDArray[Any]]:
        """Return the parts, to be kept in a file."""
        return {f"{name}_text": self._letters, f"{name}_ends": self._ends}

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self._ends)

    def __getitem__(self, row: int) -> str:
        """Return one text. Raises IndexError."""
        return str(self._text[self._last[row - 1] if row else 0 : self._last[row]], "utf-8")

    def rows_with(self, part: str, after: int = -1) -> Iterator[int]:
        """Yield the rows > `after` whose text holds `part`, in order, each once; small and large letters are one.

        Other threads get their turn after each few milliseconds.
        """
        coded = part.encode()
        wanted = re.compile(re.escape(coded), re.IGNORECASE if part.upper() != part.lower() else 0)
        last, end = self._last, len(self._text)
        start = 0 if after < 0 else int(last[after])
        while part and start < end:
            upto = min(end, start + _AT_ONCE + len(coded))
            found = wanted.search(self._text, start, upto)
            if found is None:
                start = upto if upto == end else upto - len(coded) + 1
                continue
            row = int(np.searchsorted(self._ends, np.uint32(found.start()), side="right"))
            if found.end() <= last[row]:
                yield row
                start = int(last[row])
            else:
                start = found.start() + 1
