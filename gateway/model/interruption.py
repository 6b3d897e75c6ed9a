"""A planned interruption of supply: what it stops, what was promised, and what really happened."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

NOTICE = timedelta(hours=48)
"""customers are told at least so long before; emergencies excepted"""
LONGEST = timedelta(hours=24)
"""supply is back within this after it stopped; then its alarms speak again in any case"""
WARN_AFTER = timedelta(hours=20)
SETTLING = timedelta(minutes=30)
"""how long after the restoring the alarms of what was stopped stay hidden"""
REPEATED_WITHIN = timedelta(days=30)
REPEATED = 2
"""so many stops of one zone within `REPEATED_WITHIN` call for joint planning"""


class InterruptionState(StrEnum):
    """How far it went; derived from what was recorded."""

    PLANNED = "planned"
    STOPPED = "stopped"
    RESTORED = "restored"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Interruption:
    """One interruption; all moments are recorded by people, none comes by the clock alone."""

    id: str
    zones: tuple[str, ...]
    """each with everything below it"""
    assets: tuple[str, ...]
    reason: str
    emergency: bool
    announced_at: datetime
    planned_start: datetime
    planned_end: datetime
    by: str
    short_notice: bool = False
    """announced later than promised, without being an emergency: a breach"""
    closed_at: datetime | None = None
    closed_by: str = ""
    restored_at: datetime | None = None
    restored_by: str = ""
    cancelled_at: datetime | None = None
    cancelled_by: str = ""
    ticket_no: str | None = None
    """its PLANNED ticket; an emergency has none"""

    @property
    def state(self) -> InterruptionState:
        """How far it went."""
        if self.cancelled_at is not None:
            return InterruptionState.CANCELLED
        if self.restored_at is not None:
            return InterruptionState.RESTORED
        return InterruptionState.PLANNED if self.closed_at is None else InterruptionState.STOPPED

    @property
    def notice_by(self) -> datetime:
        """Until when the customers must have been told."""
        return self.planned_start - NOTICE

    @property
    def hidden_until(self) -> datetime | None:
        """When the alarms of what it stopped speak again; None before the recorded closing."""
        if self.closed_at is None or self.cancelled_at is not None:
            return None
        latest = self.closed_at + LONGEST
        return latest if self.restored_at is None else min(latest, self.restored_at + SETTLING)

    def hides_at(self, now: datetime) -> bool:
        """Tell whether the alarms of what it stopped are hidden."""
        until = self.hidden_until
        return until is not None and self.closed_at is not None and self.closed_at <= now < until

    def overruns_at(self, now: datetime, after: timedelta = WARN_AFTER) -> bool:
        """Tell whether supply has been away for `after` and is not back."""
        stopped = self.state is InterruptionState.STOPPED
        return stopped and self.closed_at is not None and now - self.closed_at >= after


def repeated_zones(wanted: Interruption, others: Iterable[Interruption]) -> tuple[str, ...]:
    """Return the zones of `wanted` that are stopped at least twice in 30 days, it included; sorted."""
    starts = [
        (one.closed_at or one.planned_start, one.zones)
        for one in others
        if one.id != wanted.id and one.state is not InterruptionState.CANCELLED
    ]
    own = wanted.closed_at or wanted.planned_start
    near = [zones for start, zones in starts if abs(start - own) <= REPEATED_WITHIN]
    return tuple(sorted(zone for zone in wanted.zones if 1 + sum(zone in zones for zones in near) >= REPEATED))
