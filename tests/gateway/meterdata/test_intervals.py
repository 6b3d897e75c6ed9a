import hashlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.meterdata.estimate import Method
from gateway.meterdata.intervals import Status, build
from gateway.meterdata.rules import doubts, judge
from gateway.meterdata.series import DAY_US, HOUR_US, Exchanges
from tests.gateway.meterdata.cases import a_case, days_of, exchange, facts, neighbours_of, rows_of, series_of


def units_of(case, column=0) -> Any:
    found = case.built.intervals
    return [
        None if status == Status.MISSING else int(units)
        for units, status in zip(found.units[:, column], found.status[:, column], strict=True)
    ]


def methods_of(case, column=0) -> Any:
    return [Method(method).name for method in case.built.intervals.method[:, column]]


def test_two_registers_tell_a_day_in_whole_units():
    case = days_of([[10.0, 10.5, 12.25]])
    assert units_of(case) == [500, 1750]
    assert methods_of(case) == ["REGISTER", "REGISTER"]
    assert case.built.intervals.measured.all()
    np.testing.assert_allclose(case.built.intervals.use_m3(np.array([0.001])), [[0.5], [1.75]])


def test_a_short_run_is_a_straight_line_and_rests_on_the_readings_around():
    case = days_of([[10.0, 11.0, None, None, 14.5, 15.0]])
    assert units_of(case) == [1000, 1167, 1166, 1167, 500]
    assert methods_of(case) == ["REGISTER", "INTERPOLATION", "INTERPOLATION", "INTERPOLATION", "REGISTER"]
    found = case.built.intervals
    assert found.left[2, 0] == DAY_US
    assert found.right[2, 0] == 4 * DAY_US
    assert found.step_units[2, 0] == 3500


def test_an_hourly_meter_may_miss_three_hours_and_not_more():
    hourly = [10.0 + 0.1 * hour for hour in range(49)]
    missing = [None if hour in {23, 24} else value for hour, value in enumerate(hourly)]
    more = [None if hour in {23, 24, 25} else value for hour, value in enumerate(hourly)]
    for registers, method in ((hourly, "REGISTER"), (missing, "INTERPOLATION"), (more, "FLAT_SHARE")):
        case = a_case(rows_of([registers], HOUR_US), meters=1, days=2)
        assert methods_of(case) == [method, method]
        assert sum(units_of(case)) == 4800


def test_a_long_run_is_shared_as_the_class_used_gas():
    uneven = [[100.0, 101.0, 102.0, 105.0, 109.0, 110.0, 111.0] for _ in range(5)]
    case = days_of([[10.0, 11.0, None, None, None, None, 28.0], *uneven])
    # the step of 17 m3 over days on which the class used 1, 3, 4, 1 and 1 m3
    assert units_of(case) == [1000, 1700, 5100, 6800, 1700, 1700]
    assert methods_of(case)[1:] == ["LIKE_DAYS"] * 5


def test_without_a_class_a_long_run_is_shared_evenly():
    case = days_of([[10.0, 11.0, None, None, None, None, 31.0]])
    assert units_of(case) == [1000, 4000, 4000, 4000, 4000, 4000]
    assert methods_of(case)[1:] == ["FLAT_SHARE"] * 5


def test_a_register_that_stood_still_did_so_all_the_time():
    case = days_of([[10.0, 10.0, None, None, None, None, 10.0]])
    assert units_of(case) == [0] * 6
    assert case.built.intervals.measured.all()


def test_after_the_last_reading_the_days_follow_the_class_at_the_own_level():
    busy = [100.0 + day for day in range(10)] + [113.0]
    case = days_of([[2.0 * day for day in range(9)] + [None, None], *[busy] * 5])
    # the own level is 2 m3, the class's 1 m3, and 4 m3 on the last day
    assert units_of(case)[8:] == [2000, 8000]
    assert methods_of(case)[8:] == ["LIKE_DAYS", "LIKE_DAYS"]


def test_with_few_own_days_the_class_is_all_that_is_known():
    case = days_of(neighbours_of([[5.0, 5.5, None, None, None, None]]))
    assert units_of(case) == [500, 1000, 1000, 1000, 1000]
    assert methods_of(case)[1:] == ["CLASS_PROFILE"] * 4


def test_nothing_is_estimated_before_the_first_reading_nor_where_it_is_not_wanted():
    registers = neighbours_of([[None, None, 5.0, 6.0, None, None, None]])
    assert units_of(days_of(registers)) == [None, None, 1000, 1000, 1000, 1000]
    rows = series_of(rows_of(registers), 6)
    bounds = np.arange(7) * DAY_US
    fillable = np.zeros((6, 6), dtype=np.bool_)
    group = np.zeros(6, dtype=np.int64)
    built = build(
        rows, facts(6), Exchanges.none(), bounds, group, until_us=int(bounds[-1]) + 3 * DAY_US, fillable=fillable
    )
    assert (built.intervals.status[3:, 0] == Status.MISSING).all()
    assert built.intervals.measured[:, 1:].all()


def test_what_a_reading_in_time_will_tell_is_pending_and_not_estimated():
    registers = neighbours_of([[*[float(day) for day in range(9)], None]])
    last = 9 * DAY_US
    in_time = a_case(rows_of(registers), meters=6, days=9, until_us=last + 2 * HOUR_US)
    assert in_time.built.pending[:, 0].tolist() == [False] * 8 + [True]
    assert units_of(in_time)[8] is None
    late = a_case(rows_of(registers), meters=6, days=9, until_us=last + 13 * HOUR_US)
    assert not late.built.pending.any()
    assert units_of(late)[8] == 1000


