from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.customers import BASE_K, BASE_KPA, Customers
from simulators.meters import conditions
from simulators.meters.error import MeterErrors, curve, factor, over_range, steady_gain, volume_of_base
from simulators.meters.registers import Exchanges
from simulators.meters.traits import Traits, exchanged, meter_traits, pick, supply_traits

HOUR = 482_136  # 2025-01-01 UTC
SEED = 5


@pytest.fixture(scope="module")
def traits(townspeople: Customers) -> Traits:
    return meter_traits(SEED, townspeople)


def many(count: int = 4000, max_flow: float = 6.0) -> Traits:
    """Diaphragm meters of one size, new on the first day."""
    drawn = supply_traits(SEED, np.arange(count), max_flow, date(2025, 1, 1), digits=5, decimals=3)
    assert drawn.corrector.all()
    people = replace(drawn, corrector=np.zeros(count, bool), compensated=np.zeros(count, bool))
    return exchanged(SEED, people, np.full(count, HOUR / 24.0))


@pytest.mark.parametrize(("flow_m3h", "allowed"), [(0.06, 0.03), (0.6, 0.015), (3.0, 0.015), (6.0, 0.015)])
def test_new_meters_keep_class_1_5(flow_m3h: float, allowed: float) -> None:
    error = curve(many(), np.array([HOUR]), np.full((1, 4000), flow_m3h))[0] - 1.0
    assert np.quantile(np.abs(error), 0.97) < allowed
    assert 0.003 < error.std() < 0.01


def test_small_flames_are_counted_too_low_and_the_smallest_not_at_all() -> None:
    share = {flow: curve(many(), np.array([HOUR]), np.full((1, 4000), flow))[0] for flow in (0.001, 0.006, 0.015)}
    assert (share[0.001] == 0.0).all()
    assert 0.7 < share[0.006].mean() < share[0.015].mean() < 0.99


def test_a_minutes_cooking_passes_at_the_burners_flow() -> None:
    share = curve(many(), np.array([HOUR]), np.array([[0.05]]).repeat(4000, axis=1))[0]
    assert abs(share.mean() - 1.0) < 0.004


def test_meters_drift_apart_with_age_and_stay_within_twice_their_class() -> None:
    hours = HOUR + np.array([0, 10, 20]) * 8766
    share = curve(many(), hours, np.full((3, 4000), 2.0))
    spread = share.std(axis=1)
    assert spread[0] < spread[1] < spread[2]
    assert 0.5 < spread[1] / spread[0] < 4.0
    assert np.abs(share[1] - 1.0).max() < 0.03 + 0.02
    assert share[2].mean() < share[0].mean()


def test_without_compensation_a_register_moves_one_per_cent_for_each_2_8_kelvin(traits: Traits) -> None:
    hours = HOUR + 24 * np.arange(365)
    size = volume_of_base(SEED, traits, hours)
    warmth = conditions.gas_k(SEED, traits, hours)
    plain = np.flatnonzero(~traits.compensated)
    pressure = conditions.air_pressure_kpa(SEED, hours)[:, None] + traits.gauge_kpa
    expected = BASE_KPA / pressure * warmth / BASE_K
    assert np.allclose(size[:, plain], expected[:, plain], rtol=1e-12)
    column = plain[0]
    log_slope = np.polyfit(warmth[:, column], np.log(size[:, column] * pressure[:, column]), 1)[0]
    assert 0.0095 < 2.8 * log_slope < 0.0101
    outside, inside = traits.outdoor & ~traits.compensated, ~traits.outdoor & ~traits.compensated
    swing = size.max(axis=0) - size.min(axis=0)
    assert np.median(swing[outside]) > 2.0 * np.median(swing[inside]) > 0.01


def test_compensated_meters_and_correctors_do_not_feel_the_season(townspeople: Customers) -> None:
    hours = HOUR + 24 * np.arange(365)
    drawn = supply_traits(SEED, [0, 1, 2], 400.0, date(2022, 6, 1))
    found = MeterErrors(SEED, drawn).factor(hours, np.full((365, 3), 50.0))
    assert np.ptp(found, axis=0).max() < 0.002
    assert np.abs(found - 1.0).max() < 0.02


