"""Working days: which dates are worked, where the official list ends, and when so many of them are over.

The official list (public holidays and the weekends that are worked instead, as the State Council announces them for
one year at a time) comes from the package `chinesecalendar`; a company corrects it by a file.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from chinese_calendar import constants

from gateway.errors import ConfigError

SATURDAY = 5
OPENS = time(8, 0)
"""local time at which a working day begins"""
CLOSES = time(18, 0)
"""local time at which a working day ends"""
WARN_BEFORE = timedelta(days=45)
"""so long before the list ends a new one has to be loaded; the next year's is announced each November"""
WHOLE_YEAR = 10
"""so many dates of a year are its list, fewer are corrections; an official list has over thirty"""
_HEAD = ("date", "working", "name")
_WORKING = {"0": False, "1": True}
MOST_DAYS = 5_000
"""longest limit in days; pauses may add to it"""
_MOST_COUNTED = 2 * MOST_DAYS


@dataclass(frozen=True, slots=True)
class Due:
    """A moment (UTC) by which something has to be done."""

    at: datetime
    provisional: bool = False
    """True if days were counted that no official list tells yet: it is computed again when the list is there"""


@dataclass(frozen=True, slots=True)
class WorkCalendar:
    """Dates that are worked. Beyond the list Monday to Friday are taken, provisionally."""

    timezone: str
    listed: Mapping[date, bool] = field(repr=False)
    """dates that differ from Monday to Friday, or are confirmed by name, and whether they are worked"""
    first: date
    until: date
    """the list holds all exceptions from `first` to this date, both included"""

    def works(self, day: date) -> bool:
        """Return whether a date is worked."""
        return self.listed.get(day, day.weekday() < SATURDAY)

    def is_open(self, at: datetime) -> bool:
        """Return whether a moment lies in working hours."""
        local = self.local(at)
        return self.works(local.date()) and OPENS <= local.time() < CLOSES

    def is_certain(self, day: date) -> bool:
        """Return whether the list, or a correction, tells of a date."""
        return day in self.listed or self.first <= day <= self.until

    def ends_soon(self, now: datetime) -> bool:
        """Return whether a new list has to be loaded."""
        return self.until - self.local(now).date() < WARN_BEFORE

    def local(self, at: datetime) -> datetime:
        """Return a moment in local time."""
        return at.astimezone(ZoneInfo(self.timezone))

    def days_after(self, start: datetime, count: int) -> Due:
        """Return the end (24:00 local) of the `count`-th day after the start day; 0 = the same day."""
        return Due(self._moment(self.local(start).date() + timedelta(days=count + 1), time()))

    def working_days_after(self, start: datetime, count: int, *, first_counts: bool = False) -> Due:
        """Return the end (18:00 local) of the `count`-th working day after the start day.

        With `first_counts` the start day is the first of them, if it is worked. Raises ValueError for a count that is
        not positive or larger than 10,000.
        """
        if not 1 <= count <= _MOST_COUNTED:
            raise ValueError(f"{count} working days cannot be counted")
        day = self.local(start).date()
        certain, left = True, count
        if not first_counts:
            day += timedelta(days=1)
        while True:
            certain = certain and self.is_certain(day)
            left -= self.works(day)
            if not left:
                return Due(self._moment(day, CLOSES), provisional=not certain)
            day += timedelta(days=1)

    def _moment(self, day: date, at: time) -> datetime:
        return datetime.combine(day, at, ZoneInfo(self.timezone)).astimezone(UTC)


@cache
def official(timezone: str = "Asia/Shanghai") -> WorkCalendar:
    """Return the official working days of China, as far as they are announced."""
    off, worked = constants.holidays, constants.workdays
    listed = {**dict.fromkeys(off, False), **dict.fromkeys(worked, True)}
    years = [day.year for day in listed]
    return WorkCalendar(timezone, listed, date(min(years), 1, 1), date(max(years), 12, 31))


def corrected(calendar: WorkCalendar, path: Path) -> WorkCalendar:
    """Return a calendar with a company's file of dates laid over it.

    The file has the columns `date` (ISO), `working` (0 or 1) and `name`. A year that follows the official list counts
    as listed when the file holds at least ten dates of it. Raises ConfigError that names line and remedy.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {error}"]) from error
    if not rows or tuple(cell.strip() for cell in rows[0]) != _HEAD:
        raise ConfigError([f"{path}:1: the first line must be {','.join(_HEAD)}"])
    found: dict[date, bool] = {}
    problems = []
    for number, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        try:
            day, working, _ = row
            found[date.fromisoformat(day.strip())] = _WORKING[working.strip()]
        except (ValueError, KeyError):
            problems.append(f"{path}:{number}: {','.join(row)!r} is no date; write e.g. 2027-02-06,0,Spring Festival")
    if problems:
        raise ConfigError(problems)
    count, until = Counter(day.year for day in found), calendar.until
    while count[until.year + 1] >= WHOLE_YEAR:
        until = date(until.year + 1, 12, 31)
    return WorkCalendar(calendar.timezone, {**calendar.listed, **found}, calendar.first, until)
