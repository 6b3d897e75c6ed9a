"""The days of a city that have been computed, and where each left it: any day can be asked for again.

Days are computed in order, since credit on cards, gas in pipes and registers come from the day before. A bounded number
of days is kept whole; of the others the state at their ends is kept, of long ago only every sixteenth.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from simulators.engine.block import compute
from simulators.engine.kit import Carry, Kit
from simulators.engine.moments import DayTable
from simulators.engine.wanted import DAY_H
from simulators.faults import HOUR_US, Fault
from simulators.faults.fault import ENDLESS
from simulators.valves import Closure

_CELLS_AT_ONCE = 1_000_000
"""meters times hours that are computed at a time"""
_CELLS_KEPT = 2_500_000
"""meters times hours of the days that are kept"""
_RECENT_DAYS, _KEPT_EVERY = 40, 16


class Tables:
    """Days of one city, counted from the begin of its history."""

    def __init__(self, kit: Kit, start: Carry) -> None:
        """Begin where the city stands at the begin of its history."""
        self._kit = kit
        self._carries = {0: start}
        self._days: OrderedDict[int, DayTable] = OrderedDict()
        self._faults: tuple[Fault, ...] = ()
        self._closures: tuple[Closure, ...] = ()
        cells = DAY_H * max(1, len(kit.plan.customers))
        self._block = min(16, max(1, _CELLS_AT_ONCE // cells))
        self._kept = min(64, max(2 * self._block, _CELLS_KEPT // cells, 3))

    def take(self, faults: Sequence[Fault], closures: Sequence[Closure]) -> None:
        """Go on with other faults and closed valves: what they change is computed again when it is asked for."""
        hourly = [fault for fault in faults if fault.of_volume]
        moments = (_first_change_us(self._faults, hourly), _first_change_us(self._closures, closures))
        self._faults, self._closures = tuple(hourly), tuple(closures)
        changed = [moment for moment in moments if moment is not None]
        if changed:
            day = max(0, (min(changed) // HOUR_US - self._kit.plan.start_hour) // DAY_H)
            self._carries = {at: carry for at, carry in self._carries.items() if at <= day}
            self._days = OrderedDict((at, table) for at, table in self._days.items() if at < day)

    def day(self, number: int) -> DayTable:
        """Return one day."""
        return self.days(number, 1)[0]

    def days(self, first: int, count: int) -> list[DayTable]:
        """Return some days that follow each other."""
        found: list[DayTable] = []
        for number in range(first, first + count):
            if number not in self._days:
                self._compute(number, first + count)
            self._days.move_to_end(number)
            found.append(self._days[number])
        return found

    def _compute(self, number: int, end: int) -> None:
        """Compute up to a day, and on to the end of its block but not beyond `end`."""
        at = max(day for day in self._carries if day <= number)
        while at <= number:
            count = min(self._block, end - at)
            start_hour = self._kit.plan.start_hour + at * DAY_H
            for table, carry in compute(
                self._kit, self._carries[at], self._faults, self._closures, first_hour=start_hour, days=count
            ):
                self._days[at] = table
                at += 1
                self._keep(at, carry)
            while len(self._days) > self._kept + count:
                self._days.popitem(last=False)

    def _keep(self, at: int, carry: Carry) -> None:
        self._carries[at] = carry
        old = at - _RECENT_DAYS
        if old > 0 and old % _KEPT_EVERY:
            self._carries.pop(old, None)


def _first_change_us(before: Sequence[Fault | Closure], now: Sequence[Fault | Closure]) -> int | None:
    """Return the first moment at which two lists of faults or closures differ; None if they do not.

    One that only ends at another time differs from the earlier end on.
    """
    moments: list[int] = []
    gone, new = Counter(before), Counter(now)
    ends: dict[Fault | Closure, list[int]] = {}
    for one in ((gone - new) + (new - gone)).elements():
        ends.setdefault(replace(one, end_us=None), []).append(ENDLESS if one.end_us is None else one.end_us)
    for one, times in ends.items():
        moments.append(min(times) if len(times) == 2 else one.start_us)
    return min(moments, default=None)
