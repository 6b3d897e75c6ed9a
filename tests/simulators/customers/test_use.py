from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.customers import Customers, Kind, Season, build_customers, daily_use, hourly_use, is_open
from simulators.customers.calendar import FESTIVAL_DAYS, day_number
from simulators.customers.use import _unit
from simulators.networks.streets import build_ground
from simulators.weather import UTC_OFFSET_H

START = date(2024, 10, 1)
FIRST_HOUR = day_number(START) * 24 - UTC_OFFSET_H
GROUND = build_ground(1, [40] * 12)


def people(mix: str = "chinese_city", seed: int = 1) -> Customers:
    return build_customers(seed, GROUND, START, mix)


MIXED = {mix: people(mix) for mix in ("chinese_city", "heated_north", "town")}


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(sorted(MIXED)), st.integers(-9_000, 9_000), st.lists(st.integers(0, 100), min_size=1, max_size=9)
)
def test_an_hour_does_not_depend_on_the_others_asked_for(mix: str, first: int, steps: list[int]) -> None:
    customers = MIXED[mix].part(np.arange(0, 480, 7))
    asked = FIRST_HOUR + first + np.array(steps, dtype=np.int64)
    alone = hourly_use(3, customers, asked[-1:])[0]
    assert np.array_equal(hourly_use(3, customers, asked)[-1], alone)


@settings(max_examples=20, deadline=None)
@given(st.sets(st.integers(0, 479), min_size=1, max_size=30), st.integers(0, 400))
def test_a_part_uses_what_it_uses_within_the_whole(columns: set[int], day: int) -> None:
    customers = MIXED["heated_north"]
    some = np.array(sorted(columns), dtype=np.intp)
    hours = FIRST_HOUR + 24 * day + np.arange(24)
    assert np.array_equal(hourly_use(3, customers.part(some), hours), hourly_use(3, customers, hours)[:, some])


def test_zones_built_alone_hold_the_customers_of_the_whole() -> None:
    whole = people()
    part = build_customers(1, GROUND.part(4, 3), START)
    inside = np.flatnonzero((whole.zone >= 4) & (whole.zone < 7))
    assert part.meters == tuple(whole.meters[index] for index in inside)
    assert np.array_equal(part.zone, whole.zone[inside] - 4)
    for name in ("kind", "key", "steady_m3_d", "limit_c", "opened_day", "start_m3", "lump_m3", "away", "shape"):
        assert np.array_equal(getattr(part, name), getattr(whole, name)[inside]), name


def test_a_day_has_the_gas_of_its_hours() -> None:
    customers = MIXED["heated_north"]
    days = day_number(START) + np.arange(60, 70)
    steady, heat = daily_use(2, customers, days)
    hours = hourly_use(2, customers, days[0] * 24 - UTC_OFFSET_H + np.arange(240)).reshape(10, 24, -1).sum(axis=1)
    flame = hours - steady - heat
    dark = customers.pilot_m3h == 0.0
    assert np.allclose(flame[:, dark], 0.0, atol=1e-9)
    assert (flame > -1e-9).all()
    assert (flame <= 24.0 * customers.pilot_m3h + 1e-9).all()
    assert flame.sum() > 0.0


@pytest.mark.parametrize("count", [0, 1])
def test_no_hours_and_one_customer(count: int) -> None:
    one = MIXED["town"].part(np.array([5], dtype=np.intp))
    assert hourly_use(1, one, FIRST_HOUR + np.arange(count)).shape == (count, 1)
    nobody = one.part(np.array([], dtype=np.intp))
    assert hourly_use(1, nobody, FIRST_HOUR + np.arange(3)).shape == (3, 0)
    assert daily_use(1, nobody, np.arange(2))[0].shape == (2, 0)


def test_homes_burn_in_bursts_and_rest_at_night() -> None:
    customers = people("calibration")
    summer = hourly_use(1, customers, (day_number(date(2024, 7, 1)) * 24 - UTC_OFFSET_H) + np.arange(14 * 24))
    winter = hourly_use(1, customers, (day_number(date(2025, 1, 5)) * 24 - UTC_OFFSET_H) + np.arange(14 * 24))
    flame = customers.pilot_m3h > 0.0
    assert 0.55 < (summer[:, ~flame] == 0.0).mean() < 0.9
    assert (winter[:, ~flame] == 0.0).mean() < 0.55
    night, evening = winter.reshape(14, 24, -1)[:, 2].sum(), winter.reshape(14, 24, -1)[:, 19].sum()
    assert night < 0.6 * evening


