"""Readings as InfluxDB line protocol: measurement = quantity, tags point, asset and zone, fields `value` and `q`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.model.network import Network
from gateway.model.reading import PointId, ReadingBatch, Severity, quality

Names = Callable[[NDArray[np.uint32]], list[PointId]]
_BAD_FROM = quality(Severity.BAD)
_LATEST_US = (2**63 - 2) // 1000
"""InfluxDB keeps int64 nanoseconds."""
_TAG = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ "})
_MEASUREMENT = str.maketrans({",": "\\,", " ": "\\ "})


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a batch, with the row of each; rows that cannot be written are listed with the reason."""

    text: list[bytes]
    rows: list[int]
    rejected: list[tuple[int, str]]


class LineFormat:
    """Formats batches; remembers the part of the line that belongs to the point."""

    def __init__(self, names: Names, network: Network) -> None:
        """Take the names of the points and the zones of their assets from here."""
        self._names, self._network = names, network
        self._prefix: dict[int, str] = {}

    def lines(self, batch: ReadingBatch) -> Lines:
        """Return the lines of a batch; a BAD or infinite value leaves only `q`."""
        self._learn(batch.point)
        found = Lines([], [], [])
        columns = (batch.point, batch.value, batch.quality, batch.source_time)
        for row, (point, value, mark, time) in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
            prefix = self._prefix[point]
            if not prefix:
                found.rejected.append((row, "the point has no name that line protocol can write"))
            elif not -_LATEST_US <= time <= _LATEST_US:
                found.rejected.append((row, "the source time is out of InfluxDB's range"))
            else:
                fields = f"q={mark}i" if mark >= _BAD_FROM or not math.isfinite(value) else f"value={value!r},q={mark}i"
                found.text.append(f"{prefix} {fields} {time}".encode())
                found.rows.append(row)
        return found

    def _learn(self, points: NDArray[np.uint32]) -> None:
        new = [point for point in np.unique(points).tolist() if point not in self._prefix]
        if new:
            for point, name in zip(new, self._names_of(new), strict=True):
                self._prefix[point] = self._prefix_of(name) if name else ""

    def _names_of(self, points: list[int]) -> list[PointId]:
        """Return the names of points, an empty one for a point that the registry does not know."""
        try:
            return self._names(np.array(points, dtype=np.uint32))
        except KeyError:
            if len(points) == 1:
                return [PointId("")]
            middle = len(points) // 2
            return self._names_of(points[:middle]) + self._names_of(points[middle:])

    def _prefix_of(self, name: PointId) -> str:
        asset, _, quantity = name.rpartition("/")
        known = self._network.points.get(name)
        zone = known.zone_id if known is not None else self._network.zone_of(asset)
        return prefix(quantity, {"point": name, "asset": asset, "zone": zone})


def prefix(measurement: str, tags: dict[str, str]) -> str:
    """Return measurement and tags, escaped; empty tags are left out. An empty text if a name cannot be escaped.

    Line protocol has no way to write a backslash before a comma, or a control character, in a name.
    """
    kept = {key: value for key, value in tags.items() if value}
    texts = [measurement, *kept.values()]
    if not measurement or measurement.startswith("#") or any("\\" in text or not text.isprintable() for text in texts):
        return ""
    parts = [f"{key}={value.translate(_TAG)}" for key, value in sorted(kept.items())]
    return ",".join([measurement.translate(_MEASUREMENT), *parts])
