"""One round of the bank of hypotheses: which of them explains best what is left of a zone's loss. Pure.

The zone's word is a likelihood ratio by generalised least squares (`likelihood`). For a course that is zero before a
first day its sums for all first days come from cumulative sums, so that the cost is that of one product of the days'
matrix with days x meters, whatever the number of first days.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.bank_config import BankConfig
from alarms.analysis.days_off import missed
from alarms.analysis.ended_rests import ended_rests
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
from alarms.analysis.moments import Moments
from alarms.analysis.past import since
from alarms.analysis.weights import LeakWeights, Weights

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

ENDS_EVERY_D = 5
"""so finely the ends of leaks that are over are tried"""
RESTS_D = 3
"""days without use that are more than a day off"""
LEAST_SUPPLY_M3 = 0.001
"""a zone that takes less a day is one without use"""
RAREST = -12.0
"""log rate of honest rests where they are left out of account"""
BLOCK_D = 10
"""so long what is missing may be more or less than usual"""
NEVER = -1e9
"""log weight of what cannot be"""


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """One round: which hypothesis explains best what is left of the loss."""

    zone: ZoneDays
    config: BankConfig
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
        return replace(self, zone=self.zone.of_meters(chosen), number=self.number[chosen])

    def weights(self, taken: set[int]) -> Weights:
        """Weigh all hypotheses; meters that are `taken` have none."""
        days = innovations(self.told, self.loss, least_days=self.config.scale_days, freedom=self.config.freedom)
        leak = self._leak(days)
        meters, sizes = self._meters(days.scatter())
        unweighed = np.isin(self.number, list(taken)) | self.zone.guess.any()
        for table in meters.values():
            table[:, unweighed] = NEVER
        ended = ended_rests(self.zone, self.config, good=self.good, told=self.told, loss=self.loss, days_off=days)
        return Weights(self.zone, self.number, leak, meters, sizes, ended)

    def _leak(self, days_off: Innovations) -> LeakWeights:
        """Weigh leaks from each first day on, to before some days or until now."""
        config, days = self.config, len(self.loss)
        run = np.append(since(self.told @ self.loss), 0.0)
        block = np.zeros((days + 1, days + 1))
        block[:-1, :-1] = since(since(self.told).T)
        ends = np.append(np.arange(0, days, ENDS_EVERY_D), days)
        pull = run[:-1, None] - run[None, ends]
        own = np.diag(block)
        mass = np.maximum(own[:-1, None] - 2.0 * block[:-1, ends] + own[None, ends], 0.0)
        beyond = self._beyond_guess(mass)
        pull, mass = beyond * pull, beyond * mass
        sizes = np.array([share * self._mean_supply for share in config.leak_sizes])
        count = np.append(0.0, np.cumsum(self.good))
        early = np.append(False, count[1:-1] < config.least_days)
        possible = ~early[:, None] & (count[None, ends] > count[:-1, None]) & (pull > 0)
        weight = self._of_leaks(pull, mass, sizes, days_off.scatter(ends).times(beyond), possible)
        weight += np.log(config.leak_rate * (1.0 - config.growing))
        weight[:, :-1] += np.log(config.mend_rate * ENDS_EVERY_D)
        # what a zone lost since before the first day began at an unknown time
        weight[0] += np.log(config.leak_before / config.leak_rate)
        growing, grown = self._growing(run, block, sizes, days_off.scatter(), count)
        growing[early] = NEVER
        return LeakWeights(
            table=np.where(possible, weight, NEVER),
            size=pull / (mass + sizes[-1] ** -2),
            ends=ends,
            growing=growing,
            grown=grown,
            spans=np.array(config.grows_d),
        )

    def _growing(
        self, run: Floats, block: Floats, sizes: Floats, days_off: Scatter, count: Floats
    ) -> tuple[Floats, Floats]:
        """Weigh leaks that grow for some days and last: a step of a part of the size on each of them, (d, g)."""
        config, days = self.config, len(self.loss)
        climb, rise = since(run), since(since(block).T)
        spans = np.array(config.grows_d)
        first = np.arange(days)[:, None]
        after = np.minimum(first + spans[None, :], days)
        pull = (climb[first] - climb[after]) / spans
        mass = np.maximum(rise[first, first] - 2.0 * rise[first, after] + rise[after, after], 0.0) / spans**2
        beyond = self._beyond_guess(mass)
        pull, mass = beyond * pull, beyond * mass
        possible = (count[-1] - count[:-1] >= config.grows_least_d)[:, None] & (pull > 0)
        possible[0] = False
        weight = self._of_leaks(pull, mass, sizes, days_off.times(beyond), possible)
        weight += np.log(config.leak_rate * config.growing / len(spans))
        return np.where(possible, weight, NEVER), pull / (mass + sizes[-1] ** -2)

    def _beyond_guess(self, mass: Floats) -> Floats:
        """Return by how much less courses of some f'Wf tell where unread customers may use more along with them.

        `mass` is (first day, ...); what those customers may use is that of the days from the first one on.
        """
        count = np.maximum(since(self.good.astype(np.float64)), 1.0)
        guess = since(np.where(self.good, self.zone.guess, 0.0)) / count
        return np.asarray(1.0 / (1.0 + (self.config.guess_doubt * guess[:, None]) ** 2 * mass))

    def _of_leaks(self, pull: Floats, mass: Floats, sizes: Floats, days_off: Scatter, possible: Flags) -> Floats:
        """Return the log likelihood ratio of the leaks that are possible, of several typical sizes, each as likely."""
        result, days = np.full(pull.shape, NEVER), days_off.at(possible)
        pull, mass = pull[possible], mass[possible]
        found = logsumexp(np.stack([positive(pull, mass, size, days) for size in sizes]))
        result[possible] = self.config.temper * (found - np.log(len(sizes)))
        return result

    def _meters(self, scattered: Scatter) -> tuple[dict[Form, Floats], dict[Form, Floats]]:
        """Return the log weights of (first day, meter) by form, and the size: the factor of what is missing."""
        zone, past, config = self.zone, self.zone.past, self.config
        seen = self.good[:, None] & np.isfinite(zone.use)
        use, shape = np.where(seen, zone.use, 0.0), np.where(seen, zone.shape, 0.0)
        sums = Sums(self.told, self.loss)
        all_days = Moments.of(sums, seen, zone.use, zone.shape)
        count, used, pull_use, mass_use = all_days.count, all_days.used, all_days.pull_use, all_days.mass_use
        recent = np.asarray(seen[-config.recent_d :].any(axis=0))
        expected = past.base * count + past.slope * all_days.along
        missing = expected - used
        deficit = all_days.deficit(past, config.beyond_sigma)
        trust = self._trust(seen, count)
        word = config.temper if config.match else 0.0
        stopped = deficit.times(trust).ratio(1.0, config.size_sigma, scattered.times(trust))
        # a part that is missing would so bear the blame for all that follows the season: there it only adds doubt
        beyond = config.beyond_sigma * np.abs(past.slope * (all_days.along - count * past.course))
        sigma_less = np.hypot(config.size_sigma, beyond / np.maximum(expected, 1e-9))
        partly_less = ratio(trust * deficit.pull, trust * deficit.mass, 1.0, sigma_less, scattered.times(trust))
        at_rest, less = (word * self._shaken(alone, trust, scattered) for alone in (stopped, partly_less))
        # a long rest has honest reasons: it is the other days that tell of a customer who uses less
        here = np.where(seen & ~zone.away, 1.0, 0.0)
        days, course = since(here), since(shape * here)
        fewer = past.base * days + past.slope * course - since(use * here)
        fewer_beyond = config.beyond_sigma * np.abs(past.slope * (course - days * past.course))
        # a register that counts a part moves on all days but those on which nobody is at home, which tell nothing
        moving = np.where(seen & (zone.rests == 0), 1.0, 0.0)
        moved, along = since(moving), since(shape * moving)
        usual = past.base * moved + past.slope * along
        short = usual - used
        part = np.clip(short / np.maximum(used, 1e-9), config.least_share, config.most_share)
        share = word * ratio(pull_use, mass_use, part, 0.35 * part + 0.05, scattered)
        business = np.where(zone.business, config.business_theft_factor, 1.0)
        theft = np.log(config.theft_rate * business)[None, :] + zone.tampered
        slow = np.logaddexp(theft, np.log(config.slow_rate))
        lasting = (1.0 - config.lasting_share) * np.exp(-count / config.less_use_d) + config.lasting_share
        rate = config.less_use_rate * np.where(zone.business, config.business_less_factor, 1.0)
        honest = np.log(np.maximum(rate * lasting, zone.usual_less / (count + 3.0)))
        known = self._counted(fewer, days, fewer_beyond, honest)
        short_beyond = config.beyond_sigma * np.abs(past.slope * (along - moved * past.course))
        counts = self._counted(short, moved, short_beyond, honest)
        possible = past.usable & (count >= 1) & recent[None, :] & (missing >= config.least_missing * expected)
        possible &= expected > 0
        partly = possible & (moved >= 1) & (short >= config.least_missing * usual) & (pull_use > 0)
        share = np.where(partly, share + counts + slow, NEVER)
        always = ratio(pull_use[:1], mass_use[:1], 1.0, config.before_sigma, scattered.first())[0]
        least = np.log(config.since_before) + config.before_temper * word * always
        told = recent & (count[0] >= config.before_days)
        share[0] = np.where(told & (pull_use[0] > 0), least, NEVER)
        known_part = np.concatenate([np.ones_like(part[:1]), part[1:]])
        sigma = 0.35 * known_part + 0.05
        sigma[0] = config.before_sigma
        rest_size = deficit.size(1.0, config.size_sigma)
        whole = size_of(deficit.pull, deficit.mass, 1.0, sigma_less)
        part = np.maximum(size_of(pull_use, mass_use, known_part, sigma), 0.0)
        fits, rest_fits = (
            (deficit.pull > 0) & (size >= config.least_size) if config.match else np.ones_like(possible)
            for size in (whole, rest_size)
        )
        share[part < config.least_share] = NEVER
        rests = self._rests(zone.rests[-1], at_rest, possible & rest_fits, theft)
        # from then on a register at rest is at rest, which has reasons of its own
        possible &= np.arange(len(use))[:, None] < np.where(zone.rests[-1] > 0, self._last_moved(), len(use))[None, :]
        then = np.where(zone.rests[-1] >= RESTS_D, np.log(config.then_rests), 0.0)
        days_off, off_size = self._days_off(sums, seen, theft, scattered)
        sizes: dict[Form, Floats] = {
            "off": off_size,
            "rest": rest_size,
            "less": whole,
            "share": part,
        }
        weights: dict[Form, Floats] = {
            "off": np.where(recent[None, :], days_off, NEVER),
            "rest": rests,
            "less": np.where(possible & fits & config.shares, less + known + theft + then[None, :], NEVER),
            "share": np.where((possible | (np.arange(len(use)) == 0)[:, None]) & config.shares, share, NEVER),
        }
        return weights, sizes

    def _days_off(self, sums: Sums, seen: Flags, theft: Floats, scattered: Scatter) -> tuple[Floats, Floats]:
        """Return the log weights of registers that count nothing on some days, and what is missing, (d, m)."""
        config, zone = self.config, self.zone
        off = np.where(seen, missed(zone.use, zone.shape, zone.rests), 0.0)
        (later,) = sums.later(off)
        pull, mass = sums.pull(off), np.maximum(sums.both(off, off, later, later), 0.0)
        size = size_of(pull, mass, 1.0, config.off_sigma)
        begins = (off > 0) & (since((off > 0).astype(np.float64)) >= config.least_off_days)
        begins &= (pull > 0) & (size >= config.least_size) & config.shares & config.match
        weight = config.temper * ratio(pull, mass, 1.0, config.off_sigma, scattered) + theft
        return np.where(begins, weight, NEVER), size

    def _own(self, missing: Floats, count: Floats, beyond: Floats) -> Floats:
        """Return the log likelihood ratio of a customer's own days, (d, m), to those of one who used less by chance."""
        spread = 4.0 * np.maximum(count, 1.0) * self.zone.past.variance + 2.0 * beyond**2
        return np.asarray(np.sign(missing) * missing**2 / spread - 0.5 * np.log1p(count))

    def _counted(self, missing: Floats, count: Floats, beyond: Floats, honest: Floats) -> Floats:
        """Return the log likelihood ratio of a customer's own days to those of an honest customer, (d, m).

        `honest` is the log rate at which one begins to use less. That may have been on any day: what a zone loses
        since another day than that on which the use fell has to do without the fall, which then tells nothing.
        """
        own = self._own(missing, count, beyond)
        fell = np.logaddexp(0.0, logsumexp(np.where(self.zone.past.usable, honest + own, NEVER)))
        then = own - np.logaddexp(0.0, honest + own)
        return np.asarray(np.maximum(own - fell, np.minimum(then, 0.0)))

    def _trust(self, seen: Flags, count: Floats) -> Floats:
        """Return by how much less a day's loss tells where a customer's own ups and downs come on top, (d, m)."""
        mean = since(np.where(seen, np.diag(self.told)[:, None], 0.0)) / np.maximum(count, 1.0)
        return np.asarray(1.0 / (1.0 + self.zone.past.variance * mean))

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
        for back in range(int(self.zone.unsure_d.max(initial=0)) + 1):
            first = np.clip(after - back, 0, days - 1)
            weight = fault[first, column] + less[first, column] - (self.zone.absent if self.config.vacancy else RAREST)
            may = (length > 0) & possible[first, column] & (back <= self.zone.unsure_d)
            result[first, column] = np.where(may, weight, result[first, column])
        return result

    def without(self, case: Case) -> Trial:
        """Return the trial of what a case leaves unexplained, with the case's size left open within its sigma."""
        missing = np.where(self.good, case.missing, 0.0)
        days = np.arange(len(missing)) - case.first_day
        whole, part = (0.5, 0.05) if case.meter < 0 else (self.config.size_sigma, 0.2)
        block = days[:, None] // BLOCK_D == np.arange(days[-1] // BLOCK_D + 1)[None, :]
        blocks = np.where(block, part * missing[:, None], 0.0)
        beyond = np.where(missing != 0.0, self._beyond(case), 0.0)
        told = left_open(self.told, np.column_stack([whole * missing, beyond, blocks]))
        if case.meter >= 0 and case.form != "share":
            told = less_sure(told, missing > 0, self.zone.past.variance[case.first_day, self._column(case)])
        return replace(self, told=told, loss=self.loss - missing)

    def _beyond(self, case: Case) -> Floats:
        """Return how far what a customer is expected to use may be off as only the peers' course tells it, m3 (d,).

        A meter that stopped in winter says little of what its customer uses in summer.
        """
        if case.meter < 0 or case.form == "share":
            return np.zeros(len(self.loss))
        past, at = self.zone.past, self._column(case)
        off = self.zone.shape[:, at] - past.course[case.first_day, at]
        return np.asarray(self.config.beyond_sigma * past.slope[case.first_day, at] * off)

    def _column(self, case: Case) -> int:
        return int(np.flatnonzero(self.number == case.meter)[0])
