from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from alarms.analysis.bank import weigh
from alarms.analysis.bank_config import BankConfig
from alarms.analysis.days_off import missed
from alarms.analysis.likelihood import Scatter, innovations, ratio
from tests.alarms.zone_days import MadeZone, a_zone

HOME = 7
CONFIG = BankConfig()


def likely(made, config=CONFIG) -> Any:
    """Return meter and form of what is probably wrong."""
    return [(case.meter, case.form) for case in weigh(made.zone(config), config) if case.probability >= 0.5]


def likely_of(zone, config) -> Any:
    """Return who is probably the cause of a zone's loss."""
    return [case.meter for case in weigh(zone, config) if case.probability >= 0.5]


def test_nothing_is_wrong_in_a_zone_where_nothing_is_lost():
    assert likely(a_zone()) == []


def test_a_leak_is_found_with_its_day_and_size():
    case = weigh(a_zone().leaking(9.0, 90).zone(), CONFIG)[0]
    assert (case.meter, case.form) == (-1, "leak")
    assert abs(case.first_day - 90) <= 1
    assert case.size_m3_per_day == pytest.approx(9.0, rel=0.15)
    assert case.probability > 0.95


def test_a_large_leak_is_found_on_its_first_day():
    assert likely(a_zone(days=91).leaking(12.0, 90)) == [(-1, "leak")]


def test_a_leak_that_grows_is_one_case_and_follows_its_growth():
    made = a_zone()
    for day in range(60, 80):
        made = made.leaking(0.8, day)
    case = weigh(made.zone(), CONFIG)[0]
    assert (case.meter, case.form) == (-1, "leak")
    assert abs(case.first_day - 60) <= 4
    assert case.missing[70] == pytest.approx(8.8, rel=0.35)
    assert case.missing[110] == pytest.approx(16.0, rel=0.2)


def test_a_leak_that_joins_another_is_told_with_its_day_and_what_both_lose():
    cases = weigh(a_zone(days=133).leaking(14.0, 60).leaking(9.0, 130).zone(), CONFIG)
    (case,) = [case for case in cases if case.meter < 0]
    assert abs(case.first_day - 130) <= 1
    assert case.probability > 0.9
    assert case.missing[-1] == pytest.approx(23.0, rel=0.2)


def test_who_is_away_while_a_leak_grows_is_not_accused():
    made = a_zone(days=150).away(HOME, 64)
    for day in range(60, 80):
        made = made.leaking(0.8, day)
    assert likely(made) == [(-1, "leak")]


def test_a_flag_of_tampering_raises_the_probability_of_a_theft():
    made = a_zone(days=91).counting(HOME, 0.3, 88)
    zone = made.zone()
    odds = zone.tampered.copy()
    odds[86:91, HOME] = 5.0
    plain, flagged = (
        {case.meter: case.probability for case in weigh(found, CONFIG)}.get(HOME, 0.0)
        for found in (zone, replace(zone, tampered=odds))
    )
    assert flagged > plain + 0.1


def test_a_flag_alone_accuses_nobody():
    zone = a_zone().zone()
    odds = zone.tampered.copy()
    odds[85:92, HOME] = 6.0
    assert HOME not in [case.meter for case in weigh(replace(zone, tampered=odds), CONFIG)]


def test_a_loss_by_which_gas_follows_the_air_for_some_weeks_is_hardly_a_leak():
    warmth = np.full(120, 12.0)
    followed = a_zone().leaking(0.15 * 12.0, 92)
    plain, cold = (replace(followed.zone(), warmth=warm) for warm in (np.zeros(120), warmth))
    assert [case.probability > 0.95 for case in weigh(plain, CONFIG)] == [True]
    assert not [case for case in weigh(cold, CONFIG) if case.probability >= 0.5]


def test_a_leak_that_was_mended_is_no_case():
    assert likely(a_zone().leaking(12.0, 60, 90)) == []


def test_a_loss_as_old_as_the_readings_is_no_leak():
    assert likely(a_zone().leaking(4.0, 0)) == []