def test_the_day_of_a_break_has_no_register_and_days_around_it_keep_theirs():
    case = days_of(neighbours_of([[50.0, 52.0, 54.0, 0.2, 1.2, 2.2]]))
    assert units_of(case) == [2000, 2000, 1000, 1000, 1000]
    assert methods_of(case) == ["REGISTER", "REGISTER", "CLASS_PROFILE", "REGISTER", "REGISTER"]


def test_a_rollover_and_an_exchange_go_on_counting():
    rolled = days_of([[99_990.0, 99_999.5, 4.0]])
    assert units_of(rolled) == [9500, 4500]
    swapped = days_of([[50.0, 52.0, 1.0, 3.0]], exchanges=exchange(0, DAY_US + DAY_US // 2, 53.5, 0.25))
    # 1.5 m3 on the old meter, 0.75 on the new one
    assert units_of(swapped) == [2000, 2250, 2000]


@settings(max_examples=60, deadline=None)
@given(
    first=st.integers(0, 90_000_000),
    steps=st.lists(st.integers(0, 60_000), min_size=3, max_size=12),
    lost=st.sets(st.integers(1, 10), max_size=8),
    hour=st.integers(0, 23),
)
def test_the_pieces_between_two_registers_add_up_to_the_step_exactly(first, steps, lost, hour):
    counts = first + np.concatenate([[0], np.cumsum(steps)])
    lost = {at for at in lost if at < len(steps)}
    rows = [
        (0, at * DAY_US + (hour * HOUR_US if 0 < at < len(steps) else 0), int(count) / 1000)
        for at, count in enumerate(counts)
        if at not in lost
    ]
    others = rows_of([[7.0 + day * (1 + day % 3) for day in range(len(steps) + 1)]] * 5)
    rows += [(column + 1, time, value) for column, time, value in others]
    case = a_case(rows, meters=6, days=len(steps), registers=facts(6, digits=6, flow=0.0))
    assert None not in units_of(case)
    assert sum(units_of(case)) == sum(steps)
    assert min(units_of(case)) >= 0


def a_town(rng, meters, days) -> Any:
    """Rows with every kind of trouble: gaps, conflicts, resets, spikes, a rollover, silence."""
    rows = []
    for meter in range(meters):
        start = 99_990.0 if meter == 0 else float(rng.integers(0, 5000))
        level = start + np.cumsum(np.round(rng.gamma(1.0, 0.1, days * 4), 3))
        if meter == 1:
            level[days * 2 :] -= level[days * 2] - 0.5
        if meter == 2:
            level[days] += 4000.0
        if meter == 3:
            level[days:] += 900.0
        value = np.round(np.mod(level, 1e5), 3)
        came = rng.random(days * 4) > 0.2
        if meter == 4:
            came[days * 2 :] = False
        rows += [(meter, int(at) * DAY_US // 4, float(value[at])) for at in np.flatnonzero(came)]
    rows.append((5, rows[-1][1], rows[-1][2] + 1.0))
    return rows


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_order_doubling_or_delay_of_the_same_readings_gives_the_same_intervals(data):
    days, meters = 12, 7
    rows = a_town(np.random.default_rng(data.draw(st.integers(0, 1000))), meters, days)
    mixed = [rows[at] for at in data.draw(st.permutations(range(len(rows))))]
    mixed += mixed[: data.draw(st.integers(0, len(rows)))]
    delays = np.random.default_rng(data.draw(st.integers(0, 1000))).integers(0, 30 * DAY_US, len(mixed))
    until = 45 * DAY_US
    one = a_case(rows, meters=meters, days=days, until_us=until)
    received = [row[1] + int(delay) for row, delay in zip(mixed, delays, strict=True)]
    other = a_case(mixed, meters=meters, days=days, until_us=until, received=received)
    for name in ("units", "status", "method", "left", "right", "step_units"):
        np.testing.assert_array_equal(getattr(one.built.intervals, name), getattr(other.built.intervals, name))
    np.testing.assert_array_equal(doubts(judge(one), one.bounds, meters), doubts(judge(other), other.bounds, meters))


def test_judging_changes_no_raw_row():
    case = a_case(a_town(np.random.default_rng(4), 7, 12), meters=7, days=12)

    def fingerprint() -> Any:
        raw = case.raw
        columns = (raw.column, raw.time, raw.received, raw.value)
        return hashlib.sha256(b"".join(column.tobytes() for column in columns)).hexdigest()

    before = fingerprint()
    for part in (case.raw, case.series):
        for name in ("column", "time", "received", "value"):
            getattr(part, name).setflags(write=False)
    judge(case)
    assert fingerprint() == before


def test_no_meter_and_no_reading_are_no_error():
    case = a_case([], meters=2, days=3)
    assert (case.built.intervals.status == Status.MISSING).all()
    assert not doubts(judge(case), case.bounds, 2).any()
    assert len(judge(a_case([], meters=0, days=3))["V01"].time) == 0


def test_the_class_of_days_as_cold_stands_in_where_too_few_were_read():
    registers = [[10.0, *[None] * 5, 30.0], *[[100.0, 102.0, 103.0, 104.0, None, 108.0, 109.0]] * 5]
    rows = series_of(rows_of(registers), 6)
    bounds = np.arange(7) * DAY_US
    air = np.array([-5.0, 10.0, 10.0, -5.0, 10.0, 10.0])
    group = np.zeros(6, dtype=np.int64)
    built = build(rows, facts(6), Exchanges.none(), bounds, group, until_us=int(bounds[-1]), air_c=air)
    np.testing.assert_allclose(built.known.on_day[:, 0], [2.0, 1.0, 1.0, 2.0, 1.0, 1.0])
    assert built.intervals.units[:, 0].tolist() == [5000, 2500, 2500, 5000, 2500, 2500]
    assert built.intervals.units[:, 0].sum() == pytest.approx(20_000)
