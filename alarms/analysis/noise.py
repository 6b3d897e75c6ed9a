"""How the unexplained loss of one zone wanders when nothing is wrong, as the inverse of its covariance. Pure.

A day's loss is uncertain by what differs from day to day, by what lasts some days (weather, habits), by what drifts
over weeks (gains of meters at other flows), by the temperature of gas in meters that do not compensate it, and by a
rate that is alike every day. Each part has a variance here, so that a hypothesis about the loss is judged by what it
explains beyond all of them: generalised least squares, with the nuisances integrated out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

ENOUGH = 7
"""differences of neighbouring days that tell how large the day-to-day noise is"""
LOCAL_D = 31
"""days around each that tell its noise"""
FAR = 4.0
"""standard deviations from its neighbours beyond which a day counts less"""


@dataclass(frozen=True, slots=True)
class NoiseConfig:
    """Standard deviations; of the zone's supply where nothing else is said."""

    floor: float = 0.0008
    """least noise of a day"""
    unknown: float = 0.01
    """noise of a day where too few days tell it"""
    steady: float = 0.01
    """least of the loss rate that is alike every day"""
    gain: float = 0.012
    """of each meter's gain, as a share of what it counts"""
    drift: float = 0.4
    """of what drifts over weeks, as a share of what is alike every day"""
    drift_d: float = 25.0
    wave_d: float = 2.5
    temperature: float = 0.15
    """of how far gas in meters follows the air, alike all the time, and as much again of what drifts over weeks"""


@dataclass(frozen=True, slots=True, eq=False)
class DayNoise:
    """How a loss wanders from day to day: a standard deviation of each day (m3, (d,)), and shares of its square."""

    whole: Floats
    skew: float
    """of a boundary between two days: what one day loses by it the next one gains; counts twice"""
    wave: float
    """of what lasts some days"""

    @property
    def white(self) -> float:
        """What is left to each day alone."""
        return 1.0 - 2.0 * self.skew - self.wave


def day_noise(loss: Floats, supply: Floats, claimed: Floats, config: NoiseConfig) -> DayNoise:
    """Return the noise of a loss (m3), from differences and sums of neighbouring days about a week's median.

    Both are robust against steps, which last, and against single bad days. How the variance differs between days is
    `claimed`; how large it is, the days tell: all of them, and the weeks around each as much, as noise changes with
    the season but thefts on some days make noise, too. What scatters less than is claimed does so in proportion; what
    makes it scatter more is alike every day.
    """
    least = config.floor * supply
    claim = np.sqrt(np.maximum(claimed, least**2))
    middle = around(loss, 7)
    off = loss - np.where(np.isfinite(middle), middle, loss)
    jump = np.append(np.abs(np.diff(off)) / np.maximum(np.hypot(claim[1:], claim[:-1]), 1e-9), np.nan)
    if np.isfinite(jump).sum() < ENOUGH:
        return DayNoise(np.maximum(config.unknown * supply, least), 0.0, 0.0)
    usual = max(float(np.nanmedian(jump)), 1e-9)
    near = around(jump, LOCAL_D)
    ratio = 1.4826 * np.sqrt(usual * np.where(np.isfinite(near), near, usual))
    more = np.maximum(ratio**2 - 1.0, 0.0) * float(np.median(claim)) ** 2
    local = np.sqrt(np.minimum(ratio, 1.0) ** 2 * claim**2 + more)
    relative = off / np.maximum(local, np.maximum(least, 1e-9))
    pairs = np.isfinite(relative[1:]) & np.isfinite(relative[:-1])
    apart, along = (_spread((relative[1:] + sign * relative[:-1])[pairs]) for sign in (-1.0, 1.0))
    power = max((apart + along) / 4.0, 0.25)
    shared = float(np.clip((along - apart) / 4.0 / power, -0.45, 0.5))
    return DayNoise(np.maximum(local * np.sqrt(power), least), max(-shared, 0.0), max(shared, 0.0))


