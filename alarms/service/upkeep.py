"""Work that comes with time alone: meters past their life are listed for exchange, day by day, the oldest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeVar

from alarms.service.calendar import OPENS, WorkCalendar
from gateway.model.network import Network
from gateway.ports import Clock
from gateway.store import work_rows
from gateway.store.state import State, put_cursor
from gateway.store.work_rows import WorkItem

CURSOR = "upkeep"
"""name of the cursor that stands on the last day (since 1970) whose list was made"""
EXCHANGE = "exchange"
LIFE_YEARS = 10
"""of a household meter, after which it is exchanged (company standard 001)"""
A_DAY = 5_000
"""longest list of one day; what is left of a backlog follows on the next days"""
_AT_ONCE = 200
_EPOCH = date(1970, 1, 1)
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Makes the daily lists. Safe for threads: each call is some transactions."""

    state: State
    network: Network
    calendar: WorkCalendar
    clock: Clock

    def morning(self) -> int:
        """List what fell due once a day's morning has come; return how many items are new.

        A meter that was exchanged since leaves its list by itself.
        """
        now = self.clock.now()
        local = self.calendar.local(now)
        today = (local.date() - _EPOCH).days
        if local.time() < OPENS or today <= self.state.cursor(CURSOR) <= today + 1:
            return 0
        self._settle(now)
        due = self.network.installed_before(_years_before(local.date(), LIFE_YEARS))
        with self.state.read() as connection:
            known = work_rows.keys_of(connection, EXCHANGE)
        fresh = [(meter, day) for meter, day in due if _key(meter, day) not in known][:A_DAY]
        for some in _batches(fresh):
            items = [
                WorkItem(_key(meter, day), EXCHANGE, meter, {"installed_on": f"{day}"}, now) for meter, day in some
            ]
            with self.state.write() as connection:
                work_rows.add(connection, items)
        with self.state.write() as connection:
            put_cursor(connection, CURSOR, today)
        return len(fresh)

    def _settle(self, now: datetime) -> None:
        """Close the items of meters that are others now, or gone."""
        with self.state.read() as connection:
            waiting = work_rows.open_of(connection, EXCHANGE)
        over = [one for one in waiting if not self._stands(one.item)]
        for some in _batches(over):
            with self.state.write() as connection:
                for one in some:
                    work_rows.done(connection, one.id, "gasgate", "another meter stands there now", now)

    def _stands(self, item: WorkItem) -> bool:
        meter = self.network.meters.get(item.subject)
        return meter is not None and _key(item.subject, meter.installed_on) == item.key


def _key(meter: str, installed_on: date) -> str:
    return f"{EXCHANGE}:{meter}:{installed_on}"


def _years_before(day: date, years: int) -> date:
    """Return the same day so many years before; 28 February for a leap day that was none."""
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        return day.replace(year=day.year - years, day=28)


def _batches(rows: Sequence[_T]) -> Iterator[Sequence[_T]]:
    for at in range(0, len(rows), _AT_ONCE):
        yield rows[at : at + _AT_ONCE]
