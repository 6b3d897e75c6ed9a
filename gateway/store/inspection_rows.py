"""Rows of what people found when they went to look. Every function works inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, select

from gateway.errors import RefusedError
from gateway.model.finding import SAME_CAUSE, EndCause, Finding, FindingStatus, InspectionResult
from gateway.store import tables
from gateway.store.finding_rows import StoredFinding, get_finding
from gateway.store.user_rows import add_audit

STATUS_AFTER = {
    InspectionResult.CONFIRMED: FindingStatus.CONFIRMED,
    InspectionResult.METER_FAULT: FindingStatus.METER_FAULT,
    InspectionResult.HONEST: FindingStatus.HONEST,
    InspectionResult.REPAIRED: FindingStatus.ENDED,
}
CAUSE_AFTER = {InspectionResult.HONEST: EndCause.HONEST, InspectionResult.REPAIRED: EndCause.REPAIRED}
SAID = (FindingStatus.CONFIRMED, FindingStatus.METER_FAULT, FindingStatus.HONEST)
"""statuses that people gave"""
SETTLING = frozenset({FindingStatus.CONFIRMED, FindingStatus.METER_FAULT, FindingStatus.HONEST})
"""statuses that answer every suspicion of the same loss"""
MAY_BE_REPAIRED = (FindingStatus.OPEN, FindingStatus.CONFIRMED, FindingStatus.METER_FAULT)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What one visit found."""

    finding_id: int
    at_us: int
    who: str
    result: InspectionResult
    found_kind: str = ""
    """what it really was; empty: what was suspected"""
    found_m3_per_day: float | None = None
    note: str = ""


def record_inspection(connection: Connection, visit: Inspection) -> StoredFinding:
    """Write what a visit found into finding, inspections and audit; return the finding as it stands then.

    Raises RefusedError: 404 for an unknown finding, 409 when another result stands there already or nothing is left
    to repair. The same result again changes nothing; that nobody was reached can be said as often as it happens.
    """
    before = get_finding(connection, visit.finding_id)
    status = before.finding.status
    after = STATUS_AFTER.get(visit.result)
    if visit.result is InspectionResult.REPAIRED:
        if status is FindingStatus.ENDED and before.finding.cause == EndCause.REPAIRED:
            return before
        if status not in MAY_BE_REPAIRED:
            raise RefusedError(409, "already_over", f"finding {visit.finding_id} is {status} already")
    elif status is after:
        return before
    elif status in SAID:
        raise RefusedError(409, "already_inspected", f"finding {visit.finding_id} is {status} already")
    table = tables.finding
    if after is not None:
        changed = {
            "status": after.value,
            "cause": CAUSE_AFTER.get(visit.result),
            "updated_at": visit.at_us,
            "inspected_at": visit.at_us,
        }
        connection.execute(table.update().where(table.c.id == visit.finding_id).values(**changed))
    connection.execute(
        tables.inspection.insert().values(
            finding_id=visit.finding_id,
            at=visit.at_us,
            who=visit.who,
            result=visit.result.value,
            found_kind=visit.found_kind,
            found_m3_per_day=visit.found_m3_per_day,
            note=visit.note,
        )
    )
    if after in SETTLING:
        _settle_others(connection, before.finding, visit, after)
    detail = {
        "before": status.value,
        "after": (after or status).value,
        "result": visit.result.value,
        "found_kind": visit.found_kind,
        "found_m3_per_day": visit.found_m3_per_day,
        "note": visit.note,
    }
    subject = str(visit.finding_id)
    add_audit(connection, visit.at_us, visit.who, "finding_inspected", subject=subject, detail=detail)
    return get_finding(connection, visit.finding_id)


def _settle_others(connection: Connection, said: Finding, visit: Inspection, after: FindingStatus) -> None:
    """Settle what else is open on the same meter for the same loss: the visit answers it, whatever its name."""
    if said.meter is None or said.kind not in SAME_CAUSE:
        return
    honest = after is FindingStatus.HONEST
    changed = {
        "status": FindingStatus.HONEST if honest else FindingStatus.ENDED,
        "cause": EndCause.HONEST if honest else EndCause.OTHER,
        "updated_at": visit.at_us,
        "inspected_at": visit.at_us,
    }
    table = tables.finding
    match = (
        table.c.meter == said.meter,
        table.c.kind.in_(SAME_CAUSE - {said.kind}),
        table.c.status == FindingStatus.OPEN,
    )
    connection.execute(table.update().where(*match).values(**changed))


def inspections_of(connection: Connection, finding_id: int) -> list[Inspection]:
    """Return the visits that a finding led to, oldest first."""
    table = tables.inspection
    query = select(table).where(table.c.finding_id == finding_id).order_by(table.c.id)
    return [_inspection(row) for row in connection.execute(query)]


def results_by_kind(connection: Connection) -> Sequence[tuple[int, str, str, str]]:
    """Return (finding, suspected kind, result, found kind) of every visit, oldest first."""
    visit, finding = tables.inspection, tables.finding
    query = (
        select(finding.c.id, finding.c.kind, visit.c.result, visit.c.found_kind)
        .join(finding, finding.c.id == visit.c.finding_id)
        .order_by(visit.c.id)
    )
    return [(int(number), kind, result, found) for number, kind, result, found in connection.execute(query)]


def _inspection(row: Row[tuple[object, ...]]) -> Inspection:
    return Inspection(
        row.finding_id,
        row.at,
        row.who,
        InspectionResult(row.result),
        row.found_kind,
        row.found_m3_per_day,
        row.note,
    )
