"""How far the gas in meters follows air and ground, as the losses of all zones tell it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from alarms.analysis.city import GasTemperature
from alarms.analysis.gas_temperature import FOLLOWS, LEAST_WEEKS, LEAST_ZONES, WEEK_D, follows

Floats = NDArray[np.float64]

DAYS = 210
SEASON = 14.0 - 12.0 * np.cos(2.0 * np.pi * (np.arange(DAYS) - 20) / 365.0)


@dataclass(frozen=True)
class Seen:
    """Days and zones, m3, of which gas in meters follows air and ground by `true` more than is taken."""

    loss: Floats
    supply: Floats
    warm: Floats
    told: NDArray[np.bool_]
    courses: Floats

    def answer(self) -> Floats:
        return follows(self.loss, self.supply, self.warm, self.told, self.courses)

    def drift(self, size: Floats) -> Floats:
        """Return by what the loss rate is wrong where gas follows by `size` more than is taken."""
        return np.asarray(-(self.courses @ size)[:, None] * self.warm / self.supply.mean(axis=0))


def city(true: tuple[float, float], *, zones: int = 12, noise: float = 0.003, seed: int = 1) -> Seen:
    random = np.random.default_rng(seed)
    air = SEASON + 3.0 * random.normal(size=DAYS)
    courses = GasTemperature().courses(air)
    level = random.uniform(100.0, 600.0, zones)
    supply = level * (1.0 + 0.06 * np.maximum(18.0 - SEASON, 0.0))[:, None] * random.normal(1.0, 0.03, (DAYS, zones))
    warm = supply * random.uniform(0.0, 0.9, zones)
    own = random.uniform(0.0, 0.02, zones) * level + random.normal(0.0, 0.006, zones) * supply
    loss = own - (courses @ np.array(true))[:, None] * warm + noise * level * random.normal(size=(DAYS, zones))
    return Seen(loss, supply, warm, np.ones(loss.shape, dtype=np.bool_), courses)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("true", [(0.0, 0.0), (0.1, 0.4), (-0.15, 0.1), (0.3, 0.0)])
def test_how_far_gas_follows_the_weather_is_told_by_all_zones(true: tuple[float, float], seed: int) -> None:
    seen = city(true, seed=seed)
    left = seen.drift(np.array(true) - seen.answer())
    # what is alike every day is nothing that a course tells
    assert np.abs(left - left.mean(axis=0)).max() < 0.004
    assert np.abs(seen.answer() - true).max() < 0.12


@pytest.mark.parametrize("seed", [4, 5, 6])
def test_leaks_and_stopped_meters_of_many_zones_are_not_taken_for_the_season(seed: int) -> None:
    seen, random = city((0.0, 0.0), seed=seed), np.random.default_rng(seed)
    loss = seen.loss.copy()
    for zone in range(0, loss.shape[1], 2):
        begins = int(random.integers(20, 180))
        loss[begins:, zone] += random.uniform(0.01, 0.08) * seen.supply[:, zone].mean()
    for zone in (1, 5):
        loss[int(random.integers(20, 120)) :, zone] += 0.02 * seen.supply[int(random.integers(20, 120)) :, zone].mean()
    drift = seen.drift(replace(seen, loss=loss).answer())
    assert np.abs(drift - drift.mean(axis=0)).max() < 0.006


def test_a_loss_that_comes_and_goes_in_one_zone_moves_the_answer_little() -> None:
    seen = city((0.05, 0.2))
    loss = seen.loss.copy()
    loss[60:130, 4] += 0.3 * seen.supply[60:130, 4]
    assert np.abs(replace(seen, loss=loss).answer() - seen.answer()).max() < 0.03


def test_days_that_are_not_known_tell_nothing() -> None:
    seen, random = city((0.1, 0.3)), np.random.default_rng(9)
    hidden = random.random(seen.loss.shape) < 0.4
    hidden[:, 3] = True
    loss = np.where(hidden, 1e6, seen.loss)
    partly = replace(seen, loss=loss, told=~hidden)
    assert np.abs(partly.answer() - (0.1, 0.3)).max() < 0.12
    unknown = replace(seen, loss=np.where(hidden, np.nan, seen.loss))
    assert np.array_equal(unknown.answer(), partly.answer())


@pytest.mark.parametrize(
    ("zones", "days"), [(LEAST_ZONES - 1, DAYS), (12, LEAST_WEEKS * WEEK_D - 1), (0, DAYS), (12, 0)]
)
def test_few_zones_and_few_weeks_tell_nothing(zones: int, days: int) -> None:
    seen = city((0.1, 0.3))
    part = (slice(0, days), slice(0, zones))
    few = Seen(seen.loss[part], seen.supply[part], seen.warm[part], seen.told[part], seen.courses[:days])
    assert not few.answer().any()


def test_meters_that_compensate_tell_nothing() -> None:
    seen = city((0.1, 0.3))
    assert not replace(seen, warm=np.zeros_like(seen.warm)).answer().any()


@settings(max_examples=60, deadline=None)
@given(
    loss=arrays(np.float64, (40, 5), elements=st.floats(-1e4, 1e4) | st.just(np.nan)),
    supply=arrays(np.float64, (40, 5), elements=st.floats(-10.0, 1e4) | st.just(np.nan)),
    share=arrays(np.float64, (5,), elements=st.floats(0.0, 1.0)),
)
def test_whatever_the_losses_the_answer_is_a_number_of_sensible_size(
    loss: Floats, supply: Floats, share: Floats
) -> None:
    warm = np.maximum(np.nan_to_num(supply), 0.0) * share
    courses = GasTemperature().courses(SEASON[:40])
    size = follows(loss, supply, warm, np.isfinite(loss), courses)
    assert np.isfinite(size).all()
    assert (np.abs(size) <= 2.0 * FOLLOWS).all()


def test_a_gas_temperature_that_is_certain_is_left_alone() -> None:
    assert not GasTemperature(sigma_k=0.0).courses(SEASON).any()


def test_courses_do_not_look_ahead() -> None:
    air = SEASON.copy()
    before = GasTemperature().courses(air)
    air[100:] = np.nan
    assert np.array_equal(GasTemperature().courses(air)[:100], before[:100])


def test_the_ground_is_weeks_behind_the_air() -> None:
    air = np.where(np.arange(DAYS) < 100, 5.0, 25.0)
    of_air, ground = GasTemperature().courses(air)[110] * 288.15 + 15.0
    assert of_air == pytest.approx(25.0, abs=0.2)
    assert 10.0 < ground < 13.0