def test_the_festival_empties_homes_and_factories() -> None:
    customers = people("chinese_city")
    feast = int(FESTIVAL_DAYS[day_number(START) < FESTIVAL_DAYS][0])
    steady, heat = daily_use(1, customers, np.array([feast - 30, feast + 1]))
    homes = np.isin(customers.kind, (Kind.HEATED, Kind.COOKING)) & is_open(1, customers, np.array([feast]))[0]
    empty = ((steady + heat)[:, homes] == 0.0).mean(axis=1)
    assert empty[1] > empty[0] + 0.2
    works = customers.kind == Kind.COMMERCIAL
    assert steady[1, works].sum() < 0.95 * steady[0, works].sum()


def test_a_heating_plant_runs_in_the_official_season_only() -> None:
    plan = build_ground(5, [400])
    plants = build_customers(5, plan, START, "chinese_city")
    plants = plants.part(np.flatnonzero(plants.kind == Kind.HEATED)[:1])
    official = replace(
        plants,
        season=np.array([Season.OFFICIAL], dtype=np.int8),
        away=np.zeros(1),
        festival_d=np.zeros(1, dtype=np.int64),
        opened_day=np.zeros(1, dtype=np.int64),
        moves=np.zeros(1),
    )
    days = np.arange(day_number(date(2023, 7, 1)), day_number(date(2024, 7, 1)))
    heat = daily_use(1, official, days)[1][:, 0]
    burning = days[heat > 0.0]
    assert burning.min() >= day_number(date(2023, 11, 15))
    assert burning.max() <= day_number(date(2024, 3, 16))
    assert len(burning) > 90


def test_every_hour_of_the_year_has_its_own_calendar_day() -> None:
    leap = day_number(date(2024, 2, 29)) * 24 - UTC_OFFSET_H
    use = hourly_use(1, MIXED["town"], leap + np.arange(48))
    assert np.isfinite(use).all()
    assert use.sum() > 0.0


def test_absences_cluster() -> None:
    customers = people("calibration", seed=4)
    days = np.arange(19_900, 19_900 + 365)
    steady, heat = daily_use(4, customers, days)
    idle_days = ((steady + heat) == 0.0).sum(axis=0)
    often = np.sort(idle_days)[::-1]
    assert often[: len(often) // 10].sum() > 0.4 * often.sum()
    assert np.median(idle_days) < 15


def test_an_unknown_mix_is_told_with_those_that_exist() -> None:
    with pytest.raises(ValueError, match="chinese_city, heated_north, town, calibration"):
        people("nowhere")


def test_no_hour_is_larger_than_the_burners() -> None:
    customers = MIXED["heated_north"]
    hours = day_number(date(2025, 1, 10)) * 24 - UTC_OFFSET_H + np.arange(20 * 24)
    use = hourly_use(2, customers, hours)
    assert (use <= customers.most_m3h + customers.pilot_m3h + 1e-9).all()
    small = replace(customers, most_m3h=customers.most_m3h / 4.0)
    flat = hourly_use(2, small, hours)
    assert (flat <= small.most_m3h + small.pilot_m3h + 1e-9).all()
    assert (flat < use - 1e-9).any()
    before, after = use.reshape(20, 24, -1).sum(axis=1), flat.reshape(20, 24, -1).sum(axis=1)
    assert np.allclose(after, np.minimum(before, after))
    assert np.isclose(after, before).mean() > 0.9


def test_drawn_numbers_are_never_0_or_1() -> None:
    ends = _unit(np.array([0, 0x7FFFFF], dtype=np.uint64))
    assert 0.0 < ends[0] < ends[1] < 1.0
    assert np.isfinite(np.log(ends)).all()
    assert np.isfinite(np.log1p(-ends)).all()


def test_no_hour_of_a_year_is_not_a_number() -> None:
    use = hourly_use(9, MIXED["heated_north"], FIRST_HOUR + np.arange(365 * 24))
    assert np.isfinite(use).all()
    assert (use >= 0.0).all()
