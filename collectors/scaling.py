"""Raw numbers into values. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable

MAX_EXACT = 2**53
"""A whole number beyond this has lost digits in a float64, so it is not a reading."""


def scaler(scale: float, offset: float) -> Callable[[float], float]:
    """Return the function raw -> raw * scale + offset, exact to the last digit for scales such as 0.1 or 0.001."""
    if divisor := divisor_of(scale):
        return lambda raw: raw / divisor + offset
    return lambda raw: raw * scale + offset


def divisor_of(scale: float) -> int:
    """Return the whole number of which `scale` is the inverse, 0 if there is none."""
    # 42 * 0.1 is 4.2000000000000002, 42 / 10 is 4.2
    divisor = round(1 / scale) if 0 < abs(scale) < 1 else 0
    return divisor if divisor and math.isclose(divisor * scale, 1.0, rel_tol=1e-12) else 0
