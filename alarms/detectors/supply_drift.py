"""A supply meter drifts: its zone and the zone above it shift by the same amount in opposite ways, on the same day."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from alarms.analysis.loss import Balance
from alarms.analysis.reconciliation import DriftConfig, Shift, parents, shifts
from alarms.analysis.study import Study, plain
from alarms.detectors.answer import Hit, answer
from alarms.detectors.of_study import StudyDetector
from gateway.meterdata.series import Flags, Floats
from gateway.model.finding import Detection, Verdict

RAISED_FROM = 0.6
"""probability"""
SHOWN_D = 60
USUAL = 0.006
"""share of its flow by which a supply meter and the one above it may always disagree"""
LATELY_D = 30
LEAST_D = 10


@dataclass(frozen=True, slots=True)
class SupplyDriftDetector(StudyDetector):
    """Judges zones whose supply meter stands behind another one; of others nobody can tell a drift from a loss."""

    drift: DriftConfig = field(default_factory=DriftConfig)
    condition: ClassVar[str] = "supply_drift"

    def judge(self, known: Study) -> Detection:
        """Judge from a study that was made already."""
        result = known.balance
        tree = result.tree
        above = parents(tree)
        rows = np.flatnonzero(above >= 0)
        flows = (result.supply, result.own_supply)
        told = shifts(result.own_loss, result.own_terms.unread, flows, above, self.drift)
        found = [shift for shift in told if shift.probability >= RAISED_FROM]
        agrees = _agree(result, above)[rows]
        verdict = np.where(agrees, int(Verdict.NORMAL), int(Verdict.UNKNOWN)).astype(np.int8)
        names = [tree.zones[row] for row in rows]
        return answer(self.condition, names, verdict, int(result.bounds[-1]), [_hit(result, one) for one in found])


def _agree(result: Balance, above: np.ndarray[Any, np.dtype[np.int64]]) -> Flags:
    """Say of which zones the supply meter and the one above it agree about these days, (z,)."""
    lately = slice(-LATELY_D, None)
    rest, through = result.own_loss[lately][:, above], result.supply[lately]
    known = np.isfinite(rest) & np.isfinite(through) & (through > 0)
    level = np.where(known, rest, 0.0).sum(axis=0) / np.maximum(np.where(known, through, 0.0).sum(axis=0), 1e-9)
    return np.asarray((above >= 0) & (known.sum(axis=0) >= LEAST_D) & (np.abs(level) <= USUAL))


def _hit(result: Balance, shift: Shift) -> Hit:
    through = result.supply[:, shift.zone]
    explained: Floats = np.where(np.arange(len(through)) >= shift.first_day, shift.size * through, 0.0)
    lately = np.nanmean(through[-LATELY_D:]) if np.isfinite(through[-LATELY_D:]).any() else np.nan
    shown = slice(max(min(shift.first_day - SHOWN_D // 2, len(through) - SHOWN_D), 0), None)
    chances = {"supply_drift": shift.probability, "leak": shift.loss, "nothing": shift.nothing}
    evidence = {
        "days": [day.isoformat() for day in result.days[shown]],
        "zone_loss_m3": plain(result.own_loss[shown, shift.zone]),
        "deficit_m3": plain(explained[shown]),
        "above_loss_m3": plain(result.own_loss[shown, shift.above]),
        "above_zone": result.tree.zones[shift.above],
        "first_day": result.days[min(shift.first_day, len(result.days) - 1)].isoformat(),
        "share": round(shift.size, 5),
        "share_sigma": round(shift.sigma, 5),
        "alternatives": {name: round(chance, 4) for name, chance in chances.items()},
    }
    return Hit(
        asset=result.tree.zones[shift.zone],
        score=min(shift.probability, 0.99),
        onset_us=int(result.bounds[shift.first_day]),
        value=shift.size,
        estimate_m3_per_day=float(shift.size * lately),
        evidence=evidence,
    )
