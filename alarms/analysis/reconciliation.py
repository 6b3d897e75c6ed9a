"""Whether a supply meter is to blame: its zone and the zone above it shift by the same amount in opposite ways. Pure.

Gas that leaves a zone is missed by that zone alone. A supply meter that begins to count too much makes its own zone
seem to lose gas, and the zone above, whose supply it is taken from, seem to gain just as much. So the balances of the
tree are tested together: of the global test r' V^-1 r each hypothesis explains T = (f' V^-1 r)^2 / (f' V^-1 f), where
f is what it does to the balances. Here r are the loss rates of steps of some days, V is known to a level that is left
open, a slow walk and noise of each step, and the size of a hypothesis has a normal prior, so that each has a marginal
likelihood and all can be weighed against each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from alarms.analysis.city import ZoneTree
from alarms.analysis.ranks import quantile

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Ints = NDArray[np.int64]

STEP_D = 4
"""days of a step: what reading times add to one day they take from the next"""
AROUND = 10
"""steps before a shift, and after it, that tell it: what happens long before or after has another cause"""
LEAST = 3
"""of them that must be known on each side"""
NEAR = 3
"""steps by which another cause of the same shift may seem to begin earlier or later"""
APART, UNSURE = 6, 2.0
"""steps between which a walk shows, and by how much more they must differ than neighbours for it to be one"""
QUARTER = 3.138
"""standard deviation of a normal variable by the lower quarter of its size"""
ODD_RATE = 0.2
FAR = 4.0
"""standard deviations from its neighbours beyond which a step counts less"""
LEVEL = 0.1
"""standard deviation of the level, which says nothing"""


@dataclass(frozen=True, slots=True)
class DriftConfig:
    """How often a level shifts, and by how much; rates a year, sizes as a share of the zone's supply."""

    drifts: float = 0.1
    """supply meters that begin to count wrong"""
    losses: float = 3.0
    """losses of a zone that begin or end"""
    between: float = 0.2
    """the same of the pipes between a zone and those below it, of which no customer has a share"""
    drift_size: float = 0.015
    loss_size: float = 0.02
    noise: tuple[float, float] = (0.0005, 0.03)
    """least and most of a step"""
    walk: tuple[float, float] = (0.0003, 0.005)
    """the same of what a loss rate walks from one step to the next"""
    least: float = 0.004
    """a smaller shift is within what supply meters may do"""
    each: float = 5.0
    """log likelihood ratio that the zone and the zone above must each give to the shift, and could give to its size"""


@dataclass(frozen=True, slots=True, eq=False)
class Shift:
    """What explains the balances of a zone and of the zone above it best, if a supply meter is to blame."""

    zone: int
    above: int
    probability: float
    loss: float
    """probability that the zone, or the one above it, loses more or less gas than before"""
    nothing: float
    size: float
    """share by which the meter counts too much since then; negative for too little"""
    sigma: float
    first_day: int


def parents(tree: ZoneTree) -> Ints:
    """Return for each zone with a supply meter the zone whose balance it is taken from, -1 for others, (z,)."""
    cells = tree.own_supply.tocoo()
    rows, columns = cells.coords
    own = np.full(len(tree.supplies), -1, dtype=np.int64)
    mine = (cells.data > 0) & tree.measured[rows]
    own[columns[mine]] = rows[mine]
    result = np.full(len(tree.zones), -1, dtype=np.int64)
    passed_on = cells.data < 0
    result[own[columns[passed_on]]] = rows[passed_on]
    return result


def steps(loss: Floats, supply: Floats) -> tuple[Floats, Floats]:
    """Return mean loss and supply of each step, the last one ending on the last day, (k, z); NaN where too few days."""
    count = len(loss) // STEP_D
    cut = slice(len(loss) - count * STEP_D, None)
    shape = (count, STEP_D, loss.shape[1])
    known = (np.isfinite(loss) & np.isfinite(supply) & (supply > 0))[cut].reshape(shape)
    days = known.sum(axis=1)
    enough = days * 2 >= STEP_D
    each = np.maximum(days, 1)
    parts = (np.where(known, part[cut].reshape(shape), 0.0).sum(axis=1) / each for part in (loss, supply))
    mean_loss, mean_supply = (np.where(enough, part, np.nan) for part in parts)
    return mean_loss, mean_supply


