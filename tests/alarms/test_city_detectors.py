from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from alarms import DETECTORS
from alarms.analysis.marks import Marks
from alarms.analysis.study import study
from alarms.detectors.balance import BalanceDetector
from alarms.detectors.non_moving import NonMovingDetector
from alarms.detectors.slow import SlowDetector
from alarms.detectors.theft import TheftDetector
from alarms.findings import EpisodeConfig
from gateway.model.finding import Verdict
from gateway.model.quantity import Quantity
from tests.alarms.detector_city import HOUR, OfCity, a_series
from tests.alarms.small_city import BUSINESS, FIRST, a_city, a_window

HOME = "M-1-07"


class TestLeakByBalance(OfCity):
    abnormal = pytest.fixture(lambda self: "R-2")

    @pytest.fixture
    def city(self):
        return a_city().leaking("R-2", 35, 12.0)

    @pytest.fixture
    def detector(self, city):
        return BalanceDetector(city.model)


class TestTheft(OfCity):
    abnormal = pytest.fixture(lambda self: BUSINESS)

    @pytest.fixture
    def city(self):
        return a_city().with_counted(BUSINESS, 37, 0.15)

    @pytest.fixture
    def detector(self, city):
        return TheftDetector(city.model)


class TestNonMoving(OfCity):
    abnormal = pytest.fixture(lambda self: HOME)

    @pytest.fixture
    def city(self):
        return a_city().with_counted(HOME, 32, 0.0)

    @pytest.fixture
    def detector(self, city):
        return NonMovingDetector(city.model)


def test_a_home_that_counts_a_steady_half_is_slow_and_told_under_one_name():
    city = a_city(days=90).with_counted(HOME, 45, 0.5)
    known = study(city.model, city.windows(), city.now)
    slow, theft = SlowDetector(city.model).judge(known), TheftDetector(city.model).judge(known)
    at = slow.assets.index(HOME)
    assert (slow.verdict[at] == Verdict.ABNORMAL) != (theft.verdict[at] == Verdict.ABNORMAL)
    found = slow if slow.verdict[at] == Verdict.ABNORMAL else theft
    assert found.score[at] >= 0.5
    assert {"slow", "theft"} & set(found.evidence[at]["alternatives"])


def test_every_registered_detector_answers_the_kind_of_its_key():
    model = a_city(days=3).model
    assert {kind: DETECTORS[kind](model).condition for kind in DETECTORS} == {kind: kind for kind in DETECTORS}


def test_a_healthy_city_with_absences_has_no_case():
    city = a_city(days=60, seed=5).away("M-1-03", 50).away("M-1-04", 48, 55).away("M-2-09", 51).away("M-2-10", 57)
    for days in (30, 45, 50, 53, 56, 60):
        part = city.first_days(days)
        assert study(part.model, part.windows(), part.now).cases == ()


def test_an_absence_beside_a_leak_is_no_stopped_meter():
    city = a_city(seed=3).away(HOME, 33).leaking("R-1", 33, 25.0)
    known = study(city.model, city.windows(), city.now)
    assert [found.customer for found in known.cases] == [-1]


def test_a_meter_at_rest_is_theft_at_a_business_and_a_stopped_meter_at_a_home():
    city = a_city(seed=2).with_counted(BUSINESS, 36, 0.0).with_counted(HOME, 30, 0.0)
    known = study(city.model, city.windows(), city.now)
    theft = TheftDetector(city.model).judge(known)
    still = NonMovingDetector(city.model).judge(known)
    assert [theft.assets[i] for i in np.flatnonzero(theft.verdict == Verdict.ABNORMAL)] == [BUSINESS]
    assert [still.assets[i] for i in np.flatnonzero(still.verdict == Verdict.ABNORMAL)] == [HOME]


