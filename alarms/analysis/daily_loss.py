"""The loss rate of each day as it most likely was, told from the days around it: for reports, not for detectors. Pure.

What unread customers used on a day is guessed, and registers are brought to a boundary; both make the loss of a day
wrong by more than it really changes from one day to the next, while the sum over many days is well known. So the loss
rate is a level that wanders, a part that truly differs from day to day, and an error of at most the variance that the
balance states. How large each is, is not known: every combination is weighed by how likely it makes the zone's days
(Bayesian model averaging). Only the error is taken out, so a zone whose loss does jump from day to day keeps its jumps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.level import level

Floats = NDArray[np.float64]

ERRORS = np.array([0.03, 0.1, 0.3, 1.0])
"""how much of the stated variance there may really be"""
WANDERS = np.array([0.0003, 0.001, 0.003, 0.01])
"""standard deviations of the daily steps of a loss rate"""
JUMPS = np.array([0.0005, 0.003, 0.01, 0.03])
"""standard deviations of what truly differs from day to day"""
DOUBT = 2.0
"""by how much the logarithm of `ERRORS` may ordinarily differ from 0"""
CALM = 2.0
"""log odds against each further step of `JUMPS`"""
FLOOR = 0.001
"""error of a day's loss rate at the least"""
FAR = 3.0
"""standard deviations beyond which a day tells less of its neighbours"""
ODD_RATE = 0.5
SPAN_D = 75
"""days that are looked at together"""
MONTH_D = 30
TURNS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Rates:
    """Loss rates of (d, z), NaN where unknown."""

    rate: Floats
    variance: Floats
    lasting: Floats
    """of `variance`, what neighbouring days have in common, so that a month's sum is no better known"""


def likely_rates(rate: Floats, noise: Floats, last_days: int | None = None) -> Rates:
    """Return what the loss rates of the last days most likely were.

    `rate` and the variance of its error, `noise`, have the shape (d, z), NaN where unknown. Days longer ago than
    `SPAN_D`, or before the `last_days`, are left as they are.
    """
    result = Rates(rate.copy(), noise.copy(), np.zeros(rate.shape))
    if not rate.size:
        return result
    recent = slice(max(len(rate) - SPAN_D, 0), None)
    seen = np.where(np.abs(np.nan_to_num(rate[recent], nan=np.inf)) < ODD_RATE, rate[recent], np.nan)
    known = np.isfinite(seen) & np.isfinite(noise[recent])
    seen = np.where(known, seen, np.nan)
    last = min(len(seen), len(seen) if last_days is None else last_days)
    told, variance, raw = _averaged(seen, np.where(known, noise[recent], 1.0), last)
    recent, known = slice(len(rate) - last, None), known[len(known) - last :]
    result.rate[recent] = np.where(known, told, rate[recent])
    result.variance[recent] = np.where(known, variance, noise[recent])
    alike = np.clip((raw / np.maximum(variance, 1e-18) - 1.0) / (MONTH_D - 1.0), 0.0, 1.0)
    result.lasting[recent] = np.where(known, variance * alike, 0.0)
    return result


def _averaged(seen: Floats, noise: Floats, last_days: int) -> tuple[Floats, Floats, Floats]:
    """Return rates of the last days, their variances and those of single days, averaged over all combinations.

    Shapes (d, z), and of what is returned (`last_days`, z).
    """
    error = ERRORS[:, None, None, None] * noise[:, None, None, None, :] + FLOOR**2
    true = JUMPS[None, None, :, None] ** 2
    step = np.broadcast_to(WANDERS[None, :, None, None] ** 2, (len(ERRORS), len(WANDERS), len(JUMPS), seen.shape[1]))
    before = -0.5 * (np.log(ERRORS) / DOUBT) ** 2
    prior = before[:, None, None, None] - CALM * np.arange(len(JUMPS))[None, None, :, None]
    value, known = np.nan_to_num(seen)[:, None, None, None, :], np.isfinite(seen)[:, None, None, None, :]
    mean = float(np.nanmedian(seen)) if known.any() else 0.0
    odd = np.ones(seen.shape)
    for turn in range(TURNS):
        total = (error + true) * odd[:, None, None, None, :]
        found = level(seen[:, None, None, None, :], total, step, mean=mean, prior=0.05**2)
        weight = found.log_likelihood + prior
        weight = np.exp(weight - weight.max(axis=(0, 1, 2), keepdims=True))
        weight /= weight.sum(axis=(0, 1, 2), keepdims=True)
        if turn < TURNS - 1:
            off = np.abs(np.nan_to_num(seen - (weight * found.mean).sum(axis=(1, 2, 3))))
            usual = (weight * (error + true)).sum(axis=(1, 2, 3))
            odd = np.maximum(1.0, off**2 / usual / FAR**2)
    told_of = slice(len(seen) - last_days, None)
    error, value = error[told_of], value[told_of]
    kept = np.where(known[told_of], 1.0 - error / total[told_of], 0.0)
    told = found.mean[told_of] + kept * (value - found.mean[told_of])
    variance = found.variance[told_of] * (1.0 - kept) ** 2 + kept * error
    rate = (weight * told).sum(axis=(1, 2, 3))
    apart = variance + (told - rate[:, None, None, None, :]) ** 2
    return rate, (weight * apart).sum(axis=(1, 2, 3)), (weight * error).sum(axis=(1, 2, 3))
