"""What the log says about a link: one line when it is lost and one when it is back, however many units it has."""

from __future__ import annotations

import logging

from gateway.errors import NotSentError, TransientError

log = logging.getLogger(__name__)


class LinkNews:
    """Tells apart a unit that is silent beside others, and a link over which nobody answers any more."""

    def __init__(self, link: str) -> None:
        """Begin with nothing told."""
        self._link = link
        self._down = False
        self._told: set[str] = set()
        """units that were said to be lost"""
        self._answers = 0
        self._failing_since: dict[str, int] = {}
        """how many answers there were on the link when a unit failed first"""

    def good(self, unit: str, *, first: bool) -> None:
        """Note that a unit answered; `first` says that it never did before."""
        self._answers += 1
        self._failing_since.pop(unit, None)
        if self._down:
            self._down = False
            self._told.discard(unit)
            log.info("%s: answers again", self._link)
        elif unit in self._told:
            self._told.remove(unit)
            log.info("%s: answers again", unit)
        elif first:
            log.info("%s: answers", unit)

    def bad(self, unit: str, error: TransientError, *, is_open: bool, all_open: bool) -> None:
        """Note that a unit failed; `is_open` says that its breaker is open, `all_open` that all of the link are."""
        before = self._failing_since.setdefault(unit, self._answers)
        if not is_open or self._down or unit in self._told:
            return
        if all_open or isinstance(error, NotSentError):
            self._down = True
            log.warning("%s: lost: %s", self._link, error)
        elif self._answers > before:
            self._told.add(unit)
            log.warning("%s: lost: %s", unit, error)
