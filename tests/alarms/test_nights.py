from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alarms.analysis.marks import Marks
from alarms.analysis.nights import Nights
from alarms.analysis.study import study
from alarms.detectors.theft import TheftDetector
from gateway.meterdata.series import DAY_US, HOUR_US, Floats, Series
from gateway.model.finding import Verdict
from gateway.model.gasday import GasDay
from gateway.model.reading import to_us
from tests.alarms.detector_city import HOME
from tests.alarms.small_city import BUSINESS, a_city

GAS_DAY = GasDay("Asia/Shanghai", time(6))
FIRST = date(2025, 11, 1)
DAYS, SINCE = 60, 35
BOUNDS = np.array([GAS_DAY.begins_us(FIRST + timedelta(days=day)) for day in range(DAYS + 1)])
HOURS = DAYS * 24
LOCAL = (np.arange(HOURS) + 6) % 24
NIGHT = (LOCAL >= 19) | (LOCAL < 7)
LATER = np.arange(HOURS) >= SINCE * 24


def used(seed: int, count: int) -> Floats:
    """Return what homes use each hour, some of it in nearly every night, m3 (hours, count)."""
    rng = np.random.default_rng(seed)
    return rng.gamma(0.6, 0.15, (HOURS, count)) * np.where(NIGHT, 0.6, 1.0)[:, None]


def read(flow: Floats, names: Sequence[str], *, every_h: int = 1, minute: int = 7, delay_h: int = 1) -> Series:
    """Return registers of three decimals, read some minutes after full hours."""
    register = np.round(np.concatenate([np.zeros((1, flow.shape[1])), np.cumsum(flow, axis=0)]), 3)
    rows = np.arange(0, HOURS + 1, every_h)
    times = BOUNDS[0] + rows * HOUR_US + minute * 60_000_000
    column = np.repeat(np.arange(flow.shape[1], dtype=np.int32), len(rows))
    every = np.tile(times, flow.shape[1])
    return Series.build(names, column, every, every + delay_h * HOUR_US, register[rows].T.ravel())


def names_of(count: int) -> tuple[str, ...]:
    return tuple(f"M-{n:02d}" for n in range(count))


def found(part: Series, until: int | None = None) -> dict[str, int]:
    """Return the gas day from which each register that does so rests at night."""
    nights = Nights.of([part], GAS_DAY)
    if nights is None:
        return {}
    known = nights.known(int(BOUNDS[-1]) if until is None else until)
    day, meter = np.nonzero(np.isfinite(known.turned_quiet(part.assets, BOUNDS)))
    return {part.assets[m]: int(d) for d, m in zip(day, meter, strict=True)}


@pytest.mark.parametrize("begin", [19, 22])
@pytest.mark.parametrize("minute", [0, 7, 41])
def test_a_meter_that_is_bypassed_at_night_is_told_from_its_first_such_night(begin, minute):
    flow = used(1, 12)
    flow[LATER & ((begin <= LOCAL) | (LOCAL < 7)), 3] = 0.0
    assert found(read(flow, names_of(12), minute=minute)) == {"M-03": SINCE}


def test_it_is_told_within_two_weeks_and_no_more_once_its_nights_are_as_before():
    flow = used(2, 12)
    flow[LATER & NIGHT, 3] = 0.0
    part = read(flow, names_of(12))
    assert found(part, until=int(BOUNDS[SINCE + 8])) == {}
    assert found(part, until=int(BOUNDS[SINCE + 14])) == {"M-03": SINCE}
    flow[50 * 24 :, 3] = used(3, 1)[50 * 24 :, 0]
    assert found(read(flow, names_of(12))) == {}


def test_who_is_away_uses_less_by_day_too_and_is_not_told():
    flow = used(4, 12)
    flow[LATER, 3] = 0.0
    flow[LATER, 4] *= np.where(NIGHT[LATER], 0.0, 0.3)
    assert found(read(flow, names_of(12))) == {}


def test_nights_in_which_most_others_begin_to_rest_as_well_tell_nothing_of_one():
    flow = used(5, 12)
    flow[LATER & NIGHT, :9] = 0.0
    assert found(read(flow, names_of(12))) == {}


def test_who_rarely_used_gas_at_night_is_not_told():
    flow = used(6, 12)
    days = np.repeat(np.random.default_rng(6).random(DAYS) < 0.5, 24)
    flow[NIGHT & (days | LATER), 3] = 0.0
    assert found(read(flow, names_of(12))) == {}


def test_registers_that_are_read_too_seldom_tell_nothing_of_nights():
    flow = used(7, 12)
    flow[LATER & NIGHT, 3] = 0.0
    for every_h in (12, 24):
        assert found(read(flow, names_of(12), every_h=every_h)) == {}
    assert Nights.of([read(flow, names_of(12), every_h=24)], GAS_DAY) is None
    assert Nights.of([], GAS_DAY) is None