def test_a_meter_is_suspected_of_a_long_loss_no_more_than_a_while_ago():
    zone, one_day_alone = a_zone(days=120).counting(HOME, 0.6, 60).zone(), replace(CONFIG, confirmed_after=0.0)
    told, today, then = (
        {case.meter: case.probability for case in weigh(days, config)}[HOME]
        for days, config in ((zone, CONFIG), (zone, one_day_alone), (zone.until(114), one_day_alone))
    )
    assert told == pytest.approx(then)
    assert told < today - 0.1


def test_the_last_days_of_a_long_loss_accuse_nobody_alone():
    zone = a_zone(days=100).counting(HOME, 0.6, 60).zone()
    assert likely_of(zone, replace(CONFIG, confirmed_after=0.0)) == [HOME]
    assert likely_of(zone, CONFIG) == []


def test_days_that_cannot_be_assessed_hold_nothing_back():
    zone = a_zone(days=120).counting(HOME, 0.0, 60).zone()
    zone.loss[61:116] = np.nan
    assert likely_of(zone, CONFIG) == [HOME]


def test_a_meter_at_rest_whose_customer_goes_on_is_found():
    made = a_zone().counting(HOME, 0.0, 85)
    case = weigh(made.zone(), CONFIG)[0]
    assert (case.meter, case.form) == (HOME, "rest")
    assert case.at_rest
    assert abs(case.first_day - 85) <= 1
    assert case.size_m3_per_day == pytest.approx(made.burnt[85:, HOME].mean(), rel=0.25)


def test_who_is_away_is_not_accused_however_long():
    made = a_zone().away(HOME, 60)
    assert HOME not in [case.meter for case in weigh(made.zone(), CONFIG)]


def test_who_is_away_while_the_zone_leaks_another_amount_is_not_accused():
    assert likely(a_zone().away(HOME, 90).leaking(15.0, 90)) == [(-1, "leak")]


@pytest.mark.parametrize("share", [0.2, 0.5])
def test_a_register_that_counts_a_part_is_found(share):
    made = a_zone(days=150).counting(HOME, share, 80)
    assert [meter for meter, _ in likely(made)] == [HOME]


def test_a_register_bypassed_on_some_days_is_found():
    made = a_zone(days=150)
    for day in np.random.default_rng(3).permutation(np.arange(80, 150))[:40]:
        made = made.counting(HOME, 0.0, day, day + 1)
    assert [meter for meter, _ in likely(made)] == [HOME]


def colder_from(made, day, times) -> Any:
    """Return a zone whose homes use much more from a day on, each some times what it used."""
    burnt = made.burnt.copy()
    burnt[day:] *= np.random.default_rng(7).uniform(0.5, 1.5, burnt.shape[1]) * times
    return replace(made, burnt=burnt, counted=burnt.copy())


@pytest.mark.parametrize(("lost", "named"), [(True, True), (False, False)])
def test_days_off_are_missed_by_what_the_days_around_count_not_by_the_summer(lost, named):
    made = colder_from(a_zone(days=90), 70, 6.0)
    off = np.random.default_rng(3).permutation(np.arange(74, 90))[:7]
    for day in off:
        made = made.counting(HOME, 0.0, day, day + 1) if lost else made.away(HOME, day, day + 1)
    assert ((HOME, "off") in likely(made)) == named
    assert {meter for meter, _ in likely(made)} <= {HOME}


def test_what_is_missing_on_days_off_is_what_the_days_around_count_as_peers_went():
    use = np.array([[2.0], [2.0], [0.0], [4.0], [np.nan], [0.5], [4.0]])
    shape = np.array([[1.0], [1.0], [1.0], [2.0], [2.0], [2.0], [2.0]])
    rests = np.array([[0], [0], [1], [0], [0], [0], [0]])
    # of twelve and a half on days with use, eight of the course
    usual = 12.5 / 8.0
    expected = [0.0, 0.0, usual, 0.0, 0.0, 2.0 * usual - 0.5, 0.0]
    assert missed(use, shape, rests)[:, 0] == pytest.approx(expected)
    assert missed(use[:2], shape[:2], rests[:2]).max() == 0.0


