"""What a register that counts nothing on some days misses there: what it counts on the days around. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.past import before

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

AROUND_D = 10
"""days to either side whose use tells what a day without use would have been"""
LEAST_D = 3
"""days with use among them"""
LITTLE = 0.4
"""share of what is usual on the days around below which a day tells that something is missing"""


def missed(use: Floats, shape: Floats, rests: Ints) -> Floats:
    """Return what is missing on days on which a register counts far less than on those around, m3, (d, m).

    `use` is NaN where unknown, `shape` what peers did on each day, `rests` the run of days without use that ends on
    each; all (d, m). What a home used in summer does not matter here, nor how much more it uses when it is cold.
    """
    some = np.isfinite(use) & (rests == 0) & (use > 0)
    used, course, count = (_around(np.where(some, part, 0.0)) for part in (use, shape, np.ones_like(use)))
    usual = np.where((count >= LEAST_D) & (course > 0), used / np.maximum(course, 1e-9), 0.0) * shape
    off = np.isfinite(use) & (use < LITTLE * usual)
    return np.where(off, usual - np.nan_to_num(use), 0.0)


def _around(values: Floats) -> Floats:
    """Return sums over the days around each."""
    total = np.concatenate([before(values), values.sum(axis=0)[None]])
    day = np.arange(len(values))
    return np.asarray(total[np.minimum(day + AROUND_D + 1, len(values))] - total[np.maximum(day - AROUND_D, 0)])
