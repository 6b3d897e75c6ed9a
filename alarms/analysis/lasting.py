"""What a balance gets wrong alike every day, told from zones that would otherwise give gas back. Pure.

A supply meter with a gain of its own and a gas temperature that differs from the assumed one shift the loss rate of a
zone by the same share on all days. No day tells them from a loss, but no zone loses less than nothing: where the loss
rate stays below zero for a month the shift is at least as large, and where many zones do, all may share it. The
lowest month of a zone is what it lost then (an exponential mixture: next to nothing in most zones, more in some) plus
what is wrong (normal, as far as the terms of the balance say). Only what lifts a loss rate is taken: a loss is never
argued away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, softmax

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MONTH_D = 30
LEAST_DAYS = 10
"""of a month that must be known"""
LOSSES = np.array([0.002, 0.02])
"""mean loss rate in the best month of zones that hardly lose gas, and of the others"""
SHARES = np.array([0.6, 0.4])
"""how many zones are of each sort"""
COMMON = np.linspace(-4.0, 4.0, 33)
"""what zones share, in its standard deviations, where it is looked at"""
FAR = 4.0
"""standard deviations below zero from which a month has another cause: a supply meter that failed for a while"""
LEAST_SIGMA = 1e-4
CHANGES = 0.25
"""share of the stated variance that is left in any case: gains and temperatures are not quite the same for months"""


@dataclass(frozen=True, slots=True, eq=False)
class Lasting:
    """What is wrong alike every day, as shares of the supply, (z,)."""

    error: Floats
    """by which the loss rate is too low; 0 or negative"""
    left: Floats
    """of the stated variance, what is left about that; 1 where nothing is lifted"""


def lasting_error(rate: Floats, doubt: Floats, common: Floats, own: Floats, told_by: Flags) -> Lasting:
    """Return by how much the loss rates of zones are too low on all days.

    `rate` is (d, z), NaN where unknown, and `doubt` the variance of what may be wrong with it for a month, no longer,
    as what unread customers used; `common` and `own` are standard deviations of what is wrong alike every day, shared
    by all zones and of each, as shares of the supply, (z,); `told_by` says which zones tell what is shared.
    """
    lowest, passing = _lowest_month(rate, doubt, common, own)
    known = np.isfinite(lowest) & np.isfinite(common) & np.isfinite(own)
    lowest, passing, common = (np.where(known, part, 0.0) for part in (lowest, passing, common))
    own = np.maximum(np.where(known, own, 0.0), LEAST_SIGMA)
    shared = common * COMMON[:, None]
    chance, loss, square = _of_losses(lowest - shared, np.hypot(own, passing))
    weight = softmax(-0.5 * COMMON**2 + chance[:, known & told_by].sum(axis=1))[:, None]
    lasts = own**2 / (own**2 + passing**2)
    wrong = shared + lasts * (lowest - shared - loss)
    error = np.where(known, np.minimum((weight * wrong).sum(axis=0), 0.0), 0.0)
    about = lasts**2 * (square - loss**2) + lasts * passing**2 + (wrong - error) ** 2
    left = np.clip((weight * about).sum(axis=0) / (common**2 + own**2), CHANGES, 1.0)
    return Lasting(error, np.where(error < 0.0, left, 1.0))


def _lowest_month(rate: Floats, doubt: Floats, common: Floats, own: Floats) -> tuple[Floats, Floats]:
    """Return the median loss rate of the month that is most surely the lowest, NaN if none, and its doubt, (z,).

    The last month ends on the last day. A month that is known less well than what is wrong every day tells nothing.
    """
    months = len(rate) // MONTH_D
    cut = slice(len(rate) - months * MONTH_D, None)
    parts, doubts = (part[cut].reshape(months, MONTH_D, rate.shape[1]) for part in (rate, doubt))
    enough = np.isfinite(parts).sum(axis=1) >= LEAST_DAYS
    middle = np.nanmedian(np.where(enough[:, None], parts, np.inf), axis=1)
    passing = np.sqrt(np.nanmedian(np.where(enough[:, None], doubts, np.inf), axis=1))
    told = (middle >= -FAR * np.hypot(common, own)) & (passing <= own)
    surely = np.where(told, middle + passing, np.inf)
    if not months:
        return np.full(rate.shape[1], np.nan), np.zeros(rate.shape[1])
    best = surely.argmin(axis=0), np.arange(rate.shape[1])
    some = np.isfinite(surely[best])
    return np.where(some, middle[best], np.nan), np.where(some, passing[best], 0.0)


def _of_losses(seen: Floats, sigma: Floats) -> tuple[Floats, Floats, Floats]:
    """Return how likely sums of a loss and a normal error are (logarithm), and mean and mean square of the loss.

    The exponentially modified normal distribution; given the sum, the loss is a normal variable cut off below zero.
    """
    seen, mean = seen[None], LOSSES[:, None, None]
    middle = seen - sigma**2 / mean
    below = log_ndtr(middle / sigma)
    chance = np.log(SHARES / LOSSES)[:, None, None] + sigma**2 / (2.0 * mean**2) - seen / mean + below
    ratio = sigma * np.exp(-0.5 * (middle / sigma) ** 2 - 0.5 * np.log(2.0 * np.pi) - below)
    loss = middle + ratio
    square = sigma**2 + middle * loss
    sort = softmax(chance, axis=0)
    return np.logaddexp(chance[0], chance[1]), (sort * loss).sum(axis=0), (sort * square).sum(axis=0)