def test_registers_of_two_kinds_are_told_together():
    flow = used(8, 12)
    flow[LATER & NIGHT, 3] = 0.0
    flow[LATER & NIGHT, 9] = 0.0
    parts = [read(flow[:, :6], names_of(12)[:6]), read(flow[:, 6:], names_of(12)[6:], minute=30)]
    nights = Nights.of(parts, GAS_DAY)
    assert nights is not None
    quiet = nights.turned_quiet(names_of(12), BOUNDS)
    assert list(zip(*np.nonzero(np.isfinite(quiet.T)), strict=True)) == [(3, SINCE), (9, SINCE)]


@given(data=st.data())
def test_what_had_arrived_by_a_moment_decides_alone(data: Any):
    flow = used(data.draw(st.integers(0, 99)), 6)
    flow[LATER & NIGHT, 2] = 0.0
    part = read(
        flow, names_of(6), every_h=data.draw(st.sampled_from([1, 2, 3, 8])), minute=data.draw(st.integers(0, 59))
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    late = rng.choice([0, 1, 6, 40, 24 * 9], len(part.time), p=[0.6, 0.2, 0.1, 0.05, 0.05]) * HOUR_US
    kept = rng.random(len(part.time)) < data.draw(st.sampled_from([1.0, 0.95, 0.3]))
    part = replace(part, received=part.received + late).take(kept)
    again = part.take(rng.random(len(part.time)) < 0.05)
    twice = Series.ordered(
        part.assets,
        np.concatenate([part.column, again.column]),
        np.concatenate([part.time, again.time]),
        np.concatenate([part.received, again.received + DAY_US]),
        np.concatenate([part.value, again.value + 0.5]),
    )
    until = int(BOUNDS[data.draw(st.integers(20, DAYS))])
    assert found(twice, until) == found(twice.known(until), until)


def test_clocks_that_jump_and_registers_that_fall_break_nothing():
    flow = used(10, 4)
    part = read(flow, names_of(4))
    far = to_us(datetime(2026, 3, 1, tzinfo=UTC))
    wild = replace(
        part,
        time=np.where(np.arange(len(part.time)) % 997 == 5, far, part.time),
        value=np.where(np.arange(len(part.time)) % 53 == 0, -part.value, part.value),
    )
    wild = Series.ordered(wild.assets, wild.column, wild.time, wild.received, wild.value)
    assert found(wild) == {}


def test_a_meter_that_floods_an_hour_with_readings_changes_nothing():
    flow = used(12, 4)
    flow[LATER & NIGHT, 3] = 0.0
    part = read(flow, names_of(4))
    evening = int(BOUNDS[40]) + 14 * HOUR_US
    times = evening + np.arange(200_000) * 10_000
    at = np.full(len(times), part.value[(part.column == 0) & (part.time <= evening)].max())
    flooded = Series.ordered(
        part.assets,
        np.append(part.column, np.zeros(len(times), dtype=np.int32)),
        np.append(part.time, times),
        np.append(part.received, times + HOUR_US),
        np.append(part.value, at),
    )
    assert found(flooded) == found(part) == {"M-03": SINCE}


@pytest.fixture(scope="module")
def marks():
    """Readings by the hour of a business and of homes of zone R-1, of which one each rests at night since a day."""
    flow = used(11, 12)
    for column in (0, 7):
        flow[LATER & NIGHT, column] = 0.0
    return Marks(nights=Nights.of([read(flow, [f"M-1-{n:02d}" for n in range(12)])], GAS_DAY))


def suspected(city: Any, marks: Marks) -> dict[str, dict[str, Any]]:
    """Return the scores and the evidence of thefts by meter."""
    told = TheftDetector(city.model).judge(study(city.model, city.windows(), city.now, marks=marks))
    return {
        told.assets[at]: {"score": float(told.score[at]), **told.evidence[at]}
        for at in np.flatnonzero(told.verdict == Verdict.ABNORMAL)
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_nights_of_rest_name_who_takes_what_the_zone_loses_and_nobody_who_uses_less(marks, seed):
    city = a_city(days=DAYS, seed=seed)
    bypassed = city.with_counted(HOME, SINCE, 0.6)
    assert suspected(bypassed, Marks()) == {}
    told = suspected(bypassed, marks)
    assert list(told) == [HOME]
    assert told[HOME]["score"] >= 0.5
    assert told[HOME]["rests_at_night_since"] == "2025-12-06"
    honest = replace(city, passed=bypassed.counted, counted=bypassed.counted)
    assert suspected(honest, marks).get(HOME, {"score": 0.0})["score"] < 0.1


def test_many_nights_say_more_of_a_home_and_not_of_a_business_that_closes_earlier(marks):
    city = a_city(days=DAYS)
    quiet = study(city.model, city.windows(), city.now, marks=marks).quiet
    at = [city.customers.index(name) for name in (BUSINESS, HOME)]
    business, home = quiet[SINCE, at]
    assert (business, home) == (0.0, pytest.approx(1.0, abs=0.3))
    assert np.isfinite(quiet).sum() == 2
