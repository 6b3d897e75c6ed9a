"""One made-up zone as the bank of hypotheses takes it: what customers burn and what their registers count is known."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alarms.analysis.bank_config import BankConfig
from alarms.analysis.expectation import rest_runs, shapes
from alarms.analysis.hypotheses import ZoneDays
from alarms.analysis.past import Past, peers_of, usual_less
from alarms.analysis.rests import absent
from alarms.analysis.weekly import PAUSE_D, whole


@dataclass(frozen=True)
class MadeZone:
    """`burnt` and `counted` are base m3 of (days, homes), `lost` and `unsure` those of the zone's days."""

    burnt: Any
    counted: Any
    lost: Any
    noise: Any

    @property
    def days(self) -> Any:
        return len(self.burnt)

    def counting(self, home, share, first_day=0, last_day=None) -> Any:
        counted = self.counted.copy()
        counted[first_day:last_day, home] *= share
        return replace(self, counted=counted)

    def away(self, home, first_day, last_day=None) -> Any:
        burnt, counted = self.burnt.copy(), self.counted.copy()
        burnt[first_day:last_day, home] = counted[first_day:last_day, home] = 0.0
        return replace(self, burnt=burnt, counted=counted)

    def frugal(self, home, share, first_day) -> Any:
        burnt = self.burnt.copy()
        burnt[first_day:, home] *= share
        return replace(self, burnt=burnt).counting(home, share, first_day)

    def unread(self, home, first_day, last_day=None) -> Any:
        counted = self.counted.copy()
        counted[first_day:last_day, home] = np.nan
        return replace(self, counted=counted)

    def leaking(self, m3_per_day, first_day, last_day=None) -> Any:
        lost = self.lost.copy()
        lost[first_day:last_day] += m3_per_day
        return replace(self, lost=lost)

    def zone(self, config=None) -> Any:
        config = config or BankConfig()
        supply = self.burnt.sum(axis=1) + self.lost
        metered = np.where(np.isnan(self.counted), self.burnt, self.counted).sum(axis=1)
        groups = ["residential"] * self.counted.shape[1]
        shape = shapes(self.counted, groups)
        rests = rest_runs(self.counted, np.full(self.counted.shape[1], 0.002))
        known = np.isfinite(self.counted)
        past = Past.of(self.counted, shape, rests, config.least_days)
        alike = np.zeros(len(groups), dtype=np.int64)
        return ZoneDays(
            loss=supply - metered + self.noise,
            supply=supply,
            noise_variance=np.full(self.days, 0.5),
            unread_variance=np.zeros(self.days),
            guess=np.zeros(self.days),
            steady=0.01 * supply,
            warmth=np.zeros(self.days),
            past=past,
            use=self.counted,
            shape=shape,
            rests=rests,
            away=whole(rests) >= PAUSE_D,
            unsure_d=np.ones(len(groups), dtype=np.int64),
            absent=absent(rests, known, groups, np.zeros(self.days, dtype=np.bool_)),
            usual_less=usual_less(past, self.counted, shape, alike, peers_of(alike)),
            business=np.zeros(len(groups), dtype=np.bool_),
            tampered=np.zeros(self.counted.shape),
        )


def a_zone(days=120, homes=40, seed=1) -> Any:
    """Homes follow one course of mild and cold days, each by its own ups and downs; nothing is lost."""
    rng = np.random.default_rng(seed)
    course = 1.0 + 0.5 * np.sin(np.arange(days) / 9.0)
    burnt = rng.uniform(1.5, 6.0, homes)[None, :] * course[:, None] * rng.uniform(0.7, 1.3, (days, homes))
    return MadeZone(burnt, burnt.copy(), np.zeros(days), rng.normal(0.0, 0.6, days))
