from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.meterdata.clock_offset import clock_offsets, taken
from gateway.meterdata.series import AHEAD_US, DAY_US, HOUR_US

UNTIL = 30 * DAY_US
S = 1_000_000
MINUTE_US = 60 * S


def messages(rng, count, offset_s, *, hours=1.0, way_s=20.0, drift_ppm=0.0, jump_s=0.0) -> Any:
    """Return moments of sending by the device's clock, and of arrival, of messages in the hours before UNTIL."""
    sent = UNTIL - (np.arange(count)[::-1] * hours * HOUR_US).astype(np.int64) - 60 * S
    late = np.arange(count) >= count // 2
    off = offset_s * S + drift_ppm * 1e-6 * (sent - UNTIL) + np.where(late, jump_s * S, 0.0)
    received = sent + (rng.exponential(way_s, count) * S).astype(np.int64)
    return (sent + off).astype(np.int64), received


def one(stamp, received, **more) -> Any:
    return clock_offsets(1, np.zeros(len(stamp), dtype=np.int32), stamp, received, UNTIL, **more)


@pytest.mark.parametrize("offset_s", [-4000.0, -30.0, 0.0, 250.0, 7200.0])
def test_24_messages_with_a_time_of_sending_tell_the_offset_within_five_seconds(offset_s):
    for seed in range(30):
        stamp, received = messages(np.random.default_rng(seed), 24, offset_s)
        clocks = one(stamp, received, sent=True)
        assert clocks.offset_us[0] / S == pytest.approx(offset_s, abs=5.0)
        assert bool(clocks.suspect[0]) == (abs(offset_s) > 300)
        assert clocks.drift_ppm[0] == 0
        assert clocks.jumped_at[0] == -1


def test_a_drift_is_told_with_its_sign_and_the_offset_of_now():
    for drift in (-200.0, 80.0, 400.0):
        stamp, received = messages(np.random.default_rng(1), 168, 12.0, drift_ppm=drift, way_s=3.0)
        clocks = one(stamp, received, sent=True)
        assert clocks.drift_ppm[0] == pytest.approx(drift, abs=30.0)
        assert clocks.offset_us[0] / S == pytest.approx(12.0, abs=8.0)
    stamp, received = messages(np.random.default_rng(1), 168, 12.0, drift_ppm=20.0, way_s=3.0)
    assert one(stamp, received, sent=True).drift_ppm[0] == 0


@pytest.mark.parametrize("jump_s", [-900.0, 900.0])
def test_a_jump_begins_a_new_epoch(jump_s):
    stamp, received = messages(np.random.default_rng(2), 48, 0.0, jump_s=jump_s)
    clocks = one(stamp, received, sent=True)
    assert UNTIL - 31 * HOUR_US < clocks.jumped_at[0] < UNTIL - 17 * HOUR_US
    assert clocks.offset_us[0] / S == pytest.approx(jump_s, abs=5.0)
    assert clocks.suspect[0]


def test_a_jump_of_less_than_a_minute_is_none():
    stamp, received = messages(np.random.default_rng(2), 48, 0.0, jump_s=-40.0)
    assert one(stamp, received, sent=True).jumped_at[0] == -1


def test_a_delay_of_messages_is_no_clock_that_went_back():
    stamp, received = messages(np.random.default_rng(3), 48, 0.0)
    held_up = (received > UNTIL - 20 * HOUR_US) & (received < UNTIL - 12 * HOUR_US)
    received = np.where(held_up, UNTIL - 12 * HOUR_US, received)
    clocks = one(stamp, received, sent=True)
    assert clocks.jumped_at[0] == -1
    assert clocks.offset_us[0] / S == pytest.approx(0.0, abs=5.0)


