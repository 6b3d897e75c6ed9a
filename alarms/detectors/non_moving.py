"""Non-moving meter: the register rests while the zone loses just what the customer used to use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar

from alarms.analysis.city import CityModel
from alarms.analysis.study import Study, StudyConfig, study
from alarms.detectors.answer import answer, unknown_unless
from alarms.detectors.balance import NEEDS
from alarms.detectors.theft import hits_of, known_meters, zone_known
from gateway.model.finding import Detection
from gateway.model.quantity import Quantity
from gateway.model.reading import Need, Window


@dataclass(frozen=True, slots=True)
class NonMovingDetector:
    """Judges customer meters. A register that moves is normal whatever its zone; one at rest needs the zone's word."""

    city: CityModel
    config: StudyConfig = field(default_factory=StudyConfig)
    condition: ClassVar[str] = "non_moving"

    @property
    def needs(self) -> Sequence[Need]:
        """Registers at gas-day boundaries."""
        return NEEDS

    def detect(self, windows: Mapping[Quantity, Window], now: datetime) -> Detection:
        """Judge every customer meter of the windows."""
        return self.judge(study(self.city, windows, now, self.config))

    def judge(self, known: Study) -> Detection:
        """Judge from a study that was made already."""
        result = known.balance
        moves = (known.rests[-1:] == 0).any(axis=0)
        seen = known_meters(known) & (moves | zone_known(known))
        hits = hits_of(self.city, known, self.config, self.condition)
        return answer(self.condition, result.tree.customers, unknown_unless(seen), int(result.bounds[-1]), hits)
