"""A meter that was turned round counts down what its customer uses: its register falls from reading to reading."""

from typing import Any

import numpy as np
import pytest

from alarms.analysis.backwards import backwards, may_run_backwards
from alarms.analysis.marks import Marks
from alarms.analysis.study import study
from alarms.detectors.theft import TheftDetector
from gateway.model.finding import Verdict
from gateway.model.quantity import Quantity
from gateway.model.reading import from_us
from tests.alarms.detector_city import DAY, HOUR, a_series
from tests.alarms.small_city import a_city

BOUNDS = np.arange(10) * DAY
HOME, OTHER = "M-1-07", "M-1-08"


def daily(*values) -> Any:
    return [(day * DAY + HOUR, value) for day, value in enumerate(values)]


def found(readings, assets=("A", "B"), bounds=BOUNDS) -> Any:
    falling = may_run_backwards([a_series(readings)])
    return [] if falling is None else backwards(falling, assets, bounds)


def test_a_register_that_falls_day_after_day_runs_backwards_since_before_the_first_fall():
    (one,) = found({"B": daily(10, 11, 12, 11.5, 11.5, 10.5, 9.9, 10.2, 11), "A": daily(*range(9))})
    assert (one.asset, one.times) == ("B", 1)
    assert (one.since_us, one.until_us) == (2 * DAY + HOUR, 6 * DAY + HOUR)
    assert one.fallen_m3 == pytest.approx(2.1)


def test_the_last_time_that_it_was_turned_round_is_told_and_how_often_it_was():
    first, second = found({"A": daily(10, 9, 8, 7, 9, 11, 10, 9.5, 9), "B": daily(5, 4, 3, 2)})
    assert (first.times, first.fallen_m3, first.since_us) == (2, pytest.approx(2.0), 5 * DAY + HOUR)
    assert (second.asset, second.times, second.fallen_m3) == ("B", 1, pytest.approx(3.0))


@pytest.mark.parametrize(
    "values",
    [
        (10, 11, 3, 4, 5, 1, 2, 3, 0, 1),  # resets
        (10, 90, 11, 85, 12, 80, 13, 75, 14),  # two devices under one name
        (10, 11, 9, 12, 8, 13, 7, 14),  # single wrong values
        (10.0, 9.99, 9.98, 9.97, 9.96),  # a counter that jitters
        (10, 9, 8, 9, 10, 9, 8, 9),  # never three times one after the other
    ],
)
def test_what_falls_once_at_a_time_or_by_nothing_does_not_run_backwards(values):
    assert found({"A": daily(*values)}) == []


def test_falls_within_a_few_hours_are_wrong_values():
    assert found({"A": [(hour * HOUR, 10.0 - hour) for hour in range(5)]}) == []


def test_a_meter_that_counts_forwards_again_for_a_week_is_not_told_any_more():
    readings = {"A": daily(10, 9, 8, 7, *range(8, 80))}
    assert found(readings, bounds=np.arange(10) * DAY)
    assert not found(readings, bounds=np.arange(12) * DAY)


def test_other_assets_and_readings_before_the_first_day_tell_nothing():
    readings = {"A": daily(10, 9, 8, 7, 8)}
    assert not found(readings, assets=("B",))
    assert not found(readings, bounds=BOUNDS[2:])


def test_what_had_not_arrived_is_not_known():
    late = {"A": [*daily(10, 9, 8), (3 * DAY + HOUR, 7.0, 8 * DAY)]}
    falling = may_run_backwards([a_series(late)])
    assert falling is not None
    assert [bool(backwards(falling.known(day * DAY), ("A",), BOUNDS)) for day in (7, 9)] == [False, True]


def test_a_home_whose_register_runs_backwards_is_told_as_theft_with_what_it_lost():
    city = a_city()
    first = int(city.bounds[30])
    falls = a_series({HOME: [(first + day * DAY, 50.0 - day) for day in range(6)], OTHER: [(first, 1.0)]})
    marks = Marks.of({Quantity.REGISTER_MEASURED_M3: falls}, city.model.gas_day)
    told = TheftDetector(city.model).judge(study(city.model, city.windows(), city.now, marks=marks))
    at = told.assets.index(HOME)
    assert [told.assets[i] for i in np.flatnonzero(told.verdict == Verdict.ABNORMAL)] == [HOME]
    assert (told.score[at], told.onset[at]) == (0.95, first)
    assert told.estimate_m3_per_day[at] == pytest.approx(2.0)
    assert told.evidence[at]["backwards_m3"] == 5.0
    assert told.evidence[at]["register_m3"] == [50.0, 49.0, 48.0, 47.0, 46.0, 45.0]
    assert told.evidence[at]["read_at"][0] == from_us(first).isoformat(timespec="seconds")


def test_readings_of_two_weeks_before_the_fall_and_those_since_are_shown():
    (one,) = found({"A": daily(*range(30), 28, 27, 26, 27), "B": daily(*range(40))}, bounds=np.arange(35) * DAY)
    assert list(one.register_m3) == [*range(15, 30), 28, 27, 26, 27]
    assert one.time[0] == one.since_us - 14 * DAY
