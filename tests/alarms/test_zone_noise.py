from typing import Any

import numpy as np
import pytest

from alarms.analysis.noise import NoiseConfig, day_noise, precision

CONFIG = NoiseConfig()
SUPPLY = np.full(120, 500.0)
ALIKE = np.ones(120)


def told(loss, **more) -> Any:
    nothing = np.zeros(len(loss))
    figures = {
        "known_variance": nothing,
        "unread_variance": nothing,
        "steady": 0.01 * SUPPLY,
        "warmth": nothing,
        "use": np.zeros((len(loss), 1)),
    }
    return precision(loss, SUPPLY, **{**figures, **more}, config=CONFIG)


def test_noise_is_that_of_neighbouring_days_whatever_step_there_is():
    loss = np.random.default_rng(1).normal(0.0, 3.0, 120)
    loss[60:] += 40.0
    assert float(np.median(day_noise(loss, SUPPLY, ALIKE, CONFIG).whole)) == pytest.approx(3.0, rel=0.35)


def test_days_that_scatter_less_than_is_claimed_do_so_in_proportion():
    rng = np.random.default_rng(2)
    claimed = np.where(np.arange(120) % 4 == 0, 16.0, 4.0) ** 2
    whole = day_noise(rng.normal(0.0, 0.3 * np.sqrt(claimed)), SUPPLY, claimed, CONFIG).whole
    assert float(np.median(whole)) == pytest.approx(1.2, rel=0.35)
    assert whole[::4].mean() > 3.0 * whole[1::4].mean()


def test_what_makes_days_scatter_more_than_is_claimed_is_alike_every_day():
    rng = np.random.default_rng(5)
    claimed = np.where(np.arange(120) == 60, 30.0, 1.0) ** 2
    whole = day_noise(rng.normal(0.0, 8.0, 120), SUPPLY, claimed, CONFIG).whole
    assert float(np.median(whole)) == pytest.approx(8.0, rel=0.35)
    assert 25.0 <= whole[60] < 50.0


def test_what_one_day_loses_by_reading_times_the_next_one_gains():
    def mean_skew(make) -> Any:
        return np.mean([day_noise(make(np.random.default_rng(seed)), SUPPLY, ALIKE, CONFIG).skew for seed in range(12)])

    skewed = mean_skew(lambda rng: np.diff(rng.normal(0.0, 4.0, 121)))
    independent = mean_skew(lambda rng: rng.normal(0.0, 4.0, 120))
    lasting = mean_skew(lambda rng: np.convolve(rng.normal(0.0, 4.0, 122), [1.0, 1.0, 1.0], "valid"))
    assert skewed > independent + 0.1 > lasting


def test_too_few_days_tell_no_noise():
    assert day_noise(np.array([1.0, np.nan, 2.0]), SUPPLY[:3], ALIKE[:3], CONFIG).whole.tolist() == [5.0, 5.0, 5.0]


def test_days_that_cannot_be_assessed_weigh_nothing_and_the_rest_is_a_covariance():
    loss = np.random.default_rng(3).normal(0.0, 3.0, 120)
    loss[[4, 50, 119]] = np.nan
    found = told(loss)
    assert found[[4, 50, 119]].any() == found[:, [4, 50, 119]].any() == np.False_
    np.testing.assert_allclose(found, found.T, atol=1e-12)
    assert np.linalg.eigvalsh(found).min() > -1e-9
    assert told(np.full(120, np.nan)).any() == np.False_


def test_days_that_are_known_worse_or_not_read_or_lie_far_off_weigh_less():
    loss = np.random.default_rng(4).normal(0.0, 3.0, 120)
    usual = np.diag(told(loss))
    worse, unread = np.zeros(120), np.zeros(120)
    worse[70], unread[90] = 400.0, 400.0
    far = loss.copy()
    far[40] += 60.0
    assert np.diag(told(loss, known_variance=worse))[70] < 0.2 * usual[70]
    assert np.diag(told(loss, unread_variance=unread))[90] < 0.2 * usual[90]
    assert np.diag(told(far))[40] < 0.2 * usual[40]
