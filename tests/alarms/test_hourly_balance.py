from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time

import numpy as np
import pytest

from alarms.analysis.city import CityModel, SiteFigures
from alarms.analysis.hourly import HourlyHistory
from alarms.analysis.hourly_blocks import SIZES_H
from alarms.analysis.hourly_known import KnownCase, missing_of
from alarms.city_data import CityData
from alarms.detectors.answer import Hit, answer
from alarms.detectors.hourly_balance import HourlyBalanceDetector
from alarms.detectors.joint_leak import abnormal_only, joined, running_alike
from alarms.hourly_data import hourly_city
from gateway.meterdata.series import DAY_US, HOUR_US, Series
from gateway.model.finding import Detection, Verdict
from gateway.model.gasday import GasDay
from gateway.model.network import Meter, MeterKind, MeterRole, Network, Zone, ZoneKind
from gateway.model.quantity import Quantity
from gateway.model.reading import to_us

BEGIN_US = to_us(datetime(2024, 11, 1, tzinfo=UTC))
HOMES = 12
DAYS = 30
ZONES = ("R-1", "R-2", "R-3", "R-4", "R-5", "R-6")
BY_HOUR = np.array([1, 1, 1, 1, 1, 2, 6, 8, 5, 3, 3, 6, 7, 4, 3, 3, 4, 8, 10, 9, 6, 4, 2, 1]) / 4.0
INSTALLED = date(2020, 1, 1)


def meter(name: str, zone: str, role: MeterRole) -> Meter:
    supply = role is MeterRole.SUPPLY
    kind, size = (MeterKind.CORRECTOR, 65.0) if supply else (MeterKind.REMOTE, 6.0)
    return Meter(name, zone, role, kind, "" if supply else "residential", 8, 3, size, True, INSTALLED, "open")


def network() -> Network:
    zones = {"CITY": Zone("CITY", "", ZoneKind.CITY, "City")}
    zones |= {name: Zone(name, "CITY", ZoneKind.REGULATOR, name) for name in ZONES}
    meters = [meter(f"V-{zone}", zone, MeterRole.SUPPLY) for zone in ZONES]
    meters += [meter(f"M-{zone}-{n:02d}", zone, MeterRole.CUSTOMER) for zone in ZONES for n in range(HOMES)]
    return Network(zones, {one.meter_id: one for one in meters}, {}, {})


