"""Clocks of a ticket: a function of its steps, the promise and the calendar; each can be computed again. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from alarms.service.calendar import CLOSES, Due, WorkCalendar
from alarms.service.policy import ClockKind, Promise, Unit

AFTERWARDS = frozenset({"left_site", "completed"})
"""start steps of clocks that go on when the ticket has ended: work is checked, or a site cleared, later"""

Steps = Mapping[str, Sequence[datetime]]
"""when each step was taken, oldest first, UTC; a step that nobody reported is missing"""


BEGIN = ("raised", "opened", "reported", "released")
"""steps that are taken when a ticket is raised, unless they are recorded"""


class Standing(StrEnum):
    """How a clock stands at a moment."""

    WAITING = "waiting"
    """its start step has not come"""
    RUNNING = "running"
    PAUSED = "paused"
    """it stands, because the customer is awaited"""
    LATE = "late"
    """past its due time, and not stopped"""
    MET = "met"
    BREACHED = "breached"
    NOT_RECORDED = "not_recorded"
    """the ticket has ended and a step of the clock was never reported: counts as late, never as met"""
    CANCELLED = "cancelled"
    """the ticket was cancelled before the clock was due: counts for neither"""


@dataclass(frozen=True, slots=True)
class Pause:
    """A time in which a clock stands; `until` is None while it does."""

    since: datetime
    until: datetime | None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ClockState:
    """One clock of one ticket at one moment; times are UTC."""

    clock: str
    promise_id: str
    revision: int
    kind: ClockKind
    standing: Standing
    started_at: datetime | None = None
    due_at: datetime | None = None
    stopped_at: datetime | None = None
    provisional: bool = False
    """True if the due time counts days that no official calendar tells yet"""

    @property
    def kept(self) -> bool | None:
        """Return whether the promise was kept, None while that is open."""
        match self.standing:
            case Standing.MET:
                return True
            case Standing.BREACHED | Standing.NOT_RECORDED | Standing.LATE:
                return False
            case _:
                return None


def read_clock(
    promise: Promise,
    steps: Steps,
    now: datetime,
    calendar: WorkCalendar,
    *,
    ended: bool = False,
    pauses: Sequence[Pause] = (),
    agreed: datetime | None = None,
) -> ClockState:
    """Return how a clock stands at `now`; steps after `now` are not looked at.

    `ended` says that the ticket is completed or cancelled; `agreed` is a due time that was agreed with the customer.
    Pauses count only where the promise allows them.
    """
    known = {name: [at for at in times if at <= now] for name, times in steps.items()}
    match promise.kind:
        case ClockKind.DEADLINE:
            state = _deadline(promise, known, now, calendar, ended=ended, pauses=pauses, agreed=agreed)
        case ClockKind.NOT_BEFORE:
            state = _not_before(promise, known, ended=ended)
        case ClockKind.LEAD_TIME:
            state = _lead_time(promise, known, steps, now)
    gone = _cancelled_at(known) if ended else None
    if gone is None or state.stopped_at is not None or (state.due_at is not None and state.due_at <= gone):
        return state
    return replace(state, standing=Standing.CANCELLED)


def due(promise: Promise, start: datetime, calendar: WorkCalendar, pauses: Sequence[Pause] = ()) -> Due | None:
    """Return when a deadline that began at `start` is over; None while it stands.

    Of minutes, those in which the clock stands do not count; of days, those at whose end it stands.
    """
    stands = [pause for pause in pauses if pause.until is None or pause.until > start] if promise.pausable else []
    if promise.unit is Unit.MINUTES:
        return _after_minutes(start, timedelta(minutes=promise.limit), stands)
    begun = [pause.since for pause in stands if pause.until is None]
    if begun:
        # what was over before the clock came to stand stays over
        before = due(promise, start, calendar, [pause for pause in stands if pause.until is not None])
        return before if before is not None and before.at <= min(begun) else None
    count = promise.limit
    while True:
        if promise.unit is Unit.DAYS:
            found = calendar.days_after(start, count)
        else:
            found = calendar.working_days_after(start, count, first_counts=promise.first_day)
        lost = _stood(promise, stands, start, found.at, calendar)
        if promise.limit + lost == count:
            return found
        count = promise.limit + lost


def _deadline(
    promise: Promise,
    steps: Steps,
    now: datetime,
    calendar: WorkCalendar,
    *,
    ended: bool,
    pauses: Sequence[Pause],
    agreed: datetime | None,
) -> ClockState:
    start, stop = _first(steps, promise.start), None
    if start is not None:
        stop = _first(steps, promise.stop, start)
    if start is None:
        return _state(promise, Standing.NOT_RECORDED if ended else Standing.WAITING)
    limit = Due(agreed) if agreed is not None else due(promise, start, calendar, pauses)
    if limit is None and stop is not None:
        closed = [Pause(pause.since, pause.until or stop, pause.reason) for pause in pauses]
        limit = due(promise, start, calendar, closed)
    if limit is None:
        return _state(promise, Standing.NOT_RECORDED if ended else Standing.PAUSED, start)
    if stop is not None:
        standing = Standing.MET if stop <= limit.at else Standing.BREACHED
    elif ended and promise.start not in AFTERWARDS:
        standing = Standing.NOT_RECORDED
    else:
        standing = Standing.LATE if now > limit.at else Standing.RUNNING
    return _state(promise, standing, start, limit, stop)


def _not_before(promise: Promise, steps: Steps, *, ended: bool) -> ClockState:
    """Judge every stay: each start step arms the clock anew, and the next stop step ends it."""
    starts, stops = steps.get(promise.start, ()), steps.get(promise.stop, ())
    limit = timedelta(minutes=promise.limit)
    stays = []
    for index, start in enumerate(starts):
        following = starts[index + 1] if index + 1 < len(starts) else None
        stop = _first(steps, promise.stop, start)
        # armed again before anybody left: only the last arming counts
        if following is not None and (stop is None or stop >= following):
            continue
        stays.append((start, stop))
    if not stays:
        # who left a site where no start step was reported cannot have stayed for a known time
        return _state(promise, Standing.NOT_RECORDED if ended or stops else Standing.WAITING)
    early = [(start, stop) for start, stop in stays if stop is not None and stop < start + limit]
    start, stop = early[-1] if early else stays[-1]
    if early:
        standing = Standing.BREACHED
    elif stop is not None:
        standing = Standing.MET
    elif ended:
        standing = Standing.NOT_RECORDED
    else:
        standing = Standing.RUNNING
    return _state(promise, standing, start, Due(start + limit), stop)


def _lead_time(promise: Promise, steps: Steps, planned: Steps, now: datetime) -> ClockState:
    """Judge a notice: `planned` holds the moment that is announced, which may lie ahead."""
    moments = planned.get(promise.stop, ())
    given = _first(steps, promise.start)
    if not moments:
        return _state(promise, Standing.WAITING, given)
    limit = Due(moments[-1] - timedelta(minutes=promise.limit))
    if given is not None:
        return _state(promise, Standing.MET if given <= limit.at else Standing.BREACHED, given, limit, given)
    return _state(promise, Standing.LATE if now > limit.at else Standing.RUNNING, None, limit)


def _state(
    promise: Promise,
    standing: Standing,
    start: datetime | None = None,
    limit: Due | None = None,
    stop: datetime | None = None,
) -> ClockState:
    at, provisional = (None, False) if limit is None else (limit.at, limit.provisional)
    return ClockState(promise.clock, promise.id, promise.revision, promise.kind, standing, start, at, stop, provisional)


def _cancelled_at(steps: Steps) -> datetime | None:
    """Return when a ticket was cancelled, None if work on it went on and was completed."""
    cancelled, completed = steps.get("cancelled", ()), steps.get("completed", ())
    if not cancelled or (completed and completed[-1] > cancelled[-1]):
        return None
    return cancelled[-1]


def _first(steps: Steps, name: str, not_before: datetime | None = None) -> datetime | None:
    return next((at for at in steps.get(name, ()) if not_before is None or at >= not_before), None)


def _after_minutes(start: datetime, limit: timedelta, stands: Sequence[Pause]) -> Due | None:
    at, left = start, limit
    for since, until in _merged(stands):
        if since > at:
            if at + left <= since:
                break
            left -= since - at
        if until is None:
            return None
        at = max(at, until)
    return Due(at + left)


def _merged(stands: Sequence[Pause]) -> list[tuple[datetime, datetime | None]]:
    """Return pauses in order of time, overlapping ones as one."""
    merged: list[tuple[datetime, datetime | None]] = []
    for pause in sorted(stands, key=lambda pause: pause.since):
        if merged and (merged[-1][1] is None or pause.since <= merged[-1][1]):
            before = merged[-1][1]
            longest = None if before is None or pause.until is None else max(before, pause.until)
            merged[-1] = (merged[-1][0], longest)
        else:
            merged.append((pause.since, pause.until))
    return merged


def _stood(promise: Promise, stands: Sequence[Pause], start: datetime, end: datetime, calendar: WorkCalendar) -> int:
    """Return on how many of the (working) days that are counted up to `end` the clock stood at the day's end."""
    zone, working = ZoneInfo(calendar.timezone), promise.unit is Unit.WORKING_DAYS
    first, last = calendar.local(start).date(), calendar.local(end - timedelta(microseconds=1)).date()
    start_counts = promise.first_day or promise.limit == 0
    count, day = 0, first - timedelta(days=start_counts)
    while day < last:
        day += timedelta(days=1)
        if working and not calendar.works(day):
            continue
        closes = datetime.combine(day, CLOSES, zone) if working else datetime.combine(day, time(23, 59, 59), zone)
        at = closes.astimezone(UTC)
        count += any(pause.since <= at and (pause.until is None or at < pause.until) for pause in stands)
    return count
