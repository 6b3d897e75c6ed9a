"""Working days end as a count minute by minute says, make-up days and unknown years included."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alarms.service.calendar import WorkCalendar, corrected, official
from gateway.errors import ConfigError

OFFICIAL = official()
BERLIN = WorkCalendar("Europe/Berlin", {}, date(2020, 1, 1), date(2030, 12, 31))
MINUTE = timedelta(minutes=1)
moments = st.datetimes(datetime(2021, 1, 1), datetime(2026, 11, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001
    lambda at: at.replace(second=0, microsecond=0)
)


def counted(start: datetime, count: int, calendar: WorkCalendar, hour: int, *, first: bool, working: bool) -> datetime:
    """Walk minute by minute until so many days have ended."""
    zone = ZoneInfo(calendar.timezone)
    begun = start.astimezone(zone).date()
    at, left = start, count
    while True:
        at += MINUTE
        local = at.astimezone(zone)
        day = local.date() - timedelta(days=hour == 24)
        ends = (local.hour, local.minute) == (hour % 24, 0)
        if not ends or (day == begun and not first) or (working and not calendar.works(day)):
            continue
        left -= 1
        if left <= 0:
            return at


@settings(max_examples=30, deadline=None)
@given(start=moments, count=st.integers(1, 6), calendar=st.sampled_from([OFFICIAL, BERLIN]))
def test_working_days_end_as_counted_by_the_minute(start: datetime, count: int, calendar: WorkCalendar) -> None:
    expected = counted(start, count, calendar, 18, first=False, working=True)
    assert calendar.working_days_after(start, count).at == expected


@settings(max_examples=30, deadline=None)
@given(start=moments, count=st.integers(0, 6), calendar=st.sampled_from([OFFICIAL, BERLIN]))
def test_days_end_as_counted_by_the_minute(start: datetime, count: int, calendar: WorkCalendar) -> None:
    expected = counted(start, count + 1, calendar, 24, first=True, working=False)
    assert calendar.days_after(start, count).at == expected


@pytest.mark.parametrize(
    ("day", "worked"),
    [("2026-10-01", False), ("2026-10-10", True), ("2026-10-11", False), ("2026-11-20", True), ("2026-02-17", False)],
)
def test_make_up_days_are_worked_and_holidays_are_not(day: str, worked: bool) -> None:
    assert OFFICIAL.works(date.fromisoformat(day)) is worked


def test_the_first_day_counts_only_where_it_is_worked() -> None:
    friday = datetime(2026, 11, 20, 1, tzinfo=UTC)
    assert OFFICIAL.working_days_after(friday, 3, first_counts=True).at == datetime(2026, 11, 24, 10, tzinfo=UTC)
    assert OFFICIAL.working_days_after(friday, 3).at == datetime(2026, 11, 25, 10, tzinfo=UTC)
    saturday = friday + timedelta(days=1)
    assert OFFICIAL.working_days_after(saturday, 1, first_counts=True).at == datetime(2026, 11, 23, 10, tzinfo=UTC)


def test_beyond_the_list_a_due_time_is_provisional_until_the_list_is_there(tmp_path: Path) -> None:
    late = datetime(OFFICIAL.until.year, 12, 31, 1, tzinfo=UTC)
    provisional = OFFICIAL.working_days_after(late, 1)
    assert provisional.provisional
    new_year = OFFICIAL.until + timedelta(days=1)
    path = tmp_path / "days.csv"
    path.write_text(f"date,working,name\n{new_year},0,New Year\n", encoding="utf-8")
    corrected_once = corrected(OFFICIAL, path)
    assert not corrected_once.works(new_year)
    assert corrected_once.working_days_after(late, 2).provisional, "one date is a correction, not the year's list"
    holidays = "".join(f"{new_year + timedelta(days=30 + day)},0,holiday\n" for day in range(10))
    path.write_text(f"date,working,name\n{new_year},0,New Year\n{holidays}", encoding="utf-8")
    loaded = corrected(OFFICIAL, path)
    assert not loaded.working_days_after(late, 2).provisional
    assert loaded.until.year == new_year.year


def test_it_warns_forty_five_days_before_the_list_ends() -> None:
    end = datetime.combine(OFFICIAL.until, datetime.min.time(), UTC)
    assert not OFFICIAL.ends_soon(end - timedelta(days=45))
    assert OFFICIAL.ends_soon(end - timedelta(days=44))
    assert OFFICIAL.ends_soon(end + timedelta(days=400))


@pytest.mark.parametrize("line", ["2027-02-30,0,x", "2027-02-06,2,x", "2027-02-06", "soon,1,x"])
def test_a_bad_line_of_the_file_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "days.csv"
    path.write_text(f"date,working,name\n2027-02-05,0,eve\n{line}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"days\.csv:3"):
        corrected(OFFICIAL, path)