def test_evidence_of_theft_shows_curves_that_a_person_can_check():
    city = a_city().with_counted(BUSINESS, 37, 0.15)
    found = TheftDetector(city.model).detect(city.windows(), city.now)
    evidence = found.evidence[found.assets.index(BUSINESS)]
    curves = ("days", "meter_m3", "expected_m3", "zone_loss_m3", "deficit_m3")
    assert {len(evidence[name]) for name in curves} == {35}
    assert evidence["days"][-1] == "2025-12-10"
    assert evidence["first_day"] == "2025-12-08"
    assert evidence["meter_m3"][-1] == pytest.approx(city.counted[-1, city.at(BUSINESS)], abs=0.002)
    assert evidence["expected_m3"][-1] == pytest.approx(city.passed[-1, city.at(BUSINESS)], rel=0.3)
    assert sum(evidence["alternatives"].values()) == pytest.approx(1.0, abs=0.01)
    assert found.onset[found.assets.index(BUSINESS)] == city.bounds[37]
    assert str(FIRST) == "2025-11-01"


def test_a_flag_of_tampering_makes_a_theft_likelier_and_stands_in_its_evidence():
    city = a_city(days=39).with_counted(BUSINESS, 37, 0.5)
    touched = Marks(touched=a_series({BUSINESS: [(int(city.bounds[37]) + HOUR, 1.0)]}))
    plain, flagged = (
        TheftDetector(city.model).judge(study(city.model, city.windows(), city.now, marks=marks))
        for marks in (Marks(), touched)
    )
    at = flagged.assets.index(BUSINESS)
    assert flagged.score[at] > plain.score[at]
    assert flagged.evidence[at]["tampered_on"] == "2025-12-08"
    assert "tampered_on" not in plain.evidence[at]


def test_a_meter_whose_valve_the_company_closed_is_not_stopped():
    city = a_city(seed=2).with_counted(HOME, 30, 0.0)
    shut = Marks(valve=a_series({HOME: [(int(city.bounds[day]) + HOUR, 0.0) for day in range(30, 40)]}))
    named, excused = (
        {HOME} & {known.balance.tree.customers[c.customer] for c in known.cases}
        for known in (study(city.model, city.windows(), city.now, marks=marks) for marks in (Marks(), shut))
    )
    assert (named, excused) == ({HOME}, set())


def test_a_zone_without_its_supply_meter_is_unknown_and_accuses_nobody():
    city = a_city().with_counted(BUSINESS, 37, 0.15)
    windows = city.windows()
    windows[Quantity.REGISTER_BASE_M3].value[-3:, 0] = np.nan
    leak = BalanceDetector(city.model).detect(windows, city.now)
    assert dict(zip(leak.assets, leak.verdict, strict=True)) == {"R-1": Verdict.UNKNOWN, "R-2": Verdict.NORMAL}
    theft = TheftDetector(city.model).detect(windows, city.now)
    assert theft.verdict[theft.assets.index(BUSINESS)] == Verdict.UNKNOWN


def test_a_zone_whose_last_day_is_not_read_yet_is_judged_by_the_days_before():
    city = a_city().with_counted(BUSINESS, 37, 0.15)
    windows = city.windows()
    windows[Quantity.REGISTER_BASE_M3].value[-1, 0] = np.nan
    theft = TheftDetector(city.model).detect(windows, city.now)
    assert theft.verdict[theft.assets.index(BUSINESS)] == Verdict.ABNORMAL


def test_a_zone_without_customers_is_judged_too():
    city = a_city()
    windows = city.windows()
    measured = windows[Quantity.REGISTER_MEASURED_M3]
    only_r2 = [column for column, name in enumerate(measured.assets) if name.startswith("M-2")]
    windows[Quantity.REGISTER_MEASURED_M3] = a_window(
        measured.quantity, city.bounds, [measured.assets[c] for c in only_r2], measured.value[:, only_r2]
    )
    found = BalanceDetector(city.model).detect(windows, city.now)
    assert dict(zip(found.assets, found.verdict, strict=True))["R-2"] == Verdict.NORMAL
    assert len(found.assets) == 2


