"""Likelihood ratios of courses that a loss may go along with, by generalised least squares. Pure.

With the inverse covariance `W` of a loss `r`, one that goes along with `f` times a size about `mu` (variance `s2`) is
likelier than one that does not by

    ((f'Wr + mu/s2)^2 / (f'Wf + 1/s2) - mu^2/s2) / 2 - log(1 + s2 f'Wf) / 2
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr

from alarms.analysis.past import since

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Sums over the days since each first day with a covariance's inverse between them."""

    told: Floats
    """(d, d)"""
    loss: Floats
    """(d,)"""

    def pull(self, f: Floats) -> Floats:
        """Return f'Wr for `f` from each day on; (d, m) as `f`."""
        return since(f * (self.told @ self.loss)[:, None])

    def later(self, *courses: Floats) -> list[Floats]:
        """Return for each day what all later days of each course weigh with it, (d, m) each."""
        return np.split(np.triu(self.told, 1) @ np.concatenate(courses, axis=1), len(courses), axis=1)

    def both(self, f: Floats, g: Floats, later_f: Floats, later_g: Floats) -> Floats:
        """Return f'Wg for both from each day on, (d, m)."""
        return since(np.diag(self.told)[:, None] * f * g + f * later_g + g * later_f)


def ratio(pull: Floats, mass: Floats, mean: Floats | float, sigma: Floats | float) -> Floats:
    """Return the log likelihood ratio of a loss along a course of some size, to none of it."""
    inverse = np.asarray(sigma, dtype=np.float64) ** -2
    along = (pull + mean * inverse) ** 2 / (mass + inverse) - mean**2 * inverse
    return np.asarray(0.5 * along - 0.5 * np.log1p(mass / inverse))


def logsumexp(values: Floats) -> Floats:
    """Return the log of the sum of exponentials along the first axis."""
    most = values.max(axis=0)
    return np.asarray(most + np.log(np.exp(values - most).sum(axis=0)))


def size_of(pull: Floats, mass: Floats, mean: Floats | float, sigma: Floats | float) -> Floats:
    """Return the likeliest size that goes with `ratio`."""
    inverse = np.asarray(sigma, dtype=np.float64) ** -2
    return np.asarray((pull + mean * inverse) / (mass + inverse))


def positive(pull: Floats, mass: Floats, sigma: Floats | float) -> Floats:
    """Return `ratio` for a size that is positive and else only known to be about `sigma`."""
    inverse = np.asarray(sigma, dtype=np.float64) ** -2
    return np.asarray(np.log(2.0) + ratio(pull, mass, 0.0, sigma) + log_ndtr(pull / np.sqrt(mass + inverse)))


def left_open(told: Floats, courses: Floats) -> Floats:
    """Return the inverse covariance with some courses, (d, k), left open within one times themselves."""
    along = told @ courses
    inner = np.eye(courses.shape[1]) + courses.T @ along
    return np.asarray(told - along @ np.linalg.solve(inner, along.T))


def less_sure(told: Floats, days: Flags, variance: float) -> Floats:
    """Return the inverse covariance with some days less sure by a variance each."""
    factor = np.where(days, 1.0 / np.sqrt(1.0 + variance * np.diag(told)), 1.0)
    return np.asarray(told * factor[:, None] * factor[None, :])
