"""Quantiles that leave out what is unknown, of all rows at once. Pure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def quantile(values: Floats, share: float) -> Floats:
    """Return a quantile of what is known of each row, (r, k) to (r,), joined by straight lines; NaN of a row of NaN.

    It is numpy's `nanquantile` along the last axis, which goes row by row.
    """
    if not values.size:
        return np.full(len(values), np.nan)
    ordered = np.sort(values, axis=1)
    place = share * np.maximum(np.isfinite(ordered).sum(axis=1) - 1, 0)
    below = place.astype(np.int64)
    row, part = np.arange(len(ordered)), place - below
    low, high = ordered[row, below], ordered[row, np.ceil(place).astype(np.int64)]
    found = np.where(part < 0.5, low + (high - low) * part, high - (high - low) * (1.0 - part))
    return np.asarray(found)
