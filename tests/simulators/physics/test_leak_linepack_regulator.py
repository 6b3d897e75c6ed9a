"""Holes, gas in pipes and regulators: numbers worked out by hand, and the directions that nature keeps."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.physics.leak import CHOKED_KPA, leak_scale, orifice_kpa
from simulators.physics.linepack import packed_m3
from simulators.physics.regulator import (
    build_regulators,
    creep_kpa,
    freeze_kpa,
    lock_up_kpa,
    outlet_kpa,
    wobbles,
)

KPA = st.floats(0.01, 600.0)


def test_a_hole_at_low_pressure_follows_the_root_of_the_pressure() -> None:
    """Nearly incompressible there: half of the pressure, 0.71 of the flow."""
    assert leak_scale(np.array([1.5]), np.array([3.0]))[0] == pytest.approx(math.sqrt(0.5), rel=3e-3)


def test_a_choked_hole_follows_the_absolute_pressure() -> None:
    assert pytest.approx(101.325 / 0.5439 - 101.325, rel=1e-3) == CHOKED_KPA
    assert leak_scale(np.array([400.0]), np.array([200.0]))[0] == pytest.approx(501.325 / 301.325, rel=1e-9)


def test_a_hole_by_hand() -> None:
    # p sqrt(2 k/(k-1) (r^(2/k) - r^((k+1)/k))) with k = 1.31, p = 131.325 kPa, r = 0.771559
    k, r = 1.31, 101.325 / 131.325
    wanted = 131.325 * math.sqrt(2 * k / (k - 1) * (r ** (2 / k) - r ** ((k + 1) / k)))
    assert orifice_kpa(np.array([30.0]))[0] == pytest.approx(wanted, rel=1e-12)


@settings(deadline=None)
@given(KPA, KPA)
def test_more_pressure_never_leaks_less(a: float, b: float) -> None:
    low, high = orifice_kpa(np.array([min(a, b), max(a, b)]))
    assert 0.0 < low <= high


@settings(deadline=None)
@given(st.floats(-20.0, 0.0))
def test_nothing_leaks_without_pressure(gauge: float) -> None:
    assert orifice_kpa(np.array([gauge]))[0] == 0.0


def test_pipes_at_base_conditions_hold_their_volume() -> None:
    assert packed_m3(np.array([80.0]), np.array([0.0]), np.array([293.15]))[0] == pytest.approx(80.0, rel=1e-12)


def test_packed_gas_by_hand() -> None:
    # 100 m3 at 300 kPa gauge and 10 deg C: 401.325 / 101.325 * 293.15 / 283.15 and Z 0.997568 / 0.990368
    held = packed_m3(np.array([100.0]), np.array([300.0]), np.array([283.15]))[0]
    assert held == pytest.approx(100.0 * 3.960770 * 1.035317 * 1.007270, rel=1e-5)


def test_regulators_hold_their_pressure_within_their_class() -> None:
    """AC 10 from a fifth of the winter's flow to three times it, and no more than 20 % above when the flow ends."""
    regulators = build_regulators(5, 0, np.full(300, 3.0), np.full(300, 40.0))
    hours = np.arange(500, dtype=np.int64)
    for load in (0.2, 1.0, 3.0):
        held = outlet_kpa(5, regulators, hours, np.full((500, 300), 40.0 * load))
        assert (np.abs(np.median(held, axis=0) / 3.0 - 1.0) < 0.15).all()
        assert np.mean(np.abs(held / 3.0 - 1.0) < 0.1) > 0.9
    still = outlet_kpa(5, regulators, hours, np.zeros((500, 300)))
    assert (still <= 3.0 * 1.2).all()
    assert (still.mean(axis=0) > outlet_kpa(5, regulators, hours, np.full((500, 300), 20.0)).mean(axis=0)).all()


@settings(deadline=None)
@given(st.lists(st.floats(0.0, 1e5), min_size=2, max_size=10))
def test_no_flow_makes_a_regulator_hold_less_than_nothing(flows: list[float]) -> None:
    regulators = build_regulators(1, 3, np.array([2.0, 300.0]), np.array([10.0, 0.0]))
    flow = np.repeat(np.array(flows)[:, None], 2, axis=1)
    held = outlet_kpa(1, regulators, np.arange(len(flows), dtype=np.int64), flow)
    assert (held >= 0.0).all()
    assert (held <= regulators.set_kpa * 1.25 + 1e-9).all()


def test_a_regulator_is_the_same_in_a_part_of_the_city() -> None:
    whole = build_regulators(9, 0, np.full(50, 3.0), np.full(50, 40.0))
    part = build_regulators(9, 20, np.full(10, 3.0), np.full(10, 40.0))
    hours = np.arange(1000, 1100, dtype=np.int64)
    assert (wobbles(9, whole, hours)[:, 20:30] == wobbles(9, part, hours)).all()
    assert (whole.part(np.arange(20, 30)).droop == part.droop).all()
    assert (wobbles(9, part, hours[50:]) == wobbles(9, part, hours)[50:]).all()


def test_faults_have_the_hours_that_show_them() -> None:
    set_kpa, size = np.array([3.0]), np.array([0.5])
    night, day = np.array([0.02]), np.array([1.5])
    assert creep_kpa(set_kpa, size, night)[0] > 0.45
    assert creep_kpa(set_kpa, size, day)[0] < 0.01
    assert lock_up_kpa(set_kpa, 100.0 * size, np.array([0.0]))[0] == pytest.approx(0.75)  # the relief valve's 25 %
    assert lock_up_kpa(set_kpa, size, np.array([0.3]))[0] < 1e-3
    frost, mild = np.array([-12.0]), np.array([8.0])
    assert freeze_kpa(set_kpa, 0.4, day, frost)[0] == pytest.approx(-3.0 * 0.6, rel=0.01)
    assert freeze_kpa(set_kpa, 0.4, day, mild)[0] > -0.02
    assert freeze_kpa(set_kpa, 0.4, night, frost)[0] > -0.05
