"""Leak inside a home: a meter that used to rest for hours each day never rests any more, its least flow being steady.

A pilot flame draws 10 to 20 litres an hour and does so for years; a boiler in a cold night draws more at one hour and
less at the next. A hose or a joint that leaks draws the same at all hours since some day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from alarms.analysis.hourly import HourlyCity
from alarms.detectors.answer import Hit, answer
from gateway.meterdata.series import HOUR_US, Flags, Floats, Ints
from gateway.model.finding import Detection, Verdict

DAY_H = 24
HOMES = ("residential", "")


@dataclass(frozen=True, slots=True)
class InsideLeakConfig:
    """What counts as rest, and how often leaks begin."""

    window_days: int = 28
    known_h: int = 18
    """hours of a day that must be known to say that the meter never rested"""
    pilot_m3h: float = 0.02
    """a flow up to this is a pilot flame's"""
    least_days: int = 3
    past_days: int = 10
    """known days before, on which it did rest"""
    steady: float = 0.1
    """share by which an hour may lie above the least one and be of the same flow; and two steps of the register"""
    steady_hours: float = 0.15
    """share of the hours that must be so"""
    by_chance: float = 0.1
    """chance that an honest home's least hours are as steady"""
    leaks_a_year: float = 0.004
    """of a home; a guess"""
    raised_from: float = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class _Days:
    """The last days, newest last; d days of 24 hours, m meters."""

    flow: Floats
    """m3/h as registered, NaN where unknown, (d, 24, m)"""
    known: Flags
    """(d, m)"""
    restless: Flags
    """known days without any rest, (d, m)"""


@dataclass(frozen=True, slots=True)
class InsideLeakDetector:
    """Judges homes whose meters are read each hour; all others are UNKNOWN."""

    known: HourlyCity
    config: InsideLeakConfig = InsideLeakConfig()
    condition: ClassVar[str] = "inside_leak"

    def judge(self, until_us: int) -> Detection:
        """Judge the days up to a moment, from readings received by then."""
        config, tree = self.config, self.known.tree
        network = self.known.city.network
        home = [at for at, name in enumerate(tree.customers) if network.meters[name].customer_class in HOMES]
        columns: Ints = np.array(home, dtype=np.int64)
        names = [tree.customers[at] for at in home]
        end = self.known.customers.hours_until(until_us)
        days = self._days(columns, until_us, end)
        run = _run(days)
        before = np.arange(len(days.known))[:, None] < len(days.known) - run[None, :]
        past = (days.known & before).sum(axis=0)
        odd = (days.restless & before).sum(axis=0)
        usual = (odd + 0.5) / (past + 1.0)
        counted = (days.known & ~before).sum(axis=0)
        honest = usual**counted * config.by_chance
        leak = config.leaks_a_year * np.maximum(run, 1) / 365.0
        score = leak / (leak + honest)
        verdict = np.where(days.known[-2:].any(axis=0), int(Verdict.NORMAL), int(Verdict.UNKNOWN)).astype(np.int8)
        told = (counted >= config.least_days) & (past >= config.past_days) & (score >= config.raised_from)
        hits: list[Hit] = []
        for at in np.flatnonzero(told).tolist():
            floor = self._floor(days.flow[-int(run[at]) :, :, at], 10.0 ** -network.meters[names[at]].decimals)
            if floor is not None:
                onset = self.known.customers.begin_us + (end - int(run[at]) * DAY_H) * HOUR_US
                evidence = {
                    "least_m3h": round(floor, 4),
                    "days_without_rest": int(counted[at]),
                    "rested_before": round(1.0 - float(odd[at]) / float(past[at]), 3),
                }
                hits.append(Hit(names[at], float(min(score[at], 0.99)), onset, floor, floor * DAY_H, evidence))
        return answer(self.condition, names, verdict, until_us, hits)

    def _days(self, columns: Ints, until_us: int, end: int) -> _Days:
        """Return the last whole days; fewer in a short history."""
        count = min(self.config.window_days, end // DAY_H)
        registers, wide = self.known.customers.at(until_us, slice(end - count * DAY_H, end + 1))
        flow = np.diff(registers[:, columns], axis=0)
        # across far readings only a mean is known: it hides the hours of rest
        flow[(wide[1:] | wide[:-1])[:, columns]] = np.nan
        by_day = flow.reshape(count, DAY_H, len(columns))
        rests = (by_day <= self.config.pilot_m3h).any(axis=1)
        enough = np.isfinite(by_day).sum(axis=1) >= self.config.known_h
        known = np.asarray(rests | enough)
        return _Days(by_day, known, np.asarray(known & ~rests))

    def _floor(self, flow: Floats, resolution_m3: float) -> float | None:
        """Return the steady least flow of some days, m3/h; None if it is not steady."""
        seen = flow[np.isfinite(flow)]
        least = float(np.quantile(seen, 0.02))
        near = float((seen <= least * (1.0 + self.config.steady) + 2.0 * resolution_m3).mean())
        return least if near >= self.config.steady_hours and least > self.config.pilot_m3h else None


def _run(days: _Days) -> Ints:
    """Return how many of the last days, unknown ones among them, showed no rest, (m,)."""
    rests = days.known & ~days.restless
    newest_first = rests[::-1]
    return np.where(newest_first.any(axis=0), newest_first.argmax(axis=0), len(rests)).astype(np.int64)
