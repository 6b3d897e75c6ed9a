"""What the days before each possible first day lead to expect of each meter, by cumulative sums. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]


MOST_PEERS = 250
"""so many of a group, and less than twice as many, tell how usual a fall of the use is"""


def before(values: Floats) -> Floats:
    """Return sums over all days before each day."""
    total = np.cumsum(values, axis=0)
    return np.asarray(np.concatenate([np.zeros_like(total[:1]), total[:-1]]))


def since(values: Floats) -> Floats:
    """Return sums over each day and all later ones."""
    return np.asarray(np.cumsum(values[::-1], axis=0)[::-1])


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """A use that is `base + slope x shape`, as the days before each day tell; shapes (d, m)."""

    base: Floats
    slope: Floats
    variance: Floats
    """of a day's use about it"""
    course: Floats
    """mean of what peers did on the days behind it"""
    usable: Flags
    """where days enough tell it"""

    @classmethod
    def of(cls, use: Floats, shape: Floats, rests: NDArray[np.int64], least_days: int) -> Past:
        """Fit use against what peers did; days of rest after the first tell nothing of the use."""
        train = np.isfinite(use) & (rests < 2)
        told, course = np.where(train, use, 0.0), np.where(train, shape, 0.0)
        count, s_w, s_ww = before(train.astype(np.float64)), before(course), before(course**2)
        s_u, s_wu, s_uu = before(told), before(course * told), before(told**2)
        # a constant use beside the one that follows the peers is believed only when the past shows it
        ridge = count + 5.0
        det = np.maximum(ridge * s_ww - s_w**2, 1e-9)
        base, slope = (s_u * s_ww - s_w * s_wu) / det, (ridge * s_wu - s_w * s_u) / det
        error = s_uu - 2.0 * (base * s_u + slope * s_wu)
        error = error + base**2 * count + 2.0 * base * slope * s_w + slope**2 * s_ww
        level = s_u / np.maximum(count, 1.0)
        variance = np.maximum(error, 0.0) / np.maximum(count - 2.0, 1.0) + np.maximum(0.05 * level, 1e-3) ** 2
        return cls(base, slope, variance, s_w / np.maximum(count, 1.0), count >= least_days)

    def shared_over(self, days: Floats) -> Past:
        """Return the past of meters whose days are shared out of so many, (m,): each is known that much less."""
        return replace(self, variance=self.variance * days)

    def until(self, days: int) -> Past:
        """Return that of the first so many days."""
        return Past(*(getattr(self, one.name)[:days] for one in fields(self)))

    def of_meters(self, chosen: NDArray[np.int64]) -> Past:
        """Return the past of some of the meters."""
        return Past(*(getattr(self, name)[:, chosen] for name in ("base", "slope", "variance", "course", "usable")))


def peers_of(groups: Ints) -> Flags:
    """Return which customers tell how usual a fall of the use is, (n,): of a large group some that stand evenly."""
    result = np.zeros(len(groups), dtype=np.bool_)
    for group in np.unique(groups):
        own = np.flatnonzero(groups == group)
        result[own[:: max(len(own) // MOST_PEERS, 1)]] = True
    return result


def usual_less(past: Past, use: Floats, shape: Floats, groups: Ints, peers: Flags) -> Floats:
    """Return the share of each meter's peers whose use fell as far below what was expected, from each day to the last.

    Shapes (d, m); `groups` numbers the group of each meter, and `peers` marks those of it that tell. Where a meter's
    own fall is unknown the share is 1.
    """
    seen = np.isfinite(use)
    expected = past.base * since(seen.astype(np.float64)) + past.slope * since(np.where(seen, shape, 0.0))
    fall = 1.0 - since(np.where(seen, use, 0.0)) / np.maximum(expected, 1e-9)
    fall = np.where(past.usable & (expected > 0), fall, -np.inf)
    result = np.ones(use.shape)
    for group in np.unique(groups):
        own = np.flatnonzero(groups == group)
        others = np.sort(-fall[:, own[peers[own]]], axis=1)
        count = np.isfinite(others).sum(axis=1)
        for day in np.flatnonzero(count):
            rank = np.searchsorted(others[day, : count[day]], -fall[day, own], side="right")
            result[day, own] = np.where(np.isfinite(fall[day, own]), np.maximum(rank, 1) / (count[day] + 1.0), 1.0)
    return result
