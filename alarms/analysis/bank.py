"""A bank of hypotheses for the unexplained loss of one zone, weighed against each other. Pure.

Each hypothesis says since which gas day something is wrong: a leak of constant size, which may have ended; a meter
at rest whose customer goes on using gas; a meter that counts a share of what passes it, or nothing on some days. A
hypothesis about a meter must explain two things at once: that the register counts less than the customer's own past
and its peers lead to expect, and that the zone loses just this difference. An absence explains only the first, a leak
only the second. Weights are likelihood ratios times prior rates, so that they compare across hypotheses and zones.

The zone's word is a likelihood ratio by generalised least squares (`likelihood`). For a course that is zero before a
first day its sums for all first days come from cumulative sums, so that the cost is that of one product of the days'
matrix with days x meters, whatever the number of first days.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.bank_config import BankConfig
from alarms.analysis.hypotheses import Case, Form, ZoneDays
from alarms.analysis.likelihood import (
    Innovations,
    Scatter,
    Sums,
    innovations,
    left_open,
    less_sure,
    logsumexp,
    positive,
    ratio,
    size_of,
)
from alarms.analysis.noise import precision
from alarms.analysis.past import Past, since

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

ENDS_EVERY_D = 5
"""so finely the ends of leaks that are over are tried"""
RECENT_D = 3
"""a zone and a meter are judged if one of so many last days is known"""
RESTS_D = 3
"""days without use that are more than a day off"""
LEAST_SUPPLY_M3 = 0.001
"""a zone that takes less a day is one without use"""
RAREST = -12.0
"""log rate of honest rests where they are left out of account"""
HOPELESS = -9.0
"""log weight below which a meter is not looked at again once others explain a part of the loss"""
BLOCK_D = 10
"""so long what is missing may be more or less than usual"""
NEVER = -1e9
"""log weight of what cannot be"""


def weigh(zone: ZoneDays, config: BankConfig) -> list[Case]:
    """Return what is wrong in a zone, most telling case first: each explains a part of the loss.

    Behind the accepted ones stand those that are only suspected.
    """
    good = np.isfinite(zone.loss) & (zone.supply > 0)
    if good.sum() <= config.least_days or not good[-RECENT_D:].any():
        return []
    told = precision(
        zone.loss,
        zone.supply,
        known_variance=zone.noise_variance,
        unread_variance=zone.unread_variance,
        steady=zone.steady,
        warmth=zone.warmth,
        use=np.nan_to_num(zone.use),
        config=config.noise,
    )
    if not config.memory:
        told = np.diag(np.diag(told))
    trial = Trial(zone, config, zone.past, good, told, np.where(good, zone.loss, 0.0), np.arange(zone.use.shape[1]))
    cases: list[Case] = []
    while True:
        weights = trial.weights({case.meter for case in cases})
        case = weights.best()
        if case is None or case.probability < config.accept or len(cases) == config.most_cases:
            return _one_leak([case for case in cases if case.lasts] + weights.suspects())
        cases.append(case)
        trial = trial.without(case).of_meters(weights.plausible())


def _one_leak(cases: list[Case]) -> list[Case]:
    """Join the leaks of a zone in the first of them."""
    leaks = [case for case in cases if case.meter < 0]
    if len(leaks) < 2:
        return cases
    sure = [case for case in leaks if case.probability >= 0.5] or leaks[:1]
    joined = replace(sure[0], missing=np.sum([case.missing for case in sure], axis=0))
    return [joined if case is leaks[0] else case for case in cases if case.meter >= 0 or case is leaks[0]]


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One round: which hypothesis explains best what is left of the loss."""

    zone: ZoneDays
    config: BankConfig
    past: Past
    good: Flags
    """days that can be assessed, (d,)"""
    told: Floats
    """inverse covariance of the loss, (d, d)"""
    loss: Floats
    """what is left of it; 0 on days that cannot be assessed, (d,)"""
    number: NDArray[np.int64]
    """of each meter in the zone, (m,)"""

    def of_meters(self, chosen: NDArray[np.int64]) -> Trial:
        """Return the trial of some of the meters."""
        return replace(
            self, zone=self.zone.of_meters(chosen), past=self.past.of_meters(chosen), number=self.number[chosen]
        )

    def weights(self, taken: set[int]) -> Weights:
        """Weigh all hypotheses; meters that are `taken` have none."""
        days = innovations(self.told, self.loss, least_days=self.config.scale_days, freedom=self.config.freedom)
        leak, size, ends = self._leak(days)
        meters, sizes = self._meters(days.scatter())
        for table in meters.values():
            table[:, np.isin(self.number, list(taken))] = NEVER
        return Weights(self, leak, size, ends, meters, sizes)

    def _leak(self, days_off: Innovations) -> tuple[Floats, Floats, NDArray[np.int64]]:
        """Return log weight and size (m3 a day) of a leak from each first to before each of some days, (d, e)."""
        config, days = self.config, len(self.loss)
        run = np.append(since(self.told @ self.loss), 0.0)
        block = np.zeros((days + 1, days + 1))
        block[:-1, :-1] = since(since(self.told).T)
        ends = np.append(np.arange(0, days, ENDS_EVERY_D), days)
        pull = run[:-1, None] - run[None, ends]
        own = np.diag(block)
        mass = np.maximum(own[:-1, None] - 2.0 * block[:-1, ends] + own[None, ends], 0.0)
        sizes = [share * self._mean_supply for share in config.leak_sizes]
        within = days_off.scatter(ends)
        weight = logsumexp(np.stack([positive(pull, mass, size, within) for size in sizes])) - np.log(len(sizes))
        weight = config.temper * weight + np.log(config.leak_rate)
        weight[:, :-1] += np.log(config.mend_rate * ENDS_EVERY_D)
        count = np.append(0.0, np.cumsum(self.good))
        # what a zone lost since before the first day began at an unknown time
        weight[0] += np.log(config.leak_before / config.leak_rate)
        early = np.append(False, count[1:-1] < config.least_days)
        possible = ~early[:, None] & (count[None, ends] > count[:-1, None]) & (pull > 0)
        return np.where(possible, weight, NEVER), pull / (mass + sizes[-1] ** -2), ends

    def _meters(self, scattered: Scatter) -> tuple[dict[Form, Floats], dict[Form, Floats]]:
        """Return the log weights of (first day, meter) by form, and the size: the factor of what is missing."""
        zone, past, config = self.zone, self.past, self.config
        seen = self.good[:, None] & np.isfinite(zone.use)
        one, use, shape = seen.astype(np.float64), np.where(seen, zone.use, 0.0), np.where(seen, zone.shape, 0.0)
        sums = Sums(self.told, self.loss)
        later = dict(zip(("one", "use", "shape"), sums.later(one, use, shape), strict=True))
        count, used = since(one), since(use)
        recent = np.asarray(seen[-RECENT_D:].any(axis=0))
        expected = past.base * count + past.slope * since(shape)
        missing = expected - used
        # what only peers' course leads to expect beyond what was seen: homes differ in how they heat
        beyond = config.beyond_sigma * np.abs(past.slope * (since(shape) - count * past.course))
        sigma_less = np.hypot(config.size_sigma, beyond / np.maximum(expected, 1e-9))
        pull_use = sums.pull(use)
        pull = past.base * sums.pull(one) + past.slope * sums.pull(shape) - pull_use
        mass_use = sums.both(use, use, later["use"], later["use"])
        mass = past.base**2 * sums.both(one, one, later["one"], later["one"]) + mass_use
        mass += past.slope**2 * sums.both(shape, shape, later["shape"], later["shape"])
        mass += 2.0 * past.base * past.slope * sums.both(one, shape, later["one"], later["shape"])
        mass -= 2.0 * past.base * sums.both(one, use, later["one"], later["use"])
        mass -= 2.0 * past.slope * sums.both(shape, use, later["shape"], later["use"])
        mass = np.maximum(mass, 0.0)
        trust = self._trust(seen, count)
        word = config.temper if config.match else 0.0
        less = word * self._shaken(
            ratio(trust * pull, trust * mass, 1.0, sigma_less, scattered.times(trust)), trust, scattered
        )
        part = np.clip(missing / np.maximum(used, 1e-9), 0.1, 20.0)
        share = word * ratio(pull_use, mass_use, part, 0.35 * part + 0.05, scattered)
        spread = 4.0 * np.maximum(count, 1.0) * past.variance + 2.0 * beyond**2
        own = np.sign(missing) * missing**2 / spread - 0.5 * np.log1p(count)
        theft = config.theft_rate * np.where(zone.business, config.business_theft_factor, 1.0)
        slow, theft = np.log(theft + config.slow_rate), np.log(theft)
        lasting = (1.0 - config.lasting_share) * np.exp(-count / config.less_use_d) + config.lasting_share
        honest = np.log(np.maximum(config.less_use_rate * lasting, zone.usual_less / (count + 3.0)))
        known = own - np.logaddexp(0.0, honest + own)
        possible = past.usable & (count >= 1) & recent[None, :] & (missing >= config.least_missing * expected)
        possible &= expected > 0
        share = np.where(possible & (pull_use > 0), share + known + slow[None, :], NEVER)
        always = ratio(pull_use[:1], mass_use[:1], 1.0, config.before_sigma, scattered.first())[0]
        least = np.log(config.since_before) + config.before_temper * word * always
        told = recent & (count[0] >= config.before_days)
        share[0] = np.where(told & (pull_use[0] > 0), least, NEVER)
        known_part = np.concatenate([np.ones_like(part[:1]), part[1:]])
        sigma = 0.35 * known_part + 0.05
        sigma[0] = config.before_sigma
        whole = size_of(pull, mass, 1.0, sigma_less)
        part = np.maximum(size_of(pull_use, mass_use, known_part, sigma), 0.0)
        fits = (pull > 0) & (whole >= config.least_size) if config.match else np.ones_like(possible)
        share[part < config.least_share] = NEVER
        rests = self._rests(zone.rests[-1], less, possible & fits, theft)
        # from then on a register at rest is at rest, which has reasons of its own
        possible &= np.arange(len(use))[:, None] < np.where(zone.rests[-1] > 0, self._last_moved(), len(use))[None, :]
        then = np.where(zone.rests[-1] >= RESTS_D, np.log(config.then_rests), 0.0)
        sizes: dict[Form, Floats] = {
            "rest": whole,
            "less": whole,
            "share": part,
        }
        weights: dict[Form, Floats] = {
            "rest": rests,
            "less": np.where(possible & fits & config.shares, less + known + (theft + then)[None, :], NEVER),
            "share": np.where((possible | (np.arange(len(use)) == 0)[:, None]) & config.shares, share, NEVER),
        }
        return weights, sizes

    def _trust(self, seen: Flags, count: Floats) -> Floats:
        """Return by how much less a day's loss tells where a customer's own ups and downs come on top, (d, m)."""
        mean = since(np.where(seen, np.diag(self.told)[:, None], 0.0)) / np.maximum(count, 1.0)
        return np.asarray(1.0 / (1.0 + self.past.variance * mean))

    def _shaken(self, alone: Floats, trust: Floats, scattered: Scatter) -> Floats:
        """Return the ratio of a deficit, judged against a leak of the same days with the same noise on both.

        `alone` is the ratio to nothing with the customer's ups and downs as noise; so large a noise would hide what is
        plain, that the zone loses gas at all, and is laid upon the leak too.
        """
        pull, mass = since(self.told @ self.loss)[:, None], since(since(self.told).T).diagonal()[:, None]
        size = np.maximum(pull / np.maximum(mass, 1e-12), self.config.leak_sizes[0] * self._mean_supply)
        plain = ratio(pull, mass, 0.0, size, scattered)
        plain = plain - ratio(trust * pull, trust * mass, 0.0, size, scattered.times(trust))
        return alone + np.where((alone >= self.config.least_plain) & (pull > 0), plain, 0.0)

    @property
    def _mean_supply(self) -> float:
        return max(float(self.zone.supply[self.good].mean()), LEAST_SUPPLY_M3)

    def _last_moved(self) -> NDArray[np.int64]:
        """Return the last day on which each meter moved, -1 where there is none, (m,)."""
        moved = np.isfinite(self.zone.use) & (self.zone.rests == 0)
        return np.asarray(np.where(moved, np.arange(len(moved))[:, None], -1).max(axis=0))

    def _rests(self, length: NDArray[np.int64], less: Floats, possible: Flags, theft: Floats) -> Floats:
        """Return the log weights of registers at rest, each from the first day of the rest that lasts until now."""
        days, meters = less.shape
        after = self._last_moved() + 1
        column = np.arange(meters)
        fault = np.logaddexp(theft, np.log(self.config.stop_rate))
        result = np.full((days, meters), NEVER)
        for back in (0, 1):  # it may have stopped within the day before
            first = np.clip(after - back, 0, days - 1)
            weight = fault + less[first, column] - (self.zone.absent if self.config.vacancy else RAREST)
            result[first, column] = np.where((length > 0) & possible[first, column], weight, NEVER)
        return result

    def without(self, case: Case) -> Trial:
        """Return the trial of what a case leaves unexplained, with the case's size left open within its sigma."""
        missing = np.where(self.good, case.missing, 0.0)
        days = np.arange(len(missing)) - case.first_day
        blocks = np.where(
            (days[:, None] // BLOCK_D) == np.arange(days[-1] // BLOCK_D + 1)[None, :], missing[:, None], 0
        )
        whole, part = (0.5, 0.05) if case.meter < 0 else (self.config.size_sigma, 0.2)
        courses = np.concatenate([whole * missing[:, None], part * blocks], axis=1)
        told = left_open(self.told, courses)
        if case.meter >= 0 and case.form != "share":
            at = int(np.flatnonzero(self.number == case.meter)[0])
            told = less_sure(told, missing > 0, self.past.variance[case.first_day, at])
        return replace(self, told=told, loss=self.loss - missing)


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Log weights of all hypotheses of one round."""

    trial: Trial
    leak: Floats
    """(first day, end)"""
    size: Floats
    ends: NDArray[np.int64]
    """days after the last of a leak, (e,)"""
    meters: dict[Form, Floats]
    """form -> (first day, meter)"""
    sizes: dict[Form, Floats]

    def best(self) -> Case | None:
        """Return the most probable hypothesis."""
        chance, p_leak, p_over, nothing = self._chances()
        most = float(chance.max()) if len(chance) else 0.0
        if max(most, p_leak, p_over) <= 0.0:
            return None
        if max(p_leak, p_over) >= most:
            return self._leak_case(p_leak, p_over, nothing, float(chance.sum()))
        return self._meter_case(int(np.argmax(chance)), chance, p_leak, nothing)

    def plausible(self) -> NDArray[np.int64]:
        """Return the columns of meters that are worth another look when a part of the loss is explained."""
        return np.flatnonzero(np.concatenate(list(self.meters.values())).max(axis=0) >= HOPELESS)

    def suspects(self) -> list[Case]:
        """Return all that is not probable but not improbable either, most probable first."""
        chance, p_leak, _over, nothing = self._chances()
        found = [
            self._meter_case(int(meter), chance, p_leak, nothing)
            for meter in np.flatnonzero(chance >= self.trial.config.suspect)
        ]
        leak = self._leak_case(p_leak, 0.0, nothing, float(chance.sum()))
        if p_leak >= self.trial.config.suspect and leak.lasts:
            found.append(leak)
        return sorted(found, key=lambda case: -case.probability)

    def _chances(self) -> tuple[Floats, float, float, float]:
        """Return the probabilities of each meter, of a leak, of one that is over, and of nothing."""
        tables = np.concatenate(list(self.meters.values()))
        of_meter = logsumexp(tables)
        of_leak, of_over = float(logsumexp(self.leak[:, -1])), float(logsumexp(self.leak[:, :-1].ravel()))
        total = float(logsumexp(np.concatenate([of_meter, [of_leak, of_over, 0.0]])))
        return np.exp(of_meter - total), float(np.exp(of_leak - total)), float(np.exp(of_over - total)), np.exp(-total)

    def _leak_case(self, p_leak: float, p_over: float, nothing: float, others: float) -> Case:
        days = np.arange(len(self.leak))
        lasts = p_leak >= p_over
        at = self.leak[:, -1] if lasts else self.leak[:, :-1].max(axis=1)
        first = int(np.argmax(at))
        end = -1 if lasts else int(np.argmax(self.leak[first, :-1]))
        missing = np.where((days >= first) & (days < self.ends[end]), self.size[first, end], 0.0)
        p = max(p_leak, p_over)
        # a loss that is as old as the readings may as well be a gain of the supply meter
        return Case(-1, first, p, np.empty(0), missing, "leak", p_leak, nothing, others, lasts and first > 0)

    def _meter_case(self, meter: int, chance: Floats, p_leak: float, nothing: float) -> Case:
        zone, past = self.trial.zone, self.trial.past
        form = max(self.meters, key=lambda name: float(logsumexp(self.meters[name][:, meter])))
        first = int(np.argmax(self.meters[form][:, meter]))
        use, days = zone.use[:, meter], np.arange(len(zone.use))
        size = float(self.sizes[form][first, meter])
        later = (days >= first) & np.isfinite(use)
        if form == "share":
            missing = np.where(later, size * np.nan_to_num(use), 0.0)
            expected = np.nan_to_num(use) + missing
        else:
            expected = past.base[first, meter] + past.slope[first, meter] * zone.shape[:, meter]
            missing = np.where(later, size * (expected - np.nan_to_num(use)), 0.0)
        p = float(chance[meter])
        number = int(self.trial.number[meter])
        return Case(number, first, p, expected, missing, form, p_leak, nothing, float(chance.sum()) - p)
