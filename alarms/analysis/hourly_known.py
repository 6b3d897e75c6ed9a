"""What the days tell of meters that count too little, as shapes that the hours of their zones may lose by. Pure.

What a meter misses is what its customer goes on using. It follows the weather and the hour, so it is no constant that
is lost as usual, and it may have begun within the window: what the hours show of it is that customer's, not a leak's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alarms.analysis.hourly_blocks import AGE_H, SIZES_H
from alarms.analysis.study import Study, ZoneCase
from gateway.meterdata.series import DAY_US, HOUR_US, Floats, Ints

LAST_D = 35
"""days of which a case tells what was expected"""
FINE = SIZES_H < 24
"""blocks shorter than a day"""


@dataclass(frozen=True, slots=True, eq=False)
class KnownCase:
    """A meter that counts too little since some moment, with some probability."""

    zone: str
    customer: str
    probability: float
    begun_us: int
    ends_us: Ints
    """of the last days, (d,)"""
    expected_m3h: Floats
    """what is expected of the customer on them; nothing where the register counts a part of it, (d,)"""
    part: float
    """what the register misses, as a share of what it counts; 0 where `expected_m3h` tells"""


def known_cases(known: Study) -> tuple[KnownCase, ...]:
    """Return what a study says of meters."""
    return tuple(_case(known, found) for found in known.cases if found.customer >= 0)


def _case(known: Study, found: ZoneCase) -> KnownCase:
    result, case = known.balance, found.case
    place = result.tree.zones[found.zone], result.tree.customers[found.customer]
    begun_us, ends_us = int(result.bounds[case.first_day]), np.asarray(result.bounds[1:][-LAST_D:])
    if case.form != "share":
        return KnownCase(
            *place, case.probability, begun_us, ends_us, np.nan_to_num(case.expected[-LAST_D:]) / 24.0, 0.0
        )
    counted = float(np.nansum((case.expected - case.missing)[case.first_day :]))
    part = float(np.nansum(case.missing)) / counted if counted > 0 else 0.0
    return KnownCase(*place, case.probability, begun_us, ends_us, np.zeros(len(ends_us)), part)


def missing_of(cases: Sequence[KnownCase], use: Floats, course: Floats, end_us: int) -> Floats:
    """Return what each meter misses in each block of the window that ends at a moment, m3, (b, cases).

    `use` is what the meters counted and `course` what their class did, (b, cases). Each is times the root of the
    case's probability: so much of it is to be expected.
    """
    middle_us = end_us - AGE_H * HOUR_US
    result = np.zeros(use.shape)
    for at, case in enumerate(cases):
        rate = np.interp(middle_us, case.ends_us - DAY_US // 2, case.expected_m3h)
        fine = rate[FINE].mean() * course[:, at] * SIZES_H[FINE].sum() / max(course[FINE, at].sum(), 1e-9)
        expected = np.where(FINE, fine, rate * SIZES_H * (course[:, at] > 0))
        missing = case.part * use[:, at] if case.part > 0 else np.maximum(expected - use[:, at], 0.0)
        since = np.clip((middle_us - case.begun_us) / (SIZES_H * HOUR_US) + 0.5, 0.0, 1.0)
        result[:, at] = np.sqrt(case.probability) * since * missing
    return result
