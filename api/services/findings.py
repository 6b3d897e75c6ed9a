"""Suspected cases with their evidence, and what an inspection found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.auth import User
from api.deps import Parts
from api.roles import Act
from gateway.errors import RefusedError
from gateway.model.finding import FindingStatus
from gateway.model.reading import from_us
from gateway.store import finding_rows, view_rows

INSPECTED = (FindingStatus.CONFIRMED, FindingStatus.HONEST, FindingStatus.METER_FAULT)
"""what a person can say after having looked"""


@dataclass(frozen=True, slots=True)
class FindingView:
    """One suspected case as people see it."""

    id: int
    kind: str
    zone: str
    zone_name: str
    meter: str | None
    status: str
    score: float
    estimate_m3_per_day: float | None
    onset: datetime
    detected_at: datetime
    episode_no: int
    evidence: Mapping[str, Any]


def list_findings(parts: Parts, statuses: Sequence[str], limit: int) -> list[FindingView]:
    """Return findings of these statuses, the most certain first."""
    with parts.state.read() as connection:
        rows = view_rows.finding_rows(connection, statuses, limit)
    return [_view(parts, row) for row in rows]


def one_finding(parts: Parts, finding_id: int) -> FindingView:
    """Return one finding. Raises RefusedError 404."""
    with parts.state.read() as connection:
        row = view_rows.finding_row(connection, finding_id)
    if row is None:
        raise RefusedError(404, "unknown_finding")
    return _view(parts, row)


def inspect(parts: Parts, user: User, finding_id: int, status: FindingStatus, note: str) -> FindingView:
    """Record what an inspection found. Raises RefusedError 401, 403, 404, 409 or 422."""
    parts.auth.permit(user, Act.FINDING_INSPECT)
    with parts.state.write() as connection:
        finding_rows.record_inspection(connection, finding_id, status, user.name, parts.clock.now_us(), note=note)
    return one_finding(parts, finding_id)


def _view(parts: Parts, row: Mapping[Any, Any]) -> FindingView:
    return FindingView(
        id=row["id"],
        kind=row["kind"],
        zone=row["zone"],
        zone_name=parts.network.name_of(row["zone"]),
        meter=row["meter"],
        status=row["status"],
        score=row["score"],
        estimate_m3_per_day=row["estimate_m3_per_day"],
        onset=from_us(row["onset"]),
        detected_at=from_us(row["detected_at"]),
        episode_no=row["episode_no"],
        evidence=row["evidence"] or {},
    )
