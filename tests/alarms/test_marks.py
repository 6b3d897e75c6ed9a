from datetime import time

import numpy as np
import pytest

from alarms.analysis.bank_config import BankConfig
from alarms.analysis.marks import Known, Marks, tampered_with
from gateway.model.gasday import GasDay
from gateway.model.quantity import Quantity
from tests.alarms.detector_city import DAY, HOUR, a_series

BOUNDS = np.arange(11) * DAY
NAMES = ("A", "B", "C")
GAS_DAY = GasDay("Asia/Shanghai", time(6))


def test_a_valve_is_closed_from_a_closed_reading_to_the_next_that_is_not():
    series = a_series(
        {
            "A": [(1 * DAY, 1.0), (2 * DAY + HOUR, 0.0), (5 * DAY + HOUR, 0.0), (7 * DAY + HOUR, 1.0)],
            "B": [(9 * DAY + HOUR, 0.0)],
            "X": [(3 * DAY, 0.0)],
        }
    )
    closed = Marks.of({Quantity.VALVE: series}, GAS_DAY).closed(NAMES, BOUNDS)
    assert np.flatnonzero(closed[:, 0]).tolist() == [2, 3, 4, 5]
    assert np.flatnonzero(closed[:, 1]).tolist() == [9]
    assert not closed[:, 2].any()


def test_what_had_not_arrived_is_not_known():
    series = a_series({"A": [(2 * DAY + HOUR, 0.0), (4 * DAY, 0.0, 6 * DAY)]})
    assert np.flatnonzero(Marks(valve=series).known(5 * DAY).closed(NAMES, BOUNDS)[:, 0]).tolist() == [2]


@pytest.mark.parametrize(
    ("flags", "says"),
    [(1, True), (2, True), (4, True), (8, False), (9, True), (64, False), (np.nan, False), (-1e30, False)],
)
def test_a_magnet_an_open_cover_and_reverse_flow_say_that_a_meter_was_touched(flags, says):
    assert tampered_with(np.array([float(flags)])).tolist() == [says]


def test_a_flag_raises_the_odds_of_a_theft_around_it_and_less_where_flags_are_usual():
    touched = a_series({"B": [(5 * DAY + HOUR, 1.0)]})
    marks = Marks.of({Quantity.FLAGS: touched}, GAS_DAY)
    assert np.flatnonzero(marks.tampered(NAMES, BOUNDS)[:, 1]).tolist() == [5]
    idle = np.zeros((10, 3), dtype=np.bool_)
    rare = Known(idle, marks.tampered(NAMES, BOUNDS), np.full((10, 3), -np.inf)).odds
    assert np.flatnonzero(rare[:, 1] > 4.0).tolist() == [2, 3, 4, 5, 6, 7, 8]
    assert not rare[:, [0, 2]].any()
    usual = np.zeros((200, 3000), dtype=np.bool_)
    usual[::9, ::2] = True
    assert 0.0 <= Known(np.zeros_like(usual), usual, np.full(usual.shape, -np.inf)).odds.max() < 1.0


def test_nights_of_rest_raise_the_odds_less_where_many_begin_in_the_same_weeks():
    none = np.zeros((120, 400), dtype=np.bool_)
    quiet = np.full(none.shape, -np.inf)
    quiet[30, 7] = 0.5
    quiet[90:100, 100:250] = np.where(np.arange(150) % 10 == np.arange(10)[:, None], 0.5, -np.inf)
    odds = Known(none, none, quiet).odds
    assert np.flatnonzero(odds[:, 7] > 5.0).tolist() == list(range(27, 34))
    assert 0.0 < odds[:, 100:250].max() < 2.0
    assert not odds[:, 300].any()


@pytest.mark.parametrize("customers", [50, 5000])
def test_no_sign_alone_makes_a_theft_an_even_chance_at_a_home(customers):
    none = np.zeros((240, customers), dtype=np.bool_)
    quiet, tampered = np.full(none.shape, -np.inf), none.copy()
    quiet[30, 7], tampered[200, 9] = 100.0, True
    odds = Known(none, tampered, quiet).odds
    chances = BankConfig().theft_rate * np.exp(odds).sum(axis=0)
    assert (chances[[7, 9]] > 0.005).all()
    assert (chances[[7, 9]] < 1.0).all()


def test_without_marks_nothing_is_known():
    marks = Marks()
    assert not marks.closed(NAMES, BOUNDS).any()
    assert not marks.tampered(NAMES, BOUNDS).any()
    assert not np.isfinite(marks.turned_quiet(NAMES, BOUNDS)).any()
    assert marks.closed(NAMES, BOUNDS[:1]).shape == (0, 3)
