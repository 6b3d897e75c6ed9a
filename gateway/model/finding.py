"""What analysis concludes: verdicts, detections, findings and loss rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
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


class FindingKind(StrEnum):
    """What can be the matter with a zone or a meter; the last three are work items of the reading audit."""

    LEAK = "leak"
    INSIDE_LEAK = "inside_leak"
    NON_MOVING = "non_moving"
    SLOW = "slow"
    THEFT = "theft"
    UNAUTHORISED = "unauthorised"
    IC_MISMATCH = "ic_mismatch"
    FLOW_WHEN_CLOSED = "flow_when_closed"
    SUPPLY_DRIFT = "supply_drift"
    SILENT = "silent"
    REGISTER_RESET = "register_reset"
    CLOCK = "clock"
    VISIT = "visit"


SAME_CAUSE = frozenset({FindingKind.THEFT, FindingKind.NON_MOVING, FindingKind.SLOW})
"""kinds that say alike that gas passes and the register does not count it"""


class FindingStatus(StrEnum):
    """Life of a finding."""

    OPEN = "open"
    ENDED = "ended"
    CONFIRMED = "confirmed"
    HONEST = "honest"
    METER_FAULT = "meter_fault"


FOUND = frozenset({FindingStatus.CONFIRMED, FindingStatus.METER_FAULT})
"""people found something, and nobody has said yet that it is put right"""
LASTING = FOUND | {FindingStatus.OPEN}
"""of which passes go on saying whether they are still there"""


SAME_ONSET = timedelta(days=3)
"""onsets this near to each other may be one"""
LIKELY = 0.5
"""score from which a finding is worth a visit; below it is a weak suspicion, kept in case more is seen of it"""


class InspectionResult(StrEnum):
    """What people can say after having gone to look."""

    CONFIRMED = "confirmed"
    """gas is lost there; perhaps for another reason than was suspected"""
    METER_FAULT = "meter_fault"
    HONEST = "honest"
    """nothing is wrong there"""
    NOT_REACHABLE = "not_reachable"
    """nobody could look: the finding stays as it is"""
    REPAIRED = "repaired"
    """what was found is put right"""


class EndCause(StrEnum):
    """Why a finding is over."""

    REPAIRED = "repaired"
    EXCHANGED = "exchanged"
    HONEST = "honest"
    EVENT = "event"
    """something that the company did explains it: an account was opened or closed"""
    OTHER = "other"
    """people settled the same loss under another name, or it has become much likelier under one"""
    GONE = "gone"
    """the readings do not show it any more, and nobody said why"""


@dataclass(frozen=True, slots=True)
class Finding:
    """One suspected case; it is updated, not repeated."""

    kind: str
    """a `FindingKind`"""
    zone: str
    meter: str | None
    detected_at: datetime
    onset: datetime
    score: float
    estimate_m3_per_day: float | None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    episode_no: int = 1
    status: FindingStatus = FindingStatus.OPEN
    cause: str = ""
    """why it is over, an `EndCause`; empty while it is not"""
    inspected_at: datetime | None = None
    """when people last looked and could say what is the matter"""

    @property
    def subject(self) -> str:
        """The meter, or the zone where there is no meter."""
        return self.meter or self.zone


HIGH_RATE = 0.03
"""loss of a zone, as a share of its supply, beyond which it is called high if it is certain"""


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
    steady_sigma: float | None = None
    """that part of `sigma` which is alike every day (gain of meters, gas temperature); None if it was not told apart"""
    between_m3: float | None = None
    """of `loss_m3`, what is lost between the zone's own supply meter and those of the measured zones right below it"""
    between_sigma_m3: float | None = None
    terms: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """of supply less registers, signed m3 and standard uncertainty of each; `rest` is the loss; see docs/analysis.md"""
