"""How much room the gateway's data take, and how much is left."""

from __future__ import annotations

import os
import shutil
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

EVERY_S = 60.0
PARTS = ("readings", "intervals", "spool", "state-copies")
"""folders of the data folder that are measured; the state database is the files beside them"""
_MOST_FILES = 200_000


@dataclass(frozen=True, slots=True)
class Stored:
    """What one part of the data takes."""

    part: str
    bytes: int
    files: int


@dataclass(frozen=True, slots=True)
class Room:
    """All parts, and the disk below them."""

    parts: tuple[Stored, ...]
    free_bytes: int
    disk_bytes: int


@dataclass
class Storage:
    """Measures a data folder, once a minute at most, however many pages ask."""

    folder: Path
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _at: float = float("-inf")
    _room: Room | None = None

    def room(self) -> Room | None:
        """Return what is stored; None if the folder cannot be read. Blocks while it is measured."""
        with self._lock:
            if time.monotonic() - self._at >= EVERY_S:
                self._room, self._at = _measure(self.folder), time.monotonic()
            return self._room


def _measure(folder: Path) -> Room | None:
    try:
        disk = shutil.disk_usage(folder)
        parts = [_stored(part, folder / part) for part in PARTS]
        files = [entry.stat() for entry in os.scandir(folder) if entry.is_file() and entry.name.startswith("state.db")]
    except OSError:
        return None
    state = Stored("state", sum(file.st_size for file in files), len(files))
    return Room((*(part for part in parts if part.files), state), disk.free, disk.total)


def _stored(part: str, folder: Path) -> Stored:
    """Add up the files below a folder; one that vanishes meanwhile is left out."""
    count = size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                size += (Path(place) / name).stat().st_blocks * 512
            except OSError:
                continue
            count += 1
            if count >= _MOST_FILES:
                return Stored(part, size, count)
    return Stored(part, size, count)
