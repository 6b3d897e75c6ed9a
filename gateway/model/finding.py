"""What analysis concludes: verdicts, detections, findings and loss rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import IntEnum, StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Verdict(IntEnum):
    """Three values: missing data must never return an alarm to normal."""

    UNKNOWN = -1
    NORMAL = 0
    ABNORMAL = 1


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """The answer of one detector for n assets; all arrays have length n."""

    condition: str
    """id of an alarm definition, or the kind of a finding"""
    assets: tuple[str, ...]
    verdict: NDArray[np.int8]
    score: NDArray[np.float64]
    """0 to 1, comparable across kinds"""
    at: NDArray[np.int64]
    """us UTC of the sample that decided"""
    value: NDArray[np.float64]
    """what was measured, in the condition's unit; NaN if it has none"""
    onset: NDArray[np.int64]
    """us UTC at which it seems to have begun; `at` where there is nothing better"""
    estimate_m3_per_day: NDArray[np.float64]
    """size; NaN where unknown"""
    evidence: tuple[Mapping[str, Any], ...]
    """per asset, ready for JSON; empty for what is not abnormal"""


class FindingStatus(StrEnum):
    """Life of a finding."""

    OPEN = "open"
    ENDED = "ended"
    CONFIRMED = "confirmed"
    HONEST = "honest"
    METER_FAULT = "meter_fault"


@dataclass(frozen=True, slots=True)
class Finding:
    """One suspected case; it is updated, not repeated."""

    kind: str
    """leak, non_moving, theft, unauthorised, ic_mismatch, slow, silent or flow_when_closed; of the reading audit
    register_reset, clock or visit
    """
    zone: str
    meter: str | None
    detected_at: datetime
    onset: datetime
    score: float
    estimate_m3_per_day: float | None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    episode_no: int = 1
    status: FindingStatus = FindingStatus.OPEN

    @property
    def subject(self) -> str:
        """The meter, or the zone where there is no meter."""
        return self.meter or self.zone


class LossVerdict(StrEnum):
    """What may be said of a zone's loss on one gas day."""

    NORMAL = "normal"
    HIGH = "high"
    NOT_ASSESSABLE = "not_assessable"


@dataclass(frozen=True, slots=True)
class LossRow:
    """Balance of one zone and one gas day, m3 at base conditions; None where it cannot be said."""

    zone: str
    gas_day: date
    supply_m3: float | None
    metered_m3: float | None
    linepack_m3: float | None
    loss_m3: float | None
    loss_rate: float | None
    """share of the supply"""
    sigma: float | None
    """standard uncertainty of `loss_rate`"""
    coverage: float
    """share of the zone's customer meters that could be used, 0 to 1"""
    verdict: LossVerdict
    reason: str = ""
