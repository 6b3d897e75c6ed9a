"""Likelihood ratios of courses that a loss may go along with, by generalised least squares. Pure.

With the inverse covariance `W` of a loss `r`, one that goes along with `f` times a size about `mu` (variance `s2`) is
likelier than one that does not by

    ((f'Wr + mu/s2)^2 / (f'Wf + 1/s2) - mu^2/s2) / 2 - log(1 + s2 f'Wf) / 2

if `W` is right. It is never quite: so the scale of the days in question is left open about 1, which makes of the
normal distribution Student's (Gelman et al., Bayesian Data Analysis, 2013, chapter 17). What explains most of a large
`r'Wr` is then likely; what explains a part of it and leaves much more than noise is not, as something else is going on.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack
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


@dataclass(frozen=True, slots=True, eq=False)
class Scatter:
    """How far the days that a course is judged by lie from what they should be, shapes that broadcast."""

    square: Floats
    """r'Wr of these days, given those before"""
    count: Floats
    """of these days"""
    least_days: int
    """so many of them are looked at, if there are as many"""
    freedom: float
    """so many days' worth of belief that `W` is right"""

    def times(self, factor: Floats) -> Scatter:
        """Return the scatter with `W` times a factor."""
        return Scatter(self.square * factor, self.count, self.least_days, self.freedom)

    def at(self, chosen: Flags) -> Scatter:
        """Return that of some courses, marked in the shape of all, (c,)."""
        square, count = (np.broadcast_to(part, chosen.shape)[chosen] for part in (self.square, self.count))
        return Scatter(square, count, self.least_days, self.freedom)

    def first(self) -> Scatter:
        """Return that of courses from the first day on, (1, ...)."""
        return Scatter(self.square[:1], self.count[:1], self.least_days, self.freedom)

    def told(self, along: Floats) -> Floats:
        """Return twice the log likelihood ratio where the square falls by `along`.

        What is left then tells the scale, as if of so many days as there are at least: courses of all lengths are
        judged alike, and evidence that goes on and on grows slowly.
        """
        left = np.maximum(self.square - along, 0.0) * self.least_days / np.maximum(self.count, 1.0)
        whole = self.freedom + self.least_days
        return np.asarray(np.sign(along) * whole * np.log1p(np.abs(along) / (self.freedom + left)))


@dataclass(frozen=True, slots=True, eq=False)
class Innovations:
    """By how much the loss of each day is off what the days before lead to expect, in standard deviations."""

    square: Floats
    """sum over all days before each day, and before the end, (d + 1,)"""
    count: Floats
    """number of days likewise, (d + 1,)"""
    least_days: int
    """a scale is that of so many days at least, so that it is the same for courses that begin about then"""
    freedom: float

    def scatter(self, ends: NDArray[np.int64] | None = None) -> Scatter:
        """Return that of the days from each day on, (d, 1), or to before each of some days, (d, e)."""
        end = np.array([len(self.square) - 1]) if ends is None else ends
        first = np.minimum(np.arange(len(self.square) - 1)[:, None], np.maximum(end - self.least_days, 0)[None, :])
        square, count = (values[end][None, :] - values[first] for values in (self.square, self.count))
        return Scatter(square, count, self.least_days, self.freedom)


def innovations(told: Floats, loss: Floats, *, least_days: int, freedom: float) -> Innovations:
    """Return those of a loss (d,) for an inverse covariance (d, d), which is 0 on days that do not count."""
    good = np.diag(told) > 0
    # with the covariance C = LL' they are the loss by the inverse of L, and W is the inverse of C
    back, wrong = lapack.dpotrf(told[np.ix_(good, good)][::-1, ::-1], lower=1) if good.any() else (told[:0, :0], 0)
    square = np.zeros(len(loss))
    square[good] = np.diag(told)[good] * loss[good] ** 2 if wrong else (np.tril(back).T @ loss[good][::-1])[::-1] ** 2
    known = np.append(0.0, np.cumsum(good.astype(np.float64)))
    return Innovations(np.append(0.0, np.cumsum(square)), known, least_days, freedom)


