"""Readings as InfluxDB line protocol, whole bodies at a time: each part of the lines is one call for all rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from gateway.model.network import Network
from gateway.model.reading import PointId, ReadingBatch, Severity, quality
from gateway.store.line_names import LineNames, escaped

Names = Callable[[NDArray[np.uint32]], list[PointId]]
MOST_LINES = 5_000
MOST_BYTES = 1_000_000
LEAST_BYTES = 4_000
_BAD_FROM = quality(Severity.BAD)
_LATEST_US = (2**63 - 2) // 1000
"""InfluxDB keeps int64 nanoseconds."""
_MOST_HEADS = 200_000
"""heads of lines that are remembered, about 200 bytes each"""


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """Lines to send at once, with the row of the batch that each came from."""

    data: bytes
    rows: NDArray[np.int64]
    times: NDArray[np.int64]
    """source time of each line, us UTC"""

    def lines(self) -> list[bytes]:
        """Return the lines one by one."""
        return self.data.split(b"\n")


@dataclass(frozen=True, slots=True)
class Lines:
    """What a batch becomes; rows that cannot be written are listed with the reason."""

    rows: NDArray[np.int64]
    heads: list[bytes]
    """for each of these rows: line break, measurement and tags"""
    rejected: list[tuple[int, str]]


class LineFormat:
    """Formats batches. Remembers the head of each point's lines, within a bound."""

    def __init__(self, names: Names, network: Network, line_names: LineNames | None = None) -> None:
        """Take the names of the points and the zones of their assets from here."""
        self._names, self._network = names, network
        self._line_names = line_names or LineNames()
        self._heads: dict[int, bytes] = {}
        self._most_bytes = MOST_BYTES
        value, mark = escaped(self._line_names.value_field), escaped(self._line_names.quality_field)
        self._value_key = f" {value}=".encode()
        self._with_value = [f",{mark}={code}i ".encode() for code in range(256)]
        self._without = [f" {mark}={code}i ".encode() for code in range(256)]

    def sort(self, batch: ReadingBatch) -> Lines:
        """Tell which rows can be written."""
        heads = self._heads_of(batch.point)
        in_range = (batch.source_time >= -_LATEST_US) & (batch.source_time <= _LATEST_US)
        if in_range.all() and all(heads):
            return Lines(np.arange(len(batch)), heads, [])
        named = np.fromiter(map(bool, heads), dtype=np.bool_, count=len(heads))
        rejected = [
            (row, "the source time is out of InfluxDB's range")
            if named[row]
            else (row, "the point has no name that line protocol can write")
            for row in np.flatnonzero(~(named & in_range)).tolist()
        ]
        rows = np.flatnonzero(named & in_range)
        return Lines(rows, [heads[row] for row in rows.tolist()], rejected)

    def too_large(self, size: int) -> None:
        """Learn that the server takes no body of this many bytes: those to come are half of it at most."""
        self._most_bytes = min(self._most_bytes, max(size // 2, LEAST_BYTES))

    def bodies(self, batch: ReadingBatch, lines: Lines) -> Iterator[Body]:
        """Yield bodies of at most 5,000 lines and 1 MB, or of what the server takes; one line at least."""
        for at in range(0, len(lines.rows), MOST_LINES):
            yield from self._cut(batch, lines.rows[at : at + MOST_LINES], lines.heads[at : at + MOST_LINES])

    def _cut(self, batch: ReadingBatch, rows: NDArray[np.int64], heads: list[bytes]) -> Iterator[Body]:
        times = batch.source_time[rows]
        data = self._text(heads, batch.value[rows], batch.quality[rows], times)
        if len(data) <= self._most_bytes or len(rows) == 1:
            yield Body(data, rows, times)
            return
        middle = len(rows) // 2
        yield from self._cut(batch, rows[:middle], heads[:middle])
        yield from self._cut(batch, rows[middle:], heads[middle:])

    def _text(
        self,
        heads: list[bytes],
        value: NDArray[np.float64],
        marks: NDArray[np.uint8],
        times: NDArray[np.int64],
    ) -> bytes:
        """Join head, value, quality and time of each row. A BAD or infinite value leaves only the quality."""
        parts = [b""] * (5 * len(heads))
        parts[0::5] = heads
        parts[4::5] = _texts(times)
        bare = (marks >= _BAD_FROM) | ~np.isfinite(value)
        if not bare.any():
            parts[1::5] = [self._value_key] * len(heads)
            parts[2::5] = _texts(value)
            parts[3::5] = [self._with_value[mark] for mark in marks.tolist()]
            return b"".join(parts)[1:]
        with_value = ~bare
        parts[1::5] = [self._value_key if has else b"" for has in with_value.tolist()]
        found = iter(_texts(value[with_value]))
        parts[2::5] = [next(found) if has else b"" for has in with_value.tolist()]
        parts[3::5] = [
            (self._with_value if has else self._without)[mark]
            for has, mark in zip(with_value.tolist(), marks.tolist(), strict=True)
        ]
        return b"".join(parts)[1:]

    def _heads_of(self, points: NDArray[np.uint32]) -> list[bytes]:
        wanted: list[int] = points.tolist()
        try:
            return list(map(self._heads.__getitem__, wanted))
        except KeyError:
            self._learn(points)
            return list(map(self._heads.__getitem__, wanted))

    def _learn(self, points: NDArray[np.uint32]) -> None:
        wanted = np.unique(points).tolist()
        if len(self._heads) + len(wanted) > _MOST_HEADS:
            self._heads = {}
        new = [point for point in wanted if point not in self._heads]
        for point, name in zip(new, self._names_of(new), strict=True):
            self._heads[point] = self._head_of(name) if name else b""

    def _names_of(self, points: list[int]) -> list[PointId]:
        """Return the names of points, an empty one for a point that the registry does not know."""
        try:
            return self._names(np.array(points, dtype=np.uint32))
        except KeyError:
            if len(points) == 1:
                return [PointId("")]
            middle = len(points) // 2
            return self._names_of(points[:middle]) + self._names_of(points[middle:])

    def _head_of(self, name: PointId) -> bytes:
        asset, _, quantity = name.rpartition("/")
        known = self._network.points.get(name)
        zone = known.zone_id if known is not None else self._network.zone_of(asset)
        text = self._line_names.prefix({"point": name, "asset": asset, "quantity": quantity, "zone": zone})
        return b"\n" + text.encode() if text else b""


def _texts(column: NDArray[np.generic]) -> list[bytes]:
    """Return each number as the shortest text that reads back as the same number."""
    return msgspec.json.encode(column.tolist())[1:-1].split(b",") if len(column) else []