def shifts(
    loss: Floats, variance: Floats, flows: tuple[Floats, Floats], above: Ints, config: DriftConfig | None = None
) -> list[Shift]:
    """Return the supply meters that may be to blame for a shift, each with what else it may be.

    `loss` is what belongs to no measured zone below, m3 of (d, z), NaN where unknown, and `variance` that of what is
    only expected of it; `flows` are what the zone's own supply meter counted, and what of it no measured zone below
    took; `above` is the zone it is taken from, -1 for none.
    """
    config = config or DriftConfig()
    supply, own_supply = flows
    lost, flow = steps(loss, supply)
    unread, _ = steps(np.where(np.isfinite(loss), variance, np.nan), supply)
    count = len(lost)
    rate = np.where(np.isfinite(lost) & (flow > 0), lost / np.where(flow > 0, flow, 1.0), np.nan)
    rate = np.where(np.abs(rate) < ODD_RATE, rate, np.nan)
    heard = np.isfinite(rate).sum(axis=0) >= 2 * LEAST
    pairs = np.flatnonzero((above >= 0) & heard & heard[above])
    if count < 2 * LEAST or not len(pairs):
        return []
    used = np.unique(np.concatenate([pairs, above[pairs]]))
    own, up = np.searchsorted(used, pairs), np.searchsorted(used, above[pairs])
    ratio = flow[:, pairs] / np.where(flow[:, above[pairs]] > 0, flow[:, above[pairs]], np.nan)
    share = np.where(np.isfinite(ratio), ratio, np.nanmedian(np.where(heard[pairs], ratio, np.nan), axis=0))
    begins = np.arange(LEAST, count - LEAST + 1)
    places = _Places(own, up, np.nan_to_num(share))
    guessed = np.nan_to_num(unread / np.where(flow > 0, flow, np.inf) ** 2)
    rates = _Rates.of(rate[:, used].T, guessed[:, used].T)
    tests = [_Test.at(rates, int(begin), places, config) for begin in begins]
    through, rest = (np.nansum(part, axis=0) for part in (supply, own_supply))
    customers = np.clip(rest / np.where(through > 0, through, np.inf), 0.0, 1.0)
    between = config.between + config.losses * customers
    return _best(tests, begins, _Pairs(pairs, above[pairs], between[above[pairs]]), config, len(loss) - count * STEP_D)


@dataclass(frozen=True, slots=True, eq=False)
class _Places:
    """Where the rates of p zones and of those above them stand, (p,), and the share of the flow above, (k, p)."""

    own: Ints
    up: Ints
    share: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Rates:
    """Loss rates of each step, NaN where unknown, and the variance of what is only expected, (z, k)."""

    rate: Floats
    guessed: Floats
    next: Floats
    """variance of differences of neighbouring steps, (z,)"""
    apart: Floats
    """of steps that are `APART`, (z,)"""

    @classmethod
    def of(cls, rate: Floats, guessed: Floats) -> _Rates:
        """Take rates and the variance of what is only expected."""
        return cls(rate, guessed, _spread(rate, 1), _spread(rate, APART))


@dataclass(frozen=True, slots=True, eq=False)
class _Test:
    """What a shift that begins with some step explains of the balances of p pairs of zones, (p,)."""

    own_g: Floats
    """f' V^-1 r of the zone itself"""
    own_f: Floats
    """f' V^-1 f"""
    loss_g: Floats
    """of the zone above, if it loses gas"""
    loss_f: Floats
    moved_g: Floats
    """of the zone above, if the supply meter between them is to blame"""
    moved_f: Floats

    @staticmethod
    def at(rates: _Rates, begin: int, places: _Places, config: DriftConfig) -> _Test:
        """Test a shift of loss rates from step `begin` on."""
        own, up = places.own, places.up
        near = slice(max(begin - AROUND, 0), begin + AROUND)
        part = rates.rate[:, near]
        first = begin - near.start
        known = np.isfinite(part)
        inverse = _inverse(rates, near, config)
        inverse[(known[:, :first].sum(axis=1) < LEAST) | (known[:, first:].sum(axis=1) < LEAST)] = 0.0
        seen = np.nan_to_num(part)
        since = (np.arange(part.shape[1]) >= first).astype(np.float64)
        middle = np.nan_to_num(quantile(part, 0.5))
        seen = np.where(known, seen - middle[:, None], 0.0)
        alike = inverse @ since
        moved = -(places.share[near].T * since)
        told = np.einsum("pij,pj->pi", inverse[up], moved)
        return _Test(
            own_g=(alike * seen).sum(axis=1)[own],
            own_f=(alike @ since)[own],
            loss_g=(alike * seen).sum(axis=1)[up],
            loss_f=(alike @ since)[up],
            moved_g=(told * seen[up]).sum(axis=1),
            moved_f=(told * moved).sum(axis=1),
        )


def _inverse(rates: _Rates, near: slice, config: DriftConfig) -> Floats:
    """Return inverse covariances of a span of loss rates, (z, k, k), 0 where unknown.

    Each zone's noise and walk are told from its own differences, of all days and of the span, which a shift leaves.
    """
    part = rates.rate[:, near]
    walk = (rates.apart - UNSURE * rates.next) / APART
    walk = np.clip(walk, config.walk[0] ** 2, config.walk[1] ** 2)
    noise = (np.maximum(rates.next, _spread(part, 1)) - walk) / 2.0
    noise = np.clip(noise, config.noise[0] ** 2, config.noise[1] ** 2)[:, None] + rates.guessed[:, near]
    far = np.abs(part - _neighbours(part)) / np.sqrt(noise + walk[:, None]) / FAR
    known = np.isfinite(part)
    at = np.arange(part.shape[1])
    whole = LEVEL**2 + np.minimum(at[:, None], at[None, :])[None] * walk[:, None, None]
    whole[:, at, at] += np.where(known, noise * np.maximum(1.0, np.nan_to_num(far)) ** 2, 1e6)
    return np.asarray(np.linalg.inv(whole) * (known[:, :, None] & known[:, None, :]))