def ratio(
    pull: Floats, mass: Floats, mean: Floats | float, sigma: Floats | float, days: Scatter | None = None
) -> Floats:
    """Return the log likelihood ratio of a loss along a course of some size, to none of it.

    The scale of the days is left open where `days` tells their scatter.
    """
    inverse = np.asarray(sigma, dtype=np.float64) ** -2
    along = (pull + mean * inverse) ** 2 / (mass + inverse) - mean**2 * inverse
    told = along if days is None else days.told(along)
    return np.asarray(0.5 * told - 0.5 * np.log1p(mass / inverse))


@dataclass(frozen=True, slots=True, eq=False)
class Course:
    """Sums of a course `f` that is known but for a course `g` of size 0 about `sigma`; shapes that broadcast."""

    pull: Floats
    """f'Wr"""
    mass: Floats
    """f'Wf"""
    open_pull: Floats
    """g'Wr"""
    open_mass: Floats
    """g'Wg"""
    between: Floats
    """f'Wg"""
    sigma: float

    def times(self, factor: Floats) -> Course:
        """Return the sums with `W` times a factor."""
        names = ("pull", "mass", "open_pull", "open_mass", "between")
        return replace(self, **{name: factor * getattr(self, name) for name in names})

    @property
    def _kept(self) -> Floats:
        return np.asarray(self.open_mass + self.sigma**-2)

    @property
    def rest(self) -> tuple[Floats, Floats]:
        """Pull and mass of `f` where `g` is left open: that of what no size of `g` can explain as well."""
        pull = self.pull - self.between * self.open_pull / self._kept
        return pull, np.maximum(self.mass - self.between**2 / self._kept, 0.0)

    def ratio(self, mean: float, sigma: float, days: Scatter) -> Floats:
        """Return what `ratio` does for `f`, with the size of `g` integrated out."""
        inverse = sigma**-2
        pull, mass = self.rest
        along = (pull + mean * inverse) ** 2 / (mass + inverse) - mean**2 * inverse + self.open_pull**2 / self._kept
        open_sizes = np.log1p(self.open_mass * self.sigma**2)
        return np.asarray(0.5 * days.told(along) - 0.5 * np.log1p(mass / inverse) - 0.5 * open_sizes)

    def size(self, mean: float, sigma: float) -> Floats:
        """Return the likeliest size of `f` that goes with `ratio`."""
        return size_of(*self.rest, mean, sigma)


def logsumexp(values: Floats) -> Floats:
    """Return the log of the sum of exponentials along the first axis."""
    most = values.max(axis=0)
    return np.asarray(most + np.log(np.exp(values - most).sum(axis=0)))


def size_of(pull: Floats, mass: Floats, mean: Floats | float, sigma: Floats | float) -> Floats:
    """Return the likeliest size that goes with `ratio`."""
    inverse = np.asarray(sigma, dtype=np.float64) ** -2
    return np.asarray((pull + mean * inverse) / (mass + inverse))


def positive(pull: Floats, mass: Floats, sigma: Floats | float, days: Scatter | None = None) -> Floats:
    """Return `ratio` for a size that is positive and else only known to be about `sigma`."""
    inverse = np.asarray(sigma, dtype=np.float64) ** -2
    return np.asarray(np.log(2.0) + ratio(pull, mass, 0.0, sigma, days) + log_ndtr(pull / np.sqrt(mass + inverse)))


def left_open(told: Floats, courses: Floats) -> Floats:
    """Return the inverse covariance with some courses, (d, k), left open within one times themselves."""
    along = told @ courses
    inner = np.eye(courses.shape[1]) + courses.T @ along
    return np.asarray(told - along @ np.linalg.solve(inner, along.T))


def less_sure(told: Floats, days: Flags, variance: float) -> Floats:
    """Return the inverse covariance with some days less sure by a variance each."""
    factor = np.where(days, 1.0 / np.sqrt(1.0 + variance * np.diag(told)), 1.0)
    return np.asarray(told * factor[:, None] * factor[None, :])
