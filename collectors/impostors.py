"""Notices that messages again and again speak for a meter that their topic may not speak for. Pure."""

from __future__ import annotations

from collections import deque

MOST = 10
WITHIN_S = 600.0


class ImpostorWatch:
    """Remembers the last identity faults of one source; one is a mistake, many are a wrong device or an attack."""

    def __init__(self) -> None:
        """Begin with none."""
        self._at_s: deque[float] = deque(maxlen=MOST)
        self._topic = ""

    def note(self, topic: str, now_s: float) -> None:
        """Note a fault."""
        self._at_s.append(now_s)
        self._topic = topic

    def complaint(self, now_s: float) -> str:
        """Return what is wrong while the last ten faults are younger than ten minutes; else nothing."""
        if len(self._at_s) < MOST or now_s - self._at_s[0] > WITHIN_S:
            return ""
        return f"messages speak for meters of other topics, the last one on {self._topic}: see the dead letters"
