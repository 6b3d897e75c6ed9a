"""Suspected cases with their evidence, and what an inspection found."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from alarms.service.release import link_of
from api.auth import User
from api.deps import Parts
from api.roles import Act
from gateway.errors import RefusedError
from gateway.model.finding import InspectionResult
from gateway.model.reading import from_us
from gateway.model.ticket import Ticket
from gateway.store import finding_rows, inspection_rows, ticket_rows, view_rows
from gateway.store.inspection_rows import Inspection
from gateway.store.state import Transaction

SUPPLY_DAYS = 14
"""newest gas days whose mean supply a size is compared with"""


@dataclass(frozen=True, slots=True)
class FindingView:
    """One suspected case as people see it."""

    id: int
    kind: str
    zone: str
    zone_name: str
    meter: str | None
    status: str
    cause: str
    """why it is over; empty while it is not"""
    score: float
    estimate_m3_per_day: float | None
    share: float | None
    """of the zone's supply; None where that is unknown"""
    onset: datetime
    detected_at: datetime
    updated_at: datetime
    inspected_at: datetime | None
    episode_no: int
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Visit:
    """What one visit found."""

    at: datetime
    who: str
    result: str
    found_kind: str
    found_m3_per_day: float | None
    note: str


def list_findings(
    parts: Parts,
    statuses: Sequence[str],
    limit: int,
    *,
    zones: Sequence[str] | None = None,
    kind: str | None = None,
    subject: str | None = None,
    least: float = 0.0,
) -> list[FindingView]:
    """Return findings of these statuses, the most certain first.

    `zones` takes only those of these zones, `least` only those of at least this score.
    """
    with parts.state.read() as connection:
        rows = view_rows.finding_rows(connection, statuses, limit, zones=zones, kind=kind, subject=subject, least=least)
        supply = _supply(connection, {row["zone"] for row in rows})
    return [_view(parts, row, supply) for row in rows]


def one_finding(parts: Parts, finding_id: int) -> FindingView:
    """Return one finding. Raises RefusedError 404."""
    with parts.state.read() as connection:
        row = view_rows.finding_row(connection, finding_id)
        if row is None:
            raise RefusedError(404, "unknown_finding")
        supply = _supply(connection, {row["zone"]})
    return _view(parts, row, supply)


def visits(parts: Parts, finding_id: int) -> list[Visit]:
    """Return what people found when they went to look, oldest first; empty for an unknown finding."""
    with parts.state.read() as connection:
        found = inspection_rows.inspections_of(connection, finding_id)
    return [
        Visit(from_us(one.at_us), one.who, one.result, one.found_kind, one.found_m3_per_day, one.note) for one in found
    ]


def send(parts: Parts, user: User, finding_id: int) -> str:
    """Release a finding as a ticket, so that somebody goes to look; return its number. Raises RefusedError."""
    parts.auth.permit(user, Act.FINDING_RELEASE)
    return parts.checks.release(finding_id, user.name, wall_s=time.time()).ticket_no


def ticket_of(parts: Parts, finding_id: int) -> Ticket | None:
    """Return the ticket by which somebody looks into a finding, None if there is none. Raises RefusedError 404."""
    with parts.state.read() as connection:
        finding = finding_rows.get_finding(connection, finding_id).finding
        return ticket_rows.ticket_of(connection, link_of(finding), finding.episode_no)


def inspect(
    parts: Parts,
    user: User,
    finding_id: int,
    result: InspectionResult,
    *,
    found_kind: str = "",
    found_m3_per_day: float | None = None,
    note: str = "",
) -> FindingView:
    """Record what an inspection found. Raises RefusedError 401, 403, 404 or 409."""
    parts.auth.permit(user, Act.FINDING_INSPECT)
    now_us = parts.clock.now_us()
    visit = Inspection(finding_id, now_us, user.name, result, found_kind, found_m3_per_day, note)
    with parts.state.write() as connection:
        inspection_rows.record_inspection(connection, visit)
    return one_finding(parts, finding_id)


def _supply(connection: Transaction, zones: set[str]) -> dict[str, float]:
    """Return the mean daily supply of zones over the newest gas days, m3."""
    last = finding_rows.last_loss_day(connection)
    if last is None or not zones:
        return {}
    first = last - timedelta(days=SUPPLY_DAYS - 1)
    by_zone: dict[str, list[float]] = defaultdict(list)
    for row in finding_rows.list_loss(connection, first, last, zones=sorted(zones)):
        if row.supply_m3 is not None and row.supply_m3 > 0:
            by_zone[row.zone].append(row.supply_m3)
    return {zone: sum(values) / len(values) for zone, values in by_zone.items()}


def onset_day(parts: Parts, view: FindingView) -> date:
    """Return the gas day in which a finding seems to have begun."""
    return parts.site.gas_day.of(view.onset)


def _view(parts: Parts, row: Mapping[Any, Any], supply: Mapping[str, float]) -> FindingView:
    size, whole = row["estimate_m3_per_day"], supply.get(row["zone"])
    return FindingView(
        id=row["id"],
        kind=row["kind"],
        zone=row["zone"],
        zone_name=parts.network.name_of(row["zone"]),
        meter=row["meter"],
        status=row["status"],
        cause=row["cause"] or "",
        score=row["score"],
        estimate_m3_per_day=size,
        share=size / whole if size is not None and whole else None,
        onset=from_us(row["onset"]),
        detected_at=from_us(row["detected_at"]),
        updated_at=from_us(row["updated_at"]),
        inspected_at=None if row["inspected_at"] is None else from_us(row["inspected_at"]),
        episode_no=row["episode_no"],
        evidence=row["evidence"] or {},
    )
