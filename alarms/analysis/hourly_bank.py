"""Weighs what may explain the last weeks' hourly balances of zones: a leak, or what only looks like one. Pure.

All hypotheses are linear in the block sums of a zone's loss: a leak adds a constant flow since some moment, a supply
meter that drifts adds a share of the flow, a meter that stops adds what its customer goes on using. With the covariance
V of the blocks each has a likelihood ratio in closed form (generalised least squares; the global and nodal tests of
Mah, Chemical Process Structures and Information Flows, 1990, with a prior for the size), and its prior rate says how
often such things happen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr, logsumexp

from alarms.analysis.hourly_blocks import AGE_H, ENDS_H, SIZES_H, WINDOW_H, Blocks
from gateway.meterdata.series import Flags, Floats, Ints

HUGE = 1e9
"""variance of a block of which nothing is known"""
FEWEST_PEERS = 4
"""zones that tell what is common to all"""
OLDEST = 3
"""blocks before the first one in which something may have begun"""
MOST_SPELLS = 4
LONG_H = 72.0
"""hours beyond which nothing is a spell in which less is lost"""
NEVER = -1e9
"""log weight of what cannot be"""
YEAR_H = 24.0 * 365.0


@dataclass(frozen=True, slots=True)
class HourlyConfig:
    """Prior rates a year, sizes, and noises as shares of a zone's flow."""

    leak_rate: float = 0.5
    growing: float = 0.35
    """share of leaks that grow in a straight line"""
    drift_rate: float = 2.0
    """of a supply meter or of all customers' registers together"""
    spell_rate: float = 8.0
    """of something that begins and ends: an outage, a holiday, a meter that is exchanged"""
    end_rate: float = 0.5
    """of a loss that was there before the window and ends in it"""
    meter_rate: float = 0.02
    """of a customer's meter stopping or being tampered with"""
    leak_sigmas: tuple[float, ...] = (0.012, 0.04, 0.15)
    drift_sigmas: tuple[float, ...] = (0.004, 0.015)
    spell_sigmas: tuple[float, ...] = (0.02, 0.08, 0.3)
    level_sigma: float = 0.05
    share_sigma: float = 0.03
    slow_sigma: float = 0.003
    slow_h: float = 120.0
    quick_sigma: float = 0.002
    quick_h: float = 12.0
    guess_h: float = 48.0
    course_share: float = 1.0
    """variance of what is guessed by when in the day it is used, as a share of that of how much is used"""
    course_h: float = 3.0
    least_scale: float = 0.15
    least_known_h: int = 240
    """known hours of a zone from which it is judged"""
    over_h: float = 36.0
    """how long ago a spell has ended that is long over"""
    over_from: float = 3.0
    """log odds from which there was such a spell"""
    oldest_h: float = 20 * 24.0
    """how long ago a leak may have begun"""
    screen: float = 0.09
    """probability of a leak from which its meters are looked at"""


@dataclass(frozen=True, slots=True, eq=False)
class Odds:
    """What is concluded of one zone."""

    leak: float
    """probability"""
    alternatives: dict[str, float]
    meter: int
    """column of the customer that explains the loss best, -1 if none was looked at"""
    begun_h: float
    """how long ago the leak seems to have begun"""
    flow_m3h: float
    """size of the leak"""
    sigma_m3h: float
    share: float
    """of the zone's flow"""


@dataclass(frozen=True, slots=True, eq=False)
class _White:
    """Zones' losses in units of their noise, and how to bring shapes there; z zones, b blocks."""

    inverse: Floats
    """(z, b, b)"""
    loss: Floats
    """(z, b)"""

    def take(self, rows: Ints) -> _White:
        """Return some zones."""
        return _White(self.inverse[rows], self.loss[rows])

    def of(self, shapes: Floats) -> Floats:
        """Return shapes (z, b, k) in the same units."""
        return np.asarray(self.inverse @ shapes)


def judged(blocks: Blocks, measured: Flags, config: HourlyConfig | None = None) -> Ints:
    """Return the zones of which enough is known: of the weeks before, and of the last day."""
    config = config or HourlyConfig()
    known = blocks.known
    recent = AGE_H < 30
    enough = (blocks.hours.sum(axis=0) >= config.least_known_h) & (known[recent].sum(axis=0) >= 2)
    return np.flatnonzero(measured & enough)


Members = Callable[[int], tuple[Ints, Floats, Floats]]
"""gives the columns of a zone's customers, and what they used and would have used in each block, (b, m)"""


