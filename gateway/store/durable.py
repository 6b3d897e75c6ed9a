"""Making files whole: a check sum over one, and the certainty that it is on the disk."""

from __future__ import annotations

import os
import zlib
from pathlib import Path


def crc_of(file: Path) -> int:
    """Return the CRC-32 of a file's content. Raises OSError."""
    total = 0
    with file.open("rb") as opened:
        while piece := opened.read(1 << 20):
            total = zlib.crc32(piece, total)
    return total


def make_private(folder: Path) -> None:
    """Make a folder that only its owner may change, and its group read; leave one that is there. Raises OSError."""
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)


def make_durable(path: Path) -> None:
    """Return when a file's content, or a folder's names, are on the disk. Raises OSError."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
