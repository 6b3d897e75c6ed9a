import math
from dataclasses import replace
from datetime import date, timedelta

import pytest

from gateway.model.finding import LossRow, LossVerdict
from gateway.model.loss_total import month_after, month_of, months, total

DAY = date(2026, 1, 30)
ROW = LossRow("R-1", DAY, 100.0, 96.0, 1.0, 3.0, 0.03, 0.005, 0.9, LossVerdict.NORMAL, steady_sigma=0.003)
UNKNOWN = replace(
    ROW,
    supply_m3=None,
    loss_m3=None,
    loss_rate=None,
    sigma=None,
    verdict=LossVerdict.NOT_ASSESSABLE,
    reason="no reading",
)


def days(*rows: LossRow) -> list[LossRow]:
    return [replace(row, gas_day=DAY + timedelta(days=number)) for number, row in enumerate(rows)]


def test_the_sum_of_days_weighs_them_by_their_supply():
    summed = total(days(ROW, replace(ROW, supply_m3=300.0, loss_m3=21.0, metered_m3=279.0)), 2)
    assert (summed.days, summed.supply_m3, summed.metered_m3, summed.loss_m3) == (2, 400.0, 375.0, 24.0)
    assert summed.loss_rate == pytest.approx(0.06)
    # steady: 0.3 + 0.9 m3 add up; noise: 0.4 and 1.2 m3 in squares
    assert summed.sigma == pytest.approx(math.hypot(1.2, 0.4, 1.2) / 400)
    assert summed.verdict is LossVerdict.HIGH


def test_what_differs_from_day_to_day_shrinks_and_what_is_alike_does_not():
    many = total(days(*[ROW] * 400), 400)
    assert many.sigma == pytest.approx(math.hypot(0.003, 0.004 / 20))
    assert many.verdict is LossVerdict.NORMAL
    assert total(days(*[replace(ROW, steady_sigma=None)] * 400), 400).sigma == pytest.approx(0.005)
    above = replace(ROW, loss_m3=3.1, loss_rate=0.031)
    assert total(days(above), 1).verdict is LossVerdict.HIGH
    assert total(days(replace(above, sigma=0.016)), 1).verdict is LossVerdict.NORMAL


@pytest.mark.parametrize(("known", "verdict"), [(0, "not_assessable"), (1, "not_assessable"), (2, "normal")])
def test_a_span_of_which_less_than_half_is_known_is_not_assessable(known, verdict):
    summed = total(days(*[ROW] * known, *[UNKNOWN] * (4 - known)), 4)
    assert (summed.days, summed.verdict, summed.reason) == (known, verdict, "no reading")
    assert (summed.loss_rate is None) == (known == 0)


def test_terms_and_the_loss_between_levels_are_summed_where_every_day_tells_them():
    told = replace(
        ROW,
        between_m3=1.0,
        between_sigma_m3=0.5,
        terms={"rest": (3.0, 0.5), "skew": (1.0, 0.4), "meter_gain": (0.0, 0.3)},
    )
    summed = total(days(told, told), 2)
    assert (summed.between_m3, summed.between_sigma_m3) == (2.0, 1.0)
    assert summed.terms == {
        "rest": (6.0, pytest.approx(math.hypot(0.6, 0.4, 0.4))),
        "skew": (2.0, pytest.approx(0.4 * math.sqrt(2))),
        "meter_gain": (0.0, 0.6),
    }
    partly = total(days(told, ROW), 2)
    assert (partly.between_m3, partly.terms) == (None, {})


def test_months_and_two_month_cycles_begin_in_january():
    rows = days(*[ROW] * 40)
    assert {first: len(part) for first, part in months(rows).items()} == {
        date(2026, 1, 1): 2,
        date(2026, 2, 1): 28,
        date(2026, 3, 1): 10,
    }
    assert [len(part) for part in months(rows, 2).values()] == [30, 10]
    assert month_of(date(2025, 12, 31), 2) == date(2025, 11, 1)
    assert month_after(date(2025, 11, 1), 2) == date(2026, 1, 1)
