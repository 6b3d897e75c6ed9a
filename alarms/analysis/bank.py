"""A bank of hypotheses for the unexplained loss of one zone, weighed against each other. Pure.

Each hypothesis says since which gas day something is wrong: a leak of constant size; a meter whose customer goes on
using gas as before while the register counts less (theft) or nothing (a stopped meter, or theft). A hypothesis about
a meter must explain two things at once: that the register counts less than the customer's own past and its peers
lead to expect, and that the zone loses just this difference. An absence explains only the first, a leak only the
second. Weights are likelihood ratios times prior rates, so that they compare across hypotheses and zones.

Sums over the days before and from each possible first day come from cumulative sums, so that the cost is one pass
over days x meters, whatever the number of first days.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

NEVER = -1e9
"""log weight of what cannot be"""


@dataclass(frozen=True, slots=True)
class BankConfig:
    """Prior rates per day, and how well things are known."""

    leak_rate: float = 0.5 / 365.0
    """of one zone"""
    stop_rate: float = 0.003 / 365.0
    """of one meter; about one in five hundred is found stopped when homes are visited"""
    theft_rate: float = 0.0006 / 365.0
    """of one home"""
    business_theft_factor: float = 10.0
    """a business has more to gain"""
    less_use_rate: float = 0.004
    """of a customer honestly beginning to use less, or nothing"""
    long_absence_d: float = 60.0
    short_absence_d: float = 7.0
    long_share: float = 0.15
    leak_sigma: float = 0.05
    """of a leak's size, as a share of the zone's supply"""
    size_sigma: float = 0.2
    """of what is missing, as a share of what the deficit makes it"""
    least_missing: float = 0.25
    """share of the expected use that must be missing, to speak of theft"""
    least_days: int = 10
    """assessable days before the first day of anything"""
    baseline_days: int = 28
    rate_floor: float = 0.001
    """least day-to-day noise of a loss rate"""
    accept: float = 0.5
    """probability from which a hypothesis is taken for true"""
    most_cases: int = 6
    """in one zone at one time"""


@dataclass(frozen=True, slots=True, eq=False)
class ZoneDays:
    """What is known of one zone: d days, m meters; base m3, NaN where unknown."""

    loss: Floats
    """(d,); NaN on days that cannot be assessed"""
    supply: Floats
    noise_variance: Floats
    """of the loss, m3 squared, as far as it is known from how it was made, (d,)"""
    use: Floats
    shape: Floats
    """what peers did, relative to their own level, (d, m)"""
    rests: NDArray[np.int64]
    """length of the run of days without use that ends on each day, (d, m)"""
    absences: Floats
    """share of the meter's peers whose rest began on each day or next to it, (d, m)"""
    business: Flags
    """(m,)"""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """An accepted hypothesis. `meter` is -1 for a leak."""

    meter: int
    first_day: int
    probability: float
    expected: Floats
    """of the meter, (d,); empty for a leak"""
    missing: Floats
    """what the hypothesis takes from the zone's loss, (d,)"""
    at_rest: bool
    leak: float
    """probability of a leak instead"""
    nothing: float
    """probability that nothing is wrong"""
    others: float
    """probability that another meter is the cause"""

    @property
    def size_m3_per_day(self) -> float:
        """Mean of what is missing since the first day."""
        return float(self.missing[self.first_day :].mean())


@dataclass(frozen=True, slots=True, eq=False)
class Past:
    """What the days before each possible first day lead to expect; shapes (d, m) unless said."""

    base: Floats
    slope: Floats
    variance: Floats
    zero_share: Floats
    usable: Flags
    rate: Floats
    """the zone's usual loss rate, (d,)"""
    days: Floats
    """number of days behind `rate`, (d,)"""


def before(values: Floats) -> Floats:
    """Return sums over all days before each day."""
    total = np.cumsum(values, axis=0)
    return np.asarray(np.concatenate([np.zeros_like(total[:1]), total[:-1]]))


