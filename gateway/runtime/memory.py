"""How a process that computes with large arrays deals with the memory that it lets go."""

from __future__ import annotations

import ctypes
import sys
from contextlib import suppress

_TRIM, _MMAP = -1, -3
_MOST_MMAP = 32 << 20
_KEPT = 512 << 20


def reuse_freed() -> None:
    """Keep freed memory for the next array instead of giving it back to the kernel; without glibc nothing happens.

    An array of up to 32 MB is otherwise mapped anew each time, and each of its pages faulted in. For processes that
    end when their work is done: what they hold does not shrink before.
    """
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_MMAP, _MOST_MMAP)
        mallopt(_TRIM, _KEPT)
