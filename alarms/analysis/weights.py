"""Log weights of all hypotheses about what is left of a zone's loss, made into probabilities and cases. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.days_off import missed
from alarms.analysis.ended_rests import EndedRests
from alarms.analysis.hypotheses import Case, Form, ZoneDays
from alarms.analysis.likelihood import logsumexp

Floats = NDArray[np.float64]

HOPELESS = -9.0
"""log weight below which a meter is not looked at again once others explain a part of the loss"""


@dataclass(frozen=True, slots=True, eq=False)
class LeakWeights:
    """Log weight and size of leaks by their first day."""

    table: Floats
    """(first day, end)"""
    size: Floats
    """m3 a day, as `table`"""
    ends: NDArray[np.int64]
    """days after the last of a leak, (e,); the last of them says that it lasts"""
    growing: Floats
    """of leaks that grow and last, (first day, span)"""
    grown: Floats
    """their size when they are full-grown, m3 a day, as `growing`"""
    spans: NDArray[np.int64]
    """days for which they grow"""

    @property
    def lasts(self) -> Floats:
        """Of leaks that last, (first day, steady or one of the spans of growth)."""
        return np.concatenate([self.table[:, -1:], self.growing], axis=1)

    def missing(self, first: int, *, over: bool) -> Floats:
        """Return what the likeliest leak from a first day on takes from the loss, m3, (d,)."""
        days = np.arange(len(self.table))
        if over:
            end = int(np.argmax(self.table[first, :-1]))
            return np.where((days >= first) & (days < self.ends[end]), self.size[first, end], 0.0)
        span = int(np.argmax(self.growing[first]))
        if self.growing[first, span] > self.table[first, -1]:
            return np.asarray(self.grown[first, span] * np.clip((days - first + 1.0) / self.spans[span], 0.0, 1.0))
        return np.where(days >= first, self.size[first, -1], 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """Log weights of all hypotheses of one round; that of nothing is 0."""

    zone: ZoneDays
    number: NDArray[np.int64]
    """of each meter in the zone, (m,)"""
    leak: LeakWeights
    meters: dict[Form, Floats]
    """form -> (first day, meter)"""
    sizes: dict[Form, Floats]
    ended: EndedRests

    def best(self) -> Case | None:
        """Return the most probable hypothesis."""
        chance, p_leak, p_over, p_ended, nothing = self._chances()
        most = float(chance.max()) if len(chance) else 0.0
        if max(most, p_leak, p_over, *p_ended) <= 0.0:
            return None
        if len(p_ended) and p_ended.max() >= max(most, p_leak, p_over):
            return self._ended_case(int(np.argmax(p_ended)), p_ended, p_leak, nothing)
        if max(p_leak, p_over) >= most:
            return self._leak_case(p_leak, p_over, nothing, float(chance.sum()))
        return self._meter_case(int(np.argmax(chance)), chance, p_leak, nothing)

    def plausible(self) -> NDArray[np.int64]:
        """Return the columns of meters that are worth another look when a part of the loss is explained."""
        hopeful = np.concatenate(list(self.meters.values())).max(axis=0) >= HOPELESS
        hopeful[self.ended.meter[self.ended.weight >= HOPELESS]] = True
        return np.flatnonzero(hopeful)

    def suspects(self, least: float) -> list[Case]:
        """Return all that is at least so probable, most probable first."""
        chance, p_leak, _over, _ended, nothing = self._chances()
        found = [self._meter_case(int(meter), chance, p_leak, nothing) for meter in np.flatnonzero(chance >= least)]
        leak = self._leak_case(p_leak, 0.0, nothing, float(chance.sum()))
        if p_leak >= least and leak.lasts:
            found.append(leak)
        return sorted(found, key=lambda case: -case.probability)

    def _chances(self) -> tuple[Floats, float, float, Floats, float]:
        """Return the probabilities of each meter, of a leak, of one that is over, of ended rests, and of nothing."""
        of_meter = logsumexp(np.concatenate(list(self.meters.values())))
        of_leak = float(logsumexp(self.leak.lasts.ravel()))
        of_over = float(logsumexp(self.leak.table[:, :-1].ravel()))
        of_ended = self.ended.weight
        total = float(logsumexp(np.concatenate([of_meter, of_ended, [of_leak, of_over, 0.0]])))
        p_leak, p_over = float(np.exp(of_leak - total)), float(np.exp(of_over - total))
        return np.exp(of_meter - total), p_leak, p_over, np.exp(of_ended - total), np.exp(-total)

    def _ended_case(self, place: int, chance: Floats, p_leak: float, nothing: float) -> Case:
        missing, number = self.ended.missing[:, place], int(self.number[self.ended.meter[place]])
        p, first = float(chance[place]), int(self.ended.first[place])
        others = float(chance.sum()) - p
        return Case(number, first, p, missing, missing, "rest", p_leak, nothing, others, lasts=False)

    def _leak_case(self, p_leak: float, p_over: float, nothing: float, others: float) -> Case:
        over = p_leak < p_over
        at = self.leak.table[:, :-1].max(axis=1) if over else self.leak.lasts.max(axis=1)
        first = int(np.argmax(at))
        missing = self.leak.missing(first, over=over)
        # a loss that is as old as the readings may as well be a gain of the supply meter
        lasts = not over and first > 0
        return Case(-1, first, max(p_leak, p_over), np.empty(0), missing, "leak", p_leak, nothing, others, lasts=lasts)

    def _meter_case(self, meter: int, chance: Floats, p_leak: float, nothing: float) -> Case:
        zone, past = self.zone, self.zone.past
        form = max(self.meters, key=lambda name: float(logsumexp(self.meters[name][:, meter])))
        first = int(np.argmax(self.meters[form][:, meter]))
        use, days = zone.use[:, meter], np.arange(len(zone.use))
        size = float(self.sizes[form][first, meter])
        later = (days >= first) & np.isfinite(use)
        if form == "share":
            missing = np.where(later, size * np.nan_to_num(use), 0.0)
            expected = np.nan_to_num(use) + missing
        elif form == "off":
            missing = np.where(later, size * missed(zone.use, zone.shape, zone.rests)[:, meter], 0.0)
            expected = np.nan_to_num(use) + missing
        else:
            expected = past.base[first, meter] + past.slope[first, meter] * zone.shape[:, meter]
            missing = np.where(later, size * (expected - np.nan_to_num(use)), 0.0)
        p = float(chance[meter])
        number = int(self.number[meter])
        others, tampered = float(chance.sum()) - p, float(zone.tampered[first, meter])
        return Case(number, first, p, expected, missing, form, p_leak, nothing, others, tampered)