def since(values: Floats) -> Floats:
    """Return sums over each day and all later ones."""
    return np.asarray(np.cumsum(values[::-1], axis=0)[::-1])


def weigh(zone: ZoneDays, config: BankConfig) -> list[Case]:
    """Return what is wrong in a zone, most telling case first: each explains a part of the loss."""
    good = np.isfinite(zone.loss) & (zone.supply > 0)
    if good.sum() <= config.least_days or not good[-1]:
        return []
    trial = _Trial(zone, config, good, _day_weight(zone, good, config), _past(zone, good, config), zone.loss)
    cases: list[Case] = []
    while len(cases) < config.most_cases:
        _, leak = trial.leak()
        if leak.max() + np.log(config.leak_rate) < -1.0 and not cases:
            break
        meters = trial.meters()
        meters[:, [case.meter for case in cases if case.meter >= 0]] = NEVER
        case = trial.best(meters)
        if case is None or (case.meter < 0 and any(other.meter < 0 for other in cases)):
            break
        cases.append(case)
        trial = trial.without(case)
    return cases


def _past(zone: ZoneDays, good: Flags, config: BankConfig) -> Past:
    known = np.isfinite(zone.use)
    train = known & (zone.rests < 2)
    use, shape = np.where(train, zone.use, 0.0), np.where(train, zone.shape, 0.0)
    count, s_w, s_ww = before(train.astype(np.float64)), before(shape), before(shape**2)
    s_u, s_wu, s_uu = before(use), before(shape * use), before(use**2)
    # a constant use beside the one that follows the peers is believed only when the past shows it
    ridge = count + 5.0
    det = np.maximum(ridge * s_ww - s_w**2, 1e-9)
    base, slope = (s_u * s_ww - s_w * s_wu) / det, (ridge * s_wu - s_w * s_u) / det
    error = s_uu - 2.0 * (base * s_u + slope * s_wu) + base**2 * count + 2.0 * base * slope * s_w + slope**2 * s_ww
    level = s_u / np.maximum(count, 1.0)
    variance = np.maximum(error, 0.0) / np.maximum(count - 2.0, 1.0) + np.maximum(0.05 * level, 1e-3) ** 2
    zeros = before((known & (zone.rests == 1)).astype(np.float64))
    rate, days = _usual_rate(zone, good, config)
    return Past(base, slope, variance, (zeros + 0.5) / (count + 1.0), count >= config.least_days, rate, days)


def _usual_rate(zone: ZoneDays, good: Flags, config: BankConfig) -> tuple[Floats, Floats]:
    """Return the mean loss rate of the last weeks before each day, and of how many days it is."""
    rate = np.where(good, zone.loss / np.where(good, zone.supply, 1.0), np.nan)
    middle = np.nanmedian(rate)
    spread = 4.0 * max(1.4826 * float(np.nanmedian(np.abs(rate - middle))), config.rate_floor)
    clipped = np.where(good, np.clip(rate, middle - spread, middle + spread), 0.0)
    total, count = before(clipped), before(good.astype(np.float64))
    back = np.maximum(np.arange(len(rate)) - config.baseline_days, 0)
    days = count - count[back]
    return (total - total[back]) / np.maximum(days, 1.0), days


def _day_weight(zone: ZoneDays, good: Flags, config: BankConfig) -> Floats:
    """Return one over the variance of each day's loss about the usual rate, 0 on days that cannot be assessed.

    The noise is taken from differences of neighbouring days, which no lasting loss disturbs; what neighbouring days
    have in common counts as if there were fewer of them.
    """
    rate = zone.loss[good] / zone.supply[good]
    jump = np.diff(rate)
    noise = max(1.4826 * float(np.median(np.abs(jump))) / np.sqrt(2.0), config.rate_floor) if len(jump) else 1.0
    memory = _memory(rate[np.abs(rate - np.median(rate)) < 6.0 * noise])
    variance = (noise * zone.supply) ** 2 * (1.0 + memory) / (1.0 - memory) + np.nan_to_num(zone.noise_variance)
    return np.where(good, 1.0 / np.where(good, np.maximum(variance, 1e-12), 1.0), 0.0)