def test_a_register_that_counted_half_since_before_the_readings_is_named_first():
    made = a_zone(days=200)
    large = int(np.argmax(made.burnt.sum(axis=0)))
    found = weigh(made.counting(large, 0.5).zone(), CONFIG)
    assert found[0].meter == large
    assert (found[0].form, found[0].first_day) == ("share", 0)


def test_who_honestly_uses_less_is_not_accused():
    assert likely(a_zone().frugal(HOME, 0.3, 80)) == []


@pytest.mark.parametrize(("fell", "named"), [(70, True), (95, False)])
def test_a_loss_is_laid_on_a_customer_only_if_the_use_fell_when_it_began(fell, named):
    home, other = 20, 3
    made = a_zone(days=140).frugal(home, 0.4, fell)
    # it wanders as the use of gas does, so that a steady leak fits it less
    size = 0.6 * made.burnt[fell - 30 : fell, home].mean()
    lost = made.lost.copy()
    lost[70:] += size * made.burnt[70:, other] / made.burnt[70:, other].mean()
    assert (home in [meter for meter, _ in likely(replace(made, lost=lost))]) == named


def test_who_uses_less_while_the_zone_loses_more_than_that_on_and_off_is_not_accused():
    made = a_zone().frugal(HOME, 0.3, 85).leaking(12.0, 86, 88).leaking(25.0, 92, 93).leaking(18.0, 96, 98)
    assert all(case.meter != HOME or case.probability < 0.5 for case in weigh(made.zone(), CONFIG))


def test_two_causes_in_one_zone_are_both_found():
    made = a_zone(days=150).leaking(14.0, 60).counting(HOME, 0.0, 110)
    assert sorted(meter for meter, _ in likely(made)) == [-1, HOME]


def test_who_comes_back_when_a_leak_begins_does_not_count_a_part_of_it():
    made = a_zone(days=118).away(HOME, 100, 115).leaking(8.0, 115)
    assert likely(made) == [(-1, "leak")]


def test_who_comes_back_when_a_loss_ends_is_not_accused_of_it():
    made = a_zone(days=117).away(HOME, 100, 116).leaking(4.0, 100, 116)
    assert HOME not in [meter for meter, _ in likely(made)]


def test_a_register_that_counts_a_part_is_found_although_its_customer_was_away():
    made = a_zone(days=150).counting(HOME, 0.3, 80).away(HOME, 100, 112)
    found = {case.meter: case for case in weigh(made.zone(), CONFIG)}
    assert found[HOME].probability >= 0.5
    assert found[HOME].form == "share"


def test_unknown_days_accuse_nobody():
    made = a_zone().unread(HOME, 80).leaking(6.0, 80)
    assert HOME not in [case.meter for case in weigh(made.zone(), CONFIG)]


def test_a_zone_whose_last_days_cannot_be_assessed_has_no_case():
    zone = a_zone().leaking(12.0, 60).zone()
    loss = zone.loss.copy()
    loss[-3:] = np.nan
    assert weigh(replace(zone, loss=loss), CONFIG) == []
    assert weigh(replace(zone, loss=np.full_like(loss, np.nan)), CONFIG) == []


def test_a_single_bad_day_is_no_leak():
    made = a_zone()
    made.noise[100] += 40.0
    assert likely(made) == []


def test_a_loss_on_days_that_are_only_expected_is_no_leak():
    zone = a_zone(days=91).leaking(12.0, 90).zone()
    unread = np.where(np.arange(91) >= 89, 36.0, 0.0)
    assert [case.form for case in weigh(replace(zone, unread_variance=unread), CONFIG) if case.probability >= 0.5] == []


def test_a_case_says_what_it_takes_from_the_loss_and_what_else_it_may_be():
    case = weigh(a_zone().counting(HOME, 0.0, 85).zone(), CONFIG)[0]
    assert case.missing[:84].max() == 0.0
    assert case.probability + case.leak + case.nothing + case.others == pytest.approx(1.0, abs=0.05)


def test_without_the_match_of_the_deficit_an_absence_and_a_stop_are_alike():
    config = replace(CONFIG, match=False)
    away, stopped = (
        {case.meter: case.probability for case in weigh(made.zone(config), config)}.get(HOME, 0.0)
        for made in (a_zone().away(HOME, 60), a_zone().counting(HOME, 0.0, 60))
    )
    assert abs(away - stopped) < 0.1


