"""The gas day: from a configured local hour to the same local hour of the next day (23 to 25 h)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from gateway.model.reading import to_us


@dataclass(frozen=True, slots=True)
class GasDay:
    """Turns moments into gas days and back, for one site."""

    timezone: str
    start: time

    def of(self, moment: datetime) -> date:
        """Return the gas day that an aware moment falls into."""
        local = moment.astimezone(ZoneInfo(self.timezone))
        return local.date() if local.timetz().replace(tzinfo=None) >= self.start else local.date() - timedelta(days=1)

    def begins(self, day: date) -> datetime:
        """Return the UTC moment at which a gas day begins."""
        return datetime.combine(day, self.start, ZoneInfo(self.timezone)).astimezone(UTC)

    def begins_us(self, day: date) -> int:
        """Return the moment at which a gas day begins in us UTC."""
        return to_us(self.begins(day))

    def ends(self, day: date) -> datetime:
        """Return the UTC moment at which a gas day ends."""
        return self.begins(day + timedelta(days=1))
