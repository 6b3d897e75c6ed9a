from typing import Any

import numpy as np
import pytest

from alarms.detectors.silent import SilentDetector
from gateway.meterdata.series import Series
from gateway.model.finding import Verdict
from gateway.model.quantity import Quantity
from gateway.model.reading import from_us
from tests.alarms.detector_city import DAY, HOME, HOUR, OfCity, a_row_set, judged
from tests.alarms.small_city import a_city

CITY = a_city(days=3)
START = int(CITY.bounds[0])
NOW = START + 60 * DAY
REGISTER = Quantity.REGISTER_MEASURED_M3


class TestSilent(OfCity):
    abnormal = pytest.fixture(lambda self: HOME)

    @pytest.fixture
    def city(self):
        return a_city()

    @pytest.fixture
    def windows(self, city):
        windows = city.windows()
        windows[REGISTER].value[-5:, city.at(HOME)] = np.nan
        return windows

    @pytest.fixture
    def detector(self, city):
        return SilentDetector(city.model)

    def test_a_zone_silent_as_a_whole_is_not_blamed_on_its_meters(self, city, detector):
        windows = city.windows()
        windows[REGISTER].value[-5:, :20] = np.nan
        assert not (detector.detect(windows, city.now).verdict == Verdict.ABNORMAL).any()


def moments(*, until=NOW, since=START, every=DAY, missing=()) -> Any:
    return [at for n, at in enumerate(range(since, until, every)) if n not in missing]


def found(readings, now=NOW) -> Any:
    """`readings` says when some meters were heard; the others of the city were heard each day."""
    every = {name: moments() for name in CITY.customers} | readings
    rows = a_row_set(
        CITY.model, register_measured_m3={name: [(at, 5.0) for at in times] for name, times in every.items()}
    )
    return judged(SilentDetector(CITY.model), rows, now)


def test_a_meter_that_sends_each_hour_is_missed_surely_after_three_days_and_not_before_two():
    heard = {HOME: moments(every=HOUR, until=NOW - 80 * HOUR)}
    assert found(heard, NOW - 36 * HOUR) == {}
    assert found(heard)[HOME] > 0.85


def test_two_days_are_much_where_no_meter_alone_was_ever_silent_so_long_and_little_elsewhere():
    heard = {HOME: moments(every=HOUR, until=NOW - 57 * HOUR)}
    others = [name for name in CITY.customers if name != HOME]
    hourly = {name: moments(every=HOUR) for name in others}
    gaps = {
        name: [at for at in times if not 0 < at - START - (2 + 3 * n % 50) * DAY < 62 * HOUR]
        for n, (name, times) in enumerate(hourly.items())
    }
    assert found(heard | hourly, NOW - 12 * HOUR) == {}
    assert list(found(heard | hourly)) == [HOME]
    assert found(heard | gaps) == {}
    assert found({HOME: moments(every=HOUR, until=NOW - 6 * DAY)} | gaps)[HOME] > 0.8


def test_a_city_heard_at_a_moment_is_the_same_whatever_comes_later():
    heard = {HOME: [*moments(every=HOUR, until=NOW - 80 * HOUR), NOW + HOUR, NOW + 2 * HOUR]}
    earlier = {HOME: moments(every=HOUR, until=NOW - 80 * HOUR)}
    assert found(heard) == found(earlier) != {}


def test_gaps_that_a_meter_always_had_are_its_rhythm():
    seldom = {HOME: moments(every=2 * DAY, until=NOW - 5 * DAY)}
    lossy = {HOME: moments(until=NOW - 4 * DAY, missing={5, 6, 7, 8, 20, 21, 22, 30, 31, 32, 33, 34})}
    assert found(seldom) == {}
    assert found(lossy) == {}


def test_meters_that_people_read_are_unknown_not_silent():
    visits = {HOME: [START + 2 * DAY, START + 12 * DAY], "M-1-08": [START + 30 * DAY]}
    assert found(visits) == {}


def test_neighbours_that_fall_silent_together_have_a_common_cause():
    together = {f"M-1-{n:02d}": moments(until=NOW - 5 * DAY + n * HOUR) for n in range(3, 8)}
    assert found(together) == {}
    assert list(found(together | {HOME: moments(until=NOW - 12 * DAY)})) == [HOME]


def test_days_on_which_the_zone_was_not_heard_are_not_held_against_a_meter():
    outage = set(range(20, 32))
    city = {name: moments(missing=outage) for name in CITY.customers if name.startswith("M-1")}
    assert found(city | {HOME: moments(missing=outage, until=NOW - 4 * DAY)})[HOME] > 0.8


def test_a_meter_whose_clock_stands_in_another_year_was_heard():
    names = list(CITY.customers)
    came = np.array([at for at in moments() for _ in names], dtype=np.int64)
    column = np.tile(np.arange(len(names), dtype=np.int32), 60)
    lost = (column == names.index(HOME)) & (came > NOW - 10 * DAY)
    heard = Series(tuple(names), column, np.where(lost, 946_684_800_000_000, came), came + HOUR, np.ones(len(came)))
    known = {name: [(at, 5.0) for at in moments(until=NOW - 10 * DAY if name == HOME else NOW)] for name in names}
    detector = SilentDetector(CITY.model)
    assert HOME in judged(detector, a_row_set(CITY.model, register_measured_m3=known), NOW)
    assert judged(detector, a_row_set(CITY.model, {REGISTER: heard}, register_measured_m3=known), NOW) == {}


def test_a_city_of_which_nothing_is_known_is_unknown():
    rows = a_row_set(CITY.model, register_measured_m3={name: [(START, 1.0)] for name in CITY.customers})
    answer = SilentDetector(CITY.model).judge(rows.known(START - DAY, START - 64 * DAY), from_us(START - DAY))
    assert (answer.verdict == Verdict.UNKNOWN).all()
