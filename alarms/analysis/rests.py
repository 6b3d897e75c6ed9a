"""How likely a customer's meter honestly rests for so long, from all rests of the city. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EDGES = np.array([0, 1, 2, 3, 5, 8, 13, 20, 30, 45, 65, 90, 130, 200])
"""ages of rests, days, from which on they end at another pace"""
PRIOR_ENDS, PRIOR_DAYS = 1.0, 25.0
"""what is assumed beside the rests that were seen: how many of how many days ended one"""
FEW = 10.0
"""customers of a class that weigh as much as what is usual in it"""
OWN_DAYS = 60.0
"""days of a customer's own history that weigh as much as what its class does"""


def survival(rests: Ints, known: NDArray[np.bool_]) -> Floats:
    """Return the chance that a rest lasts for at least 0, 1, 2... days, (d + 1,), from (d, n) runs of rest."""
    days = len(rests)
    ends = np.zeros(days + 1)
    reached = np.zeros(days + 1)
    # a meter that never moved tells nothing of how rests end, nor does the rest in which it was first seen
    moved = np.cumsum(known & (rests == 0), axis=0) > 0
    if days > 1:
        over = (rests[:-1] > 0) & (rests[1:] == 0) & known[1:] & moved[:-1]
        ends += np.bincount(rests[:-1][over], minlength=days + 1)[: days + 1]
    reached += np.bincount(rests[(rests > 0) & known & moved], minlength=days + 1)[: days + 1]
    part = np.searchsorted(EDGES, np.arange(days + 1), side="right") - 1
    pooled_ends = np.bincount(part, ends, minlength=len(EDGES))
    pooled_days = np.bincount(part, reached, minlength=len(EDGES))
    # rests grow more lasting with age: what is assumed follows what was seen at the age before
    hazard = np.zeros(len(EDGES))
    assumed = PRIOR_ENDS / PRIOR_DAYS
    for number in range(1, len(EDGES)):
        hazard[number] = (pooled_ends[number] + assumed * PRIOR_DAYS) / (pooled_days[number] + PRIOR_DAYS)
        assumed = min(hazard[number], PRIOR_ENDS / PRIOR_DAYS)
    stays = 1.0 - np.minimum(hazard[part], 0.95)
    return np.asarray(np.concatenate([[1.0], np.cumprod(stays[1:])]))


def begins(rests: Ints, known: NDArray[np.bool_], groups: Sequence[str], day: Ints) -> Floats:
    """Return the rate, a day, at which rests of each customer begin on its `day`, (n,).

    It is the greater of its own usual rate, drawn to its class's, and of what its class does around this very day:
    on holidays many leave at once.
    """
    new = (rests == 1) & known
    new[:1] = False
    busy = known & (rests <= 1)
    begun, days = new.sum(axis=0), busy.sum(axis=0)
    near = day[None, :] + np.array([[-1], [0], [1]])
    inside = (near >= 0) & (near < len(rests))
    near = np.clip(near, 0, len(rests) - 1)
    names = np.asarray(groups)
    result = np.zeros(rests.shape[1])
    for group in np.unique(names):
        own = np.flatnonzero(names == group)
        usual = (begun[own].sum() + 1.0) / (days[own].sum() + 100.0)
        mine = (begun[own] + usual * OWN_DAYS) / (days[own] + OWN_DAYS)
        # what the others of the class did that day, so that a single shop does not excuse itself
        whole = new[:, own].sum(axis=1)
        others = (whole[near[:, own]] - new[near[:, own], own] + usual * FEW) / (len(own) - 1.0 + FEW)
        result[own] = np.maximum(mine, np.where(inside[:, own], others, 0.0).max(axis=0))
    return result