def unread_from(city, names, first_day) -> Any:
    """Return the city's windows with some meters that nobody reads any more from a day on."""
    windows = city.windows()
    window = windows[Quantity.REGISTER_MEASURED_M3]
    columns = [window.assets.index(name) for name in names]
    window.value[first_day + 1 :, columns] = window.variance[first_day + 1 :, columns] = np.nan
    return windows


def test_a_zone_that_is_read_in_part_is_known_to_leak_when_it_loses_far_more_than_its_unread_homes_may_use():
    city = a_city(days=60).leaking("R-2", 35, 70.0)
    windows = unread_from(city, [f"M-2-{number:02d}" for number in range(20, 29)], 20)
    known = study(city.model, windows, city.now)
    zone = known.balance.tree.zones.index("R-2")
    assert 0.5 < known.balance.volume_coverage[-1, zone] < 0.85
    found = BalanceDetector(city.model).judge(known)
    at = found.assets.index("R-2")
    assert found.verdict[at] == Verdict.ABNORMAL
    assert found.score[at] >= 0.5
    assert found.estimate_m3_per_day[at] == pytest.approx(70.0, rel=0.4)
    assert [case for case in known.cases if case.customer >= 0] == []


@pytest.mark.parametrize("a_day", [0.15, 0.3, 1.2])
def test_homes_whose_registers_step_once_in_days_are_not_at_rest(a_day):
    city = a_city(days=120)
    homes = [name for name in city.customers if name != BUSINESS and name.startswith("M-1")][:20]
    city = city.using(homes, 45, a_day).of_whole_m3(homes)
    known = study(city.model, city.windows(), city.now)
    assert [case for case in known.cases if case.customer >= 0] == []
    at = [known.balance.tree.customers.index(name) for name in homes]
    assert np.median(known.rests[60:-10, at]) == 0


def test_a_home_that_stops_is_found_although_its_register_counts_whole_cubic_metres():
    city = a_city(days=60).of_whole_m3([HOME]).with_counted(HOME, 40, 0.0)
    found = NonMovingDetector(city.model).detect(city.windows(), city.now)
    at = found.assets.index(HOME)
    assert found.verdict[at] == Verdict.ABNORMAL
    assert found.score[at] >= 0.5
    assert abs(int(found.onset[at]) - int(city.bounds[40])) <= 2 * 24 * HOUR


def test_a_leak_is_as_large_as_it_is_now_also_when_another_one_joined_it():
    city = a_city().leaking("R-2", 20, 12.0)
    both = city.leaking("R-2", city.days - 6, 8.0)
    first, joined = (
        BalanceDetector(one.model).detect(one.windows(), one.now).estimate_m3_per_day[1] for one in (city, both)
    )
    assert first == pytest.approx(12.0, rel=0.2)
    assert joined == pytest.approx(20.0, rel=0.2), "the mean since the first began would be far less"
    assert joined >= (1.0 + EpisodeConfig().size_step) * first, "people are told again"


@pytest.mark.parametrize("seed", range(1, 7))
def test_what_unread_homes_may_use_is_no_leak_and_accuses_no_neighbour(seed):
    city = a_city(days=60, seed=seed)
    late = [f"M-2-{number:02d}" for number in range(20, 29)]
    passed, ways = city.passed.copy(), np.random.default_rng(seed)
    for name in late:  # each goes its own way when nobody reads it any more
        passed[30:, city.at(name)] *= ways.lognormal(0.0, 0.3)
    city = replace(city, passed=passed)
    known = study(city.model, unread_from(city, late, 20), city.now)
    assert known.cases == ()
    for detector, name in ((BalanceDetector, "R-2"), (TheftDetector, "M-2-03")):
        told = detector(city.model).judge(known)
        assert told.verdict[told.assets.index(name)] != Verdict.NORMAL, "what is read in part clears nothing"
