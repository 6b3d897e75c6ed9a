from typing import Any

import numpy as np
import pytest

from alarms.detectors.ic_card import CreditDetector
from gateway.model.quantity import Quantity
from tests.alarms.detector_city import DAY, HOME, HOUR, OfCity, a_row_set, judged
from tests.alarms.small_city import a_city, a_window

CITY = a_city(days=3)
START = int(CITY.bounds[0])
HOURS = 24 * 20


class TestCredit(OfCity):
    abnormal = pytest.fixture(lambda self: HOME)

    @pytest.fixture
    def city(self):
        return a_city()

    @pytest.fixture
    def windows(self, city):
        windows = city.windows()
        register = windows[Quantity.REGISTER_MEASURED_M3].value
        bought = np.ceil((register - 1000.0) / 150.0 + 1.0) * 150.0
        left = bought - (register - 1000.0)
        left[30:, city.at(HOME)] += 0.8 * (register[30:, city.at(HOME)] - register[30, city.at(HOME)])
        for quantity, value in ((Quantity.PURCHASED_M3, bought), (Quantity.BALANCE_M3, left)):
            windows[quantity] = a_window(quantity, city.bounds, city.customers, value)
        return windows

    @pytest.fixture
    def detector(self, city):
        return CreditDetector(city.model)

    def test_register_and_disagreement_are_shown_side_by_side(self, city, windows, detector):
        told = detector.detect(windows, city.now)
        shown = told.evidence[told.assets.index(HOME)]
        assert len(shown["read_at"]) == len(shown["register_m3"]) == len(shown["disagreement_m3"]) > 20
        assert shown["disagreement_m3"][0] == 0.0
        assert shown["disagreement_m3"][-1] < -40.0, "what was used and not charged"


def a_card(hours=HOURS, every=10) -> Any:
    """Return register, purchases and credit of an honest card that is read each hour; 50 m3 are bought each time."""
    used = np.arange(hours) * 0.1
    bought = 100.0 + 50.0 * (np.arange(hours) // (24 * every))
    return 2000.0 + used, bought, bought - used


def found(register, bought, left, every=HOUR, until=None) -> Any:
    moments = START + np.arange(len(register)) * every
    columns = {"register_measured_m3": register, "purchased_m3": bought, "balance_m3": left}
    rows = a_row_set(CITY.model, **{q: {HOME: list(zip(moments, v, strict=True))} for q, v in columns.items()})
    return judged(CreditDetector(CITY.model), rows, int(moments[-1]) + DAY if until is None else until)


def test_an_honest_card_has_no_case():
    assert found(*a_card()) == {}


def test_a_cubic_metre_that_nobody_bought_is_found_with_the_second_reading():
    register, bought, left = a_card()
    left[100:] += 1.0
    assert found(register, bought, left, until=START + 99 * HOUR + HOUR // 2) == {}
    assert found(register, bought, left, until=START + 101 * HOUR + HOUR // 2) == {HOME: 0.98}


def test_a_purchase_whose_record_is_late_is_honest():
    register, bought, left = a_card()
    shown = bought.copy()
    shown[240] = bought[239]
    assert found(register, shown, left) == {}
    assert found(register, shown, left, until=START + 240 * HOUR + HOUR // 2) == {}


def test_an_exchange_a_rollover_and_stray_pulses_are_honest():
    register, bought, left = a_card()
    anew = np.arange(HOURS) >= 300
    exchanged = np.where(anew, register - register[300] + 1.7, register)
    carried = np.where(anew, bought - bought[300] + left[300], bought)
    assert found(exchanged, carried, left) == {}
    assert found(np.mod(register + 10**6 - 2010.0, 10**6), bought, left) == {}
    assert found(register + 0.01 * (np.arange(HOURS) // 100), bought, left) == {}


def test_a_meter_read_with_its_card_alone_is_judged_by_what_nobody_buys():
    register, bought, left = (values[::240] for values in a_card(24 * 60))
    fraud = left.copy()
    fraud[-1] += 7.3
    late = bought.copy()
    late[-1] = bought[-2]
    assert found(register, bought, fraud, every=10 * DAY) == {HOME: 0.9}
    assert found(register, late, left, every=10 * DAY) == {}
    fraud[-3:-1] += 7.3
    assert found(register, bought, fraud, every=10 * DAY) == {HOME: 0.98}


def test_a_single_register_that_was_misread_is_no_case_and_hides_none():
    register, bought, left = a_card()
    for misread in (0.0, 7.0 * 2000.0, -5.0, 1300.0):
        wrong = register.copy()
        wrong[100] = misread
        assert found(wrong, bought, left) == {}
        assert found(wrong, bought, left, until=START + 100 * HOUR + HOUR // 2) == {}
        credited = left + 1.0 * (np.arange(HOURS) >= 200)
        assert found(wrong, bought, credited) == {HOME: 0.98}


def test_credit_that_is_charged_in_part_is_found_within_days_whatever_was_counted_before():
    register, bought, left = a_card(hours=24 * 40)
    register, bought = register * 5.0, bought * 5.0
    left = left * 5.0 + 0.3 * np.maximum(register - register[24 * 35], 0.0)
    for every in (1, 24):
        part = slice(None, 24 * 37 + 1, every)
        assert found(register[part], bought[part], left[part], every=every * HOUR) == {HOME: 0.98}, every
        part = slice(None, 24 * 35 + 1, every)
        assert found(register[part], bought[part], left[part], every=every * HOUR) == {}, every


def test_a_home_of_little_use_that_is_charged_in_part_is_found_before_a_cubic_metre_is_gone():
    register, bought, left = (values * 0.1 for values in a_card(hours=24 * 60))
    part = left + 0.5 * np.maximum(register - register[24 * 40], 0.0)
    for every in (1, 24):
        rows = slice(None, 24 * 43 + 1, every)
        assert found(register[rows], bought[rows], part[rows], every=every * HOUR) == {HOME: 0.9}, every
        rows = slice(None, 24 * 41 + 1, every)
        assert found(register[rows], bought[rows], part[rows], every=every * HOUR) == {}, every
    whole = slice(None, None, 24)
    assert found(register[whole], bought[whole], part[whole], every=DAY) == {HOME: 0.98}


def test_a_loose_contact_that_counts_now_and_then_is_no_case_though_hardly_any_gas_is_used():
    register, bought, left = (values * 0.01 for values in a_card(hours=24 * 60))
    assert found(register + 0.01 * (np.arange(24 * 60) // 18), bought, left) == {}


def test_a_record_of_a_purchase_that_is_late_by_some_readings_leaves_no_trace():
    register, bought, left = a_card()
    shown = bought.copy()
    shown[240:244] = bought[239]
    assert found(register, shown, left) == {}


def test_a_card_whose_register_counts_whole_cubic_metres_is_honest_within_a_step_and_found_beyond_a_few():
    register, bought, left = a_card(hours=24 * 60)
    part = slice(None, None, 24)
    shown = np.floor(register + 0.4)
    assert found(shown[part], bought[part], left[part], every=DAY) == {}
    slow = left + 0.05 * (register - register[0])
    assert found(shown[part], bought[part], slow[part], every=DAY) == {HOME: 0.98}