def test_the_air_pressure_goes_up_and_down_by_half_a_kilopascal() -> None:
    pressure = conditions.air_pressure_kpa(SEED, HOUR + np.arange(8760))
    assert 0.35 < pressure.std() < 0.65
    assert abs(pressure.mean() - BASE_KPA) < 0.15
    assert np.abs(np.diff(pressure)).max() < 0.2


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 20_000), st.integers(1, 60), st.data())
def test_an_hour_has_the_same_factor_whatever_else_is_asked(
    townspeople: Customers, first: int, count: int, data: st.DataObject
) -> None:
    swaps = Exchanges(np.array([3, 7]), np.array([HOUR + first + 5, HOUR + 9_000]), np.zeros(2), np.ones(2, np.bool_))
    traits = meter_traits(SEED, townspeople)
    hours = HOUR + first + np.arange(count)
    flow = np.random.default_rng(first).exponential(0.3, (count, len(traits)))
    whole = MeterErrors(SEED, traits, swaps).factor(hours, flow)
    row = data.draw(st.integers(0, count - 1))
    one = MeterErrors(SEED, traits, swaps).factor(hours[row : row + 1], flow[row : row + 1])
    assert np.array_equal(whole[row], one[0])
    columns = np.array([7, 3, 20])
    part = MeterErrors(SEED, traits.part(columns), swaps.part(columns)).factor(hours, flow[:, columns])
    assert np.array_equal(part, whole[:, columns])


def test_a_new_meter_has_errors_of_its_own_from_its_hour_on(townspeople: Customers, traits: Traits) -> None:
    swaps = Exchanges(np.array([3]), np.array([HOUR + 5]), np.zeros(1), np.ones(1, np.bool_))
    hours, flow = HOUR + np.arange(10), np.full((10, len(traits)), 1.0)
    changed, plain = MeterErrors(SEED, traits, swaps).factor(hours, flow), factor(SEED, townspeople, hours, flow)
    differs = changed != plain
    assert differs[5:, 3].all()
    assert differs.sum() == 5
    assert abs(changed[5, 3] / plain[5, 3] - 1.0) < 0.06


@pytest.mark.parametrize("flow", [0.0, -1.0, 1e-300, 1e12])
def test_strange_flows_give_a_number(townspeople: Customers, flow: float) -> None:
    found = factor(SEED, townspeople, np.array([HOUR]), np.full((1, len(townspeople)), flow))
    assert np.isfinite(found).all()
    assert (found >= 0.0).all()


def test_no_hours_and_no_meters_are_no_trouble(traits: Traits) -> None:
    empty = traits.part(np.empty(0, np.intp))
    assert MeterErrors(SEED, traits).factor(np.empty(0, np.int64), np.empty((0, len(traits)))).shape == (0, len(traits))
    assert MeterErrors(SEED, empty).factor(np.array([HOUR]), np.empty((1, 0))).shape == (1, 0)


def test_supply_meters_are_of_class_1_and_stay_near_it() -> None:
    drawn = supply_traits(SEED, np.arange(3000), 400.0, date(2022, 6, 1))
    gain = steady_gain(drawn, HOUR + np.array([0, 87_660]))
    assert np.abs(gain - 1.0).max() < 0.0201
    assert 0.002 < gain[0].std() < 0.004
    assert 0.001 < np.median(np.abs(gain[1] - gain[0])) < 0.004


def test_pulses_suit_the_size(townspeople: Customers, traits: Traits) -> None:
    small = traits.max_flow_m3h <= 6.0
    assert set(traits.pulse_m3[small]) == {0.001, 0.01}
    assert set(many(200, 25.0).pulse_m3) == {0.1}
    assert set(many(200, 5_000.0).pulse_m3) == {1.0}
    assert (traits.pulse_m3 >= [10.0**-meter.decimals for meter in townspeople.meters]).all()


def test_flows_over_the_range_are_known(traits: Traits) -> None:
    volume = np.stack([traits.max_flow_m3h, traits.max_flow_m3h * 1.001])
    assert over_range(traits, volume).tolist() == [[False] * len(traits), [True] * len(traits)]


def test_pick_takes_shares_that_do_not_sum_to_one_and_refuses_none() -> None:
    assert pick([1.0, 3.0], np.array([0.2, 0.26, 0.999])).tolist() == [0, 1, 1]
    with pytest.raises(ValueError, match="positive"):
        pick([0.0], np.array([0.5]))
    with pytest.raises(ValueError, match="positive"):
        pick([], np.array([0.5]))
