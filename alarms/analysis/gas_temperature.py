"""How far the gas in meters follows the air and the ground, told from all zones of a city at once. Pure.

A meter without temperature compensation counts about 1 % too much for each 2.8 K by which its gas is warmer than is
taken (Hittle, AGA 1970). Where meters hang, nobody knows: gas in a kitchen hardly follows the weather, gas on an outer
wall does, and what comes out of the ground is weeks behind. So losses of all zones drift with the season, those most
whose meters do not compensate, and this is what no leak or theft does. How far gas follows both is told from weeks of
all zones by generalised least squares. Each zone's own loss is so many m3 a day and a share of its supply, and what
steps now and then: steps that are unlikely to be drift count less, as Student's distribution has it (Lange, Little and
Taylor, J. Am. Stat. Assoc. 84, 1989). What is alike in all seasons is left alone; no course of the loss tells it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

WEEK_D = 7
LEAST_DAYS = 3
"""known days that make a week"""
LEAST_WEEKS, LEAST_ZONES = 4, 3
MOST_ZONES = 40
"""so many, those whose volume depends most on it, are enough"""
FOLLOWS = np.array([0.25, 0.35])
"""standard deviations of how far gas follows the air, and the ground, beside what is assumed"""
LEVEL, GAIN = 0.3, 0.01
"""standard deviations of a zone's own loss, of its mean supply: in m3 a day, and as a share of the supply"""
STEP = 0.0006
"""usual size of a week's change of it"""
FLOOR = 0.001
"""least noise of a week"""
FAR = 2.0
"""standard deviations beyond which a week counts less"""
MOST = 2.0
"""standard deviations to which the answer is held, whatever the losses"""
ODD_RATE = 0.5
"""a loss rate beyond which nothing is concluded from a day"""
UNKNOWN = 1e4
"""variance of weeks that are not known"""
TURNS = 5


def follows(loss: Floats, supply: Floats, warm: Floats, told: Flags, courses: Floats) -> Floats:
    """Return by how much more than assumed gas in meters follows the air and the ground, (2,); 0 where nothing tells.

    `loss` and `supply` are m3 of (day, zone), `warm` what meters without compensation counted, and `told` the days on
    which enough of it is known. `courses`, (d, 2), are by which share air and ground are warmer than a home, in kelvin
    of kelvin.
    """
    nothing = np.zeros(len(FOLLOWS))
    days = len(loss) // WEEK_D * WEEK_D
    told = np.asarray(told & (supply > 0) & (np.abs(loss) < ODD_RATE * supply))[len(loss) - days :]
    if days < LEAST_WEEKS * WEEK_D:
        return nothing
    of_week = told.reshape(days // WEEK_D, WEEK_D, told.shape[1])
    known = np.asarray(of_week.sum(axis=1).T >= LEAST_DAYS)

    def weekly(values: Floats) -> Floats:
        inside = np.where(told, values[len(values) - days :], 0.0).reshape(of_week.shape)
        return np.asarray((inside.sum(axis=1) / np.maximum(of_week.sum(axis=1), 1)).T)

    usual = weekly(supply).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    scale = np.where(usual > 0, usual, 1.0)[:, None]
    along = np.stack([weekly(warm * course[:, None]) / scale for course in courses.T], axis=-1)
    swing = np.where(known, np.abs(along).sum(axis=-1), 0.0).max(axis=1, initial=0.0)
    usable = (known.sum(axis=1) >= LEAST_WEEKS) & (usual > 0) & (swing > 0)
    if usable.sum() < LEAST_ZONES:
        return nothing
    best = np.argsort(np.where(usable, -swing, np.inf), kind="stable")[: min(int(usable.sum()), MOST_ZONES)]
    rate, share = (np.where(known, weekly(one) / scale, 0.0)[best] for one in (loss, supply))
    return _fitted(rate, share, np.where(known[:, :, None], -along, 0.0)[best], known[best])


def _fitted(rate: Floats, share: Floats, along: Floats, known: Flags) -> Floats:
    """Return the sizes (2,) of courses `along` (z, w, 2) in loss rates (z, w); `share` is the supply of its mean."""
    usual = np.where(known, _usual_noise(rate, known)[:, None] ** 2, UNKNOWN)
    noise, steps = usual.copy(), np.full((len(rate), rate.shape[1] - 1), STEP**2)
    diagonal = np.arange(rate.shape[1])
    fixed = LEVEL**2 + GAIN**2 * share[:, :, None] * share[:, None, :]
    size = np.zeros(len(FOLLOWS))
    for _ in range(TURNS):
        walked = np.concatenate([np.zeros((len(steps), 1)), np.cumsum(steps, axis=1)], axis=1)
        own = np.minimum(walked[:, :, None], walked[:, None, :]) + fixed
        whole = own.copy()
        whole[:, diagonal, diagonal] += noise
        precision = np.linalg.inv(whole)
        weighed = precision @ along
        mass = np.diag(FOLLOWS**-2.0) + np.einsum("zwc,zwe->ce", along, weighed)
        size = np.linalg.solve(mass, np.einsum("zwc,zw->c", weighed, rate))
        rest = rate - along @ size
        level = (own @ (precision @ rest[:, :, None]))[:, :, 0]
        steps = np.maximum(STEP**2, STEP**2 + np.diff(level, axis=1) ** 2) / 2.0
        noise = usual * np.maximum(1.0, np.abs(rest - level) / np.sqrt(usual) / FAR)
    return np.clip(size, -MOST * FOLLOWS, MOST * FOLLOWS)


def _usual_noise(rate: Floats, known: Flags) -> Floats:
    """Return the standard deviation of a zone's weeks, from changes between neighbouring ones, (z,)."""
    both = known[:, 1:] & known[:, :-1]
    change = np.where(both, np.diff(rate, axis=1), np.nan)
    some = np.asarray(both.any(axis=1))
    middle = np.nanmedian(np.where(some[:, None], change, 0.0), axis=1, keepdims=True)
    off = np.nanmedian(np.where(some[:, None], np.abs(change - middle), 0.0), axis=1)
    return np.asarray(np.maximum(1.4826 * off / np.sqrt(2.0), FLOOR))