def weigh_zones(
    blocks: Blocks,
    zones: Ints,
    members: Members,
    config: HourlyConfig | None = None,
    missed: Mapping[int, Floats] | None = None,
) -> dict[int, Odds]:
    """Return what explains the loss of each of the zones; `missed` is what known meters of a zone may miss, (b, k)."""
    config = config or HourlyConfig()
    if not len(zones):
        return {}
    known = blocks.known[:, zones].T
    hours, flow = (np.where(known, part[:, zones].T, 0.0) for part in (blocks.hours, blocks.flow))
    common, common_variance = _common(blocks, zones)
    sums = _Sums(hours, flow, np.where(known, blocks.loss[:, zones].T - common * flow, 0.0))
    noise = _covariance(blocks, zones, common_variance, config)
    usual = _guessed(blocks, zones, config) + _missed(zones, known, missed or {})
    white = _whitened(sums, noise, usual, config)
    mean = sums.mean
    since = np.tri(len(SIZES_H))[:, OLDEST:][None]
    span = SIZES_H[OLDEST:] / YEAR_H
    leaks, drifts = white.of(since * hours[:, :, None]), white.of(since * flow[:, :, None])
    leak, size, sigma = _ratio(leaks, white.loss, mean, config.leak_sigmas, above=True)
    grown, _, _ = _ratio(white.of(_grown()[None] * hours[:, :, None]), white.loss, mean, config.leak_sigmas, above=True)
    leak = np.logaddexp(leak + np.log1p(-config.growing), grown + np.log(config.growing))
    drift, _, _ = _ratio(drifts, white.loss, np.ones(len(mean)), config.drift_sigmas)
    spell = logsumexp(_spells(leaks, white.loss, mean, config), axis=1)
    leak += np.log(config.leak_rate * span)
    # what began when the window did cannot be told from what was always so: that is for the daily balance
    fresh = WINDOW_H - ENDS_H[OLDEST:] + SIZES_H[OLDEST:] <= config.oldest_h
    weights = {
        "leak": logsumexp(leak[:, fresh], axis=1),
        "drift": logsumexp(drift + np.log(config.drift_rate * span), axis=1),
        "ended": logsumexp(_ended(leaks, white.loss, mean, config), axis=1),
        "spell": spell,
        "nothing": np.logaddexp(0.0, logsumexp(leak[:, ~fresh], axis=1)),
    }
    total = logsumexp(np.stack(list(weights.values())), axis=0)
    result: dict[int, Odds] = {}
    for row, zone in enumerate(zones.tolist()):
        own = {name: float(weight[row]) for name, weight in weights.items()}
        meter = -1
        if own["leak"] - total[row] > np.log(config.screen):
            part = _White(white.inverse[row : row + 1], white.loss[row : row + 1])
            own["meter"], meter = _meters(*members(zone), part, config)
        whole = float(logsumexp(list(own.values())))
        chance = {name: float(np.exp(weight - whole)) for name, weight in own.items()}
        best = int(np.argmax(np.where(fresh, leak[row], -np.inf)))
        result[zone] = Odds(
            leak=chance["leak"],
            alternatives=chance,
            meter=meter,
            begun_h=float(WINDOW_H - ENDS_H[OLDEST + best] + SIZES_H[OLDEST + best]),
            flow_m3h=float(size[row, best]),
            sigma_m3h=float(sigma[row, best]),
            share=float(size[row, best] / max(mean[row], 1e-9)),
        )
    return result


