"""How the interpreter shares the processor in a process whose event loop must answer within milliseconds."""

from __future__ import annotations

import gc
import sys

_SWITCH_S = 0.0005
_YOUNG_OBJECTS = 20_000
_SELDOM = 50


def answer_quickly() -> None:
    """Let threads that work behind the loop give way soon, and keep what was built at the start out of collections.

    By default a thread that computes keeps the loop waiting for 5 ms at every system call the loop makes, and a full
    collection walks over every object of the network. Call it when everything has been built.
    """
    sys.setswitchinterval(_SWITCH_S)
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, _SELDOM, _SELDOM)
