from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.customers import Customers
from simulators.meters.arrivals import (
    FLAG_CLOCK_RESET,
    FLAG_LOW_BATTERY,
    LONGEST_DELAY_H,
    Arrivals,
    arrivals,
)
from simulators.meters.habits import Habits, Way, build_habits, supply_habits
from simulators.meters.schedule import Schedule, reports
from simulators.meters.troubles import OUTAGE_BLOCK_H, outages, resets, troubles

HOUR = 482_136
HOUR_US = 3_600_000_000
DAY = 24
SEED = 5


def table(rows: Arrivals) -> list[tuple[object, ...]]:
    columns = [getattr(rows, field.name) for field in fields(rows)]
    columns[-1] = np.nan_to_num(columns[-1], nan=-1.0)
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


@pytest.fixture(scope="module")
def poor(townspeople: Customers) -> Habits:
    return build_habits(SEED, townspeople, "poor")


@pytest.fixture(scope="module")
def year(poor: Habits) -> Arrivals:
    return arrivals(poor, HOUR, 365 * DAY)


@settings(max_examples=25, deadline=None)
@given(st.integers(-3000, 20_000), st.integers(1, 400), st.data())
def test_the_same_rows_come_whichever_pieces_and_meters_are_asked_for(
    poor: Habits, first: int, count: int, data: st.DataObject
) -> None:
    first += HOUR
    whole = arrivals(poor, first, count)
    cut = data.draw(st.integers(0, count))
    parts = Arrivals.joined([arrivals(poor, first, cut), arrivals(poor, first + cut, count - cut)])
    assert table(parts) == table(whole)
    columns = np.array(sorted(data.draw(st.sets(st.integers(0, len(poor) - 1), min_size=1, max_size=5))))
    own = arrivals(poor.part(columns), first, count)
    mine = whole.rows(np.isin(whole.meter, columns))
    assert table(replace(own, meter=columns[own.meter].astype(np.int32))) == table(mine)


def test_nothing_arrives_before_it_was_read_nor_later_than_the_longest_delay(year: Arrivals) -> None:
    delay_h = year.received_us / HOUR_US - year.hour
    assert delay_h.min() > 0.0
    assert delay_h.max() < LONGEST_DELAY_H
    assert ((year.hour >= HOUR) & (year.hour < HOUR + 365 * DAY)).all()
    assert (year.received_us % 1000 == 0).all()


def test_a_reading_arrives_at_most_three_times_and_copies_follow_the_first(year: Arrivals) -> None:
    order = np.lexsort((year.copy, year.hour, year.meter))
    rows = year.rows(order)
    same = (np.diff(rows.meter) == 0) & (np.diff(rows.hour) == 0)
    assert set(rows.copy[1:][~same].tolist()) == {0}
    assert (np.diff(rows.copy.astype(int))[same] == 1).all()
    assert (np.diff(rows.received_us)[same] > 0).all()
    assert (np.diff(rows.stamped_us)[same] == 0).all()
    assert set(rows.copy.tolist()) == {0, 1, 2}


def test_each_way_brings_as_many_readings_as_it_should(poor: Habits, year: Arrivals) -> None:
    first = year.rows(year.copy == 0)
    a_day = np.bincount(first.meter, minlength=len(poor)) / 365.0
    for way, low, high in ((Way.HOURLY, 12.0, 24.0), (Way.DAILY_24, 12.0, 24.0), (Way.DAILY_1, 0.5, 1.0)):
        mine = a_day[poor.way == way]
        assert mine.max() <= high
        assert low < np.median(mine) < high
    walk, card = a_day[poor.way == Way.WALK] * 365.0, a_day[poor.way == Way.CARD] * 365.0
    assert walk.min() >= 3
    assert walk.max() <= 13
    assert card.min() >= 4
    assert card.max() <= 26
    assert (first.hour[np.isin(first.meter, np.flatnonzero(poor.way == Way.WALK))] + 8).min() % 24 >= 8


def test_a_daily_upload_brings_its_day_at_once(poor: Habits, year: Arrivals) -> None:
    meter = int(np.flatnonzero(poor.way == Way.DAILY_24)[0])
    messages = list(reports(year.rows((year.meter == meter) & (year.copy == 0))))
    sizes = np.array([len(message) for message in messages])
    assert np.median(sizes) == 24
    assert (sizes <= 24).all()
    whole = next(message for message in messages if len(message) == 24)
    assert (np.diff(whole.hour) == 1).all()


