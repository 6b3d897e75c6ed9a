from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.meterdata.align import at_times, between, held
from gateway.meterdata.series import HOUR_US, Exchanges, Registers, Series
from gateway.model.quantity import Quantity

REGISTER = Quantity.REGISTER_MEASURED_M3
ONE = Registers(np.array([100_000.0]), np.array([6.0]), np.array([0.001]))


def hours(*values) -> Any:
    return (np.array(values) * HOUR_US).astype(np.int64)


def series(rows, assets=("M-1",), delay_h=0.01) -> Any:
    """Rows are (column, hour, value)."""
    column, time, value = (np.array(part) for part in zip(*rows, strict=True))
    times = (time * HOUR_US).astype(np.int64)
    return Series.build(assets, column.astype(np.int32), times, times + int(delay_h * HOUR_US), value.astype(float))


def aligned(rows, at, exchanges=None, registers=ONE, **more) -> Any:
    window = at_times(series(rows), hours(*at), registers, exchanges or Exchanges.none(), REGISTER, **more)
    return window.value[:, 0]


def test_a_register_grows_evenly_between_readings():
    window = at_times(series([(0, 1, 10.0), (0, 3, 14.0)]), hours(0, 1, 2, 3, 4), ONE, Exchanges.none(), REGISTER)
    np.testing.assert_allclose(window.value[:, 0], [np.nan, 10.0, 12.0, 14.0, np.nan])
    resolution = 0.001**2 / 12
    assert window.variance[1, 0] == pytest.approx(resolution)
    # half way over a step of 4 m3 and 2 h: 16 x 1/4 over three bursts
    assert window.variance[2, 0] == pytest.approx(16 * 0.25 / 3 + resolution)


def test_nothing_is_filled_across_more_than_the_span_unless_the_register_stood_still():
    assert np.isnan(aligned([(0, 0, 1.0), (0, 80, 5.0)], [40]))
    assert aligned([(0, 0, 1.0), (0, 70, 5.0)], [35]) == pytest.approx(3.0)
    assert aligned([(0, 0, 5.0), (0, 800, 5.0)], [400]) == pytest.approx(5.0)


def test_a_rollover_is_undone():
    got = aligned([(0, 0, 99_998.0), (0, 1, 99_999.0), (0, 2, 0.5)], [0, 1, 2])
    np.testing.assert_allclose(np.diff(got), [1.0, 1.5])


def test_a_step_back_that_is_no_rollover_leaves_a_gap_of_one_moment():
    got = aligned([(0, 0, 500.0), (0, 1, 501.0), (0, 2, 3.0), (0, 3, 4.0), (0, 4, 5.0)], [0, 1, 2, 3, 4])
    assert np.isnan(got[2])
    np.testing.assert_allclose(np.diff(got)[[0, 3]], [1.0, 1.0])
    assert np.isnan(np.diff(got)[[1, 2]]).all()


def test_a_step_faster_than_the_meter_can_count_is_a_break():
    got = aligned([(0, 0, 500.0), (0, 1, 540.0), (0, 2, 541.0)], [0, 1, 2])
    assert np.isnan(got[1])


def test_a_lone_spike_is_left_out():
    for wrong in (9_000.0, 1.0):
        got = aligned([(0, 0, 500.0), (0, 1, wrong), (0, 2, 502.0)], [0, 1, 2])
        np.testing.assert_allclose(got, [500.0, 501.0, 502.0])


def test_a_recorded_exchange_joins_old_and_new_register():
    exchange = Exchanges(np.array([0], dtype=np.int32), hours(1.5), np.array([501.5]), np.array([10.0]))
    got = aligned([(0, 0, 500.0), (0, 1, 501.0), (0, 2, 10.5), (0, 3, 11.5)], [0, 1, 2, 3], exchange)
    np.testing.assert_allclose(np.diff(got), [1.0, 1.0, 1.0])


def test_an_exchange_without_registers_is_a_break():
    exchange = Exchanges(np.array([0], dtype=np.int32), hours(1.5), np.array([np.nan]), np.array([np.nan]))
    rows = [(0, 0, 500.0), (0, 1, 501.0), (0, 2, 502.0), (0, 3, 503.0)]
    assert np.isnan(aligned(rows, [0, 1, 2, 3], exchange)[2])


