"""Non-moving meter: the register rests while the zone loses just what the customer used to use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from alarms.analysis.study import Study
from alarms.detectors.answer import answer, unknown_unless
from alarms.detectors.of_study import StudyDetector
from alarms.detectors.theft import hits_of, known_meters, zone_known
from gateway.model.finding import Detection


@dataclass(frozen=True, slots=True)
class NonMovingDetector(StudyDetector):
    """Judges customer meters. A register that moves is normal whatever its zone; one at rest needs the zone's word."""

    condition: ClassVar[str] = "non_moving"

    def judge(self, known: Study) -> Detection:
        """Judge from a study that was made already."""
        result = known.balance
        moves = (known.rests[-1:] == 0).any(axis=0)
        seen = known_meters(known) & (moves | zone_known(known))
        hits = hits_of(self.city, known, self.config, self.condition)
        return answer(self.condition, result.tree.customers, unknown_unless(seen), int(result.bounds[-1]), hits)
