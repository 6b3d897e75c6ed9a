"""Room on the disk that only the state database may use: alarms, tickets and commands go on when the disk is full."""

from __future__ import annotations

import logging
import os
import shutil
from contextlib import suppress
from pathlib import Path

_LOG = logging.getLogger(__name__)
_MUCH_FREE_BYTES = 4 << 30
"""the file is only made where it takes no room that readings need"""


class Reserve:
    """A file that is deleted when the state database finds the disk full, and made again afterwards."""

    def __init__(self, folder: Path, size: int, *, much_free: int = _MUCH_FREE_BYTES) -> None:
        """Use a data folder; nothing is written yet. Size 0 reserves nothing."""
        self._path, self._size, self._much_free = folder / "state.reserve", size, much_free

    def keep(self) -> bool:
        """Make the file if there is much room; return whether it is there. Never fails."""
        with suppress(OSError):
            if not self._size:
                return False
            if self._path.exists() and self._path.stat().st_size >= self._size:
                return True
            if shutil.disk_usage(self._path.parent).free < self._much_free + self._size:
                return False
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT, 0o640)
            try:
                os.posix_fallocate(handle, 0, self._size)
            finally:
                os.close(handle)
            return True
        return False

    def missing(self) -> int:
        """Return how many bytes of the room are not held by the file, and must therefore stay free."""
        try:
            return max(0, self._size - self._path.stat().st_size)
        except OSError:
            return self._size

    def give(self) -> bool:
        """Delete the file, so that the next write finds room; return whether there was one."""
        try:
            self._path.unlink()
        except OSError:
            return False
        _LOG.error("the disk is full: the room that was reserved for the state database is used now")
        return True
