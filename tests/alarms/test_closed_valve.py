from typing import Any

import numpy as np
import pytest

from alarms.detectors.closed_valve import ClosedValveDetector
from gateway.model.quantity import Quantity
from tests.alarms.detector_city import DAY, HOME, HOUR, OfCity, a_row_set, judged
from tests.alarms.small_city import a_city, a_window

CITY = a_city(days=3)
START = int(CITY.bounds[0])


class TestClosedValve(OfCity):
    abnormal = pytest.fixture(lambda self: HOME)

    @pytest.fixture
    def city(self):
        return a_city()

    @pytest.fixture
    def windows(self, city):
        valve = np.ones((city.days + 1, len(city.customers)))
        valve[36:, city.at(HOME)] = 0.0
        return {**city.windows(), Quantity.VALVE: a_window(Quantity.VALVE, city.bounds, city.customers, valve)}

    @pytest.fixture
    def detector(self, city):
        return ClosedValveDetector(city.model)


def found(registers, valves, every=HOUR) -> Any:
    moments = START + np.arange(len(registers)) * every
    rows = a_row_set(
        CITY.model,
        register_measured_m3={HOME: list(zip(moments, 100.0 + np.asarray(registers), strict=True))},
        valve={HOME: list(zip(moments, valves, strict=True))},
    )
    return judged(ClosedValveDetector(CITY.model), rows, int(moments[-1]) + DAY)


def test_gas_between_closed_readings_is_found_the_same_day():
    use = np.concatenate([np.zeros(10), np.arange(10) * 0.2])
    assert found(use, [1.0] * 5 + [0.0] * 15) == {HOME: 0.98}


def test_a_valve_that_shows_a_reading_late_that_it_was_opened_is_honest():
    use = np.concatenate([np.zeros(10), 3.0 + np.arange(10)])
    assert found(use, [1.0] * 5 + [0.0] * 6 + [1.0] * 9) == {}


def test_gas_only_at_the_newest_closed_reading_or_once_opened_is_honest():
    assert found([0.0, 0.0, 0.0, 5.0], [0.0] * 4, DAY) == {}
    assert found([0.0, 0.0, 0.12, 5.0], [0.0, 0.0, 0.0, 1.0], DAY) == {}
    assert found([0.0, 0.0, 0.02, 5.0], [0.0] * 4, DAY) == {}, "a pulse, and a valve that shows a reading late"


def test_one_stray_pulse_and_gas_that_comes_back_are_no_flow():
    stray = np.where(np.arange(200) > 100, 0.1, 0.0)
    back = np.where(np.arange(200) % 24 < 3, -0.1, 0.0)
    assert found(stray, [0.0] * 200) == {}
    assert found(back, [0.0] * 200) == {}


def test_readings_far_apart_prove_less_and_one_gap_proves_nothing():
    assert found([0.0, 0.0, 40.0, 40.0], [0.0] * 4, 10 * DAY) == {}
    assert found([0.0, 40.0, 80.0, 120.0], [0.0] * 4, 10 * DAY) == {HOME: 0.8}


def test_a_valve_that_lets_a_little_pass_is_found_within_days():
    assert found([0.0, 0.0, 0.12, 0.24], [0.0] * 4, DAY) == {HOME: 0.6}
    assert found([0.0, 0.0, 0.12, 0.24, 0.3], [0.0] * 5, DAY) == {HOME: 0.8}
    assert found([0.0, 0.0, 0.0, 0.24, 0.24], [0.0] * 5, DAY) == {}
    assert found([0.0, 0.0, 0.05, 0.1, 0.1], [0.0] * 5, DAY) == {}


def test_an_hour_of_more_than_the_meter_was_chosen_for_counts_and_a_jump_does_not():
    closed = [0.0] * 20
    hard, jump = (np.concatenate([np.zeros(10), np.arange(10) * each]) for each in (70.0, 200.0))
    assert found(hard, closed) == {HOME: 0.98}
    assert found(jump, closed) == {}