def _spread(values: Floats) -> float:
    return (1.4826 * float(np.median(np.abs(values)))) ** 2


def around(values: Floats, width: int) -> Floats:
    """Return the median of the days around each, NaN where too few are known."""
    half = width // 2
    padded = np.concatenate([np.full(half, np.nan), values, np.full(half, np.nan)])
    windows = np.sort(np.lib.stride_tricks.sliding_window_view(padded, width), axis=1)
    count = np.isfinite(windows).sum(axis=1)
    # what is unknown is sorted behind all others
    row, last = np.arange(len(values)), np.maximum(count - 1, 0)
    middle = (windows[row, last // 2] + windows[row, (last + 1) // 2]) / 2.0
    return np.where(count >= min(half, 5), middle, np.nan)


def precision(
    loss: Floats,
    supply: Floats,
    *,
    known_variance: Floats,
    unread_variance: Floats,
    steady: Floats,
    warmth: Floats,
    use: Floats,
    config: NoiseConfig,
) -> Floats:
    """Return the inverse of the covariance of a zone's loss, (d, d), m3 to the power -2; 0 for days not to be judged.

    `loss` is NaN on those; `known_variance` says which days are known worse than others, and
    `unread_variance` what of it customers make whose use is only expected; `steady` is the
    standard deviation of what is alike every day; `warmth` is what metered
    volume would change by if gas in meters followed the air wholly (m3). Shapes (d,); `use` of each meter is (d, m).
    """
    good = np.isfinite(loss) & (supply > 0)
    result = np.zeros((len(loss), len(loss)))
    if not good.any():
        return result
    # the newest days are not read yet, unlike those that tell the noise
    unread = np.maximum(unread_variance - float(np.median(unread_variance[good])), 0.0)
    noise = day_noise(np.where(good, loss, np.nan), supply, known_variance - unread, config)
    whole = noise.whole[good]
    white = noise.white * whole**2 + unread[good]
    white += whole**2 * (_far(np.where(good, loss, np.nan), noise.whole)[good] - 1.0)
    day = np.flatnonzero(good)
    apart = np.abs(day[:, None] - day[None, :])
    kernel = noise.wave * np.exp(-apart / config.wave_d) + noise.skew * (2.0 * (apart == 0) - (apart == 1))
    slow = 1.0 + config.drift**2 * np.exp(-apart / config.drift_d)
    scale, warm = np.maximum(steady[good], config.steady * supply[good]), config.temperature * warmth[good]
    counted = config.gain * use[good]
    covariance = whole[:, None] * kernel * whole[None, :] + scale[:, None] * slow * scale[None, :]
    covariance += warm[:, None] * (1.0 + np.exp(-apart / config.drift_d)) * warm[None, :] + counted @ counted.T
    covariance[np.diag_indices(len(day))] += white + 1e-9
    result[np.ix_(good, good)] = inverse(covariance)
    return result


def inverse(covariance: Floats) -> Floats:
    """Invert a symmetric positive definite matrix; a third of the work that a general one takes."""
    factor, wrong = lapack.dpotrf(covariance, lower=1)
    lower, failed = lapack.dpotri(factor, lower=1) if wrong == 0 else (factor, wrong)
    if failed:
        return np.asarray(np.linalg.pinv(covariance, hermitian=True), dtype=np.float64)
    return np.asarray(np.tril(lower) + np.tril(lower, -1).T)


def _far(loss: Floats, noise: Floats) -> Floats:
    """Return by what factor the variance of days grows that lie far from both sides' days: single bad days."""
    off = np.abs(np.nan_to_num(loss - around(loss, 5))) / np.maximum(noise, 1e-9)
    off[-2:] = 0.0  # what began yesterday is no single day yet
    return np.where(off > FAR, (off / 2.0) ** 2, 1.0)