def test_without_a_time_of_sending_only_a_clock_that_is_ahead_is_told():
    readings = np.array([UNTIL - hours * HOUR_US for hours in (30, 29, 28, 6, 5, 4)])
    came = np.repeat([UNTIL - 27 * HOUR_US, UNTIL - 3 * HOUR_US], 3)
    behind = one(readings, came)
    assert behind.only_bound.all()
    assert behind.offset_us[0] == -HOUR_US, "the newest reading of each message counts"
    assert not behind.suspect[0]
    ahead = one(readings + 2 * HOUR_US, came)
    assert ahead.suspect[0]


def test_old_messages_do_not_count_and_no_message_tells_nothing():
    stamp, received = messages(np.random.default_rng(4), 24, 7200.0)
    clocks = clock_offsets(2, np.zeros(24, dtype=np.int32), stamp - 8 * DAY_US, received - 8 * DAY_US, UNTIL)
    assert np.isnan(clocks.offset_us).all()
    assert not clocks.suspect.any()
    assert (clocks.jumped_at == -1).all()


def test_many_clocks_at_once_are_told_as_each_alone():
    rng = np.random.default_rng(5)
    parts = [messages(rng, 40, offset, jump_s=jump) for offset, jump in ((0, 0), (400, 0), (0, 900))]
    column = np.repeat(np.arange(3, dtype=np.int32), 40)
    stamp, received = (np.concatenate([part[at] for part in parts]) for at in (0, 1))
    mixed = rng.permutation(120)
    together = clock_offsets(3, column[mixed], stamp[mixed], received[mixed], UNTIL, sent=True)
    for number, part in enumerate(parts):
        alone = one(*part, sent=True)
        for name in ("offset_us", "spread_us", "drift_ppm", "jumped_at", "suspect"):
            assert getattr(together, name)[number] == getattr(alone, name)[0]


def taken_at(stamp: Any, received: Any, value: Any = None) -> list[int]:
    stamp, received = np.asarray(stamp, dtype=np.int64), np.asarray(received, dtype=np.int64)
    value = np.arange(len(stamp), dtype=np.float64) if value is None else np.asarray(value, dtype=np.float64)
    return list(taken(np.zeros(len(stamp), dtype=np.int32), stamp, received, value))


def test_a_clock_that_runs_ahead_is_set_back_to_when_its_readings_came():
    true = np.arange(10) * HOUR_US
    assert taken_at(true + 2 * HOUR_US, true) == list(true)
    assert taken_at(true - 2 * HOUR_US, true) == list(true - 2 * HOUR_US)
    assert taken_at(true + MINUTE_US, true) == list(true + MINUTE_US)


def test_all_readings_of_a_message_are_set_back_alike():
    true = np.arange(24) * HOUR_US
    assert taken_at(true + 3 * HOUR_US, np.full(24, true[-1])) == list(true)


def test_a_reading_that_is_sent_again_was_taken_when_it_came_first():
    stamp = np.array([3, 4, 3]) * HOUR_US
    received = np.array([1, 2, 9]) * HOUR_US
    assert taken_at(stamp, received, [7.0, 8.0, 7.0]) == [HOUR_US, 2 * HOUR_US, HOUR_US]


def test_a_clock_that_was_never_set_tells_no_time_and_spoils_no_other():
    stamp = np.array([10, 11, 10_000]) * HOUR_US
    received = np.full(3, 11 * HOUR_US)
    assert taken_at(stamp, received) == list(stamp)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 60), st.integers(0, 60), st.integers(0, 1)), min_size=1),
    st.integers(0, 60),
)
def test_no_reading_is_taken_after_it_came_and_what_comes_later_changes_nothing(rows, until):
    column, stamp, received, value = (np.array(part) for part in zip(*rows, strict=True))
    column, stamp, received = column.astype(np.int32), stamp * MINUTE_US * 10, received * MINUTE_US * 10
    whole = taken(column, stamp, received, value)
    assert (whole <= received + AHEAD_US).all()
    known = received <= until * MINUTE_US * 10
    part = taken(column[known], stamp[known], received[known], value[known])
    assert list(part) == list(whole[known])