def test_prompt_meters_are_prompt_and_lose_little(townspeople: Customers) -> None:
    habits = build_habits(SEED, townspeople, "prompt")
    rows = arrivals(habits, HOUR, 60 * DAY)
    late_h = rows.received_us / HOUR_US - rows.hour
    assert np.quantile(late_h, 0.95) < 0.3
    firsts = (rows.copy == 0).sum() / (len(habits) * 60 * DAY)
    assert 0.995 < firsts < 1.0
    assert 0.002 < (rows.copy > 0).mean() < 0.015


def test_during_an_outage_nothing_arrives_of_the_whole_group_and_the_rest_comes_in_any_order(
    poor: Habits,
) -> None:
    block = HOUR // OUTAGE_BLOCK_H
    seen = set()
    for number in range(block, block + 8):
        spells = outages(poor, number)
        for column in np.flatnonzero((spells.end_hour > 0.0) & (poor.way == Way.HOURLY)):
            first, end = float(spells.first_hour[column]), float(spells.end_hour[column])
            rows = arrivals(poor.part([column]), int(first) - 60, int(end - first) + 130)
            rows = rows.rows(rows.copy == 0)
            at_h = rows.received_us / HOUR_US
            assert not ((at_h >= first) & (at_h < end)).any()
            within = rows.rows((rows.hour >= first) & (rows.hour < end - 1.0))
            if spells.lost[column]:
                # only what failed at first comes after all
                assert len(within) <= 0.9 * (end - first)
            elif end - first > 8.0:
                assert len(within) > 0.3 * (end - first)
                assert (np.diff(within.received_us[np.argsort(within.hour)]) < 0).any()
            seen.add(bool(spells.lost[column]))
    assert seen == {True, False}


def test_a_dead_battery_ends_the_readings_and_is_flagged_before(townspeople: Customers) -> None:
    habits = build_habits(SEED, townspeople, "mixed")
    habits = replace(habits, deaths_per_year=np.where(habits.way <= Way.DAILY_1, 0.5, 0.0))
    rows = arrivals(habits, HOUR, 365 * DAY)
    spells = [one for one in troubles(habits, HOUR, 365 * DAY) if one.cause == "battery"]
    assert len(spells) > 30
    for one in spells:
        mine = rows.rows(rows.meter == one.column)
        assert not ((mine.hour > one.first_hour) & (mine.hour < one.end_hour - 1)).any()
        at_h = mine.received_us / HOUR_US
        assert not ((at_h > one.first_hour + 1) & (at_h < one.end_hour - 1)).any()
        before = mine.rows((mine.hour < one.first_hour - 48) & (mine.hour >= one.first_hour - 96))
        if one.first_hour > HOUR + 96 and len(before):
            assert ((before.flags & FLAG_LOW_BATTERY) > 0).all()


