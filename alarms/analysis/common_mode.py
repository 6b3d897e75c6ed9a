"""What all zones' losses share from day to day: weather that differs from the figures used. Pure.

A regulator holds the gauge pressure, so the gas in every diaphragm meter follows the weather, 1 % for each kPa, and the
volumes of all zones are wrong by the same share on the same day. No leak or theft does that. Each zone's loss rate is a
share of its supply, so many m3 a day, and what wanders slowly and steps now and then; what is left in common is told
from all zones at once by generalised least squares, with days and steps that do not fit counting less (Huber).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.noise import inverse

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

LEAST_ZONES = 3
"""fewer zones do not tell what is common"""
MOST_ZONES = 24
"""so many, the best known ones, are enough"""
LEAST_DAYS = 5
SPAN_D = 60
"""days that are looked at together"""
SWING = 0.005
"""standard deviation of the common share: half a kPa of air pressure"""
LASTS_D = 2.5
"""days in which weather forgets"""
FLOOR = 0.0015
"""of a zone's supply, by which its loss differs from day to day at the least"""
WANDER = 0.0008
"""standard deviation of the daily steps of a zone's own loss rate"""
RATE, FIXED = 0.3, 0.1
"""standard deviations of a zone's own loss rate, and of what of it is the same in m3 every day"""
FAR = 2.0
"""standard deviations beyond which a day counts less"""
MOST_FEWER = 20.0
"""a day with so much less supply than usual counts as one with this"""
ODD_RATE = 0.5
"""a loss rate beyond which nothing is concluded from a day"""
TURNS = 3


@dataclass(frozen=True, slots=True, eq=False)
class Shared:
    """By which share of the supply meters that do not know their pressure counted too little, all alike, (d,)."""

    share: Floats
    variance: Floats


def shared(loss: Floats, supply: Floats, affected: Floats, variance: Floats) -> Shared:
    """Return what is common to the losses of z zones on d days; nothing, with its full variance, for few zones.

    `loss` and `supply` are m3 of (d, z), NaN where unknown; `affected` is the share of each zone's volume that meters
    counted which do not know their pressure, and `variance` that of the loss from day to day, m3 squared.
    """
    days = len(loss)
    scale = np.where(np.isfinite(loss) & (supply > 0), supply, 1.0)
    rate = np.where(np.isfinite(loss) & (supply > 0), loss / scale, np.nan)
    rate = np.where(np.abs(np.nan_to_num(rate)) < ODD_RATE, rate, np.nan)
    noise = np.clip(variance / scale**2, 0.0, 1.0) + FLOOR**2
    share, spread = np.zeros(days), np.full(days, SWING**2)
    for end in range(days, 0, -SPAN_D):
        span = slice(max(end - SPAN_D, 0), end)
        found = _of_span(rate[span], noise[span], scale[span], affected[span])
        if found is not None:
            share[span], spread[span] = found
    return Shared(share, spread)


def _of_span(rate: Floats, noise: Floats, supply: Floats, affected: Floats) -> tuple[Floats, Floats] | None:
    """Return the common share of neighbouring days, and its variance."""
    known = np.isfinite(rate)
    heard = (known.sum(axis=0) >= LEAST_DAYS) & (affected.max(axis=0) > 0)
    if heard.sum() < LEAST_ZONES:
        return None
    certain = np.where(known, 1.0 / noise, 0.0).sum(axis=0)
    best = np.argsort(np.where(heard, -certain, np.inf), kind="stable")[: min(int(heard.sum()), MOST_ZONES)]
    known, affected = known[:, best].T, np.where(known, affected, 0.0)[:, best].T
    rate, noise = np.where(known, rate[:, best].T, 0.0), np.where(known, noise[:, best].T, 1e4)
    fewer = _fewer(supply[:, best].T, known)
    at = np.arange(rate.shape[1])
    common = SWING**2 * np.exp(-np.abs(at[:, None] - at[None, :]) / LASTS_D)
    prior = inverse(common)
    diagonal = at, at
    steps = np.full((len(best), len(at) - 1), WANDER**2)
    inflated = noise.copy()
    share, spread = np.zeros(len(at)), common
    for _ in range(TURNS):
        own = _own_covariance(steps, fewer)
        whole = own.copy()
        whole[:, *diagonal] += inflated
        precision = np.stack([inverse(of_zone) for of_zone in whole])
        weight = (affected[:, :, None] * precision * affected[:, None, :]).sum(axis=0)
        spread = inverse(prior + weight)
        share = spread @ (affected * (precision @ rate[:, :, None])[:, :, 0]).sum(axis=0)
        rest = rate - affected * share
        level = (own @ (precision @ rest[:, :, None]))[:, :, 0]
        inflated = noise * np.maximum(1.0, np.abs(rest - level) / np.sqrt(noise) / FAR)
        steps = np.maximum(WANDER**2, (2.0 * WANDER**2 + np.diff(level, axis=1) ** 2) / 4.0)
    return share, np.diagonal(spread)


def _own_covariance(steps: Floats, fewer: Floats) -> Floats:
    """Return how the days of each zone's own loss rate go together, (z, d, d)."""
    walked = np.concatenate([np.zeros((len(steps), 1)), np.cumsum(steps, axis=1)], axis=1)
    wander = np.minimum(walked[:, :, None], walked[:, None, :])
    return np.asarray(wander + RATE**2 + FIXED**2 * fewer[:, :, None] * fewer[:, None, :])


def _fewer(supply: Floats, known: Flags) -> Floats:
    """Return by how much a loss of so many m3 a day weighs more on days of little supply, (z, d)."""
    usual = np.nanmedian(np.where(known, supply, np.nan), axis=1, keepdims=True)
    return np.where(known, np.clip(usual / supply - 1.0, -1.0, MOST_FEWER), 0.0)
