import numpy as np
import pytest

from alarms.analysis.hourly_usual import LEAST_DAYS, Tally, Usual


def used(days: int) -> np.ndarray:
    """Two customers by day and hour: one at one hour only and more each day, one alike at all hours."""
    course = np.zeros((24, 2))
    course[9, 0], course[:, 1] = 24.0, 0.5
    growth = np.stack([np.arange(1, days + 1), np.ones(days)], axis=1)
    return (growth[:, None, :] * course[None, :, :]).reshape(-1, 2)


def tally(use: np.ndarray, mean: np.ndarray | None = None, *, first_day: int = 0) -> Tally:
    return Tally.of(use, np.zeros(use.shape, dtype=bool) if mean is None else mean, first_day)


def by_days(daily: np.ndarray) -> np.ndarray:
    """Use by day and customer, spread over eight hours of each day."""
    course = np.zeros(24)
    course[9:17] = 3.0
    return (daily[:, None, :] * course[None, :, None]).reshape(-1, daily.shape[1])


def test_the_course_over_the_day_is_relative_to_the_mean_hour():
    usual = Usual.of([tally(used(5)), tally(used(5), first_day=5)], 2)
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
    assert usual.week.tolist() == [[1.0] * 3] * 7
    assert not usual.weekly.any()


def test_a_customer_who_rests_on_two_days_of_seven_is_expected_to_do_so_again():
    rng = np.random.default_rng(4)
    day = np.arange(25)
    works = np.where(day % 7 >= 5, 0.0, 7.0 * rng.normal(1.0, 0.05, 25))
    erratic = rng.gamma(2.0, 2.0, 25)
    use = by_days(np.stack([works, erratic], axis=1))
    usual = Usual.of([tally(use[: 24 * 10]), tally(use[24 * 10 :], first_day=10)], 2)
    assert usual.weekly.tolist() == [True, False]
    assert usual.week[:, 0].tolist() == pytest.approx([7.0 * 25 / (7.0 * 19)] * 5 + [0.0, 0.0], abs=0.08)
    assert usual.week[:, 1].tolist() == [1.0] * 7
    assert usual.wander[0] < 0.2 * np.std(works)
    assert usual.wander[1] == pytest.approx(np.std(erratic, ddof=1))


def test_two_weeks_are_too_few_to_tell_a_weekday_from_chance():
    works = np.where(np.arange(13) % 7 >= 5, 0.0, 7.0)[:, None]
    usual = Usual.of([tally(by_days(works))], 1)
    assert not usual.weekly.any()
    assert usual.wander.tolist() == pytest.approx([np.std(works, ddof=1)])
