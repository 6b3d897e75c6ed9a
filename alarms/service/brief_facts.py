"""What the monthly brief is made from: tickets with their clocks, and call-backs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from alarms.service.clocks import Standing

LATE = frozenset({Standing.BREACHED, Standing.LATE})
OPEN = frozenset({Standing.RUNNING, Standing.WAITING, Standing.PAUSED})


@dataclass(frozen=True, slots=True)
class ClockFact:
    """One clock of a ticket: which row promised what, and how it stands."""

    clock: str
    promise_id: str
    standing: Standing
    due_at: datetime | None
    stopped_at: datetime | None


@dataclass(frozen=True, slots=True)
class TicketFact:
    """One ticket of the month, as far as the brief looks at it; times are UTC, None = not recorded."""

    ticket_no: str
    ticket_class: str
    type: str
    source: str
    """alarm, telephone or other"""
    district: str
    crew: str
    raised_at: datetime
    confirmed_at: datetime | None
    departed_at: datetime | None
    arrived_at: datetime | None
    completed_at: datetime | None
    reopened: int
    late_entries: int
    clocks: tuple[ClockFact, ...] = ()
    not_believed: int = 0
    """steps whose moment cannot be true"""
    replies: int = 0
    """steps that its crew reported"""
    visits: int = 0
    """arrivals among them"""
    reminders: int = 0
    """further calls about it"""
    same_caller: int = 0
    """those of them from a number that had called about it before"""
    repeats: str = ""
    """the ticket whose work had ended the same danger at the same place shortly before; empty if none had"""


@dataclass(frozen=True, slots=True)
class CallFact:
    """One call-back: level, whether anybody was reached, and the marks of the answers."""

    level: str
    tried: bool
    reached: bool
    marks: Mapping[str, int]
    in_time: bool
    ticket_no: str = ""
