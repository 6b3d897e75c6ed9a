"""Slow meter: a home's register counts a steady part of what it used to, and the zone loses the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from alarms.analysis.study import Study
from alarms.detectors.answer import answer, unknown_unless
from alarms.detectors.of_study import StudyDetector
from alarms.detectors.theft import hits_of, known_meters, zone_known
from gateway.model.finding import Detection


@dataclass(frozen=True, slots=True)
class SlowDetector(StudyDetector):
    """Judges customer meters in zones that have a supply meter. A tampered meter that counts a part looks alike."""

    condition: ClassVar[str] = "slow"

    def judge(self, known: Study) -> Detection:
        """Judge from a study that was made already."""
        result = known.balance
        seen = known_meters(known) & zone_known(known)
        hits = hits_of(self.city, known, self.config, self.condition)
        return answer(self.condition, result.tree.customers, unknown_unless(seen), int(result.bounds[-1]), hits)
