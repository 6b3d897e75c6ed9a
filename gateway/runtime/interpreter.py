"""How the interpreter shares the processor in a process whose event loop must answer within milliseconds."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys

_SWITCH_S = 0.0005
_YOUNG_OBJECTS = 20_000
_SELDOM = 50
_ARENA_MAX = -8
"""M_ARENA_MAX of glibc's mallopt"""
_ARENAS = 2


def answer_quickly() -> None:
    """Let threads that work behind the loop give way soon, and keep what was built at the start out of collections.

    By default a thread that computes keeps the loop waiting for 5 ms at every system call the loop makes, and a full
    collection walks over every object of the network. Call it when everything has been built.
    """
    sys.setswitchinterval(_SWITCH_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, _SELDOM, _SELDOM)


def waste_little() -> None:
    """Let all threads take memory from the same two places; call it before the first thread starts.

    By default glibc gives nearly every thread a place of its own. What one thread takes and another lets go leaves
    holes in all of them, and a role that runs for months grows. Elsewhere than on glibc nothing happens.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_ARENA_MAX, _ARENAS)
