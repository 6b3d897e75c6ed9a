"""Alarms that come and go: marked at three in a minute, shelved for a while at five in ten minutes. Pure."""

from __future__ import annotations

from collections import deque
from datetime import datetime, timedelta
from enum import StrEnum

from gateway.model.alarm import Alarm, Definition, Priority

MARK_WITHIN = timedelta(seconds=60)
MARK_AT = 3
SHELVE_WITHIN = timedelta(minutes=10)
SHELVE_AT = 5
SHELVE_FOR = timedelta(minutes=30)
SHIFT = timedelta(hours=8)
MOST_IN_A_SHIFT = 2
"""so often the system shelves one alarm within a shift; then it wants a repair"""


class Measure(StrEnum):
    """What is to be done about an alarm that rose again."""

    NONE = "none"
    MARK = "mark"
    SHELVE = "shelve"
    REPAIR = "repair"


class Chatter:
    """Remembers the last occurrences of each alarm; its size is bounded by what rises within a shift.

    Telling it the same occurrence again changes nothing, so that what could not be committed may be judged anew.
    """

    def __init__(self) -> None:
        self._rises: dict[str, deque[datetime]] = {}
        self._marked: dict[str, datetime] = {}
        self._shelved: dict[str, list[datetime]] = {}
        self._repair: dict[str, datetime] = {}

    def restore(self, alarm_id: str, event: str, at: datetime) -> None:
        """Take what the journal tells: `raised`, `chattering`, `shelved` (by the system) or `repair`."""
        if event == "raised":
            self._note(alarm_id, at)
        elif event == "chattering":
            self._marked[alarm_id] = at
        elif event == "shelved":
            self._shelved.setdefault(alarm_id, []).append(at)
        elif event == "repair":
            self._repair[alarm_id] = at

    def rise(self, alarm_id: str, at: datetime, *, shelvable: bool) -> Measure:
        """Take an occurrence at `at` (device time) and return what is to be done, the gravest measure."""
        rises = self._note(alarm_id, at)
        often = sum(at - SHELVE_WITHIN < one <= at for one in rises) >= SHELVE_AT
        quick = sum(at - MARK_WITHIN < one <= at for one in rises) >= MARK_AT
        if often and shelvable:
            recent = [one for one in self._shelved.get(alarm_id, []) if at - SHIFT < one < at]
            if len(recent) < MOST_IN_A_SHIFT:
                self._shelved[alarm_id] = [*recent, at]
                return Measure.SHELVE
        if often and not _within(self._repair.get(alarm_id), at, SHIFT):
            self._repair[alarm_id] = at
            return Measure.REPAIR
        if (quick or often) and not _within(self._marked.get(alarm_id), at, SHELVE_WITHIN):
            self._marked[alarm_id] = at
            return Measure.MARK
        return Measure.NONE

    def _note(self, alarm_id: str, at: datetime) -> deque[datetime]:
        rises = self._rises.setdefault(alarm_id, deque(maxlen=2 * SHELVE_AT))
        if at not in rises:
            rises.append(at)
        return rises

    def forget(self, before: datetime) -> None:
        """Drop what lies before a moment; keep at least a shift."""
        self._rises = {name: rises for name, rises in self._rises.items() if rises[-1] >= before}
        self._marked = {name: at for name, at in self._marked.items() if at >= before}
        self._repair = {name: at for name, at in self._repair.items() if at >= before}
        self._shelved = {name: ats for name, ats in self._shelved.items() if ats[-1] >= before}


def shelf_end(alarm: Alarm, definition: Definition, now: datetime) -> datetime | None:
    """Return until when the system may shelve an alarm, None if it must go on sounding."""
    may = definition.shelvable and not definition.highly_managed and alarm.priority is not Priority.P1
    if not may or alarm.shelf is not None or alarm.oos is not None:
        return None
    return now + min(SHELVE_FOR, definition.max_shelve)


def _within(moment: datetime | None, at: datetime, span: timedelta) -> bool:
    return moment is not None and at - span < moment < at
