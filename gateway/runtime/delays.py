"""How long something took lately: for people and monitoring, in bounded memory."""

from __future__ import annotations

import time
from collections import deque

import numpy as np

_MOST = 2_000
_LATELY_S = 60.0


class Delays:
    """Real seconds that each of the newest events took; at most 2,000, none older than a minute."""

    def __init__(self) -> None:
        """Start with none."""
        self.count = 0
        self.total_s = 0.0
        self._newest: deque[tuple[float, float]] = deque(maxlen=_MOST)

    def add(self, seconds: float) -> None:
        """Count one."""
        self.count += 1
        self.total_s += seconds
        self._newest.append((time.monotonic(), seconds))

    def snapshot(self) -> dict[str, float | None]:
        """Return count and sum since the start, and median, 99th percentile and longest of the last minute."""
        since = time.monotonic() - _LATELY_S
        lately = [seconds for at, seconds in self._newest if at >= since]
        p50, p99, longest = np.percentile(lately, [50, 99, 100]).tolist() if lately else (None, None, None)
        return {"count": self.count, "total_s": self.total_s, "p50": p50, "p99": p99, "max": longest}


class WaitingSince:
    """Since when the oldest record has waited that a reader of the spool has not taken; in bounded memory."""

    def __init__(self, every_s: float = 0.25, most: int = 4_000) -> None:
        """Make one that notes at most one record in `every_s`; of very many the older half is thinned out."""
        self._every_s, self._most = every_s, most
        self._noted: deque[tuple[int, float]] = deque()

    def came(self, seq: int) -> None:
        """Note a record that has just come."""
        now = time.monotonic()
        if self._noted and now - self._noted[-1][1] < self._every_s:
            return
        if len(self._noted) >= self._most:
            self._noted = deque([one for place, one in enumerate(self._noted) if place % 2 == 0])
            self._every_s *= 2
        self._noted.append((seq, now))

    def age_s(self, taken: int, newest: int) -> float:
        """Return how many real seconds the oldest record behind `taken` has waited, to within `every_s`; 0 if none."""
        while len(self._noted) > 1 and self._noted[1][0] <= taken + 1:
            self._noted.popleft()
        if taken >= newest or not self._noted:
            return 0.0
        return time.monotonic() - self._noted[0][1]