def _memory(rate: Floats) -> float:
    """Return the correlation of one day's loss rate with the next, within what is plausible."""
    if len(rate) < 7:
        return 0.4
    centred = rate - np.median(rate)
    energy = float((centred**2).sum())
    return float(np.clip((centred[1:] * centred[:-1]).sum() / energy, 0.2, 0.7)) if energy > 0 else 0.2


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
    """One round: which hypothesis explains best what is left of the loss."""

    zone: ZoneDays
    config: BankConfig
    good: Flags
    """days that can be assessed, (d,)"""
    weight: Floats
    """one over the variance of each day's loss, (d,)"""
    past: Past
    loss: Floats
    """what is left of it, (d,)"""

    @property
    def possible(self) -> Flags:
        """First days with enough past and something after it, (d,)."""
        return np.asarray((self.past.days >= self.config.least_days) & (self.later >= 1))

    @property
    def later(self) -> Floats:
        """Number of assessable days since each day, (d,)."""
        return since(self.good.astype(np.float64))

    @property
    def shrink(self) -> Floats:
        """By how much all evidence since a day shrinks, as the usual rate is known from few days only, (d,)."""
        return np.asarray(self.past.days / np.maximum(self.past.days + self.later, 1.0))

    def lost(self) -> tuple[Floats, Floats]:
        """Return loss and supply with 0 on days that cannot be assessed, (d,)."""
        return np.where(self.good, self.loss, 0.0), np.where(self.good, self.zone.supply, 0.0)

    def leak(self) -> tuple[Floats, Floats]:
        """Return, per first day, the size of a leak in m3 a day and the log likelihood ratio of its being there."""
        lost, supplied = self.lost()
        pull = self.shrink * (since(self.weight * lost) - self.past.rate * since(self.weight * supplied))
        mass = self.shrink * since(self.weight)
        sigma = self.config.leak_sigma * float(supplied.sum() / self.good.sum())
        size = pull / (mass + sigma**-2)
        ratio = 0.5 * pull * size - 0.5 * np.log1p(mass * sigma**2)
        return size, np.where(self.possible & (pull > 0), ratio, NEVER)

    def meters(self) -> Floats:
        """Return the log weight of each (first day, meter): its customer uses as before, its register counts less."""
        zone, past, config = self.zone, self.past, self.config
        seen = self.good[:, None] & np.isfinite(zone.use)
        use, shape = np.where(seen, zone.use, 0.0), np.where(seen, zone.shape, 0.0)
        count = since(seen.astype(np.float64))
        expected = past.base * count + past.slope * since(shape)
        missing = expected - since(use)
        pull, match = self._match(seen, use, shape)
        own = np.sign(missing) * missing**2 / (4.0 * np.maximum(count, 1.0) * past.variance) - 0.5 * np.log1p(count)
        own = np.where(self._at_rest(), -np.log(past.zero_share) * count, own)
        fault, honest = self._rates(count)
        possible = self.possible[:, None] & past.usable & (count >= 1) & seen[-1][None, :] & (pull > 0)
        possible &= missing >= config.least_missing * np.maximum(expected, 1e-9)
        return np.where(possible, fault + match + own - np.logaddexp(0.0, honest + own), NEVER)

    def _match(self, seen: Flags, use: Floats, shape: Floats) -> tuple[Floats, Floats]:
        """Return how far the loss goes along with each deficit, and the log likelihood ratio of its being the cause."""
        past, heavy = self.past, np.where(seen, self.weight[:, None], 0.0)
        lost, supplied = (column[:, None] for column in self.lost())
        usual = past.rate[:, None]

        def along(column: Floats) -> Floats:
            """Sum weight x column x deficit over the days since each first day."""
            deficit = past.base * since(heavy * column) + past.slope * since(heavy * column * shape)
            return np.asarray(deficit - since(heavy * column * use))

        shrink, count = self.shrink[:, None], since(seen.astype(np.float64))
        pull = shrink * (along(lost) - usual * along(supplied))
        mass = shrink * (past.base * along(np.ones_like(use)) + past.slope * along(shape) - along(use))
        excess = since(heavy * lost**2) - 2.0 * usual * since(heavy * lost * supplied)
        excess = shrink * (excess + usual**2 * since(heavy * supplied**2))
        # a customer's own ups and downs, which peers cannot foretell, come on top of the zone's noise
        trust = 1.0 / (1.0 + past.variance * since(heavy) / np.maximum(count, 1.0))
        prior = self.config.size_sigma**-2
        ratio = 0.5 * ((trust * pull + prior) ** 2 / (trust * mass + prior) - prior) - 0.5 * np.log1p(
            trust * mass / prior
        )
        return pull, ratio + 0.5 * (1.0 - trust) * excess + 0.5 * count * np.log(trust)

    def _at_rest(self) -> Flags:
        """Mark the days of each meter's rest that lasts until now, (d, m)."""
        first = len(self.zone.rests) - self.zone.rests[-1]
        return np.asarray(np.arange(len(self.loss))[:, None] >= first[None, :])

    def _rates(self, count: Floats) -> tuple[Floats, Floats]:
        """Return log rates per day of a fault beginning, and of honestly using less, or nothing for so long."""
        config, at_rest = self.config, self._at_rest()
        theft = config.theft_rate * np.where(self.zone.business, config.business_theft_factor, 1.0)[None, :]
        fault = np.log(np.where(at_rest, theft + config.stop_rate, theft))
        stay = config.long_share * np.exp(-count / config.long_absence_d)
        stay = stay + (1.0 - config.long_share) * np.exp(-count / config.short_absence_d)
        away = np.maximum(config.less_use_rate, self.zone.absences) * stay
        return fault, np.log(np.where(at_rest, away, config.less_use_rate))

    def without(self, case: Case) -> _Trial:
        """Return the trial of what a case leaves unexplained, less certain by what the case is uncertain."""
        if case.meter < 0:
            return replace(self, loss=self.loss - case.missing)
        variance = self.past.variance[case.first_day, case.meter]
        later = np.arange(len(self.loss)) >= case.first_day
        weight = np.where(later, self.weight / (1.0 + self.weight * variance), self.weight)
        return replace(self, loss=self.loss - case.missing, weight=weight)

    def best(self, meters: Floats) -> Case | None:
        """Return the most probable hypothesis if it is probable enough."""
        size, ratio = self.leak()
        leak = ratio + np.log(self.config.leak_rate)
        of_meter = logsumexp(meters, axis=0)
        of_leak = float(logsumexp(leak))
        total = float(logsumexp(np.concatenate([of_meter, [of_leak, 0.0]])))
        chance = np.exp(of_meter - total)
        p_leak, nothing = float(np.exp(of_leak - total)), float(np.exp(-total))
        meter = int(np.argmax(chance)) if len(chance) else -1
        p_meter = float(chance[meter]) if len(chance) else 0.0
        if max(p_meter, p_leak) < self.config.accept:
            return None
        days = np.arange(len(self.loss))
        if p_leak >= p_meter:
            first = int(np.argmax(leak))
            missing = np.where(days >= first, size[first], 0.0)
            return Case(-1, first, p_leak, np.empty(0), missing, False, p_leak, nothing, float(chance.sum()))
        first = int(np.argmax(meters[:, meter]))
        expected = self.past.base[first, meter] + self.past.slope[first, meter] * self.zone.shape[:, meter]
        use = self.zone.use[:, meter]
        missing = np.where((days >= first) & np.isfinite(use), expected - np.nan_to_num(use), 0.0)
        at_rest = bool(self._at_rest()[first, meter])
        others = float(chance.sum()) - p_meter
        return Case(meter, first, p_meter, expected, missing, at_rest, p_leak, nothing, others)
