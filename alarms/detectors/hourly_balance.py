"""Leak by hourly balance: since some hour of the last weeks a zone loses gas at all hours alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
from scipy import special

from alarms.analysis.hourly import HourlyCity, Hours
from alarms.analysis.hourly_bank import HourlyConfig, Odds, judged, weigh_zones
from alarms.analysis.hourly_blocks import blocks_of, customers_of
from alarms.detectors.answer import Hit, answer, unknown_unless
from gateway.meterdata.series import HOUR_US, Flags, Floats, Ints
from gateway.model.finding import Detection, Verdict
from gateway.model.reading import from_us

SHOWN_H = 14 * 24
"""hours of curves that a finding carries"""
YOUNG_H, OLD_H = 4 * 24, 20 * 24
"""a leak younger than the one the daily balance may not see yet; one older than the other is usual in the hours"""
UNSEEN = 0.05
"""probability of a leak that a detector could see and does not"""
NAMES = {
    "leak": "leak",
    "meter": "a meter",
    "drift": "supply_drift",
    "spell": "a spell",
    "ended": "an end",
    "nothing": "nothing",
}


@dataclass(frozen=True, slots=True)
class HourlyBalanceDetector:
    """Judges zones that have a supply meter, by the hours of the last weeks."""

    known: HourlyCity
    config: HourlyConfig = field(default_factory=HourlyConfig)
    raised_from: float = 0.1
    """probability"""
    condition: ClassVar[str] = "leak"

    def judge(self, hours: Hours | None, until_us: int) -> Detection:
        """Judge from what was known at a moment; zones of which that was too little are UNKNOWN."""
        tree = self.known.tree
        rows = np.flatnonzero(tree.measured)
        names = [tree.zones[row] for row in rows]
        if hours is None:
            return answer(self.condition, names, unknown_unless(np.zeros(len(rows), dtype=np.bool_)), until_us, [])
        blocks = blocks_of(hours, self.known.register_variance)
        zones = judged(blocks, tree.measured, self.config)

        def members(zone: int) -> tuple[Ints, Floats, Floats]:
            columns = np.flatnonzero(tree.home == zone)
            return columns, *customers_of(hours, columns)

        odds = weigh_zones(blocks, zones, members, self.config)
        hits = [self._hit(hours, zone, one) for zone, one in odds.items() if one.leak >= self.raised_from]
        seen = np.isin(rows, zones)
        return answer(self.condition, names, unknown_unless(seen), int(hours.ends_us[-1]), hits)

    def _hit(self, hours: Hours, zone: int, one: Odds) -> Hit:
        begun_us = int(hours.ends_us[-1]) - round(one.begun_h) * HOUR_US
        size = 24.0 * one.flow_m3h
        evidence: dict[str, Any] = {
            **_curve(hours, zone),
            "begun": from_us(begun_us).isoformat(),
            "size_m3h": round(one.flow_m3h, 4),
            "sigma_m3h": round(one.sigma_m3h, 4),
            "share_of_flow": round(one.share, 4),
            "alternatives": {NAMES[name]: round(chance, 4) for name, chance in one.alternatives.items()},
        }
        if one.meter >= 0:
            evidence["likeliest_meter"] = self.known.tree.customers[one.meter]
        return Hit(self.known.tree.zones[zone], min(one.leak, 0.99), begun_us, size, size, evidence)


def _curve(hours: Hours, zone: int) -> dict[str, Sequence[Any]]:
    """Return the zone's loss in steps of six hours, m3/h, what a person can check."""
    last = slice(-SHOWN_H - SHOWN_H % 6, None)
    loss, ends = hours.zones("loss")[last, zone], hours.ends_us[last]
    spare = len(loss) % 6
    by_step = loss[spare:].reshape(-1, 6)
    known: Flags = np.asarray(np.isfinite(by_step))
    mean = np.where(known, by_step, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    some_known: Flags = np.asarray(known.any(axis=1))
    return {
        "hours": [from_us(int(end)).isoformat() for end in ends[spare:][5::6]],
        "zone_loss_m3h": [
            round(value, 3) if some else None for value, some in zip(mean.tolist(), some_known.tolist(), strict=True)
        ],
    }


def abnormal_only(found: Detection) -> Detection:
    """Return a detection in which nothing is NORMAL: it can raise a finding and end none."""
    verdict = np.where(found.verdict == Verdict.ABNORMAL, found.verdict, int(Verdict.UNKNOWN)).astype(np.int8)
    return replace(found, verdict=verdict)


def joined(daily: Detection, hourly: Detection) -> Detection:
    """Return one verdict of two detectors of the same kind, with the evidence of the surer one.

    Where both could see a leak, the odds of one that both see are their geometric mean, and one that only one of them
    sees is doubted. A zone is NORMAL only where the daily balance, which sees slow losses as well, says so.
    """
    at_us = int(max(daily.at.max(initial=0), hourly.at.max(initial=0)))
    assets = list(dict.fromkeys([*daily.assets, *hourly.assets]))
    rows = [{name: at for at, name in enumerate(one.assets)} for one in (daily, hourly)]
    verdict = np.full(len(assets), int(Verdict.UNKNOWN), dtype=np.int8)
    hits: list[Hit] = []
    for number, name in enumerate(assets):
        day, hour = (_said(one, row.get(name)) for one, row in zip((daily, hourly), rows, strict=True))
        verdict[number] = int(Verdict.NORMAL) if day.verdict == Verdict.NORMAL else int(Verdict.UNKNOWN)
        surer, source = (hour, hourly) if hour.score > day.score else (day, daily)
        if surer.verdict != Verdict.ABNORMAL:
            continue
        begun_us = int(source.onset[surer.row])
        score = surer.score
        if _both_could_see(day, hour, (at_us - begun_us) / HOUR_US):
            doubted = [max(one.score, UNSEEN) for one in (day, hour)]
            score = float(special.expit(special.logit(np.minimum(doubted, 0.999)).mean()))
        value, size = float(source.value[surer.row]), float(source.estimate_m3_per_day[surer.row])
        hits.append(Hit(name, score, begun_us, value, size, source.evidence[surer.row]))
    return answer(daily.condition, assets, verdict, at_us, hits)


@dataclass(frozen=True, slots=True)
class _Said:
    """What one detector said of a zone."""

    row: int
    verdict: int
    score: float


def _said(found: Detection, row: int | None) -> _Said:
    if row is None or found.verdict[row] == Verdict.UNKNOWN:
        return _Said(-1, int(Verdict.UNKNOWN), 0.0)
    abnormal = found.verdict[row] == Verdict.ABNORMAL
    return _Said(row, int(found.verdict[row]), float(found.score[row]) if abnormal else 0.0)


def _both_could_see(day: _Said, hour: _Said, age_h: float) -> bool:
    """Say whether a leak of that age shows in whole days and still stands out in the hours of four weeks."""
    if Verdict.UNKNOWN in (day.verdict, hour.verdict):
        return False
    seen_by_both = day.verdict == hour.verdict == Verdict.ABNORMAL
    if hour.verdict == Verdict.NORMAL:
        return age_h <= OLD_H
    return seen_by_both or age_h > YOUNG_H
