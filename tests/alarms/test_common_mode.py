"""What all zones' losses share."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from alarms.analysis.common_mode import LEAST_ZONES, SWING, Shared, shared

DAYS = 50
SUPPLY = 300.0
WEATHER = 0.006 * np.sin(np.arange(DAYS) / 1.3)
"""a share that swings within days, as air pressure does"""


def losses(zones: int, *, affected: float = 1.0, noise: float = 0.001, seed: int = 1) -> NDArray[np.float64]:
    """Return losses of zones with levels of their own, which the weather moves, m3."""
    random = np.random.default_rng(seed)
    own = random.uniform(0.0, 0.04, zones) + noise * random.normal(size=(DAYS, zones))
    return np.asarray(SUPPLY * (own + affected * WEATHER[:, None]))


def found(loss: NDArray[np.float64], *, affected: float = 1.0) -> Shared:
    supply = np.full(loss.shape, SUPPLY)
    return shared(loss, supply, np.full(loss.shape, affected), np.full(loss.shape, (0.001 * SUPPLY) ** 2))


@pytest.mark.parametrize("affected", [1.0, 0.5])
def test_the_swing_that_zones_share_is_found(affected: float) -> None:
    result = found(losses(12, affected=affected), affected=affected)
    off = result.share - WEATHER - (result.share - WEATHER).mean()
    assert np.sqrt((off**2).mean()) < 0.001
    assert (np.abs(off) < 4.0 * np.sqrt(result.variance)).all()


def test_a_leak_in_one_zone_is_not_shared() -> None:
    loss = losses(12)
    leaking = loss.copy()
    leaking[25:, 3] += 0.05 * SUPPLY
    assert np.abs(found(leaking).share - found(loss).share).max() < 0.0012


def test_gas_that_all_zones_lose_from_the_same_day_on_stays_their_loss_for_the_most_part() -> None:
    loss = losses(12)
    leaking = loss.copy()
    leaking[20:] += 0.02 * SUPPLY
    change = found(leaking).share - found(loss).share
    assert np.abs(change[30:]).max() < 0.5 * 0.02


def test_a_constant_loss_in_m3_of_all_zones_is_not_taken_for_weather_when_the_supply_grows() -> None:
    supply = np.linspace(100.0, 500.0, DAYS)[:, None] * np.ones((1, 12))
    loss = np.linspace(2.0, 5.0, 12)[None, :] * np.ones((DAYS, 1))
    result = shared(loss, supply, np.ones_like(loss), np.full(loss.shape, 0.1))
    assert np.abs(result.share).max() < 0.0005


def test_few_zones_tell_nothing() -> None:
    result = found(losses(LEAST_ZONES - 1))
    assert (result.share == 0.0).all()
    assert result.variance == pytest.approx(np.full(DAYS, SWING**2))


def test_zones_whose_meters_all_know_their_pressure_tell_nothing() -> None:
    result = found(losses(12), affected=0.0)
    assert (result.share == 0.0).all()


def test_unknown_days_are_bridged_with_their_uncertainty() -> None:
    loss = losses(12)
    loss[10:14] = np.nan
    result = found(loss)
    assert np.isfinite(result.share).all()
    assert result.variance[12] > 5.0 * result.variance[30]


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 70), st.integers(0, 5), st.floats(0.0, 1.0), st.sampled_from([0.0, 1.0, 1e-9, 1e12, -5.0, np.nan])
)
def test_it_is_finite_whatever_comes(days: int, zones: int, gone: float, odd: float) -> None:
    random = np.random.default_rng(days + zones)
    loss, supply = random.normal(size=(2, days, zones)) * 50.0
    loss[random.uniform(size=loss.shape) < gone] = np.nan
    supply[random.uniform(size=loss.shape) < 0.2] = odd
    result = shared(loss, supply, random.uniform(size=loss.shape), random.uniform(size=loss.shape))
    assert result.share.shape == (days,)
    assert np.isfinite(result.share).all()
    assert (result.variance >= 0.0).all()
