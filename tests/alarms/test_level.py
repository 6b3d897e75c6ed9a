"""Wandering levels behind noisy series."""

from __future__ import annotations

import numpy as np
import pytest

from alarms.analysis.level import level

NOISE = np.array(1.0)


def test_a_level_that_never_moves_is_the_mean_of_its_days() -> None:
    seen = np.array([[1.0], [3.0], [8.0], [4.0]])
    found = level(seen, np.ones((4, 1)), np.zeros(1), prior=1e9)
    assert found.mean[:, 0] == pytest.approx([4.0] * 4)
    assert found.variance[:, 0] == pytest.approx([0.25] * 4)


def test_days_count_by_their_certainty() -> None:
    found = level(np.array([[0.0], [10.0]]), np.array([[1.0], [4.0]]), np.zeros(1), prior=1e9)
    assert found.mean[:, 0] == pytest.approx([2.0, 2.0])


def test_an_unknown_day_is_told_by_both_sides_and_is_less_certain() -> None:
    found = level(np.array([[0.0], [np.nan], [2.0]]), np.full((3, 1), 1e-9), np.ones(1), prior=1e9)
    assert found.mean[:, 0] == pytest.approx([0.0, 1.0, 2.0])
    assert found.variance[1, 0] == pytest.approx(0.5)


def test_smoothing_equals_generalised_least_squares() -> None:
    random = np.random.default_rng(3)
    seen, noise, step = random.normal(size=(9, 2)), random.uniform(0.5, 2.0, (9, 2)), np.array([0.1, 2.0])
    found = level(seen, noise, step, mean=0.3, prior=4.0)
    for series in range(2):
        days = np.arange(9)
        own = 4.0 + step[series] * np.minimum(days[:, None], days[None, :])
        whole = own + np.diag(noise[:, series])
        gain = own @ np.linalg.inv(whole)
        off = seen[:, series] - 0.3
        assert found.mean[:, series] == pytest.approx(0.3 + gain @ off)
        assert found.variance[:, series] == pytest.approx(np.diagonal(own - gain @ own))
        likely = -0.5 * (np.linalg.slogdet(whole)[1] + off @ np.linalg.solve(whole, off))
        assert found.log_likelihood[series] == pytest.approx(likely)
