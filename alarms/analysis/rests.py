"""How likely a customer's meter honestly rests for so long, from all rests of the city. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

COLD_C = 12.0
"""air below which homes are heated: of 300 homes in a year a fifth of all rests of 30 days were such days only"""

EDGES = np.array([0, 1, 2, 3, 5, 8, 13, 20, 30, 45, 65, 90, 130, 200])
"""ages of rests, days, from which on they end at another pace"""
PRIOR_ENDS, PRIOR_DAYS = 1.0, 25.0
"""what is assumed beside the rests that were seen: how many of how many days ended one"""
FEW = 10.0
"""customers of a class, or days of their rests, that weigh as much as what is usual"""
MOST_ENDS = 0.98
"""share of rests that end on a day at the most"""
LONG_A_YEAR, LONG_D, LONGER_D = 0.02, 60.0, 120.0
"""rests of so many days that a customer honestly begins in a year, and in how many more days that falls to a third:
150 homes measured for a year made 11 rests of 30 days or more, 3 of 60 and 1 of 90"""
SORTS = {"": "residential", "public": "commercial", "industrial": "commercial"}
"""classes that rest alike"""
OWN_DAYS = 60.0
"""days of a customer's own history that weigh as much as what its class does"""


def lasts(rests: Ints, known: Flags, groups: Sequence[str], cold: Flags) -> Floats:
    """Return the log of the chance that an honest rest lasts as long as each customer's last one has, (n,).

    `rests` are (d, n) runs of rest; `groups` names each customer's class, and `cold` are days on which homes are
    heated, (d,): who heats comes back sooner then, and uses nothing all summer; a business shuts for other times than
    a home.
    """
    count = rests.shape[1]
    if len(rests) < 2 or not count:
        return np.zeros(count)
    # a meter that never moved tells nothing of how rests end, nor does the rest in which it was first seen
    moved = np.cumsum(known & (rests == 0), axis=0) > 0
    _, sort = np.unique([SORTS.get(name, name) for name in groups], return_inverse=True)
    sorts = 2 * (int(sort.max()) + 1)
    size = len(EDGES) * sorts
    cell = (np.searchsorted(EDGES, rests, side="right") - 1) * sorts + 2 * sort[None, :] + cold[:, None]
    over = (rests[:-1] > 0) & (rests[1:] == 0) & known[1:] & moved[:-1]
    ends = np.bincount(cell[:-1][over], minlength=size).reshape(1, -1, sorts)
    days = np.bincount(cell[(rests > 0) & known & moved], minlength=size).reshape(1, -1, sorts)
    last = np.arange(len(rests), 0, -1)[:, None] <= rests[-1][None, :]
    of = np.broadcast_to(np.arange(count) * size, cell.shape)
    mine = np.bincount((cell + of)[last], minlength=count * size).reshape(count, -1, sorts)
    # nobody excuses itself
    own = np.bincount((cell + of)[last & known & moved], minlength=count * size).reshape(count, -1, sorts)
    # rests grow more lasting with age: what is assumed follows what was seen at the age before
    total = np.zeros(count)
    assumed = np.full(count, PRIOR_ENDS / PRIOR_DAYS)
    for age in range(1, len(EDGES)):
        others = np.maximum(days[:, age] - own[:, age], 0)
        usual = (ends[:, age].sum(axis=1) + assumed * PRIOR_DAYS) / (others.sum(axis=1) + PRIOR_DAYS)
        hazard = (ends[:, age] + usual[:, None] * FEW) / (others + FEW)
        total += (mine[:, age] * np.log1p(-np.minimum(hazard, MOST_ENDS))).sum(axis=1)
        assumed = np.minimum(usual, PRIOR_ENDS / PRIOR_DAYS)
    return total


def absent(rests: Ints, known: Flags, groups: Sequence[str], cold: Flags) -> Floats:
    """Return the log rate, a day, at which honest rests began when each customer's last one did, and last, (n,).

    However soon the rests end that were seen here, some people move out: no city is so well known that a rest alone
    proves a fault.
    """
    if not len(rests):
        return np.zeros(rests.shape[1])
    length = rests[-1]
    first = np.maximum(len(rests) - np.maximum(length, 1), 0)
    seen = np.log(begins(rests, known, groups, first, cold)) + lasts(rests, known, groups, cold)
    least = np.log(LONG_A_YEAR / 365.0) - np.maximum(length - LONG_D, 0.0) / LONGER_D
    return np.asarray(np.maximum(seen, least))


def begins(rests: Ints, known: Flags, groups: Sequence[str], day: Ints, cold: Flags | None = None) -> Floats:
    """Return the rate, a day, at which rests of each customer begin on its `day`, (n,).

    It is the greater of its own usual rate in that season, drawn to its class's, and of what its class does around
    this very day: on holidays many leave at once. `cold` days, (d,), are one season, the others another.
    """
    new = (rests == 1) & known
    new[:1] = False
    busy = known & (rests <= 1)
    near = day[None, :] + np.array([[-1], [0], [1]])
    inside = (near >= 0) & (near < len(rests))
    near = np.clip(near, 0, len(rests) - 1)
    names = np.asarray(groups)
    result = np.zeros(rests.shape[1])
    season = np.zeros(len(rests), dtype=np.bool_) if cold is None else cold
    then = season[np.clip(day, 0, len(rests) - 1)]
    begun, days = (np.stack([one[~season].sum(axis=0), one[season].sum(axis=0)]) for one in (new, busy))
    for group in np.unique(names):
        own = np.flatnonzero(names == group)
        ever = (begun[:, own].sum() + 1.0) / (days[:, own].sum() + 100.0)
        usual = ((begun[:, own].sum(axis=1) + ever * 100.0) / (days[:, own].sum(axis=1) + 100.0))[then[own].astype(int)]
        at = then[own].astype(int), own
        mine = (begun[at] + usual * OWN_DAYS) / (days[at] + OWN_DAYS)
        # what the others of the class did that day, so that a single shop does not excuse itself
        whole = new[:, own].sum(axis=1)
        others = (whole[near[:, own]] - new[near[:, own], own] + usual * FEW) / (len(own) - 1.0 + FEW)
        result[own] = np.maximum(mine, np.where(inside[:, own], others, 0.0).max(axis=0))
    return result
