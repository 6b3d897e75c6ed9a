"""How often what was suspected was found, as far as people went to look."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from api.deps import Parts
from gateway.model.finding import InspectionResult
from gateway.store import inspection_rows

FEW = 10
"""fewer visits than this tell no share"""
Z_95 = 1.959964
METER_KINDS = frozenset({"non_moving", "slow"})
"""kinds that a faulty meter confirms"""


@dataclass(frozen=True, slots=True)
class Precision:
    """What became of the suspicions of one kind, and the share that was right with its 95 % interval (Wilson)."""

    kind: str
    right: int
    other: int
    """something was wrong there, but not what was suspected"""
    honest: int
    not_reached: int
    share: float | None
    low: float
    high: float

    @property
    def looked(self) -> int:
        """How many suspicions people could say something of."""
        return self.right + self.other + self.honest


def precision(parts: Parts) -> list[Precision]:
    """Return the record of each kind that anybody went to look for, by name. Raises TransientError."""
    with parts.state.read() as connection:
        rows = inspection_rows.results_by_kind(connection)
    return record_of(rows)


def record_of(visits: Iterable[tuple[int, str, str, str]]) -> list[Precision]:
    """Count visits (finding, suspected kind, result, found kind; oldest first) by what they say of each finding."""
    said: dict[int, tuple[str, str]] = {}
    for finding, kind, result, found in visits:
        verdict = _verdict(kind, result, found)
        if finding not in said or said[finding][1] == "not_reached":
            said[finding] = (kind, verdict)
    kinds = sorted({kind for kind, _ in said.values()})
    return [_of(kind, [verdict for other, verdict in said.values() if other == kind]) for kind in kinds]


def wilson(right: int, looked: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927); 0 to 1 when nobody looked."""
    if looked == 0:
        return 0.0, 1.0
    share, z2 = right / looked, Z_95**2
    middle = (share + z2 / (2 * looked)) / (1 + z2 / looked)
    half = Z_95 / (1 + z2 / looked) * math.sqrt(share * (1 - share) / looked + z2 / (4 * looked**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def _verdict(kind: str, result: str, found: str) -> str:
    match result:
        case InspectionResult.HONEST:
            return "honest"
        case InspectionResult.NOT_REACHABLE:
            return "not_reached"
        case InspectionResult.METER_FAULT:
            return "right" if kind in METER_KINDS else "other"
        case _:
            return "right" if found in {"", kind} else "other"


def _of(kind: str, verdicts: list[str]) -> Precision:
    right, looked = verdicts.count("right"), len(verdicts) - verdicts.count("not_reached")
    low, high = wilson(right, looked)
    return Precision(
        kind=kind,
        right=right,
        other=verdicts.count("other"),
        honest=verdicts.count("honest"),
        not_reached=verdicts.count("not_reached"),
        share=right / looked if looked >= FEW else None,
        low=low,
        high=high,
    )
