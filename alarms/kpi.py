"""The report on the alarm system itself, as ISA-18.2 (IEC 62682) and EEMUA 191 ask for it. Pure.

Counted per operating position over whole local days, in ten-minute buckets that begin at local midnight, empty ones
included; a day of summer time's change has 23 or 25 hours. Times are us UTC.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from alarms.flood import floods
from gateway.model.reading import to_us

BUCKET_US = 600_000_000
HOUR_US = 3_600_000_000
BUSY = 10
"""more announcements than this in a bucket are too many for one person"""
FLEETING_US = 10_000_000
STALE_US = 24 * HOUR_US
TOP = 10
ENOUGH = 100
"""announcements below which their shares say nothing"""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the journal as the report needs it."""

    at: int
    alarm_id: str
    event: str
    priority: int
    since: int | None = None
    """what the event ended or answered: when the condition rose (returned), was raised (acknowledged), or the device's
    time (raised)"""
    acked: bool = False
    """somebody had acknowledged the occurrence"""


@dataclass(frozen=True, slots=True)
class Spread:
    """Seconds: the middle, the 99th of a hundred, the worst; None where nothing was measured."""

    count: int
    median: float | None
    p99: float | None
    worst: float | None


@dataclass(frozen=True, slots=True)
class Day:
    """One local day."""

    day: date
    announced: int
    buckets: int
    busy_buckets: int
    most_in_bucket: int
    stale: int
    """alarms that stood for more than 24 h at some moment of the day"""


@dataclass(frozen=True, slots=True)
class Report:
    """What the alarm system asked of one position."""

    days: tuple[Day, ...]
    announced: int
    per_bucket: float
    """mean over all buckets, empty ones too"""
    per_hour: float
    per_day: float
    """announced per 24 h"""
    busy_share: float
    most_in_bucket: int
    floods: int
    flood_share: float
    """of the time"""
    most_in_flood: int
    frequent: tuple[tuple[str, int], ...]
    """the ten most frequent alarms"""
    frequent_share: float
    by_priority: tuple[int, int, int, int]
    chattering: int
    """alarms that came and went"""
    fleeting: int
    """occurrences that were over within 10 s without anybody's act"""
    device_to_raised: Spread
    raised_to_acknowledged: Spread
    hidden_hours: dict[str, float]
    """alarm hours by kind: shelved, suppressed, out_of_service"""


@dataclass(frozen=True, slots=True)
class Span:
    """A time; `end` is None while it goes on."""

    begin: int
    end: int | None
    kind: str = ""


def edges_of(first: date, last: date, timezone: str) -> list[tuple[date, int, int]]:
    """Return each local day from `first` to `last` with its beginning and end, us UTC."""
    zone = ZoneInfo(timezone)
    days = [first + timedelta(days=n) for n in range((last - first).days + 2)]
    begins = [to_us(datetime.combine(day, time(), zone)) for day in days]
    return list(zip(days, begins, begins[1:], strict=False))


def report(
    lines: Sequence[Line],
    standing: Sequence[Span],
    hidden: Sequence[Span],
    *,
    days: Sequence[tuple[date, int, int]],
    until: int,
) -> Report:
    """Return the report over `days` (of `edges_of`), up to `until` if the last day is not over.

    `lines` are the journal's of one position in that time, `standing` how long conditions were visible, `hidden` what
    was hidden, by kind; both may begin before the first day.
    """
    begin, end = days[0][1], min(days[-1][2], until)
    shown = [line for line in lines if line.event in ("announced", "announced_again") and begin <= line.at < end]
    times = np.array(sorted(line.at for line in shown), dtype=np.int64)
    counts = [_buckets(times, first, min(last, end)) for _, first, last in days if first < end]
    buckets = np.concatenate(counts) if counts else np.zeros(0, dtype=np.int64)
    found = floods(times.tolist(), end)
    frequent = Counter(line.alarm_id for line in shown)
    top = tuple(sorted(frequent.items(), key=lambda item: (-item[1], item[0]))[:TOP])
    by_priority = Counter(line.priority for line in shown)
    hours = max(1e-9, (end - begin) / HOUR_US)
    return Report(
        days=tuple(
            Day(
                day,
                int(own.sum()),
                len(own),
                int((own > BUSY).sum()),
                int(own.max(initial=0)),
                _stale(standing, a, min(b, end)),
            )
            for (day, a, b), own in zip(days, counts, strict=False)
        ),
        announced=len(shown),
        per_bucket=float(buckets.mean()) if len(buckets) else 0.0,
        per_hour=len(shown) / hours,
        per_day=24.0 * len(shown) / hours,
        busy_share=float((buckets > BUSY).mean()) if len(buckets) else 0.0,
        most_in_bucket=int(buckets.max(initial=0)),
        floods=len(found),
        flood_share=sum((end if one.end is None else min(one.end, end)) - one.begin for one in found) / (end - begin),
        most_in_flood=max((one.announced for one in found), default=0),
        frequent=top,
        frequent_share=sum(count for _, count in top) / len(shown) if shown else 0.0,
        by_priority=(by_priority[1], by_priority[2], by_priority[3], by_priority[4]),
        chattering=len({line.alarm_id for line in lines if line.event in ("chattering", "repair")}),
        fleeting=sum(_fleeting(line) for line in lines),
        device_to_raised=_spread(lines, "raised"),
        raised_to_acknowledged=_spread(lines, "acknowledged"),
        hidden_hours=_hours(hidden, begin, end),
    )