def a_city(
    leak_m3h: float = 0.0,
    leak_h: int = 0,
    *,
    stopped_h: int = -1,
    unread_h: int = -1,
    works_unread_h: int = -1,
    wanders: float = 0.0,
    ended_h: int = 0,
) -> CityData:
    """Six zones of homes read each hour within minutes; in R-1 a leak, a stopped meter, silent ones since some hour.

    Or a large customer there, who works from 10 to 18 o'clock UTC, is silent since some hour; by `wanders`, as a share,
    its days differ. Until `ended_h` another leak of 0.6 m3/h is there.
    """
    rng = np.random.default_rng(5)
    hours = DAYS * 24
    hour = np.arange(hours)
    used = 0.25 * BY_HOUR[(hour + 8) % 24][:, None] * rng.gamma(2.0, 0.5, (hours, len(ZONES) * HOMES))
    if works_unread_h >= 0:
        used[:, 0] = np.where((hour % 24 >= 10) & (hour % 24 < 18), 6.0 * (1.0 + wanders * np.sin(hour // 24)), 0.1)
    loss = 0.003 * rng.normal(size=(hours, len(ZONES)))
    loss[hour >= leak_h, 0] += leak_m3h
    loss[hour < ended_h, 0] += 0.6
    supply = used.reshape(hours, len(ZONES), HOMES).sum(axis=2) + loss
    counted = used.copy()
    if stopped_h >= 0:
        counted[hour >= stopped_h, 3] = 0.0
    made = network()
    read = np.ones(counted.shape, dtype=np.bool_)
    if unread_h >= 0:
        read[hour >= unread_h, :4] = False
    if works_unread_h >= 0:
        read[hour >= works_unread_h, 0] = False
    customers = series([name for name in made.meters if name.startswith("M")], counted, read)
    supplies = series([name for name in made.meters if name.startswith("V")], supply, np.ones(supply.shape, bool))
    model = CityModel(made, GasDay("Asia/Shanghai", time(6)), SiteFigures())
    return CityData(model, {Quantity.REGISTER_MEASURED_M3: customers, Quantity.REGISTER_BASE_M3: supplies})


def series(names: list[str], volume: np.ndarray, read: np.ndarray) -> Series:
    register = np.round(100.0 + np.cumsum(volume, axis=0), 3)
    row, column = np.nonzero(read)
    moment = BEGIN_US + (row + 1) * HOUR_US
    return Series.build(names, column.astype(np.int32), moment, moment + 300_000_000, register[row, column])


def judge(city: CityData, hour: float, cases: Sequence[KnownCase] = ()) -> Detection:
    until = BEGIN_US + int(hour * HOUR_US)
    known = hourly_city(city, until, until)
    assert known is not None
    return HourlyBalanceDetector(known).judge(HourlyHistory(known).at(until), until, cases)


def verdicts(found: Detection) -> dict[str, int]:
    return dict(zip(found.assets, found.verdict.tolist(), strict=True))


def likely(found: Detection) -> list[str]:
    return [found.assets[at] for at in np.flatnonzero(found.score >= 0.5)]


def test_a_sound_city_has_no_leak():
    for hour in (500.5, 600.5, 719.5):
        found = judge(a_city(), hour)
        assert likely(found) == []
        assert Verdict.UNKNOWN not in found.verdict


@pytest.mark.parametrize(("share", "within_h"), [(0.05, 6), (0.02, 24)])
def test_a_leak_is_found_within_hours(share, within_h):
    flow = 12 * 0.25 * BY_HOUR.mean()
    found = judge(a_city(share * flow, 600), 600 + within_h + 0.2)
    assert likely(found) == ["R-1"]
    at = found.assets.index("R-1")
    assert found.estimate_m3_per_day[at] == pytest.approx(24 * share * flow, rel=0.3)
    assert abs(int(found.onset[at]) - (BEGIN_US + 600 * HOUR_US)) <= 6 * HOUR_US


def test_the_finding_can_be_checked_by_a_person():
    found = judge(a_city(0.3, 600), 660.2)
    evidence = found.evidence[found.assets.index("R-1")]
    assert len(evidence["hours"]) == len(evidence["zone_loss_m3h"]) == 56
    assert np.mean(evidence["zone_loss_m3h"][:40]) == pytest.approx(0.0, abs=0.02)
    assert evidence["zone_loss_m3h"][-3:] == pytest.approx([0.3] * 3, abs=0.03)
    assert evidence["size_m3h"] == pytest.approx(0.3, rel=0.1)
    assert sum(evidence["alternatives"].values()) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("age_h", [40, 50, 65])
def test_a_leak_that_is_days_old_is_no_end_of_a_time_of_less_loss(age_h):
    assert judge(a_city(0.3, 600), 600.2 + age_h).score[0] > 0.9


def test_a_new_leak_is_found_in_a_zone_where_one_was_repaired():
    assert likely(judge(a_city(ended_h=560), 704.2)) == []
    assert likely(judge(a_city(0.4, 680, ended_h=560), 704.2)) == ["R-1"]


def test_a_stopped_meter_is_no_leak():
    found = judge(a_city(stopped_h=600), 680.2)
    assert found.score[found.assets.index("R-1")] < 0.3


def test_a_leak_beside_a_meter_that_is_known_to_have_stopped_is_found():
    ends = BEGIN_US + DAY_US * np.arange(1, DAYS + 1)
    mean = np.full(DAYS, 0.25 * BY_HOUR.mean())
    stopped = KnownCase("R-1", "M-R-1-03", 0.95, BEGIN_US + 300 * HOUR_US, ends, mean, 0.0)
    assert likely(judge(a_city(stopped_h=300), 690.2, [stopped])) == []
    assert likely(judge(a_city(0.3, 650, stopped_h=300), 690.2, [stopped])) == ["R-1"]


def test_what_a_known_meter_misses_is_what_is_expected_since_then_less_what_it_counts():
    ends = BEGIN_US + DAY_US * np.arange(1, DAYS + 1)
    begun = BEGIN_US + 20 * DAY_US
    use = np.stack([np.full(len(SIZES_H), 0.5), 0.1 * SIZES_H], axis=1)
    course = np.stack([SIZES_H, SIZES_H], axis=1).astype(np.float64)
    cases = [
        KnownCase("R-1", "M-1", 0.25, begun, ends, np.full(DAYS, 1.0), 0.0),
        KnownCase("R-1", "M-2", 1.0, begun, ends, np.zeros(DAYS), 0.4),
    ]
    missing = missing_of(cases, use, course, BEGIN_US + 28 * DAY_US)
    later = np.cumsum(SIZES_H) > 20 * 24
    np.testing.assert_allclose(missing[:, 0], np.where(later, 0.5 * (SIZES_H - 0.5), 0.0))
    np.testing.assert_allclose(missing[:, 1], np.where(later, 0.04 * SIZES_H, 0.0))


def test_meters_that_are_not_heard_make_no_leak():
    assert likely(judge(a_city(unread_h=640), 690.2)) == []


@pytest.mark.parametrize("hour", [612.2, 615.2, 618.2])
def test_a_business_that_is_not_read_while_it_works_makes_no_leak(hour):
    assert likely(judge(a_city(works_unread_h=602), hour)) == []


def test_a_leak_is_told_while_a_business_rests_unread():
    assert likely(judge(a_city(0.3, 590, works_unread_h=602), 609.2)) == ["R-1"]


def test_a_business_whose_days_differ_is_uncertain_while_it_works_and_less_at_night():
    city = a_city(works_unread_h=602, wanders=0.8)
    until = BEGIN_US + int(650.2 * HOUR_US)
    known = hourly_city(city, until, until)
    assert known is not None
    hours = HourlyHistory(known).at(until)
    assert hours is not None
    sigma = hours.zones("guess_sigma")[-48:, known.tree.zones.index("R-1")]
    clock = (hours.ends_us[-48:] // HOUR_US - 1) % 24
    works = (clock >= 10) & (clock < 18)
    assert np.median(sigma[works]) > 3.0
    assert np.median(sigma[~works]) < 0.2 * np.median(sigma[works])


def test_a_zone_whose_supply_is_not_read_is_unknown():
    city = a_city(0.3, 600)
    supplies = city.series[Quantity.REGISTER_BASE_M3]
    cut = supplies.take((supplies.column != 0) | (supplies.time < BEGIN_US + 640 * HOUR_US))
    dark = CityData(city.model, {**city.series, Quantity.REGISTER_BASE_M3: cut})
    assert verdicts(judge(dark, 700.2))["R-1"] == Verdict.UNKNOWN


def test_later_readings_change_nothing():
    city = a_city(0.2, 600)
    until = BEGIN_US + int(640.5 * HOUR_US)
    known = {quantity: part.known(until) for quantity, part in city.series.items()}
    early = judge(CityData(city.model, known), 640.5)
    late = hourly_city(city, until, BEGIN_US + 719 * HOUR_US)
    assert late is not None
    whole = HourlyBalanceDetector(late).judge(HourlyHistory(late).at(until), until)
    np.testing.assert_array_equal(early.verdict, whole.verdict)
    np.testing.assert_allclose(early.score, whole.score)
    np.testing.assert_allclose(early.estimate_m3_per_day, whole.estimate_m3_per_day)
    assert early.evidence == whole.evidence


def test_two_judgements_of_one_zone_make_one():
    hourly = judge(a_city(0.3, 600), 660.2)
    daily = judge(a_city(), 660.2)
    both = joined(daily, hourly)
    assert verdicts(both)["R-1"] == Verdict.ABNORMAL
    blind = joined(abnormal_only(daily), hourly)
    assert verdicts(blind)["R-1"] == Verdict.ABNORMAL
    assert Verdict.NORMAL not in blind.verdict


def one(verdict: Verdict, score: float, age_days: float) -> Detection:
    at = BEGIN_US + 600 * HOUR_US
    hits = [Hit("R-1", score, at - int(age_days * 24 * HOUR_US), 1.0, 24.0, {"of": score})]
    found = answer("leak", ["R-1"], np.array([verdict], dtype=np.int8), at, hits if verdict == Verdict.ABNORMAL else [])
    return replace(found, score=np.array([score]))


@pytest.mark.parametrize(
    ("daily", "hourly", "score"),
    [
        ((Verdict.ABNORMAL, 0.9, 6), (Verdict.ABNORMAL, 0.9, 6), 0.96073),
        ((Verdict.ABNORMAL, 0.9, 6), (Verdict.ABNORMAL, 0.1, 6), 0.731059),
        ((Verdict.ABNORMAL, 0.95, 6), (Verdict.NORMAL, 0.05, 0), 0.5),
        ((Verdict.ABNORMAL, 0.95, 6), (Verdict.NORMAL, 0.0, 0), 0.192966),
        ((Verdict.ABNORMAL, 0.06, 6), (Verdict.NORMAL, 0.09, 0), 0.073605),
        ((Verdict.ABNORMAL, 0.95, 25), (Verdict.NORMAL, 0.0, 0), 0.662),
        ((Verdict.ABNORMAL, 0.95, 6), (Verdict.UNKNOWN, 0.0, 0), 0.95),
        ((Verdict.NORMAL, 0.0, 0), (Verdict.ABNORMAL, 0.95, 2), 0.95),
        ((Verdict.NORMAL, 0.0, 0), (Verdict.ABNORMAL, 0.95, 6), 0.5),
    ],
)
def test_a_leak_that_only_one_of_two_sees_is_doubted(daily, hourly, score):
    both = joined(one(*daily), one(*hourly))
    assert both.score[0] == pytest.approx(score, abs=1e-5)
    assert both.evidence[0] == {"of": max(of for verdict, of, _ in (daily, hourly) if verdict == Verdict.ABNORMAL)}


@pytest.mark.parametrize(("hourly", "score", "age_days"), [(0.7, 0.7, 1.0), (0.3, 0.99, 40.0)])
def test_a_leak_of_the_last_hours_is_told_beside_an_old_one_of_the_days(hourly, score, age_days):
    both = joined(one(Verdict.ABNORMAL, 0.99, 40), one(Verdict.ABNORMAL, hourly, 1))
    assert both.score[0] == pytest.approx(score)
    assert both.onset[0] == both.at[0] - int(age_days * 24 * HOUR_US)


def after_hours(city: CityData, score: float, age_h: float) -> float:
    until = BEGIN_US + int(690.2 * HOUR_US)
    known = hourly_city(city, until, until)
    assert known is not None
    hits = [Hit("R-1", score, until - int(age_h * HOUR_US), 1.0, 24.0)]
    found = answer("leak", ["R-1"], np.array([Verdict.ABNORMAL], dtype=np.int8), until, hits)
    return float(running_alike(found, HourlyHistory(known).at(until), known.tree).score[0])


def test_a_loss_that_follows_the_use_is_hardly_a_leak():
    assert after_hours(a_city(0.1, 600), 0.5, 90) > 0.45
    assert after_hours(a_city(stopped_h=600), 0.9, 90) < 0.1


def test_without_hours_the_odds_of_a_leak_are_those_of_any_loss():
    city = a_city(stopped_h=600)
    assert after_hours(city, 0.5, 2) == after_hours(city, 0.5, 3000) == pytest.approx(0.5 / 1.3)


def test_a_city_of_an_hour_is_not_judged():
    until = BEGIN_US + 90 * 60_000_000
    assert hourly_city(a_city(), until, until) is None
    assert hourly_city(CityData(a_city().model, {}), until, until) is None
