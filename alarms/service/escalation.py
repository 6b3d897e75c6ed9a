"""Who is told when a clock runs out: the rungs of a promise's ladder as moments. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from alarms.service.clocks import ClockState, Standing
from alarms.service.policy import ClockKind, Promise

_OPEN = (Standing.RUNNING, Standing.LATE)


@dataclass(frozen=True, slots=True)
class Call:
    """Somebody is told of one clock; each (rung, repetition) is told once."""

    rung: int
    repetition: int
    tell: str
    at: datetime
    """when it was due to be told"""
    breach: bool
    """True at or after the limit"""


def calls(promise: Promise, state: ClockState, now: datetime) -> list[Call]:
    """Return what was due to be told by `now`, in order of time; of repetitions only the newest.

    A clock that was stopped, stands or waits tells nothing more: whoever was told before is not told again. Only who
    left too early is told of at once: the limit of a stay is broken by going, and kept by time.
    """
    if promise.kind is ClockKind.NOT_BEFORE and state.stopped_at is not None and state.standing is Standing.BREACHED:
        return [
            Call(number, 0, rung.tell, state.stopped_at, breach=True)
            for number, rung in enumerate(promise.ladder)
            if rung.at >= 1.0
        ]
    if state.standing not in _OPEN:
        return []
    found = []
    for number, rung in enumerate(promise.ladder):
        first = _moment(promise, state, rung.at)
        if first is None or first > now:
            continue
        repetition = (now - first) // timedelta(minutes=rung.every_minutes) if rung.every_minutes else 0
        at = first + repetition * timedelta(minutes=rung.every_minutes)
        found.append(Call(number, repetition, rung.tell, at, rung.at >= 1.0))
    return sorted(found, key=lambda call: call.at)


def next_moment(promise: Promise, state: ClockState, now: datetime) -> datetime | None:
    """Return when this clock next changes by time alone: a rung, a repetition or its due time; None if never."""
    if state.standing not in _OPEN or state.due_at is None:
        return None
    moments = [state.due_at]
    for rung in promise.ladder:
        first = _moment(promise, state, rung.at)
        if first is None:
            continue
        if first > now or not rung.every_minutes:
            moments.append(first)
        else:
            every = timedelta(minutes=rung.every_minutes)
            moments.append(first + ((now - first) // every + 1) * every)
    return min((at for at in moments if at > now), default=None)


def _moment(promise: Promise, state: ClockState, share: float) -> datetime | None:
    """Return when a share of the limit is over; of a notice that has no start only the limit itself is known."""
    if state.due_at is None or (promise.kind is ClockKind.NOT_BEFORE and share >= 1.0):
        return None
    if state.started_at is None:
        return state.due_at if share >= 1.0 else None
    return state.started_at + share * (state.due_at - state.started_at)
