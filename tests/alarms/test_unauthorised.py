from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from alarms.analysis.city import AccountChange
from alarms.detectors.accounts import UnauthorisedDetector
from gateway.model.finding import Verdict
from tests.alarms.detector_city import DAY, HOME, HOUR, OfCity, a_row_set, judged
from tests.alarms.small_city import a_city

CITY = a_city(days=3)
START = int(CITY.bounds[0])


class TestUnauthorised(OfCity):
    abnormal = pytest.fixture(lambda self: HOME)

    @pytest.fixture
    def city(self):
        return a_city()

    @pytest.fixture
    def detector(self, city):
        changes = {HOME: (AccountChange(int(city.bounds[34]), opened=False),)}
        return UnauthorisedDetector(replace(city.model, accounts=changes))

    def test_use_before_the_account_was_closed_is_honest(self, city):
        changes = {HOME: (AccountChange(int(city.bounds[-1]), opened=False),)}
        found = UnauthorisedDetector(replace(city.model, accounts=changes)).detect(city.windows(), city.now)
        assert not (found.verdict == Verdict.ABNORMAL).any()


def model_with(*changes) -> Any:
    return replace(CITY.model, accounts={HOME: tuple(AccountChange(at, opened=opened) for at, opened in changes)})


def hourly(values, every=HOUR) -> Any:
    return {HOME: [(START + n * every, 100.0 + value) for n, value in enumerate(values)]}


def found(model, readings, until) -> Any:
    return judged(UnauthorisedDetector(model), a_row_set(model, register_measured_m3=readings), until)


CLOSED = (START - 10 * DAY, False)


def test_the_first_days_of_use_prove_less_since_an_opening_may_be_entered_late():
    readings = hourly(np.maximum(np.arange(24 * 8) - 24.0, 0.0) * 0.1)
    assert found(model_with(CLOSED), readings, START + 24 * HOUR) == {}
    assert found(model_with(CLOSED), readings, START + 40 * HOUR) == {HOME: 0.6}
    assert found(model_with(CLOSED), readings, START + 80 * HOUR) == {HOME: 0.97}


def test_little_gas_in_many_steps_of_two_days_is_use_and_in_few_steps_it_is_none():
    steps = np.cumsum(np.isin(np.arange(24 * 30), [200, 206, 212, 218])) * 0.03
    seldom = np.cumsum(np.isin(np.arange(24 * 30), [200, 280, 360, 440])) * 0.03
    few = np.cumsum(np.isin(np.arange(24 * 30), [200, 206])) * 0.06
    assert found(model_with(CLOSED), hourly(steps), START + 220 * HOUR) == {HOME: 0.6}
    assert found(model_with(CLOSED), hourly(seldom), START + 31 * DAY) == {}
    assert found(model_with(CLOSED), hourly(few), START + 31 * DAY) == {}


def test_an_opening_counts_from_the_moment_at_which_it_is_entered():
    readings = hourly(np.arange(24 * 8) * 0.1)
    model = model_with(CLOSED, (START + 40 * HOUR, True))
    assert found(model, readings, START + 39 * HOUR) == {HOME: 0.6}
    assert found(model, readings, START + 41 * HOUR) == {}


def test_single_pulses_and_gas_that_flows_back_are_no_use():
    stray = np.where(np.arange(24 * 30) > 200, 0.01, 0.0)
    back = np.where(np.arange(24 * 30) % 100 < 3, -0.2, 0.0)
    assert found(model_with(CLOSED), hourly(stray), START + 31 * DAY) == {}
    assert found(model_with(CLOSED), hourly(back), START + 31 * DAY) == {}


def test_use_of_the_day_of_closing_is_honest_whatever_the_clocks():
    readings = hourly(np.minimum(np.arange(24 * 8) * 0.1, 2.0))
    assert found(model_with((START, False)), readings, START + 8 * DAY) == {}


def test_a_meter_read_by_hand_needs_two_cubic_metres_and_a_second_reading_makes_it_sure():
    def monthly(*values) -> Any:
        return found(model_with(CLOSED), hourly(values, 20 * DAY), START + 61 * DAY)

    assert monthly(0.0, 1.0) == {}
    assert monthly(0.0, 40.0) == {HOME: 0.8}
    assert monthly(0.0, 40.0, 80.0) == {HOME: 0.97}
    assert monthly(50.0, 10.0, 50.0) == {}, "a wrong figure that was put right"


def test_one_reading_a_day_tells_use_with_an_even_chance_and_the_next_one_makes_it_likelier():
    def daily(*values) -> Any:
        return found(model_with(CLOSED), hourly(values, DAY), START + 9 * DAY)

    assert daily(0.0, 0.0, 0.2) == {}, "a few pulses"
    assert found(model_with(CLOSED), hourly((0.0, 0.0, 3.0), DAY), START + 2 * DAY + HOUR) == {HOME: 0.5}
    assert found(model_with(CLOSED), hourly((0.0, 0.0, 0.2, 0.4), DAY), START + 3 * DAY + HOUR) == {HOME: 0.6}
    assert daily(0.0, 0.0, 0.2, 0.4) == {HOME: 0.97}
    assert daily(0.0, 0.0, 3.0, 0.0) == {}, "a wrong figure that was put right"
    assert daily(0.0, 0.0, 900.0) == {}, "more than the meter can count"


def test_a_register_that_shows_whole_cubic_metres_needs_two_of_them():
    one = np.where(np.arange(24 * 30) >= 200, 1.0, 0.0)
    two = one + np.where(np.arange(24 * 30) >= 500, 1.0, 0.0)
    assert found(model_with(CLOSED), hourly(one), START + 31 * DAY) == {}
    assert found(model_with(CLOSED), hourly(two), START + 31 * DAY) == {HOME: 0.97}


def test_an_exchange_is_no_use():
    assert found(model_with(CLOSED), hourly([0.0] * 100 + [-99.0] * 100), START + 20 * DAY) == {}
