"""Loss rates as they most likely were."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from alarms.analysis.daily_loss import ODD_RATE, SPAN_D, likely_rates

DAYS = 60
Floats = NDArray[np.float64]


def noise_of(sigma: float, zones: int = 1) -> Floats:
    return np.full((DAYS, zones), sigma**2)


def error(rate: Floats, truth: Floats) -> float:
    return float(np.sqrt(((rate - truth) ** 2).mean()))


def test_guesses_of_single_days_are_evened_out() -> None:
    truth = np.full((DAYS, 8), 0.02)
    seen = truth + 0.02 * np.random.default_rng(1).normal(size=truth.shape)
    found = likely_rates(seen, noise_of(0.02, 8))
    assert error(found.rate, truth) < 0.3 * error(seen, truth)
    assert (np.abs(found.rate - truth) < 2.0 * np.sqrt(found.variance)).mean() > 0.85


def test_a_leak_stays_a_step() -> None:
    truth = np.full((DAYS, 1), 0.01)
    truth[30:] = 0.08
    seen = truth + 0.01 * np.random.default_rng(2).normal(size=truth.shape)
    found = likely_rates(seen, noise_of(0.01))
    assert error(found.rate, truth) < error(seen, truth)
    assert found.rate[40, 0] == pytest.approx(0.08, abs=0.01)
    assert found.rate[20, 0] == pytest.approx(0.01, abs=0.01)


def test_a_loss_that_truly_jumps_from_day_to_day_keeps_its_jumps() -> None:
    truth = np.full((DAYS, 1), 0.01)
    truth[::3] = 0.09
    found = likely_rates(truth, noise_of(0.004))
    assert error(found.rate, truth) < 0.002


def test_one_odd_day_keeps_its_loss_and_does_not_move_its_neighbours() -> None:
    truth = np.full((DAYS, 1), 0.01)
    truth[50] = 0.3
    found = likely_rates(truth, noise_of(0.005))
    assert found.rate[50, 0] > 0.25
    assert found.rate[49, 0] == pytest.approx(0.01, abs=0.003)


def test_well_read_days_hardly_change() -> None:
    random = np.random.default_rng(4)
    seen = 0.02 + np.cumsum(0.003 * random.normal(size=(DAYS, 3)), axis=0)
    found = likely_rates(seen, noise_of(0.0005, 3))
    assert np.abs(found.rate - seen).max() < 0.002


def test_unknown_days_stay_unknown_and_days_long_ago_stay_as_they_are() -> None:
    random = np.random.default_rng(5)
    seen = 0.02 + 0.01 * random.normal(size=(SPAN_D + 20, 2))
    seen[-5, 1] = np.nan
    found = likely_rates(seen, np.full(seen.shape, 1e-4))
    assert np.isnan(found.rate[-5, 1])
    assert np.isfinite(np.delete(found.rate[:, 1], SPAN_D + 15)).all()
    assert (found.rate[:20] == seen[:20]).all()


def test_what_neighbouring_days_share_makes_a_months_sum_no_better_known() -> None:
    seen = 0.02 + 0.02 * np.random.default_rng(6).normal(size=(DAYS, 1))
    found = likely_rates(seen, noise_of(0.02))
    single = (found.variance - found.lasting)[20:50, 0]
    month = np.sqrt(found.lasting[20:50, 0].mean() + single.sum() / 30**2)
    assert month > 0.7 * 0.02 / np.sqrt(30)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 90), st.integers(0, 4), st.sampled_from([0.0, 1e-12, 0.3, 1e6, np.nan]), st.integers(0, 9))
def test_it_is_finite_where_the_day_is_known(days: int, zones: int, odd: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    seen, noise = random.normal(size=(days, zones)), random.uniform(size=(days, zones)) ** 4
    seen[random.uniform(size=seen.shape) < 0.3] = odd
    found = likely_rates(seen, noise)
    assert (np.isfinite(found.rate) == np.isfinite(seen)).all()
    assert (found.variance >= 0.0).all()
    assert (found.lasting <= found.variance).all()
    odd_days = np.isfinite(seen) & (np.abs(np.nan_to_num(seen)) >= ODD_RATE)
    assert (found.rate[odd_days] == seen[odd_days]).all()


@pytest.mark.parametrize("last", [1, 8, 500])
def test_the_last_days_alone_are_as_of_all_days(last: int) -> None:
    rng = np.random.default_rng(4)
    seen = 0.01 + rng.normal(0.0, 0.01, (90, 5))
    seen[rng.uniform(size=seen.shape) < 0.2] = np.nan
    noise = np.full(seen.shape, 1e-4)
    every, some = likely_rates(seen, noise), likely_rates(seen, noise, last)
    for name in ("rate", "variance", "lasting"):
        np.testing.assert_array_equal(getattr(some, name)[-last:], getattr(every, name)[-last:])
    np.testing.assert_array_equal(some.rate[:-last], seen[:-last])
