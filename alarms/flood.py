"""When so many alarms are announced that nobody can take them in: more than ten in ten minutes, until fewer than five.

Pure; computed from the announcements alone, so it comes out the same on every page and after a restart.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

WINDOW_US = 600_000_000
BEGINS_ABOVE = 10
ENDS_BELOW = 5


@dataclass(frozen=True, slots=True)
class Flood:
    """One flood; moments are us UTC."""

    begin: int
    end: int | None
    """None while it goes on"""
    announced: int
    """announcements from the first of the window in which it began"""


class FloodWatch:
    """Follows the announcements of one position."""

    def __init__(self) -> None:
        self._window: deque[int] = deque()
        self._begin: int | None = None
        self._announced = 0
        self.ended: list[Flood] = []

    def announce(self, at: int) -> None:
        """Take an announcement at `at`, us UTC; in increasing order."""
        self.look(at)
        self._window.append(at)
        if self._begin is not None:
            self._announced += 1
        elif len(self._window) > BEGINS_ABOVE:
            self._begin, self._announced = at, len(self._window)

    def look(self, now: int) -> Flood | None:
        """Return the flood that goes on at `now`, None if there is none."""
        window = self._window
        while window and window[0] <= now - WINDOW_US:
            if self._begin is not None and len(window) == ENDS_BELOW:
                self.ended.append(Flood(self._begin, window[0] + WINDOW_US, self._announced))
                self._begin = None
            window.popleft()
        return None if self._begin is None else Flood(self._begin, None, self._announced)


def floods(times: Iterable[int], until: int) -> list[Flood]:
    """Return the floods of announcements at `times` (us UTC, increasing); the last may still go on at `until`."""
    watch = FloodWatch()
    for at in times:
        watch.announce(at)
    open_now = watch.look(until)
    return watch.ended + ([] if open_now is None else [open_now])