def test_two_values_of_one_time_are_both_left_out_and_equal_ones_count_once():
    rows = [(0, 0, 1.0), (0, 1, 2.0), (0, 1, 2.5), (0, 2, 3.0), (0, 2, 3.0)]
    np.testing.assert_allclose(aligned(rows, [0, 1, 2]), [1.0, 2.0, 3.0])


def test_what_arrives_later_is_not_known_before():
    late = series([(0, 0, 1.0), (0, 2, 5.0)], delay_h=10)
    assert len(late.known(int(hours(11)[0])).time) == 1
    assert len(late.known(int(hours(12)[0])).time) == 2


def test_a_clock_that_runs_ahead_is_not_used():
    ahead = Series.build(("M-1",), np.zeros(1, dtype=np.int32), hours(5), hours(4), np.array([1.0]))
    assert len(ahead.time) == 0


def test_no_rows_give_an_unknown_grid():
    empty = series([(0, 0, np.nan)])
    for window in (
        at_times(empty, hours(0, 1), ONE, Exchanges.none(), REGISTER),
        held(empty, hours(0, 1), Quantity.VALVE),
        between(empty, hours(0, 1), Quantity.PRESSURE_GAUGE_KPA),
    ):
        assert window.value.shape == (2, 1)
        assert np.isnan(window.value).all()


def test_a_held_value_stays_until_it_is_too_old():
    window = held(series([(0, 0, 1.0), (0, 10, 0.0)]), hours(5, 10, 82, 83), Quantity.VALVE)
    np.testing.assert_allclose(window.value[:, 0], [1.0, 0.0, 0.0, np.nan])


def test_a_state_is_joined_over_short_gaps_only():
    window = between(series([(0, 0, 2.0), (0, 2, 4.0), (0, 9, 4.0)]), hours(1, 2, 5), Quantity.PRESSURE_GAUGE_KPA)
    np.testing.assert_allclose(window.value[:, 0], [3.0, 4.0, np.nan])


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_order_and_doubling_of_rows_gives_the_same_grid(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 10_000)))
    count, assets = 60, 4
    column = rng.integers(0, assets, count)
    hour = rng.choice(400, count, replace=False) / 4.0
    rows = [(c, h, 100.0 * c + h) for c, h in zip(column, hour, strict=True)]
    facts = Registers(np.full(assets, 1e5), np.full(assets, 6.0), np.full(assets, 0.001))
    names = tuple("abcd")
    mixed = [rows[i] for i in data.draw(st.permutations(range(count)))] + rows[:7]
    at = hours(*range(0, 100, 6))
    one = at_times(series(rows, names), at, facts, Exchanges.none(), REGISTER)
    other = at_times(series(mixed, names), at, facts, Exchanges.none(), REGISTER)
    np.testing.assert_allclose(one.value, other.value, rtol=1e-12)
    np.testing.assert_allclose(one.variance, other.variance, atol=1e-12)
    known = np.isfinite(one.value)
    np.testing.assert_allclose(one.value[known], (100.0 * np.arange(assets) + np.arange(0, 100, 6)[:, None])[known])


def test_an_exchange_before_the_first_reading_does_not_hide_what_follows():
    exchange = Exchanges(np.array([0], dtype=np.int32), hours(-500), np.array([np.nan]), np.array([np.nan]))
    got = aligned([(0, 0, 500.0), (0, 1, 501.0), (0, 2, 502.0)], [0, 1, 2], exchange)
    np.testing.assert_allclose(got, [500.0, 501.0, 502.0])


def test_without_a_known_size_only_a_fall_from_near_the_end_to_near_zero_is_a_rollover():
    unknown = Registers(np.array([100_000.0]), np.array([0.0]), np.array([0.001]))
    rolled = aligned([(0, 0, 99_000.0), (0, 1, 99_900.0), (0, 2, 5.0)], [0, 1, 2], registers=unknown)
    np.testing.assert_allclose(np.diff(rolled), [900.0, 105.0])
    fallen = aligned([(0, 0, 500.0), (0, 1, 501.0), (0, 2, 3.0), (0, 3, 4.0)], [0, 1, 2, 3], registers=unknown)
    assert np.isnan(fallen[2])
