"""Which zones a pass weighs in full: those where something changed, and each in its turn. Pure and cheap."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

BEFORE_D, NEW_D = 31, 3
"""days whose loss tells what is usual, and days whose loss is looked at"""
LAST_FAR, MEAN_FAR = 4.0, 3.0
"""standard deviations by which the last day, or the mean of the last days, is news"""
LEAST_NOISE = 0.003
"""of a zone's supply"""
NEWS_DAYS = (3, 7, 14, 30)
"""lengths of a rest that are news"""
NEWS_SHARE = 0.002
"""of a zone's supply that a meter must use for its rest to be news"""


def due(day_number: int, zones: int, every_days: int) -> Flags:
    """Return the zones whose turn it is on a day, (z,): each once in `every_days`, as many on one day as on another."""
    return np.asarray((day_number + np.arange(zones)) % max(every_days, 1) == 0)


def news(loss: Floats, supply: Floats) -> Flags:
    """Return the zones whose loss of the last known days is not what it was, (z,). Shapes (d, z); NaN where unknown."""
    if len(loss) <= NEW_D + 2:
        return np.ones(loss.shape[1], dtype=np.bool_)
    loss = _to_last_known(loss)
    before, new = loss[-BEFORE_D - NEW_D : -NEW_D], loss[-NEW_D:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a zone without a known day has no median
        usual = np.nanmedian(before, axis=0)
        noise = 1.4826 * np.nanmedian(np.abs(np.diff(before, axis=0)), axis=0) / np.sqrt(2.0)
        least = LEAST_NOISE * np.nanmean(supply, axis=0)
        noise = np.fmax(noise, least)
        last, mean = np.abs(new[-1] - usual), np.abs(np.nanmean(new, axis=0) - usual)
    # what cannot be compared is news
    return np.asarray(~((last <= LAST_FAR * noise) & (mean <= MEAN_FAR * noise)))


def _to_last_known(loss: Floats) -> Floats:
    """Shift each zone's days so that its last known one stands last: many are read a day or two late."""
    known = np.isfinite(loss)
    late = np.where(known.any(axis=0), np.argmax(known[::-1], axis=0), 0)
    day = np.arange(len(loss))[:, None] - late[None, :]
    return np.where(day >= 0, np.take_along_axis(loss, np.maximum(day, 0), axis=0), np.nan)


def resting(rests: Ints, use: Floats, home: Ints, supply: Floats) -> Flags:
    """Return the zones in which a rest of a meter that matters has become longer, (z,).

    `rests` and `use` are (d, n), `home` the zone of each meter (-1 for none), `supply` is (d, z).
    """
    known = np.isfinite(use)
    level = np.where(known, use, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    mean = np.nan_to_num(supply).mean(axis=0)
    matters = (home >= 0) & (level >= NEWS_SHARE * mean[home])
    longer = np.isin(rests[-1], NEWS_DAYS) & matters
    return np.asarray(np.bincount(home[longer], minlength=supply.shape[1]) > 0)
