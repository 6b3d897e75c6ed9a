"""Leak by balance: a zone loses gas day after day, and no meter's deficit explains it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from alarms.analysis.study import Study, ZoneCase
from alarms.detectors.answer import Hit, answer, unknown_unless
from alarms.detectors.of_study import StudyDetector
from gateway.model.finding import Detection


@dataclass(frozen=True, slots=True)
class BalanceDetector(StudyDetector):
    """Judges zones that have a supply meter."""

    condition: ClassVar[str] = "leak"

    def judge(self, known: Study) -> Detection:
        """Judge from a study that was made already."""
        tree, result = known.balance.tree, known.balance
        rows = [row for row, measured in enumerate(tree.measured) if measured]
        zones = [tree.zones[row] for row in rows]
        seen = np.asarray(known.judged[rows], dtype=np.bool_)
        hits = [self._hit(known, found) for found in known.cases if found.customer < 0]
        return answer(self.condition, zones, unknown_unless(seen), int(result.bounds[-1]), hits)

    def _hit(self, known: Study, found: ZoneCase) -> Hit:
        case, result = found.case, known.balance
        chances = {"leak": case.probability, "a meter": case.others, "nothing": case.nothing}
        evidence = {**known.curves(found), "alternatives": {name: round(p, 4) for name, p in chances.items()}}
        # what it loses by now: leaks grow, and another one joins them
        size = float(case.missing[np.isfinite(case.missing)][-1])
        return Hit(
            asset=result.tree.zones[found.zone],
            score=case.probability,
            onset_us=int(result.bounds[case.first_day]),
            value=size,
            estimate_m3_per_day=size,
            evidence=evidence,
        )
