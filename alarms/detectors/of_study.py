"""What all detectors over one study of a city have in common: what they need, and how they come from windows to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from alarms.analysis.city import CityModel
from alarms.analysis.study import Study, StudyConfig, study
from gateway.model.finding import Detection
from gateway.model.quantity import Quantity
from gateway.model.reading import Need, Window

NEEDS = tuple(
    Need(quantity, timedelta(days=60), timedelta(days=1))
    for quantity in (Quantity.REGISTER_MEASURED_M3, Quantity.REGISTER_BASE_M3, Quantity.PRESSURE_GAUGE_KPA)
)
"""registers at gas-day boundaries, and the stations' pressure at the same moments; more days tell more"""


@dataclass(frozen=True, slots=True)
class StudyDetector(ABC):
    """Judges from the study that a pass makes once for all of its detectors."""

    city: CityModel
    config: StudyConfig = field(default_factory=StudyConfig)

    @property
    def needs(self) -> Sequence[Need]:
        """Registers at gas-day boundaries."""
        return NEEDS

    def detect(self, windows: Mapping[Quantity, Window], now: datetime) -> Detection:
        """Judge what is in the windows, by a study of its own."""
        return self.judge(study(self.city, windows, now, self.config))

    @abstractmethod
    def judge(self, known: Study) -> Detection:
        """Judge from a study that was made already."""
