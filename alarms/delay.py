"""On-delay and off-delay of one condition, by device time. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

STOPPED = -1
MISSING_POLLS = 3


@dataclass(frozen=True, slots=True)
class Delay:
    """How long a good signal must stay beyond, or inside, before the condition changes; us."""

    on_us: int
    off_us: int
    gap_us: int
    """a pause between good samples longer than this starts the delay anew; 0 = unknown, no limit"""


@dataclass(frozen=True, slots=True)
class Timer:
    """Where one condition stands; us of device time, STOPPED where nothing runs or was seen."""

    cond: bool
    since: int = STOPPED
    last: int = STOPPED


@dataclass(frozen=True, slots=True)
class Crossing:
    """The sample, by its place in the sequence, at which the condition changed."""

    at: int
    rises: bool


def shape(
    timer: Timer, delay: Delay, times: Sequence[int], beyond: Sequence[bool], inside: Sequence[bool]
) -> tuple[Timer, list[Crossing]]:
    """Feed good samples in increasing device time; return the new timer and the changes on the way.

    `beyond`: at or beyond the limit. `inside`: within the limit less its deadband. A sample that is neither keeps
    an active condition active and a normal one normal, and breaks a running delay. A delay of 0 needs one sample.
    """
    cond, since, last = timer.cond, timer.since, timer.last
    changes: list[Crossing] = []
    for place, (time, out, well) in enumerate(zip(times, beyond, inside, strict=True)):
        if since != STOPPED and delay.gap_us and time - last > delay.gap_us:
            since = STOPPED
        last = time
        if not (well if cond else out):
            since = STOPPED
            continue
        since = time if since == STOPPED else since
        if time - since >= (delay.off_us if cond else delay.on_us):
            cond, since = not cond, STOPPED
            changes.append(Crossing(place, cond))
    return Timer(cond, since, last), changes
