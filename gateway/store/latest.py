"""The newest reading of every point, in memory: arrays indexed by point, and a copy of them on disk."""

from __future__ import annotations

import os
import struct
import threading
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gateway.model.reading import ReadingBatch
from gateway.store.duplicates import newest_of_each

_NEVER = np.iinfo(np.int64).min
_HEAD = struct.Struct("<4sIQ")
_MAGIC = b"GSN1"
"""A copy: magic, CRC of what follows, newest load it holds, then a batch."""


class Latest:
    """High-water marks and newest rows; a row above its point's mark cannot be a duplicate.

    Safe to use from several threads.
    """

    def __init__(self) -> None:
        """Start without any reading."""
        self._rows = _blank(1024)
        self._lock = threading.Lock()

    def marks(self, points: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Return the newest source time of each point, the smallest int64 where there is none."""
        time = self._rows.source_time
        known = points < len(time)
        return np.where(known, time[np.where(known, points, 0)], _NEVER)

    def put(self, batch: ReadingBatch) -> None:
        """Take a batch in whatever order into account."""
        if not len(batch):
            return
        new = newest_of_each(batch)
        old = self.get(new.point)
        new = newest_of_each(ReadingBatch.concat([old, new]))
        with self._lock:
            self._grow(int(new.point[-1]) + 1)
            for column, values in zip(self._rows.columns(), new.columns(), strict=True):
                column[new.point] = values

    def get(self, points: NDArray[np.uint32]) -> ReadingBatch:
        """Return the newest row of each of these points that has one, in their order."""
        with self._lock:
            rows = self._rows
            known = points[points < len(rows)]
            return rows.take(known[rows.source_time[known] != _NEVER].astype(np.intp))

    def points(self) -> NDArray[np.uint32]:
        """Return every point that has a reading, sorted."""
        with self._lock:
            return np.flatnonzero(self._rows.source_time != _NEVER).astype(np.uint32)

    def save(self, path: Path, seq: int) -> None:
        """Write a copy that holds every load up to `seq`. Raises OSError; then the older copy stays."""
        with self._lock:
            rows = self._rows
            known = rows.take(rows.source_time != _NEVER)
        body = struct.pack("<Q", seq) + known.to_bytes()
        part = path.with_name(path.name + ".part")
        with part.open("wb") as out:
            out.write(_MAGIC + struct.pack("<I", zlib.crc32(body)))
            out.write(body)
            out.flush()
            os.fsync(out.fileno())
        part.replace(path)

    def restore(self, path: Path) -> int:
        """Take a copy and return up to which load it goes; 0, and nothing is taken, if there is no good one."""
        try:
            data = memoryview(path.read_bytes())
        except OSError:
            return 0
        if len(data) < _HEAD.size:
            return 0
        magic, crc, seq = _HEAD.unpack_from(data)
        if magic != _MAGIC or zlib.crc32(data[8:]) != crc:
            return 0
        self.put(ReadingBatch.from_bytes(data[_HEAD.size :]))
        return int(seq)

    def _grow(self, count: int) -> None:
        have = len(self._rows)
        if count > have:
            self._rows = ReadingBatch.concat([self._rows, _blank(max(count, 2 * have) - have)])


def _blank(count: int) -> ReadingBatch:
    return ReadingBatch(
        np.zeros(count, dtype=np.uint32),
        np.full(count, _NEVER, dtype=np.int64),
        np.zeros(count, dtype=np.int64),
        np.zeros(count, dtype=np.float64),
        np.zeros(count, dtype=np.uint8),
    )