def _buckets(times: NDArray[np.int64], begin: int, end: int) -> NDArray[np.int64]:
    """Return announcements in each bucket of a day that begins at `begin`; the last one may be cut."""
    own = times[(times >= begin) & (times < end)]
    count = -(-(end - begin) // BUCKET_US)
    return np.bincount((own - begin) // BUCKET_US, minlength=count).astype(np.int64)


def _stale(standing: Iterable[Span], begin: int, end: int) -> int:
    return sum(
        one.begin + STALE_US < end and (one.end is None or one.end > max(begin, one.begin + STALE_US))
        for one in standing
    )


def _fleeting(line: Line) -> bool:
    return (
        line.event == "returned" and line.since is not None and not line.acked and line.at - line.since <= FLEETING_US
    )


def _spread(lines: Iterable[Line], event: str) -> Spread:
    return spread_of((line.at - line.since) / 1e6 for line in lines if line.event == event and line.since is not None)


def spread_of(seconds: Iterable[float]) -> Spread:
    """Return the spread of some waits in seconds."""
    waits = list(seconds)
    if not waits:
        return Spread(0, None, None, None)
    middle, high = np.percentile(waits, [50, 99], method="higher")
    return Spread(len(waits), float(middle), float(high), max(waits))


def _hours(spans: Iterable[Span], begin: int, end: int) -> dict[str, float]:
    hours = {"shelved": 0.0, "suppressed": 0.0, "out_of_service": 0.0}
    for one in spans:
        inside = min(end, end if one.end is None else one.end) - max(begin, one.begin)
        hours[one.kind] += max(0, inside) / HOUR_US
    return hours


@dataclass(frozen=True, slots=True)
class Target:
    """What a measure should be, and where it is too much."""

    name: str
    value: float
    target: float
    most: float | None
    few: bool = False
    """there were too few announcements to judge a share of them"""

    @property
    def verdict(self) -> str:
        """`good`, `fair` between target and limit, `bad`, `few` if there is too little to judge."""
        if self.few:
            return "few"
        if self.value <= self.target:
            return "good"
        return "fair" if self.most is not None and self.value <= self.most else "bad"


def targets(found: Report) -> list[Target]:
    """Hold a report against the usual figures of EEMUA 191 and ISA-18.2."""
    worst_day = max((day.stale for day in found.days), default=0)
    shares = [count / found.announced if found.announced else 0.0 for count in found.by_priority]
    few = found.announced < ENOUGH
    return [
        Target("announced per 10 minutes", found.per_bucket, 1.0, 2.0),
        Target("announced per hour", found.per_hour, 6.0, 12.0),
        Target("announced per day", found.per_day, 150.0, 300.0),
        Target("share of 10-minute spans with more than 10", found.busy_share, 0.01, None),
        Target("share of time in flood", found.flood_share, 0.01, None),
        Target("most in 10 minutes", float(found.most_in_bucket), 10.0, None),
        Target("share of the 10 most frequent", found.frequent_share, 0.01, 0.05, few=few),
        Target("share of priority 1", shares[0], 0.01, None, few=few),
        Target("share of priority 2", shares[1], 0.05, None, few=few),
        Target("share of priority 3", shares[2], 0.15, None, few=few),
        Target("chattering alarms", float(found.chattering), 0.0, None),
        Target("fleeting occurrences", float(found.fleeting), 0.0, None),
        Target("stale alarms on the worst day", float(worst_day), 4.0, None),
    ]
