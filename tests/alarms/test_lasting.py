"""What is wrong alike every day is told from zones that would give gas back, and never hides a loss."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from alarms.analysis.lasting import LOSSES, MONTH_D, SHARES, Lasting, lasting_error

Floats = NDArray[np.float64]
DAYS = 4 * MONTH_D
COMMON, OWN = 0.005, 0.006


def of_days(rates: Floats, doubt: float = 0.0005) -> Lasting:
    zones = rates.shape[1]
    spread = np.full(rates.shape, doubt**2)
    return lasting_error(rates, spread, np.full(zones, COMMON), np.full(zones, OWN), np.ones(zones, dtype=np.bool_))


def lifted(rates: Floats, days: int = DAYS) -> tuple[Floats, Floats]:
    """Return error and what is left of its variance for zones with steady loss rates."""
    found = of_days(np.tile(rates, (days, 1)))
    return found.error, found.left


def test_zones_that_all_seem_to_gain_gas_are_lifted_together_also_the_one_that_does_not() -> None:
    error, left = lifted(np.append(np.full(12, -0.007), 0.001))
    assert (error[:12] < -0.005).all()
    assert error[12] < -0.002
    assert (left < 0.5).all()


def test_one_zone_that_seems_to_gain_gas_is_lifted_alone() -> None:
    error, _ = lifted(np.append(np.full(12, 0.002), -0.01))
    assert error[12] < -0.008
    assert (error[:12] > -0.003).all()


@settings(max_examples=50)
@given(st.lists(st.floats(-0.5, 0.5), min_size=1, max_size=20))
def test_a_loss_is_never_argued_away(rates: list[float]) -> None:
    error, left = lifted(np.array(rates))
    assert (error <= 0.0).all()
    assert ((left > 0.0) & (left <= 1.0)).all()
    assert (left[error == 0.0] == 1.0).all()


def test_a_zone_that_loses_gas_stays_as_it_was_measured() -> None:
    error, left = lifted(np.append(np.full(6, 0.0), 0.04))
    assert (error[6], left[6]) == (0.0, 1.0)


def test_a_supply_meter_that_failed_for_a_month_is_no_gain() -> None:
    rates = np.full((DAYS, 3), 0.003)
    rates[:MONTH_D, 1] = -5.0
    found = of_days(rates)
    assert (found.error > -0.005).all()


def test_a_month_whose_customers_were_not_read_says_little_of_other_months() -> None:
    rates = np.tile([-0.012, 0.004, 0.004], (DAYS, 1))
    surely, doubtful, unknown = (of_days(rates, doubt).error[0] for doubt in (0.0, 0.8 * OWN, 2.0 * OWN))
    assert surely < 1.4 * doubtful < 0.0
    assert unknown == 0.0


def test_nothing_is_said_without_a_month_of_days() -> None:
    rates = np.full((DAYS, 2), -0.02)
    rates[np.arange(DAYS) % MONTH_D > 5, 1] = np.nan
    found = of_days(rates)
    assert found.error[0] < -0.01
    assert (found.error[1], found.left[1]) == (0.0, 1.0)
    short, left = lifted(np.full(2, -0.02), days=MONTH_D - 1)
    assert (short.tolist(), left.tolist()) == ([0.0, 0.0], [1.0, 1.0])


def test_what_is_left_is_as_large_as_said() -> None:
    random = np.random.default_rng(5)
    square, said, before = [], [], []
    for _ in range(60):
        wrong = COMMON * random.normal() + OWN * random.normal(size=20)
        loss = random.exponential(random.choice(LOSSES, p=SHARES, size=20))
        error, left = lifted(wrong + loss)
        square.append((wrong - error) ** 2)
        said.append(left * (COMMON**2 + OWN**2))
        before.append(wrong**2)
    assert np.mean(square) < 0.7 * np.mean(before)
    assert 0.8 < np.mean(square) / np.mean(said) < 1.25
