"""Zones whose meters are read once a week or a month: what they tell of a stopped or bypassed one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from alarms.analysis.late import GAP_D, LATE_D, last_known, use_between
from alarms.analysis.study import IN_TURN, StudyConfig
from alarms.city_data import city_from_batch
from alarms.passes import daily_pass
from gateway.model.finding import Verdict
from gateway.model.reading import ReadingBatch
from tests.alarms.small_city import GAS_DAY, SmallCity, a_city

HOUR = 3_600_000_000
SHOP, HOME = "M-1-00", "M-1-05"


def read_seldom(city: SmallCity, seed: int = 1, every: int = 7, shop: int = 7) -> Any:
    """Return the city as a pass takes it, where each meter of R-1 is read once in so many days, on a day of its own."""
    batch, names = city.batch()
    interval = np.array([shop if names[n].startswith(f"{SHOP}/") else every for n in range(len(names))])
    phase = np.random.default_rng(seed).integers(0, interval)
    day = np.searchsorted(city.bounds, batch.source_time)
    seldom = np.array([names[n].startswith("M-1-") for n in range(len(names))])[batch.point]
    kept: ReadingBatch = batch.take(~seldom | (day % interval[batch.point] == phase[batch.point]))
    return city_from_batch(city.model.network, GAS_DAY, city.model.figures, kept, names, config=StudyConfig())


def evidence_of(city: SmallCity, days: int, name: str) -> Any:
    """Return the evidence of the one finding about a meter."""
    result = daily_pass(read_seldom(city), int(city.bounds[days]) + 6 * HOUR)
    asked = [one for one in result.detections if one.condition in {"non_moving", "theft"} and name in one.assets]
    (found,) = [one for one in asked if one.verdict[one.assets.index(name)] == Verdict.ABNORMAL]
    return found.evidence[found.assets.index(name)]


def accused(city: SmallCity, days: int, seed: int = 1, shop: int = 7) -> dict[str, float]:
    """Return the meters that a pass after so many days names, with their scores."""
    result = daily_pass(read_seldom(city, seed, shop=shop), int(city.bounds[days]) + 6 * HOUR)
    found: dict[str, float] = {}
    for one in result.detections:
        if one.condition in {"non_moving", "theft", "slow"}:
            at = np.flatnonzero(one.verdict == Verdict.ABNORMAL)
            found |= {one.assets[n]: max(float(one.score[n]), found.get(one.assets[n], 0.0)) for n in at}
    return found


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_shop_whose_meter_stands_while_it_goes_on_is_named_within_weeks(seed: int) -> None:
    city = a_city(days=70, seed=seed).with_counted(SHOP, 40, 0.0)
    assert SHOP not in accused(city, 40, seed)
    named = accused(city, 62, seed)
    assert named.get(SHOP, 0.0) > 0.5
    assert [name for name, score in named.items() if score > 0.2] == [SHOP]


def test_what_is_shown_of_such_a_meter_is_what_it_was_judged_by() -> None:
    shown = evidence_of(a_city(days=70).with_counted(SHOP, 40, 0.0), 62, SHOP)
    counted, expected = shown["meter_m3"], shown["expected_m3"]
    known = [day for day, pair in enumerate(zip(counted, expected, strict=True)) if None not in pair]
    assert len(known) > 20
    assert counted[known[-1]] == 0.0
    assert expected[known[-1]] == pytest.approx(50.0, rel=0.4)
    assert counted[-1] is None, "what is not read yet is shown as nothing, not as zero"


@pytest.mark.parametrize("seed", [1, 3])
def test_a_shop_that_is_read_once_a_month_is_named_within_months(seed: int) -> None:
    assert accused(a_city(days=190, seed=seed).with_counted(SHOP, 100, 0.0), 170, seed, shop=30).get(SHOP, 0.0) > 0.5


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_nobody_is_named_for_a_neighbour_that_is_read_once_a_month(seed: int) -> None:
    named = accused(a_city(days=190, seed=seed).with_counted(SHOP, 100, 0.0), 170, seed, shop=30)
    assert [name for name in named if name != SHOP] == []


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_shop_that_is_shut_is_not_accused(seed: int) -> None:
    assert accused(a_city(days=70, seed=seed).away(SHOP, 40), 62, seed) == {}
    assert accused(a_city(days=190, seed=seed).away(SHOP, 100), 170, seed, shop=30) == {}


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5, 6])
def test_where_nothing_is_wrong_nobody_is_accused(seed: int) -> None:
    assert accused(a_city(days=70, seed=seed), 66, seed) == {}


def leaks(city: SmallCity, days: int, seed: int) -> Any:
    """Return what a pass after so many days says of leaks, and the row of zone R-1."""
    result = daily_pass(read_seldom(city, seed, every=14, shop=14), int(city.bounds[days]) + 6 * HOUR)
    (found,) = [one for one in result.detections if one.condition == "leak"]
    return found, found.assets.index("R-1")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_leak_is_told_as_of_the_last_well_known_day(seed: int) -> None:
    found, row = leaks(a_city(days=90, seed=seed).leaking("R-1", 50, 30.0), 80, seed)
    assert found.verdict[row] == Verdict.ABNORMAL
    assert found.score[row] > 0.5
    assert found.estimate_m3_per_day[row] == pytest.approx(30.0, rel=0.3)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nothing_is_told_of_a_zone_that_is_read_seldom_and_does_not_leak(seed: int) -> None:
    found, row = leaks(a_city(days=90, seed=seed), 80, seed)
    assert found.verdict[row] == Verdict.UNKNOWN


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_who_is_away_while_the_zone_leaks_is_not_named_for_sure(seed: int) -> None:
    city = a_city(days=70, seed=seed).away(HOME, 35).leaking("R-1", 42, 30.0)
    assert max(accused(city, 66, seed).values(), default=0.0) < 0.3


def test_a_zone_that_was_not_read_for_long_tells_nothing_of_its_meters() -> None:
    city = a_city(days=120).with_counted(SHOP, 30, 0.0)
    batch, names = city.batch()
    day = np.searchsorted(city.bounds, batch.source_time)
    zone = np.array([names[n].startswith("M-1-") for n in range(len(names))])[batch.point]
    data = city_from_batch(
        city.model.network, GAS_DAY, city.model.figures, batch.take(~zone | (day <= 60)), names, config=IN_TURN
    )
    for at in range(117, 121):
        result = daily_pass(data, int(city.bounds[at]) + 6 * HOUR)
        for one in result.detections:
            if SHOP in one.assets and one.condition in {"non_moving", "theft"}:
                assert one.verdict[one.assets.index(SHOP)] == Verdict.UNKNOWN


def test_the_last_known_day_of_each_zone() -> None:
    telling = np.zeros((100, 4), dtype=np.bool_)
    telling[:99, 0] = telling[:60, 1] = telling[: 100 - LATE_D, 2] = True
    assert last_known(telling).tolist() == [99, 60, 0, 0]


def test_short_gaps_and_gaps_in_which_nothing_passed_tell_the_use() -> None:
    use, filled = np.full((30, 4), np.nan), np.full((30, 4), 2.0)
    filled[:, 2] = 0.0
    gap_d = np.broadcast_to([GAP_D, GAP_D + 1.0, GAP_D + 1.0, 0.0], use.shape)
    told = use_between(use, filled, gap_d)
    assert np.array_equal(told[:, [0, 2]], filled[:, [0, 2]])
    assert np.isnan(told[:, [1, 3]]).all()
    read = np.ones_like(use)
    assert np.array_equal(use_between(read, filled, gap_d), read)
