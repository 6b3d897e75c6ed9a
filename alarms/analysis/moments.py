"""Sums over the days since each first day of what meters count and are expected to, with a loss between them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.likelihood import Course, Sums
from alarms.analysis.past import Past, since

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """By first day and meter, (d, m); days on which a meter is not known count as 0.

    `pull` of a course is its sum with the loss, `mass` that of two courses with each other: see `likelihood`.
    """

    count: Floats
    """known days"""
    used: Floats
    along: Floats
    """what peers did"""
    pull_one: Floats
    pull_use: Floats
    pull_shape: Floats
    mass_one: Floats
    mass_use: Floats
    mass_shape: Floats
    one_shape: Floats
    one_use: Floats
    shape_use: Floats

    @classmethod
    def of(cls, sums: Sums, seen: Flags, use: Floats, shape: Floats) -> Self:
        """Return those of meters that used `use` while peers did `shape`, on the days that are `seen`."""
        one, use, shape = seen.astype(np.float64), np.where(seen, use, 0.0), np.where(seen, shape, 0.0)
        later_one, later_use, later_shape = sums.later(one, use, shape)
        return cls(
            count=since(one),
            used=since(use),
            along=since(shape),
            pull_one=sums.pull(one),
            pull_use=sums.pull(use),
            pull_shape=sums.pull(shape),
            mass_one=sums.both(one, one, later_one, later_one),
            mass_use=sums.both(use, use, later_use, later_use),
            mass_shape=sums.both(shape, shape, later_shape, later_shape),
            one_shape=sums.both(one, shape, later_one, later_shape),
            one_use=sums.both(one, use, later_one, later_use),
            shape_use=sums.both(shape, use, later_shape, later_use),
        )

    def deficit(self, past: Past, sigma: float) -> Course:
        """Return the course of what each meter's past leads to expect, less what it counted.

        What only peers' course leads to expect beyond what was seen is open within `sigma`: homes differ in how they
        heat.
        """
        base, slope, course = past.base, past.slope, past.course
        mass = base**2 * self.mass_one + slope**2 * self.mass_shape + self.mass_use
        mass += 2.0 * (base * slope * self.one_shape - base * self.one_use - slope * self.shape_use)
        open_mass = self.mass_shape - 2.0 * course * self.one_shape + course**2 * self.mass_one
        return Course(
            pull=base * self.pull_one + slope * self.pull_shape - self.pull_use,
            mass=np.maximum(mass, 0.0),
            open_pull=slope * (self.pull_shape - course * self.pull_one),
            open_mass=np.maximum(slope**2 * open_mass, 0.0),
            between=slope * (base * self.one_shape + slope * self.mass_shape - self.shape_use)
            - slope * course * (base * self.mass_one + slope * self.one_shape - self.one_use),
            sigma=sigma,
        )