def _neighbours(part: Floats) -> Floats:
    """Return the nearer one of the medians of the steps before and after each, itself with each, (z, k)."""
    padded = np.pad(part, ((0, 0), (2, 2)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 3, axis=1)
    with np.errstate(invalid="ignore"):
        middle = np.sort(windows, axis=2)[:, :, 1]
    before, after = middle[:, :-2], middle[:, 2:]
    return np.where(np.abs(before - part) <= np.abs(after - part), before, after)


def _spread(rate: Floats, lag: int) -> Floats:
    """Return the variance of differences of steps by their lower quarter, (z,); 0 where there are none.

    Up to two thirds of them may span a shift.
    """
    size = np.abs(rate[:, lag:] - rate[:, :-lag])
    if not size.shape[1]:
        return np.zeros(len(rate))
    some = np.isfinite(size).any(axis=1, keepdims=True)
    return np.asarray((QUARTER * quantile(np.where(some, size, 0.0), 0.25)) ** 2)


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Zones, and the zone above each, (p,); how often a year each of the latter begins or ends to lose gas."""

    zone: Ints
    above: Ints
    between: Floats


def _best(tests: list[_Test], begins: Ints, pairs: _Pairs, config: DriftConfig, lead_d: int) -> list[Shift]:
    """Return of each pair of zones the likeliest shift for which a supply meter may be to blame."""

    def told(name: str) -> Floats:
        return np.stack([getattr(test, name) for test in tests])

    own_g, own_f, moved_g, moved_f = told("own_g"), told("own_f"), told("moved_g"), told("moved_f")
    years = STEP_D / 365.25
    drift = _marginal(own_g + moved_g, own_f + moved_f, config.drift_size) + np.log(config.drifts * years)
    losses = _near(_marginal(own_g, own_f, config.loss_size) + np.log(config.losses * years))
    between = _near(_marginal(told("loss_g"), told("loss_f"), config.loss_size) + np.log(pairs.between * years))
    other = np.logaddexp(np.logaddexp(0.0, losses) + np.logaddexp(0.0, between), _siblings(drift, pairs.above))
    information = own_f + moved_f + config.drift_size**-2
    size = (own_g + moved_g) / information
    each = np.minimum(*(size * g - 0.5 * size**2 * f for g, f in ((own_g, own_f), (moved_g, moved_f))))
    sharp = size**2 * np.minimum(own_f, moved_f) >= 2.0 * config.each
    odds = np.where((np.abs(size) >= config.least) & (each >= config.each) & sharp, drift - other, -np.inf)
    best = odds.argmax(axis=0)
    result = []
    for pair in np.flatnonzero(np.isfinite(odds.max(axis=0))).tolist():
        at = (int(best[pair]), pair)
        whole = float(np.logaddexp(drift[at], other[at]))
        probability = float(np.exp(drift[at] - whole))
        nothing = float(np.exp(-whole))
        result.append(
            Shift(
                zone=int(pairs.zone[pair]),
                above=int(pairs.above[pair]),
                probability=probability,
                loss=max(1.0 - probability - nothing, 0.0),
                nothing=nothing,
                size=float(size[at]),
                sigma=float(information[at] ** -0.5),
                first_day=lead_d + int(begins[at[0]]) * STEP_D,
            )
        )
    return result


def _siblings(drift: Floats, above: Ints) -> Floats:
    """Return the log odds that another supply meter below the same zone is to blame, (k, p)."""
    alike = (above[:, None] == above[None, :]) & ~np.eye(len(above), dtype=np.bool_)
    most = drift.max(axis=1, keepdims=True)
    return np.asarray(most + np.log(np.maximum(np.exp(drift - most) @ alike.astype(np.float64), 1e-300)))


def _near(odds: Floats) -> Floats:
    """Return the log of the sum over the steps around each, (k, p)."""
    padded = np.pad(odds, ((NEAR, NEAR), (0, 0)), constant_values=-np.inf)
    return np.asarray(logsumexp(np.lib.stride_tricks.sliding_window_view(padded, 2 * NEAR + 1, axis=0), axis=2))


def _marginal(g: Floats, f: Floats, size: float) -> Floats:
    """Return the log marginal likelihood ratio of effects whose size is normal about 0."""
    return np.asarray(0.5 * g**2 / (f + size**-2) - 0.5 * np.log1p(size**2 * f))
