"""Registers that stood and move again: what they explain is looked for nowhere else, and nobody is blamed for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from alarms.analysis.bank import weigh
from alarms.analysis.bank_config import BankConfig
from tests.alarms.zone_days import MadeZone, a_zone

STOPPED, OTHER = 7, 11
CONFIG = BankConfig()


def large(made: MadeZone, home: int, factor: float) -> MadeZone:
    burnt = made.burnt.copy()
    burnt[:, home] *= factor / burnt[:, home].mean()
    return replace(made, burnt=burnt, counted=burnt.copy())


def stood(days: int, *, seed: int, m3: float = 20.0) -> Any:
    """Return a zone whose largest meter stood from day 40 until it was exchanged on day 100."""
    return large(a_zone(days=days, seed=seed), STOPPED, m3).counting(STOPPED, 0.0, 40, 100)


def told(made: MadeZone, least: float = 0.2) -> list[tuple[int, str]]:
    return [(case.meter, case.form) for case in weigh(made.zone(CONFIG), CONFIG) if case.probability >= least]


@pytest.mark.parametrize("days", [101, 103, 108, 125, 160])
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_meter_that_was_exchanged_is_blamed_no_more_and_nobody_else_is(seed: int, days: int) -> None:
    assert told(stood(days, seed=seed)) == []


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_before_it_is_exchanged_it_is_named(seed: int) -> None:
    assert (STOPPED, "rest") in told(stood(99, seed=seed))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_who_stops_a_second_time_is_named_again(seed: int) -> None:
    assert told(stood(170, seed=seed).counting(STOPPED, 0.0, 140))[0] == (STOPPED, "rest")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_leak_after_the_exchange_is_found_with_its_day_and_size(seed: int) -> None:
    case = weigh(stood(160, seed=seed).leaking(15.0, 120).zone(CONFIG), CONFIG)[0]
    assert (case.meter, case.form) == (-1, "leak")
    assert abs(case.first_day - 120) <= 1
    assert case.size_m3_per_day == pytest.approx(15.0, rel=0.15)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_another_meter_that_stops_is_named(seed: int) -> None:
    made = large(a_zone(days=160, seed=seed), STOPPED, 20.0)
    burnt = made.burnt.copy()
    burnt[:, OTHER] *= 8.0 / burnt[:, OTHER].mean()
    made = replace(made, burnt=burnt, counted=burnt.copy())
    assert (OTHER, "rest") in told(made.counting(STOPPED, 0.0, 40, 100).counting(OTHER, 0.0, 110))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_who_was_away_while_the_zone_leaked_explains_no_leak(seed: int) -> None:
    made = large(a_zone(days=120, seed=seed), STOPPED, 6.0).away(STOPPED, 50, 90)
    case = weigh(made.leaking(9.0, 50).zone(CONFIG), CONFIG)[0]
    assert (case.meter, case.form) == (-1, "leak")
    assert case.size_m3_per_day == pytest.approx(9.0, rel=0.2)


def test_a_zone_without_any_rest_is_weighed() -> None:
    made = a_zone(days=60)
    assert np.isfinite(made.counted).all()
    assert told(made) == []
