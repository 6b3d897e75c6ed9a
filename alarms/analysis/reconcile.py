"""Which supply meter, or which zone, makes the balances of a tree disagree. Pure.

With the zones' own balances `r`, each supply less everything that is accounted for below it, and their covariance `V`,
the size of a hypothesis with the pattern `f` is `f' V^-1 r / f' V^-1 f` and its test `(f' V^-1 r)^2 / (f' V^-1 f)` is
chi-square with one degree of freedom (Romagnoli and Sanchez, Data Processing and Reconciliation for Chemical Process
Operations, 2000, chapter 7). A leak adds to one balance only; a supply meter that counts too much adds to its own zone
what it takes from the zone above. Only changes are tested, so that what meters always get wrong drops out and `V` is
diagonal: the noise of each balance is that of its own customers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.loss import Balance

Floats = NDArray[np.float64]

LEAST_SHARE = 0.5
"""of the days of each span that must be known"""


@dataclass(frozen=True, slots=True, eq=False)
class Reconciled:
    """Tests of the zones with a supply meter, over the newest days of a balance."""

    zones: tuple[str, ...]
    chi_square: float
    """of all balances together; about as large as there are zones where meters explain everything"""
    lost_m3: Floats
    """size of a loss in each zone alone, a day"""
    lost_test: Floats
    bias_m3: Floats
    """what each zone's supply meter counts too much a day, if that alone is wrong"""
    bias_test: Floats
    """NaN where no measured zone stands above, so that nothing tells the meter from the zone"""

    @property
    def rather_bias(self) -> Floats:
        """Log odds of a wrong supply meter against a loss in the zone, where both are as likely beforehand."""
        return np.asarray(0.5 * (self.bias_test - self.lost_test))


def reconcile(result: Balance, before: slice, after: slice) -> Reconciled | None:
    """Test what changed in the own balances from the days `before` to the days `after`.

    What is alike on all days, such as a meter's ordinary gain, drops out of the difference. Zones of which too few days
    are known are left out; None where there are no days.
    """
    tree = result.tree
    known = np.isfinite(result.own_loss)
    enough = [known[span].mean(axis=0) >= LEAST_SHARE for span in (before, after) if len(known[span])]
    if len(enough) < len((before, after)):
        return None
    at = np.flatnonzero(tree.measured & enough[0] & enough[1])
    old, new = (_Span.of(result, span, at) for span in (before, after))
    change, covariance = new.mean - old.mean, np.diag(old.variance + new.variance)
    patterns = np.eye(len(at))
    row = {int(zone): index for index, zone in enumerate(at)}
    above = np.zeros(len(at), dtype=np.bool_)
    for index, zone in enumerate(at):
        upper = _right_above(result, int(zone))
        if upper in row:
            patterns[index, row[upper]] = -1.0
            above[index] = True
    inverse = np.asarray(np.linalg.inv(covariance), dtype=np.float64)
    lost, lost_test = _tests(np.eye(len(at)), inverse, change)
    bias, bias_test = _tests(patterns, inverse, change)
    return Reconciled(
        zones=tuple(tree.zones[zone] for zone in at),
        chi_square=float(change @ inverse @ change),
        lost_m3=lost,
        lost_test=lost_test,
        bias_m3=np.where(above, bias, np.nan),
        bias_test=np.where(above, bias_test, np.nan),
    )


def _tests(patterns: Floats, inverse: Floats, change: Floats) -> tuple[Floats, Floats]:
    """Return size and test of each hypothesis (rows of `patterns`)."""
    told = patterns @ inverse
    score, information = told @ change, (told * patterns).sum(axis=1)
    return score / information, score**2 / information


@dataclass(frozen=True, slots=True, eq=False)
class _Span:
    """Own balances of some days, m3 a day, per zone."""

    mean: Floats
    variance: Floats
    """of the mean: by what the days scatter, and no less than what is stated"""

    @staticmethod
    def of(result: Balance, span: slice, at: NDArray[np.intp]) -> _Span:
        own, stated = result.own_loss[span][:, at], result.own_terms.noise[span][:, at]
        known = np.isfinite(own)
        days = np.maximum(known.sum(axis=0), 1)
        both = known[1:] & known[:-1]
        steps = np.where(both, np.diff(np.nan_to_num(own), axis=0) ** 2 / 2.0, 0.0).sum(axis=0)
        scatter = steps / np.maximum(both.sum(axis=0), 1)
        said = np.where(known, stated, 0.0).sum(axis=0) / days
        mean = np.where(known, own, 0.0).sum(axis=0) / days
        return _Span(mean, np.maximum(np.maximum(scatter, said), 1e-9) / days)


def _right_above(result: Balance, zone: int) -> int | None:
    """Return the lowest measured zone that holds a zone, None if there is none."""
    tree = result.tree
    holders = np.flatnonzero((tree.above[:, zone] > 0) & tree.measured)
    upper = holders[holders != zone]
    return int(upper[np.argmin(tree.above[upper].sum(axis=1))]) if len(upper) else None
