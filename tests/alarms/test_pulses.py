from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from alarms.analysis.pulses import evened

WHOLE = np.array([1.0])


def use(shown) -> Any:
    return np.diff(evened(np.asarray(shown, dtype=np.float64)[:, None], WHOLE)[:, 0])


def test_what_a_step_counts_is_laid_between_it_and_the_step_before():
    weekly = use(np.repeat([100, 101, 102, 103, 104], 7))
    np.testing.assert_allclose(weekly[7:27], 1 / 7)
    assert weekly.sum() == pytest.approx(4.0, abs=1.0)


def test_who_uses_more_than_a_step_a_day_is_left_as_counted():
    np.testing.assert_allclose(use([100, 103, 105, 108, 110, 113]), np.diff([100, 103, 105, 108, 110, 113]), atol=0.5)


def test_a_register_that_stands_still_for_long_rested():
    away = use([100, 102, 104, 106, *[106] * 10, 108, 110, 112])
    assert away[4:12].tolist() == [0.0] * 8
    assert away[[1, 14]].min() >= 1.5


def test_a_register_that_stopped_used_a_step_more_at_most():
    stopped = use([*np.repeat([100, 101, 102], 7), *[103] * 40])
    assert stopped[21:].sum() <= 1.0 + 1e-9
    assert not stopped[29:].any()


def test_registers_of_small_steps_and_unknown_ends_stay_as_they_are():
    fine = np.array([[1.234], [1.236], [np.nan], [1.3]])
    np.testing.assert_array_equal(evened(fine, np.array([0.001])), fine)
    assert np.isnan(evened(np.array([[1.0], [np.nan], [3.0]]), WHOLE)[:, 0]).tolist() == [False, True, False]


@pytest.mark.parametrize(("a_day", "better"), [(0.15, 0.35), (0.4, 0.5), (1.0, 0.85), (3.0, 1.05)])
def test_days_are_known_better_than_the_register_shows_them(a_day, better):
    rng = np.random.default_rng(1)
    passed = np.cumsum(a_day * rng.lognormal(0.0, 0.5, (150, 200)), axis=0) + rng.uniform(0.0, 1.0, 200)
    shown = np.floor(passed)
    even = evened(shown, np.ones(200))
    off, was = (np.diff(one - passed, axis=0)[20:-20].std() for one in (even, shown))
    assert off < better * was
    assert abs((even - passed)[20:-20].mean()) < 0.02, "right on average"
    assert abs((even - passed)[-1].mean()) < 0.1, "on the newest day, too"


@given(
    arrays(np.int64, (30, 3), elements=st.integers(0, 4)),
    arrays(np.bool_, (30, 3)),
)
def test_whatever_a_register_shows_it_passed_that_much_and_less_than_a_step_more(steps, unknown):
    shown = np.where(unknown, np.nan, np.cumsum(steps, axis=0).astype(np.float64))
    even = evened(shown, np.ones(3))
    np.testing.assert_array_equal(np.isnan(even), np.isnan(shown))
    known = ~np.isnan(shown)
    assert ((even - shown)[known] >= -1e-9).all()
    assert ((even - shown)[known] <= 1.0 + 1e-9).all()
    for column in range(3):
        assert (np.diff(even[known[:, column], column]) >= -1e-9).all()
