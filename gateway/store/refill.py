"""Remembers, over a restart too, that a damaged file is being filled again from what the spool still holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path


class Refill:
    """A marker file with the load up to which everything is loaded again. Used on one thread."""

    def __init__(self, marker: Path, first_kept: Callable[[], int] | None = None) -> None:
        """Make one; `first_kept` returns the oldest load that can be repeated."""
        self._marker, self._first_kept = marker, first_kept
        self.upto = 0
        """0 if nothing is missing"""
        self.due = False
        """True once everything has to be loaded again from the beginning"""
        try:
            self.upto = int(marker.read_text(encoding="ascii") or 0)
        except (FileNotFoundError, ValueError):
            self.upto = 0
        self.due = marker.exists()

    def wanted(self, newest: int, loaded: int) -> None:
        """Ask for it, unless the `newest` load that is missing (0 if unknown) is known to be gone. Raises OSError."""
        if newest and self._first_kept is not None and newest < self._first_kept():
            return
        self.due = True
        self.reach(max(loaded, newest))

    def reach(self, upto: int) -> None:
        """Let it go on to this load at least. Raises OSError."""
        if self.due and (upto > self.upto or not self._marker.exists()):
            self.upto = max(upto, self.upto)
            self._marker.write_text(str(self.upto), encoding="ascii")

    def covers(self, after: int) -> bool:
        """Tell whether every load behind this one can be repeated."""
        return self._first_kept is not None and self._first_kept() <= after + 1

    def loaded(self, seq: int) -> None:
        """Note a load; at the last one everything is there again. Raises OSError."""
        if self.due and seq >= self.upto:
            self._marker.unlink(missing_ok=True)
            self.upto, self.due = 0, False
