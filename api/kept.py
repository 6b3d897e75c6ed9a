"""What took long to find out, kept for a while, so that the next who asks has it at once."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

KEEP_S = 900.0
"""real seconds for which an answer counts"""
MOST = 64
_T = TypeVar("_T")


class Kept:
    """A few answers by what was asked. Used from any thread; one answer is made at a time, for each takes a core."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """Keep nothing yet."""
        self._now = now
        self._known: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, asked: Hashable, make: Callable[[], _T]) -> _T:
        """Return the answer, made anew if the known one is too old. What `make` raises is raised, and not kept."""
        with self._lock:
            until, answer = self._known.get(asked, (0.0, None))
            if self._now() >= until:
                answer = make()
                self._known[asked] = self._now() + KEEP_S, answer
            self._known.move_to_end(asked)
            while len(self._known) > MOST:
                self._known.popitem(last=False)
            return answer  # type: ignore[no-any-return]
