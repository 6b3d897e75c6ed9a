"""The report on the alarm system against an independent count, minute by minute of the wall clock."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from alarms.kpi import HOUR_US, Line, Span, edges_of, report, targets
from gateway.model.reading import from_us, to_us

US = 1_000_000


def some_lines(begin: int, end: int, seed: int) -> list[Line]:
    rng = np.random.default_rng(seed)
    quiet = rng.integers(begin - HOUR_US, end + HOUR_US, 300)
    burst = rng.integers(begin, end - HOUR_US) + rng.integers(0, 1200 * US, 120)
    events = ["announced", "announced_again", "raised", "chattering"]
    return [
        Line(
            int(at),
            f"A{int(rng.integers(30))}@X",
            str(rng.choice(events, p=[0.6, 0.1, 0.25, 0.05])),
            int(rng.integers(1, 5)),
        )
        for at in sorted([*quiet.tolist(), *burst.tolist()])
    ]


@pytest.mark.parametrize(
    ("first", "last", "timezone", "lengths"),
    [
        (date(2026, 3, 28), date(2026, 3, 30), "Europe/Berlin", [24, 23, 24]),
        (date(2026, 10, 24), date(2026, 10, 26), "Europe/Berlin", [24, 25, 24]),
        (date(2026, 1, 14), date(2026, 1, 15), "Asia/Shanghai", [24, 24]),
        (date(2026, 4, 4), date(2026, 4, 6), "Australia/Lord_Howe", [24, 24.5, 24]),
        (date(2026, 2, 1), date(2026, 2, 2), "Asia/Kathmandu", [24, 24]),
    ],
)
def test_every_figure_equals_a_plain_count(first: date, last: date, timezone: str, lengths: list[float]) -> None:
    days = edges_of(first, last, timezone)
    begin, end = days[0][1], days[-1][2]
    lines = some_lines(begin, end, seed=first.day)
    found = report(lines, [], [], days=days, until=end)
    zone = ZoneInfo(timezone)

    shown = [one for one in lines if one.event.startswith("announced") and begin <= one.at < end]
    minutes = Counter(one.at // (60 * US) for one in shown)
    slots: Counter[tuple[date, int]] = Counter()
    moment = datetime.combine(first, datetime.min.time(), zone).astimezone(UTC)
    since_midnight, today = 0, first
    while to_us(moment) < end:
        local = moment.astimezone(zone).date()
        since_midnight, today = (0, local) if local != today else (since_midnight, today)
        slots[today, since_midnight // 10] += minutes[to_us(moment) // (60 * US)]
        moment += timedelta(minutes=1)
        since_midnight += 1
    per_day = [[count for (day, _), count in slots.items() if day == each.day] for each in found.days]
    assert [len(each) / 6 for each in per_day] == lengths
    assert [one.buckets for one in found.days] == [len(each) for each in per_day]
    assert [one.announced for one in found.days] == [sum(each) for each in per_day]
    assert [one.busy_buckets for one in found.days] == [sum(count > 10 for count in each) for each in per_day]
    assert [one.most_in_bucket for one in found.days] == [max(each) for each in per_day]
    assert found.announced == len(shown) == sum(slots.values())
    assert found.per_bucket == pytest.approx(len(shown) / len(slots))
    assert found.per_hour == pytest.approx(len(shown) / sum(lengths))
    assert found.busy_share == pytest.approx(sum(count > 10 for count in slots.values()) / len(slots))
    assert 0 in slots.values(), "empty spans count"
    by_alarm = Counter(one.alarm_id for one in shown)
    assert dict(found.frequent) == dict(sorted(by_alarm.items(), key=lambda item: (-item[1], item[0]))[:10])
    assert list(found.by_priority) == [sum(one.priority == level for one in shown) for level in (1, 2, 3, 4)]
    assert found.chattering == len({one.alarm_id for one in lines if one.event == "chattering"})


def test_a_day_that_is_not_over_counts_only_what_is() -> None:
    days = edges_of(date(2026, 1, 14), date(2026, 1, 15), "Asia/Shanghai")
    until = days[-1][1] + 25 * 60 * US
    found = report([Line(days[1][1] + US, "A@X", "announced", 1)], [], [], days=days, until=until)
    assert [one.buckets for one in found.days] == [144, 3]
    assert found.per_day == pytest.approx(24 / (24 + 25 / 60))


def test_nothing_at_all_is_a_calm_report_and_not_an_error() -> None:
    days = edges_of(date(2026, 1, 14), date(2026, 1, 15), "Asia/Shanghai")
    found = report([], [], [], days=days, until=days[-1][2])
    assert (found.announced, found.floods, found.raised_to_acknowledged.median) == (0, 0, None)
    assert {one.verdict for one in targets(found)} == {"good", "few"}


def test_stale_fleeting_hidden_and_waiting_times() -> None:
    days = edges_of(date(2026, 1, 14), date(2026, 1, 16), "UTC")
    begin = days[0][1]
    hour = HOUR_US
    standing = [
        Span(begin - 23 * hour, begin + hour),  # exactly 24 h old when it ends
        Span(begin - 30 * hour, begin + hour),
        Span(begin + 2 * hour, None),
        Span(begin + 30 * hour, begin + 40 * hour),
    ]
    hidden = [Span(0, begin + 2 * hour, "shelved"), Span(begin + 70 * hour, None, "out_of_service")]
    lines = [
        Line(begin + 9 * US, "A@1", "returned", 2, since=begin),
        Line(begin + 9 * US, "A@2", "returned", 2, since=begin, acked=True),
        Line(begin + 11 * US, "A@3", "returned", 2, since=begin),
        *(Line(begin + n * US, "A@4", "acknowledged", 2, since=begin) for n in (1, 2, 3, 100)),
    ]
    found = report(lines, standing, hidden, days=days, until=days[-1][2])
    assert [one.stale for one in found.days] == [1, 1, 1]
    assert found.fleeting == 1
    assert found.hidden_hours == {"shelved": 2.0, "suppressed": 0.0, "out_of_service": 2.0}
    waits = found.raised_to_acknowledged
    assert (waits.count, waits.median, waits.p99, waits.worst) == (4, 3.0, 100.0, 100.0)
    assert found.device_to_raised.count == 0
    assert from_us(begin) == datetime(2026, 1, 14, tzinfo=UTC)