def test_a_clock_that_starts_again_stamps_the_year_2000_with_its_flag(poor: Habits) -> None:
    spells = resets(poor, HOUR // 1536)
    for column in np.flatnonzero((spells.end_hour > 0.0) & (poor.way <= Way.DAILY_24)):
        first, end = int(spells.first_hour[column]), int(spells.end_hour[column])
        rows = arrivals(poor.part([column]), first - 30, end - first + 90)
        within = (rows.hour >= first) & (rows.hour < end)
        assert (rows.stamped_us[within] // 1_000_000 == 946_684_800 + 3600 * (rows.hour[within] - first)).all()
        flagged = (rows.flags & FLAG_CLOCK_RESET) > 0
        assert np.array_equal(flagged, (rows.hour >= first) & (rows.hour < end + 24))
        assert (np.abs(rows.stamped_us[~within] / HOUR_US - rows.hour[~within]) < 26.0).all()


def test_a_silenced_meter_says_nothing_more_not_even_of_the_past(poor: Habits) -> None:
    daily = int(np.flatnonzero(poor.way == Way.DAILY_24)[0])
    start, end = HOUR + 100, HOUR + 300
    rows = arrivals(poor, HOUR, 400, silences=[(daily, start, end)])
    mine, others = rows.rows(rows.meter == daily), rows.rows(rows.meter != daily)
    at_h = mine.received_us / HOUR_US
    assert len(mine)
    assert not ((at_h >= start) & (at_h < end)).any()
    assert not ((mine.hour >= start) & (mine.hour < end)).any()
    plain = arrivals(poor, HOUR, 400)
    assert table(others) == table(plain.rows(plain.meter != daily))


def test_cards_that_were_brought_replace_the_drawn_days(poor: Habits) -> None:
    card = np.flatnonzero(poor.way == Way.CARD)[[2, 0, 2]]
    other = int(np.flatnonzero(poor.way == Way.HOURLY)[0])
    columns, hours = np.append(card, other), np.array([HOUR + 50, HOUR + 3, HOUR + 900, HOUR + 4])
    brought = columns, hours
    rows = Arrivals.joined([arrivals(poor, HOUR, 60, presented=brought), arrivals(poor, HOUR + 60, 60, (), brought)])
    found = rows.rows((poor.way[rows.meter] == Way.CARD) & (rows.copy == 0))
    assert sorted(zip(found.meter.tolist(), found.hour.tolist(), strict=True)) == sorted(
        [
            (int(card[0]), HOUR + 50),
            (int(card[1]), HOUR + 3),
        ]
    )
    walked = poor.way[rows.meter] == Way.WALK
    plain = arrivals(poor, HOUR, 120)
    assert walked.sum() == (poor.way[plain.meter] == Way.WALK).sum()


@pytest.mark.parametrize("count", [-4, 0])
def test_no_hours_and_no_meters_give_no_rows(poor: Habits, count: int) -> None:
    assert len(arrivals(poor, HOUR, count)) == 0
    assert len(arrivals(poor.part([]), HOUR, 100)) == 0
    assert len(Schedule(poor.part([]), HOUR * HOUR_US).due((HOUR + 5) * HOUR_US)) == 0


def test_one_meter_of_each_way_for_one_hour(poor: Habits) -> None:
    for way in Way:
        one = poor.part(np.flatnonzero(poor.way == way)[:1])
        assert len(arrivals(one, HOUR, 1)) <= 3


def test_a_supply_meter_is_read_each_hour(poor: Habits) -> None:
    rows = arrivals(supply_habits(SEED, [0, 1]), HOUR, 30 * DAY)
    first = rows.rows(rows.copy == 0)
    assert 0.99 < len(first) / (2 * 30 * DAY) <= 1.0
    assert not (rows.flags & FLAG_CLOCK_RESET).any()


def test_a_schedule_tells_each_arrival_once_in_order_and_after_a_restart_goes_on(poor: Habits) -> None:
    begin, end = (HOUR + 200) * HOUR_US, (HOUR + 320) * HOUR_US + 7
    known = arrivals(poor, HOUR + 200 - LONGEST_DELAY_H, LONGEST_DELAY_H + 121)
    expected = known.rows((known.received_us > begin) & (known.received_us <= end))
    schedule, told, now = Schedule(poor, begin), [], begin
    steps = np.random.default_rng(1)
    while now < end:
        now = min(end, now + int(steps.integers(1, 9 * HOUR_US)))
        told.append(schedule.due(now))
        assert len(schedule.due(now)) == 0
        assert len(schedule.due(now - HOUR_US)) == 0
        if steps.uniform() < 0.2:
            schedule = Schedule(poor, now)
    heard = Arrivals.joined(told)
    assert table(heard) == table(expected)
    assert (np.diff(heard.received_us) >= 0).all()


def test_a_schedule_takes_over_new_silences(poor: Habits) -> None:
    meter = int(np.flatnonzero(poor.way == Way.HOURLY)[0])
    schedule = Schedule(poor, HOUR * HOUR_US)
    schedule.due((HOUR + 5) * HOUR_US)
    schedule.replace_silences([(meter, HOUR + 5, HOUR + 50)])
    assert meter not in schedule.due((HOUR + 49) * HOUR_US).meter
    schedule.replace_silences([])
    assert meter in schedule.due((HOUR + 80) * HOUR_US).meter


def test_messages_hold_what_one_meter_sends_at_once(year: Arrivals) -> None:
    some = year.rows(np.random.default_rng(2).permutation(3000))
    messages = list(reports(some))
    assert sum(len(message) for message in messages) == 3000
    for message in messages:
        assert (
            len({*zip(message.meter.tolist(), message.received_us.tolist(), message.copy.tolist(), strict=True)}) == 1
        )
    assert list(reports(some.rows(np.empty(0, np.intp)))) == []
