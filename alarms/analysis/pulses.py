"""What registers that count in large steps passed between two of their steps. Pure.

A register of whole cubic metres of a home that uses a seventh a day steps once a week. That is use on seven days and
rest on none, so what a step counts is laid evenly between it and the step before. Where a register stood still for far
longer than around, its customer was away: half a step is used at the pace before, half at the pace after, and nothing
between. Where it stands still since its last step it may have stopped: up to a whole step is used at the pace before,
which is right on average, and then nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

COARSE_M3 = 0.1
"""steps of registers from which on a day's use is not seen on the day"""
AWAY_TIMES, AWAY_D = 3.0, 2.0
"""a register rested that stood still for longer than so many times what it took before and after, and so many days"""
OFTEN_D, SELDOM_D = 1.0, 3.0
"""between steps that are nearer to each other nothing is laid even, between those farther apart all of it: least error
of days, for homes whose days differ by 0.8 in the logarithm and that use nothing on every seventh"""
_EDGE = 1e-6
"""of a step, by which straight lines between readings miss a whole one"""


def evened(register: Floats, resolution_m3: Floats) -> Floats:
    """Return registers at the ends of days, (b, n), m3, as they passed if use is even between the steps that are seen.

    `resolution_m3` is each register's step, (n,). Registers of small steps, and unknown ends, stay as they are; those
    of large ones are raised by half a step, as one shows what it passed less what it does not show yet.
    """
    coarse = np.flatnonzero(resolution_m3 >= COARSE_M3)
    if not len(coarse) or len(register) < 2:
        return register
    result = register.copy()
    step_m3 = resolution_m3[coarse]
    result[:, coarse] = _evened(register[:, coarse] / step_m3) * step_m3
    return result


def _evened(shown: Floats) -> Floats:
    """Return the same in steps, (b, n)."""
    known = np.isfinite(shown)
    day = np.arange(len(shown), dtype=np.float64)[:, None]
    whole = np.floor(_held(shown) + _EDGE)
    since = _earlier(np.fmax.accumulate(np.where(known, day, np.nan)))
    steps = whole - _earlier(whole)
    steps = np.where(known & (steps >= 1.0), steps, np.nan)
    # several steps between two ends lie evenly between them
    apart = (day - since) / steps
    first, last = since + 0.5 * apart, day - 0.5 * apart
    last_step, next_step = np.fmax.accumulate(last), _earlier(np.fmin.accumulate(first[::-1]))[::-1]
    pace = np.where(steps >= 2.0, apart, np.nan)
    paced = _held(np.where(np.isnan(pace), first - _earlier(last_step), pace))
    pacing = _earlier(_held(np.where(np.isnan(pace), next_step - last, pace)[::-1]))[::-1]
    paced, pacing = np.where(np.isnan(paced), pacing, paced), np.where(np.isnan(pacing), paced, pacing)
    gone, left = day - last_step, next_step - day
    # a step that is overdue has been used up by then
    begun, ending = np.fmin(gone / paced, 1.0), 1.0 - np.fmin(left / pacing, 1.0)
    away = gone + left > AWAY_TIMES * np.fmax(paced, pacing) + AWAY_D
    part, gap = np.where(away, np.fmax(np.fmin(begun, 0.5), ending), gone / (gone + left)), gone + left
    for unknown, known_part, known_pace in ((np.isnan(left), begun, paced), (np.isnan(gone), ending, pacing)):
        part, gap = np.where(unknown, known_part, part), np.where(unknown, known_pace, gap)
    # who uses several steps on most days does so by the day's ups and downs
    sure = np.clip((gap - OFTEN_D) / (SELDOM_D - OFTEN_D), 0.0, 1.0)
    part = 0.5 + np.nan_to_num(sure * (part - 0.5))
    return np.where(known, whole + part, np.nan)


def _held(values: Floats) -> Floats:
    """Return the newest known value of each column up to each row."""
    row = np.where(np.isfinite(values), np.arange(len(values))[:, None], 0)
    return np.asarray(np.take_along_axis(values, np.maximum.accumulate(row, axis=0), axis=0))


def _earlier(values: Floats) -> Floats:
    """Return each row's values at the row before it, NaN at the first."""
    return np.concatenate([np.full((1, values.shape[1]), np.nan), values[:-1]])
