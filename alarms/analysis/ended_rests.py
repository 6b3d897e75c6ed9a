"""Rests that are over: whether a zone lost, while a register stood, just what its customer uses. Pure.

A meter that stopped and was exchanged leaves its mark in the loss of its zone for as long as one looks back. It is
blamed on nobody any more; but what it explains must not be looked for elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.bank_config import BankConfig
from alarms.analysis.hypotheses import ZoneDays
from alarms.analysis.likelihood import Course, Innovations, positive
from alarms.analysis.rests import LONG_A_YEAR, LONG_D, LONGER_D

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]

LEAST_D = 7
"""days of rest; shorter ones are days off"""
AWAY_A_YEAR, AWAY_D = 2.0, 10.0
"""rests that a customer honestly begins in a year, and in how many days all but a third of them are over"""


@dataclass(frozen=True, slots=True, eq=False)
class EndedRests:
    """k rests that are over, each as if the register alone had stood."""

    meter: Ints
    """column of the meter, (k,)"""
    first: Ints
    """day, (k,)"""
    weight: Floats
    """log weight, (k,)"""
    missing: Floats
    """what the register did not count, m3, (d, k)"""


def ended_rests(
    zone: ZoneDays, config: BankConfig, *, good: Flags, told: Floats, loss: Floats, days_off: Innovations
) -> EndedRests:
    """Weigh every long rest that is over. `told` is the inverse covariance of `loss`, which is 0 on days not `good`."""
    meter, first, end = _runs(zone.rests)
    past, day = zone.past, np.arange(len(loss))[:, None]
    likely = past.usable[first, meter] & (not zone.guess.any())
    meter, first, end = meter[likely], first[likely], end[likely]
    base, slope, course = (part[first, meter] for part in (past.base, past.slope, past.course))
    shape = zone.shape[:, meter]
    inside = (day >= first) & (day < end) & good[:, None] & np.isfinite(zone.use[:, meter])
    expected = np.where(inside, base + slope * shape, 0.0)
    open_part = np.where(inside, slope * (shape - course), 0.0)
    weighed, weighed_open, residual = told @ expected, told @ open_part, (told @ loss)[:, None]
    deficit = Course(
        pull=(expected * residual).sum(axis=0),
        mass=(expected * weighed).sum(axis=0),
        open_pull=(open_part * residual).sum(axis=0),
        open_mass=(open_part * weighed_open).sum(axis=0),
        between=(expected * weighed_open).sum(axis=0),
        sigma=config.beyond_sigma,
    )
    scatter = days_off.scatter(end)
    begins = first, np.arange(len(first))
    scatter = replace(scatter, square=scatter.square[begins], count=scatter.count[begins])
    count = np.maximum(inside.sum(axis=0), 1)
    trust = 1.0 / (1.0 + past.variance[first, meter] * (inside * np.diag(told)[:, None]).sum(axis=0) / count)
    alone = deficit.times(trust).ratio(1.0, config.size_sigma, scatter.times(trust))
    # the noise that a customer's ups and downs are taken for hides that the zone loses gas at all: see `Trial._shaken`
    flat = inside.astype(np.float64)
    pull, mass = (flat * residual).sum(axis=0), (flat * (told @ flat)).sum(axis=0)
    usual = np.maximum(pull / np.maximum(mass, 1e-12), 1e-6)
    hidden = positive(pull, mass, usual, scatter) - positive(trust * pull, trust * mass, usual, scatter.times(trust))
    alone += np.where((alone >= config.least_plain) & (pull > 0), np.maximum(hidden, 0.0), 0.0)
    size = deficit.size(1.0, config.size_sigma)
    theft = config.theft_rate * np.where(zone.business[meter], config.business_theft_factor, 1.0)
    weight = np.log(config.stop_rate + theft) + config.temper * alone - _honest(end - first)
    fits = (size >= config.least_size) & (deficit.pull > 0) & (expected.sum(axis=0) > 0) & config.match
    return EndedRests(meter[fits], first[fits], weight[fits], (size * expected)[:, fits])


def _honest(length: Ints) -> Floats:
    """Return the log rate, a day, of honest rests that are so long."""
    usual = np.log(AWAY_A_YEAR / 365.0) - length / AWAY_D
    long = np.log(LONG_A_YEAR / 365.0) - np.maximum(length - LONG_D, 0.0) / LONGER_D
    return np.asarray(np.logaddexp(usual, long))


def _runs(rests: Ints) -> tuple[Ints, Ints, Ints]:
    """Return meter, first day and day after the last of each long rest that is over, (k,) each."""
    days = len(rests)
    rest = rests.T > 0
    begins, ends = rest.copy(), rest.copy()
    begins[:, 1:] &= ~rest[:, :-1]
    ends[:, -1:] = False
    ends[:, :-1] &= ~rest[:, 1:]
    meter, last = np.nonzero(ends & (rests.T >= LEAST_D))
    at, first = np.nonzero(begins)
    found = np.searchsorted(at * days + first, meter * days + last, side="right") - 1
    return meter, first[found], last + 1
