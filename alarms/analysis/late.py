"""Zones that are read seldom, as of the last day on which they are known well: weeks late, not never. Pure.

A register that is read once a week tells what passed between two readings, though not on which days; where it did not
move it stood on all of them. So a zone of such registers is known well up to some day, only not of late.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.hypotheses import Case

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

LATE_D = 45
"""days after which what was known of a zone is too old to speak of its meters"""
GAP_D = 40.0
"""days between two readings over which a use may be taken to follow the peers'"""


def last_known(telling: Flags) -> Ints:
    """Return the number of days up to each zone's last known one if that is not too long ago, else 0, (z,)."""
    days = len(telling)
    last = np.where(telling.any(axis=0), days - np.argmax(telling[::-1], axis=0), 0)
    return np.where(last > days - LATE_D, last, 0)


def use_between(use: Floats, filled: Floats, gap_d: Floats) -> Floats:
    """Return the use of each day also where only readings around it tell it, (d, n); NaN elsewhere.

    `filled` is what a day in a gap of `gap_d` days is taken for. Short gaps count, and long ones in which nothing
    passed; a gap of 0 days is none.
    """
    return np.where(np.isnan(use) & (gap_d > 0) & ((gap_d <= GAP_D) | (filled <= 0)), filled, use)


def padded(case: Case, days: int) -> Case:
    """Return a case of the first days of so many, the last of which are unknown."""
    unknown = np.full(days - len(case.missing), np.nan)
    return replace(case, missing=np.append(case.missing, unknown), expected=np.append(case.expected, unknown))
