"""The site's clock as charts and tables show it, across changes of summer time."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)
_MINUTE = timedelta(minutes=1)
_YEAR = timedelta(days=366)


def offset_ms(timezone: str, moment: datetime) -> int:
    """Return how far the site's clock is ahead of UTC."""
    offset = moment.astimezone(ZoneInfo(timezone)).utcoffset()
    return 0 if offset is None else int(offset.total_seconds() * 1000)


def zone_label(timezone: str, moment: datetime) -> str:
    """Return the zone's distance from UTC."""
    return _label(offset_ms(timezone, moment))


def zone_of_year(timezone: str, now: datetime) -> str:
    """Return what names the zone for times of any season: the distance from UTC where it is always the same."""
    clock = site_time(timezone, now - _YEAR, now)
    return timezone if len(set(clock.ahead_ms)) > 1 else clock.label


def _label(ahead_ms: int) -> str:
    return f"UTC{ahead_ms / 3_600_000:+g}"


@dataclass(frozen=True, slots=True)
class SiteTime:
    """The site's clock over a span: from each of `since_ms` (UTC) on it is so many ms ahead of UTC."""

    since_ms: Sequence[int]
    ahead_ms: Sequence[int]

    @property
    def label(self) -> str:
        """How far the clock is ahead, at the beginning and after each change; each once."""
        return " / ".join(dict.fromkeys(_label(ahead) for ahead in self.ahead_ms))

    def of(self, at_ms: int) -> int:
        """Return what the site's clock shows at a time, as ms since 1970 there."""
        return at_ms + self.ahead_ms[max(0, bisect_right(self.since_ms, at_ms) - 1)]


def site_time(timezone: str, start: datetime, end: datetime) -> SiteTime:
    """Return the site's clock from `start` to `end`, with each change to the minute."""
    at = start.astimezone(UTC)
    since, ahead = [_ms(at)], [offset_ms(timezone, at)]
    while at < end:
        following = min(at + _DAY, end)
        if offset_ms(timezone, following) != ahead[-1]:
            following = _change(timezone, at, following)
            since.append(_ms(following))
            ahead.append(offset_ms(timezone, following))
        at = following
    return SiteTime(since, ahead)


def _change(timezone: str, before: datetime, after: datetime) -> datetime:
    """Return the minute at which the clock is set, somewhere between two times."""
    own = offset_ms(timezone, before)
    while after - before > _MINUTE:
        middle = before + (after - before) / 2
        before, after = (middle, after) if offset_ms(timezone, middle) == own else (before, middle)
    return after.replace(second=0, microsecond=0)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