def test_the_ratio_is_that_of_two_normal_distributions():
    rng = np.random.default_rng(0)
    f, r, variance = rng.normal(size=6), rng.normal(size=6), 0.7**2
    covariance = np.diag(rng.uniform(0.5, 2.0, 6))
    told = np.linalg.inv(covariance)
    with_f = covariance + variance * np.outer(f, f)
    off = r - 0.4 * f
    expected = -0.5 * (off @ np.linalg.inv(with_f) @ off + np.linalg.slogdet(with_f)[1])
    expected += 0.5 * (r @ told @ r + np.linalg.slogdet(covariance)[1])
    found = ratio(f @ told @ r, f @ told @ f, 0.4, 0.7)
    assert float(found) == pytest.approx(expected)


def test_the_scatter_of_days_is_that_of_what_the_days_before_lead_to_expect():
    rng = np.random.default_rng(1)
    root, loss = rng.normal(size=(5, 5)), rng.normal(size=5)
    covariance = root @ root.T + np.eye(5)
    told = np.zeros((6, 6))
    told[:5, :5] = np.linalg.inv(covariance)
    found = innovations(told, np.append(loss, 0.0), least_days=0, freedom=6.0).scatter()
    for first in range(5):
        before = np.linalg.inv(covariance[:first, :first])
        whole = loss @ np.linalg.inv(covariance) @ loss
        assert found.square[first, 0] == pytest.approx(whole - loss[:first] @ before @ loss[:first])
    np.testing.assert_array_equal(found.count[:, 0], [5, 4, 3, 2, 1, 0])


def test_with_the_scale_left_open_what_leaves_much_unexplained_tells_little():
    pull, mass = np.array(30.0), np.array(9.0)
    fits, wild = (ratio(pull, mass, 0.0, 1.0, Scatter(np.array(x), np.array(20.0), 20, 6.0)) for x in (110.0, 900.0))
    assert float(fits) == pytest.approx(13.0 * np.log(1.0 + 90.0 / 26.0) - 0.5 * np.log(10.0))
    assert wild < 0.25 * fits < 0.25 * ratio(pull, mass, 0.0, 1.0)


@example(np.ones((30, 4)), np.full(30, 1e-200), np.full(30, 1e-200))
@settings(max_examples=25, deadline=None)
@given(
    arrays(np.float64, (30, 4), elements=st.one_of(st.just(np.nan), st.just(0.0), st.floats(0.0, 1e4))),
    arrays(np.float64, 30, elements=st.one_of(st.just(np.nan), st.floats(-1e4, 1e4))),
    arrays(np.float64, 30, elements=st.floats(0.0, 1e5)),
)
def test_whatever_the_numbers_probabilities_are_such_and_the_unread_are_not_accused(use, loss, supply):
    made = replace(a_zone(days=30, homes=4), counted=use)
    zone = replace(made.zone(), loss=loss, supply=supply)
    for case in weigh(zone, CONFIG):
        assert 0.0 <= case.probability <= 1.0 + 1e-9
        assert case.meter < 0 or np.isfinite(use[-3:, case.meter]).any()
        assert np.isfinite(case.missing).all()


@pytest.mark.parametrize("seed", range(4))
def test_a_meter_that_stopped_in_winter_is_no_leak_in_summer_however_its_customer_goes_on(seed):
    rng = np.random.default_rng(seed)
    course = np.interp(np.arange(200), [0, 40, 130, 200], [2.0, 1.9, 0.35, 0.3])
    burnt = rng.uniform(1.5, 6.0, 40)[None, :] * course[:, None] * rng.uniform(0.7, 1.3, (200, 40))
    burnt[:, HOME] = 20.0 * (0.4 + 0.3 * course) * rng.uniform(0.85, 1.15, 200)
    made = MadeZone(burnt, burnt.copy(), np.zeros(200), rng.normal(0.0, 0.6, 200)).counting(HOME, 0.0, 40)
    assert likely(made) == [(HOME, "rest")]
