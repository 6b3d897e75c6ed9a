"""Whether a loss runs at all hours alike, as a leak does, or follows the use of gas, as one through a meter does. Pure.

What a meter that stopped or is bypassed misses is used when its customer uses gas: little at night, much in the
evening. Since the moment at which a loss began it is fitted either way by weighted least squares, beside a loss that is
constant or a share of the flow and was there before; how much better one fits than the other is a log likelihood ratio
of two models with as many parameters.
"""

from __future__ import annotations

import numpy as np

from gateway.meterdata.series import Flags, Floats, Ints

BIN_H = 3
"""hours that are looked at together"""
PER_DAY = 24 // BIN_H
NEW_BINS, OLD_BINS = 6, 16
"""known bins since the loss began and before, that tell anything"""
FAR = 4.0
"""standard deviations beyond which a bin counts no more"""
ODD = 10.0
"""the same, from where most of them lie, beyond which a bin is brought back: a wrong reading"""
TEMPER = 0.4
"""by how much less the ratio counts, as what is wrong with one bin is wrong with those beside it"""


def steadiness(loss: Floats, flow: Floats, guess_sigma: Floats, begun_h: float) -> float:
    """Return the log likelihood ratio of a constant loss to one that follows the flow, since so many hours.

    The figures are those of one zone's last hours, m3, (h,): its loss, NaN where unknown, the gas that came, and the
    standard deviation of what is guessed of customers who are not read yet. 0 where too little is known.
    """
    hours = len(loss) // BIN_H * BIN_H
    if not hours:
        return 0.0
    lost, came, guess = (part[-hours:].reshape(-1, BIN_H) for part in (loss, flow, guess_sigma))
    known = np.isfinite(lost).all(axis=1) & (came > 0).all(axis=1)
    age = (hours - BIN_H * (np.arange(len(lost)) + 0.5))[known]
    new: Flags = np.asarray(age < begun_h)
    if new.sum() < NEW_BINS or (~new).sum() < OLD_BINS:
        return 0.0
    y, flow_, sigma = lost.mean(axis=1)[known], came.mean(axis=1)[known], guess.mean(axis=1)[known]
    usual = np.stack([np.ones_like(flow_), flow_], axis=1)
    rest = y - usual @ np.linalg.lstsq(usual[~new], y[~new], rcond=None)[0]
    bin_of: Ints = np.flatnonzero(known) % PER_DAY
    course = _course(rest[~new], bin_of[~new])
    noise = 1.4826 * float(np.median(np.abs((rest - course[bin_of])[~new]))) + 1e-6
    off = rest - course[bin_of]
    plain = y - course[bin_of] - off + np.where(new, _within(off, new, noise), _within(off, ~new, noise))
    scale = 1.0 / np.hypot(noise, sigma)
    constant, following = (
        _misfit(plain * scale, np.column_stack([usual, shape]) * scale[:, None])
        for shape in (new.astype(np.float64), new * flow_ / flow_.mean())
    )
    return TEMPER * 0.5 * (following - constant)


def _course(rest: Floats, bin_of: Ints) -> Floats:
    """Return what each part of the day usually differs by, (PER_DAY,)."""
    course = np.zeros(PER_DAY)
    for part in range(PER_DAY):
        own = rest[bin_of == part]
        course[part] = np.median(own) if len(own) >= PER_DAY // 2 else 0.0
    return course


def _within(values: Floats, chosen: Flags, noise: float) -> Floats:
    """Return values brought to where most of the chosen ones lie: a single wrong reading must not decide."""
    middle = float(np.median(values[chosen]))
    reach = ODD * max(1.4826 * float(np.median(np.abs(values[chosen] - middle))), noise)
    return np.clip(values, middle - reach, middle + reach)


def _misfit(loss: Floats, shapes: Floats) -> float:
    """Return the sum of squares that shapes leave of a loss, both in standard deviations."""
    left = loss - shapes @ np.linalg.lstsq(shapes, loss, rcond=None)[0]
    return float((np.clip(left, -FAR, FAR) ** 2).sum())
