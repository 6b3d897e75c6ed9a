"""Leak by hourly balance: since some hour of the last weeks a zone loses gas at all hours alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from alarms.analysis.hourly import HourlyCity, Hours
from alarms.analysis.hourly_bank import HourlyConfig, Odds, judged, weigh_zones
from alarms.analysis.hourly_blocks import blocks_of, customers_of
from alarms.analysis.hourly_known import KnownCase, missing_of
from alarms.detectors.answer import Hit, answer, unknown_unless
from gateway.meterdata.series import HOUR_US, Flags, Floats, Ints
from gateway.model.finding import Detection, Verdict
from gateway.model.reading import from_us

SHOWN_H = 14 * 24
"""hours of curves that a finding carries"""
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

    def judge(self, hours: Hours | None, until_us: int, cases: Sequence[KnownCase] = ()) -> Detection:
        """Judge from what was known at a moment; zones of which that was too little are UNKNOWN.

        `cases` is what the days tell of meters that count too little: what they miss is no leak.

        The score of a zone that is NORMAL is the small probability of a leak that is left to it.
        """
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

        odds = weigh_zones(blocks, zones, members, self.config, self._missed(hours, cases))
        hits = [self._hit(hours, zone, one) for zone, one in odds.items() if one.leak >= self.raised_from]
        seen = np.isin(rows, zones)
        found = answer(self.condition, names, unknown_unless(seen), int(hours.ends_us[-1]), hits)
        chance = np.array([odds[zone].leak if zone in odds else 0.0 for zone in rows.tolist()])
        return replace(found, score=np.where(found.verdict == Verdict.NORMAL, chance, found.score))

    def _missed(self, hours: Hours, cases: Sequence[KnownCase]) -> dict[int, Floats]:
        """Return what known meters miss in each block, by zone, (b, cases)."""
        tree, end_us = self.known.tree, int(hours.ends_us[-1])
        column = {name: at for at, name in enumerate(tree.customers)} if cases else {}
        of: dict[str, list[KnownCase]] = {}
        for case in cases:
            of.setdefault(case.zone, []).append(case)
        result: dict[int, Floats] = {}
        for zone, own in ((row, of[name]) for row, name in enumerate(tree.zones) if name in of):
            use, course = customers_of(hours, np.array([column[case.customer] for case in own], dtype=np.int64))
            result[zone] = missing_of(own, use, course, end_us)
        return result

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