def _grown() -> Floats:
    """Return how far a leak that began with some block has grown in each, as a share of its size now, (b, k)."""
    begin = AGE_H[OLDEST:] + SIZES_H[OLDEST:] / 2.0
    return np.maximum(1.0 - AGE_H[:, None] / begin[None, :], 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Block sums of z zones, 0 where unknown, (z, b)."""

    hours: Floats
    flow: Floats
    loss: Floats

    @property
    def mean(self) -> Floats:
        """Mean flow of each zone, m3/h, (z,)."""
        return np.asarray(self.flow.sum(axis=1) / np.maximum(self.hours.sum(axis=1), 1.0))

    def take(self, rows: Ints) -> _Sums:
        """Return some zones."""
        return _Sums(self.hours[rows], self.flow[rows], self.loss[rows])


def _common(blocks: Blocks, zones: Ints) -> tuple[Floats, Floats]:
    """Return by how much the loss rate of zones moved together in each block, and its variance, (z, b).

    Weather and season move the registers of all homes alike. It is the median over all other zones.
    """
    flow = blocks.flow[:, zones].T
    known = blocks.known[:, zones].T
    old = AGE_H > 5 * 24
    base = np.where(known & old, blocks.loss[:, zones].T, 0.0).sum(axis=1)
    base = base / np.maximum(np.where(known & old, flow, 0.0).sum(axis=1), 1e-9)
    rate = np.where(known, blocks.loss[:, zones].T / np.maximum(flow, 1e-9) - base[:, None], np.nan)
    variance = (blocks.white + 2.0 * blocks.register + blocks.guess**2)[:, zones].T / np.maximum(flow, 1e-9) ** 2
    common, spread = np.zeros(flow.shape), np.zeros(flow.shape)
    if len(zones) <= FEWEST_PEERS:
        return common, spread
    weight = np.where(known, 1.0 / np.sqrt(variance + 1e-6), 0.0)
    for row in range(len(zones)):
        others = np.arange(len(zones)) != row
        common[row] = _weighted_median(rate[others], weight[others])
    count = np.maximum(known.sum(axis=0) - 1, 1)
    off = np.sort(np.where(known, np.abs(rate - common), np.inf), axis=0)
    middle = off[np.minimum(known.sum(axis=0) // 2, len(off) - 1), np.arange(off.shape[1])]
    scatter = np.where(np.isfinite(middle), 1.4826 * middle, 0.0)
    return common, np.broadcast_to(1.57 * scatter**2 / count, flow.shape)


def _weighted_median(values: Floats, weight: Floats) -> Floats:
    """Return the weighted median over the first axis; 0 where too few are known."""
    order = np.argsort(np.where(weight > 0, values, np.inf), axis=0)
    ordered, heavy = np.take_along_axis(values, order, axis=0), np.take_along_axis(weight, order, axis=0)
    total = np.cumsum(heavy, axis=0)
    at = np.argmax(total >= 0.5 * total[-1:], axis=0)
    middle = np.take_along_axis(ordered, at[None, :], axis=0)[0]
    return np.where((weight > 0).sum(axis=0) >= FEWEST_PEERS, middle, 0.0)


def _covariance(blocks: Blocks, zones: Ints, common_variance: Floats, config: HourlyConfig) -> Floats:
    """Return the covariance of the block sums of each zone, without guesses and baselines, (z, b, b)."""
    known = blocks.known[:, zones].T
    flow = np.where(known, blocks.flow[:, zones].T, 0.0)
    register = blocks.register[zones]
    apart = np.abs(AGE_H[:, None] - AGE_H[None, :])
    slow = config.slow_sigma**2 * np.exp(-apart / config.slow_h)
    quick = config.quick_sigma**2 * np.exp(-apart / config.quick_h)
    result = flow[:, :, None] * flow[:, None, :] * (slow + quick)
    own = blocks.white[:, zones].T + 2.0 * register[:, None] + common_variance * flow**2
    number = np.arange(len(SIZES_H))
    result[:, number, number] += np.where(known, own, HUGE)
    beside = np.where(known[:, 1:] & known[:, :-1], -register[:, None], 0.0)
    result[:, number[1:], number[:-1]] += beside
    result[:, number[:-1], number[1:]] += beside
    return result


def _guessed(blocks: Blocks, zones: Ints, config: HourlyConfig) -> Floats:
    """Return the covariance of what is guessed of customers who are not read yet, (z, b, b)."""
    guess = np.where(blocks.known[:, zones].T, blocks.guess[:, zones].T, 0.0)
    apart = np.abs(AGE_H[:, None] - AGE_H[None, :])
    alike = np.exp(-apart / config.guess_h) + config.course_share * np.exp(-apart / config.course_h)
    return np.asarray(guess[:, :, None] * guess[:, None, :] * alike)


def _missed(zones: Ints, known: Flags, missed: Mapping[int, Floats]) -> Floats:
    """Return the covariance of what known meters may miss, (z, b, b)."""
    result = np.zeros((len(zones), len(SIZES_H), len(SIZES_H)))
    for row, zone in enumerate(zones.tolist()):
        if zone in missed:
            shapes = np.where(known[row][:, None], missed[zone], 0.0)
            result[row] = shapes @ shapes.T
    return result


def _whitened(sums: _Sums, noise: Floats, guess: Floats, config: HourlyConfig) -> _White:
    """Return the losses in units of their noise.

    A constant loss and a constant share of the flow are baselines of which nearly nothing is taken to be known, nor
    of the size of spells that are long over, and of losses that have ended long ago.
    """
    level = (config.level_sigma * sums.mean)[:, None] * sums.hours
    share = config.share_sigma * sums.flow
    base = guess + level[:, :, None] * level[:, None, :] + share[:, :, None] * share[:, None, :]
    white = _leveled(sums, noise, base, config)
    active: Ints = np.arange(len(base))
    begin, end = np.triu_indices(len(SIZES_H) - OLDEST, 1)
    old = AGE_H[OLDEST:] > config.over_h
    for _ in range(MOST_SPELLS):
        part, known = sums.take(active), white.take(active)
        since = np.tri(len(SIZES_H))[:, OLDEST:][None] * part.hours[:, :, None]
        shapes = known.of(since)
        spells = np.where(old[end], _spells(shapes, known.loss, part.mean, config)[:, :-1], NEVER)
        ends = np.where(old, _ended(shapes, known.loss, part.mean, config), NEVER)
        ratio = np.concatenate([spells, ends], axis=1)
        best = ratio.argmax(axis=1)
        rows = ratio[np.arange(len(ratio)), best] > config.over_from
        if not rows.any():
            break
        at, best = active[rows], best[rows]
        first = np.append(begin, np.arange(len(old)))[best]
        change = since[rows, :, first]
        spell = best < len(begin)
        change[spell] -= since[rows][spell, :, end[best[spell]]]
        change *= max(config.spell_sigmas) * part.mean[rows][:, None]
        base[at] += change[:, :, None] * change[:, None, :]
        again = _leveled(sums.take(at), noise[at], base[at], config)
        white.inverse[at], white.loss[at] = again.inverse, again.loss
        active = at
    return white


def _leveled(sums: _Sums, noise: Floats, base: Floats, config: HourlyConfig) -> _White:
    """Return the losses in units of their noise, whose level is that which the zone itself shows."""
    white = np.squeeze(_inverse(noise + base) @ sums.loss[:, :, None], axis=2)
    known = sums.hours > 0
    known[:, :OLDEST] = False
    middle = np.sort(np.where(known, np.abs(white), np.inf), axis=1)
    count = known.sum(axis=1)
    usual = 1.4826 * middle[np.arange(len(middle)), np.maximum(count - 1, 0) // 2]
    limit = 4.0 * np.maximum(usual, np.sqrt(config.least_scale))
    clipped = np.where(known, np.clip(white, -limit[:, None], limit[:, None]), 0.0)
    scale = np.maximum((clipped**2).sum(axis=1) / np.maximum(count, 1), config.least_scale)
    inverse = _inverse(noise * scale[:, None, None] + base)
    return _White(inverse, np.squeeze(inverse @ sums.loss[:, :, None], axis=2))


def _inverse(covariance: Floats) -> Floats:
    return np.asarray(np.linalg.inv(np.linalg.cholesky(covariance)))


def _ratio(
    shapes: Floats, loss: Floats, unit: Floats, sigmas: tuple[float, ...], *, above: bool = False
) -> tuple[Floats, Floats, Floats]:
    """Return log likelihood ratio, size and its standard deviation of each shape, (z, k).

    Sizes are taken to be normal about 0 with one of `sigmas` times `unit` (z,), all alike probable; with `above` none
    is below 0. The size is that under the widest.
    """
    mass = (shapes**2).sum(axis=1)
    pull = np.squeeze(shapes.transpose(0, 2, 1) @ loss[:, :, None], axis=2)
    ratios: list[Floats] = []
    for sigma in sigmas:
        prior = (sigma * unit[:, None]) ** -2
        variance = 1.0 / (mass + prior)
        size = pull * variance
        ratio = 0.5 * np.log(variance * prior) + 0.5 * size**2 / variance
        ratios.append(ratio + np.log(2.0) + log_ndtr(size / np.sqrt(variance)) if above else ratio)
    return logsumexp(np.stack(ratios), axis=0) - np.log(len(sigmas)), size, np.sqrt(variance)


def _spells(since: Floats, loss: Floats, mean: Floats, config: HourlyConfig) -> Floats:
    """Return the log weight of changes that began and ended again, either way, (z, pairs + 1).

    The last of them is one in the newest block, which has not ended yet.
    """
    gram = since.transpose(0, 2, 1) @ since
    pull = np.squeeze(since.transpose(0, 2, 1) @ loss[:, :, None], axis=2)
    begin, end = np.triu_indices(gram.shape[1], 1)
    own = np.einsum("zkk->zk", gram)
    mass = own[:, begin] + own[:, end] - 2.0 * gram[:, begin, end]
    drawn = pull[:, begin] - pull[:, end]
    ratios: list[Floats] = []
    for sigma in config.spell_sigmas:
        prior = (sigma * mean[:, None]) ** -2
        ratios.append(0.5 * np.log(prior / (mass + prior)) + 0.5 * drawn**2 / (mass + prior))
    ratio = logsumexp(np.stack(ratios), axis=0) - np.log(len(ratios))
    # what loses more than in all the days before is no end of a spell in which less was lost, but the begin of a loss
    long = AGE_H[OLDEST:][begin] - AGE_H[OLDEST:][end] > LONG_H
    ratio = np.where(long[None, :] & (drawn < 0), NEVER, ratio)
    last, _, _ = _ratio(since[:, :, -1:], loss, mean, config.spell_sigmas)
    rate = np.log(config.spell_rate) + _span_weight(begin, end)
    lasting = np.log(config.spell_rate * SIZES_H[-1] / YEAR_H)
    return np.concatenate([ratio + rate, last + lasting], axis=1)


def _ended(since: Floats, loss: Floats, mean: Floats, config: HourlyConfig) -> Floats:
    """Return the log weight of a loss from before the window that ended with the begin of each block, (z, k)."""
    ratio, _, _ = _ratio(-since, loss, mean, config.leak_sigmas, above=True)
    return np.asarray(ratio + np.log(config.end_rate * SIZES_H[OLDEST:] / YEAR_H))


def _span_weight(begin: Ints, end: Ints) -> Floats:
    """Return the log of years in which a spell may begin, times the chance that it ends in a certain block."""
    sizes = SIZES_H[OLDEST:]
    lasted = (AGE_H[OLDEST:][begin] - AGE_H[OLDEST:][end]) / 24.0
    # lengths spread evenly over orders of magnitude, from hours to weeks
    chance = sizes[end] / 24.0 / np.maximum(lasted, 0.1) / np.log(28.0 * 12.0)
    return np.asarray(np.log(sizes[begin] / YEAR_H) + np.log(np.minimum(chance, 1.0)))


def _meters(members: Ints, use: Floats, usual: Floats, white: _White, config: HourlyConfig) -> tuple[float, int]:
    """Return the log weight of one of the zone's meters counting less than its customer uses, and which does so best.

    What a meter counts less is what its customer was used to, times what its class did, less what it counted; the
    zone has to lose just that.
    """
    if not len(members):
        return -np.inf, -1
    begins = np.arange(OLDEST + 4, len(SIZES_H) - 1, 2)
    weights = np.full((len(begins), len(members)), -np.inf)
    for number, begin in enumerate(begins):
        level = use[:begin].sum(axis=0) / np.maximum(usual[:begin].sum(axis=0), 1e-9)
        expected = np.where(np.arange(len(SIZES_H))[:, None] >= begin, level[None, :] * usual, 0.0)
        missing = np.where(np.arange(len(SIZES_H))[:, None] >= begin, expected - use, 0.0)
        total = expected.sum(axis=0)
        share = missing.sum(axis=0) / np.maximum(total, 1e-9)
        days = SIZES_H[begin:].sum() / 24.0
        spread = np.hypot(0.15, 0.5 / np.sqrt(days))
        # what a tampered or stopped meter misses lies anywhere above a fifth; an honest one's use only wanders
        own = np.where(share > 0.2, np.log(1.25) + 0.5 * (share / spread) ** 2 + np.log(spread * 2.5066), -np.inf)
        shape = white.of(missing[None])[0]
        mass, pull = (shape**2).sum(axis=0), shape.T @ white.loss[0]
        prior = 0.25**-2
        ratio = 0.5 * ((pull + prior) ** 2 / (mass + prior) - prior) - 0.5 * np.log1p(mass / prior)
        rate = np.log(config.meter_rate * SIZES_H[begin : begin + 2].sum() / YEAR_H)
        weights[number] = np.where(total > 0, rate + ratio + np.minimum(own, 5.0), -np.inf)
    best = np.unravel_index(int(np.argmax(weights)), weights.shape)
    return float(logsumexp(weights)), int(members[best[1]])
