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


def begins(rests: Ints, known: NDArray[np.bool_], groups: Sequence[str]) -> Floats:
    """Return the rate at which each customer's rests begin on each day, (d, n), a day.

    It is the greater of its own usual rate, drawn to its class's, and of what its class does around this very day:
    on holidays many leave at once.
    """
    new = ((rests == 1) & known).astype(np.float64)
    if len(new):
        new[0] = 0.0
    busy = known & (rests <= 1)
    result = np.zeros(rests.shape)
    names = np.asarray(groups)
    for group in np.unique(names):
        own = names == group
        usual = (new[:, own].sum() + 1.0) / (busy[:, own].sum() + 100.0)
        mine = (new[:, own].sum(axis=0) + usual * OWN_DAYS) / (busy[:, own].sum(axis=0) + OWN_DAYS)
        # what the others of the class did that day, so that a single shop does not excuse itself
        others = (new[:, own].sum(axis=1, keepdims=True) - new[:, own] + usual * FEW) / (own.sum() - 1.0 + FEW)
        edge = np.zeros_like(others[:1])
        around = np.maximum(others, np.maximum(np.vstack([others[1:], edge]), np.vstack([edge, others[:-1]])))
        result[:, own] = np.maximum(mine[None, :], around[: len(new)])
    return result
