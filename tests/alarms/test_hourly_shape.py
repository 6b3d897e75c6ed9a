import numpy as np
import pytest

from alarms.analysis.hourly_shape import steadiness

HOURS = 28 * 24
FLOW = np.tile(np.array([1, 1, 1, 1, 1, 2, 6, 8, 5, 3, 3, 6, 7, 4, 3, 3, 4, 8, 10, 9, 6, 4, 2, 1]) / 4.0, 28)
BEGUN_H = 120
NEW = np.arange(HOURS) >= HOURS - BEGUN_H
NOISE = np.random.default_rng(3).normal(0.0, 0.1, HOURS)
GUESS = np.zeros(HOURS)


def ratio(extra: np.ndarray) -> float:
    return steadiness(0.01 * FLOW + NOISE + NEW * extra, FLOW, GUESS, BEGUN_H)


def test_a_loss_at_all_hours_alike_is_told_from_one_that_follows_the_use():
    assert ratio(np.full(HOURS, 0.2)) > 5.0
    assert ratio(0.2 * FLOW / FLOW.mean()) < -5.0
    assert ratio(np.zeros(HOURS)) == pytest.approx(0.0, abs=1.0)


def test_what_a_zone_seems_to_lose_at_some_hours_of_each_day_is_no_part_of_it():
    by_hour = np.tile(np.where(np.arange(24) < 6, 0.3, -0.1), 28)
    assert steadiness(NOISE + by_hour + NEW * 0.2, FLOW, GUESS, BEGUN_H) > 5.0


def test_a_single_wrong_hour_decides_nothing():
    extra = np.zeros(HOURS)
    extra[-10] = 1000.0
    assert ratio(extra) == pytest.approx(0.0, abs=2.0)
    assert ratio(extra + 0.2) > 5.0
    assert ratio(extra + 0.2 * FLOW / FLOW.mean()) < -5.0


def test_hours_that_are_only_guessed_say_little():
    follows = 0.2 * FLOW / FLOW.mean()
    guess = np.where(NEW, 3.0, 0.0)
    assert steadiness(NOISE + NEW * follows, FLOW, guess, BEGUN_H) == pytest.approx(0.0, abs=0.5)


@pytest.mark.parametrize("unknown", [slice(None), slice(HOURS - BEGUN_H, None), slice(HOURS - BEGUN_H)])
def test_unknown_hours_tell_nothing(unknown):
    loss = NOISE + NEW * 0.2 * FLOW
    loss[unknown] = np.nan
    assert steadiness(loss, FLOW, GUESS, BEGUN_H) == 0.0


def test_a_history_of_an_hour_tells_nothing():
    assert steadiness(NOISE[:1], FLOW[:1], GUESS[:1], 1.0) == 0.0
    assert steadiness(NOISE, np.zeros(HOURS), GUESS, BEGUN_H) == 0.0
