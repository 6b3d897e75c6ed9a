import numpy as np
import pytest

from alarms.analysis.hourly_usual import LEAST_DAYS, Tally, Usual


def used(days: int) -> np.ndarray:
    """Two customers by day and hour: one at one hour only and more each day, one alike at all hours."""
    course = np.zeros((24, 2))
    course[9, 0], course[:, 1] = 24.0, 0.5
    growth = np.stack([np.arange(1, days + 1), np.ones(days)], axis=1)
    return (growth[:, None, :] * course[None, :, :]).reshape(-1, 2)


def tally(use: np.ndarray, mean: np.ndarray | None = None) -> Tally:
    return Tally.of(use, np.zeros(use.shape, dtype=bool) if mean is None else mean)


def test_the_course_over_the_day_is_relative_to_the_mean_hour():
    usual = Usual.of([tally(used(5)), tally(used(5))], 2)
    assert usual.course[9].tolist() == pytest.approx([24.0, 1.0])
    assert usual.course[8].tolist() == pytest.approx([0.0, 1.0])


def test_days_that_differ_make_the_wander():
    usual = Usual.of([tally(used(8))], 2)
    assert usual.wander.tolist() == pytest.approx([np.std(np.arange(1, 9), ddof=1), 0.0])


def test_too_few_days_tell_nothing():
    usual = Usual.of([tally(used(LEAST_DAYS - 1))], 2)
    assert np.isnan(usual.course).all()
    assert usual.wander.tolist() == [0.0, 0.0]


def test_an_hour_of_which_only_a_mean_is_known_tells_nothing_of_the_course():
    use = used(8)
    mean = np.zeros(use.shape, dtype=bool)
    mean[33:36, 0] = True
    mean[57:60, 0] = True
    usual = Usual.of([tally(use, mean)], 2)
    assert np.isnan(usual.course[:, 0]).all()
    assert usual.course[:, 1].tolist() == pytest.approx([1.0] * 24)


def test_nothing_known_before_is_no_error():
    usual = Usual.of([], 3)
    assert usual.course.shape == (24, 3)
    assert usual.wander.tolist() == [0.0, 0.0, 0.0]
