"""Rows of findings and losses in the state database. Every function works inside the caller's transaction."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, select

from gateway.errors import RefusedError
from gateway.model.finding import LASTING, Finding, FindingStatus, LossRow, LossVerdict
from gateway.model.reading import from_us, to_us
from gateway.store import tables

MAX_ROWS = 10_000
"""rows that one list returns at most"""
MOST_NAMES = 500
"""names in one query"""
LOSS_FIGURES = (
    "supply_m3",
    "metered_m3",
    "linepack_m3",
    "loss_m3",
    "loss_rate",
    "sigma",
    "coverage",
    "steady_sigma",
    "between_m3",
    "between_sigma_m3",
)
SAME_SHARE = 0.05
"""a loss that moved by less than this share of its uncertainty is the same: no new revision"""
SAME = 1e-3
"""other figures nearer than this, relatively, are the same"""


@dataclass(frozen=True, slots=True)
class StoredFinding:
    """A finding with its number, and when a pass last changed it."""

    finding_id: int
    finding: Finding
    updated_us: int


def open_findings(connection: Connection) -> list[StoredFinding]:
    """Return all findings that are open."""
    return list_findings(connection, status=FindingStatus.OPEN, limit=MAX_ROWS)


def live_findings(
    connection: Connection, statuses: Iterable[FindingStatus], *, kind: str = "", zones: Sequence[str] | None = None
) -> list[StoredFinding]:
    """Return every finding of these statuses, of one kind or in some zones, however many there are."""
    table = tables.finding
    query = select(table).where(_is_one_of(statuses)).order_by(table.c.id)
    if kind:
        query = query.where(table.c.kind == kind)
    if zones is None:
        return [_stored(row) for row in connection.execute(query)]
    parts = [zones[at : at + MOST_NAMES] for at in range(0, len(zones), MOST_NAMES)]
    return [_stored(row) for part in parts for row in connection.execute(query.where(table.c.zone.in_(part)))]


def newest_findings(connection: Connection) -> list[StoredFinding]:
    """Return what the next pass must know.

    That is of each kind and subject the newest episode, of any status, and the newest of which people said something.
    """
    table = tables.finding
    newest = select(func.max(table.c.id)).group_by(table.c.kind, table.c.subject)
    visited = newest.where(table.c.inspected_at.is_not(None))
    wanted = table.c.id.in_(newest) | table.c.id.in_(visited)
    rows = connection.execute(select(table).where(wanted).order_by(table.c.id))
    return [_stored(row) for row in rows]


def findings_about(connection: Connection, kinds: Sequence[str], subjects: Sequence[str]) -> list[StoredFinding]:
    """Return the newest episode of each of these kinds and subjects, of any status."""
    table = tables.finding
    found: list[StoredFinding] = []
    for at in range(0, len(subjects), MOST_NAMES):
        match = (table.c.kind.in_(kinds), table.c.subject.in_(subjects[at : at + MOST_NAMES]))
        newest = select(func.max(table.c.id)).where(*match).group_by(table.c.kind, table.c.subject)
        found += [_stored(row) for row in connection.execute(select(table).where(table.c.id.in_(newest)))]
    return found


def list_findings(
    connection: Connection,
    *,
    status: FindingStatus | None = None,
    kind: str | None = None,
    zones: Sequence[str] | None = None,
    subject: str | None = None,
    limit: int = 500,
) -> list[StoredFinding]:
    """Return findings, the most certain first."""
    table = tables.finding
    query = select(table).order_by(table.c.score.desc(), table.c.id).limit(min(limit, MAX_ROWS))
    if status is not None:
        query = query.where(table.c.status == status.value)
    if kind is not None:
        query = query.where(table.c.kind == kind)
    if zones is not None:
        query = query.where(table.c.zone.in_(zones))
    if subject is not None:
        query = query.where(table.c.subject == subject)
    return [_stored(row) for row in connection.execute(query)]


def get_finding(connection: Connection, finding_id: int) -> StoredFinding:
    """Return one finding. Raises RefusedError 404 if there is none."""
    row = connection.execute(select(tables.finding).where(tables.finding.c.id == finding_id)).one_or_none()
    if row is None:
        raise RefusedError(404, "no_such_finding", f"there is no finding {finding_id}")
    return _stored(row)


def apply_changes(
    connection: Connection,
    now_us: int,
    *,
    raised: Iterable[Finding] = (),
    updated: Iterable[Finding] = (),
    ended: Iterable[Finding] = (),
    reopened: Iterable[Finding] = (),
) -> list[StoredFinding]:
    """Write what a pass changed; return the findings that were raised.

    A finding that people have settled in the meantime stays as they left it; one that they confirmed may end.
    """
    table = tables.finding
    new: list[StoredFinding] = []
    for finding in raised:
        values = {**_columns(finding), "updated_at": now_us}
        known = connection.execute(select(table.c.id).where(*_key(finding))).scalar()
        if known is None:
            done = connection.execute(table.insert().values(**values))
            key = done.inserted_primary_key
            new.append(StoredFinding(int(key[0]) if key else 0, finding, now_us))
    expectations = ((reopened, (FindingStatus.ENDED,)), (updated, (FindingStatus.OPEN,)), (ended, LASTING))
    for findings, expected in expectations:
        for finding in findings:
            values = {**_columns(finding), "updated_at": now_us}
            del values["detected_at"], values["inspected_at"]
            connection.execute(table.update().where(*_key(finding), _is_one_of(expected)).values(**values))
    return new


def touch(connection: Connection, subjects: Iterable[tuple[str, str]], now_us: int) -> None:
    """Note that a pass saw these lasting findings (kind, subject) again, though it changed nothing."""
    table = tables.finding
    for kind, subject in subjects:
        match = (table.c.kind == kind, table.c.subject == subject, _is_one_of(LASTING))
        connection.execute(table.update().where(*match).values(updated_at=now_us))


def _is_one_of(statuses: Iterable[FindingStatus]) -> ColumnElement[bool]:
    return tables.finding.c.status.in_([status.value for status in statuses])


def save_loss(connection: Connection, rows: Iterable[LossRow], now_us: int) -> int:
    """Write loss rows; a day that was known before gets a new revision only if something changed. Return how many."""
    wanted = {(row.zone, row.gas_day.isoformat()): row for row in rows}
    if not wanted:
        return 0
    days = [day for _, day in wanted]
    known = {(row.zone, row.gas_day): row for row in _newest(connection, min(days), max(days))}
    fresh = []
    for key, row in wanted.items():
        old = known.get(key)
        if old is None or not _same(old, row):
            fresh.append(
                {**_loss_columns(row), "revision": 1 if old is None else old.revision + 1, "computed_at": now_us}
            )
    if fresh:
        connection.execute(tables.loss.insert(), fresh)
    return len(fresh)


def list_loss(
    connection: Connection, first: date, last: date, *, zones: Sequence[str] | None = None, terms: bool = False
) -> list[LossRow]:
    """Return the newest revision of each zone and gas day from `first` to `last`, sorted by day and zone.

    Terms are read only where they are asked for: of a large city they take most of the time.
    """
    rows = _newest(connection, first.isoformat(), last.isoformat(), zones, terms=terms)
    return [_loss_row(row, terms_of(row.terms) if terms else {}) for row in rows]


def loss_rates(connection: Connection, first: date, last: date) -> Iterator[tuple[str, date, float | None]]:
    """Yield zone, gas day and loss rate (None: not assessable) from `first` to `last`, older revisions first."""
    column = tables.loss.c
    query = (
        select(column.zone, column.gas_day, column.loss_rate)
        .where(column.gas_day >= first.isoformat(), column.gas_day <= last.isoformat())
        .order_by(column.revision)
    )
    for zone, day, rate in connection.execute(query):
        yield zone, date.fromisoformat(day), rate


def last_loss_day(connection: Connection) -> date | None:
    """Return the newest gas day with a loss row."""
    day = connection.execute(select(func.max(tables.loss.c.gas_day))).scalar()
    return date.fromisoformat(day) if day else None


def _newest(
    connection: Connection, first: str, last: str, zones: Sequence[str] | None = None, *, terms: bool = False
) -> list[Row[Any]]:
    """Return the newest revisions, with their terms or only with whether there are any (`told`)."""
    table = tables.loss
    newest = (
        select(table.c.zone, table.c.gas_day, func.max(table.c.revision).label("revision"))
        .where(table.c.gas_day >= first, table.c.gas_day <= last)
        .group_by(table.c.zone, table.c.gas_day)
    )
    if zones is not None:
        newest = newest.where(table.c.zone.in_(zones))
    best = newest.subquery()
    columns = [column for column in table.c if terms or column is not table.c.terms]
    query = select(*columns, table.c.terms.is_not(None).label("told")).join(
        best,
        (table.c.zone == best.c.zone) & (table.c.gas_day == best.c.gas_day) & (table.c.revision == best.c.revision),
    )
    return list(connection.execute(query.order_by(table.c.gas_day, table.c.zone)))


def _key(finding: Finding) -> tuple[Any, ...]:
    table = tables.finding
    return (
        table.c.kind == finding.kind,
        table.c.subject == finding.subject,
        table.c.episode_no == finding.episode_no,
    )


def _columns(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "zone": finding.zone,
        "meter": finding.meter,
        "subject": finding.subject,
        "episode_no": finding.episode_no,
        "status": finding.status.value,
        "detected_at": to_us(finding.detected_at),
        "onset": to_us(finding.onset),
        "score": finding.score,
        "estimate_m3_per_day": finding.estimate_m3_per_day,
        "evidence": dict(finding.evidence),
        "cause": finding.cause or None,
        "inspected_at": None if finding.inspected_at is None else to_us(finding.inspected_at),
    }


def _stored(row: Row[Any]) -> StoredFinding:
    finding = Finding(
        kind=row.kind,
        zone=row.zone,
        meter=row.meter,
        detected_at=from_us(row.detected_at),
        onset=from_us(row.onset),
        score=row.score,
        estimate_m3_per_day=row.estimate_m3_per_day,
        evidence=row.evidence,
        episode_no=row.episode_no,
        status=FindingStatus(row.status),
        cause=row.cause or "",
        inspected_at=None if row.inspected_at is None else from_us(row.inspected_at),
    )
    return StoredFinding(row.id, finding, row.updated_at)


def _loss_columns(row: LossRow) -> dict[str, Any]:
    changed = {"gas_day": row.gas_day.isoformat(), "verdict": row.verdict.value, "terms": dict(row.terms) or None}
    return {**asdict(row), **changed}


def _loss_row(row: Row[Any], terms: Mapping[str, tuple[float, float]]) -> LossRow:
    return LossRow(
        zone=row.zone,
        gas_day=date.fromisoformat(row.gas_day),
        supply_m3=row.supply_m3,
        metered_m3=row.metered_m3,
        linepack_m3=row.linepack_m3,
        loss_m3=row.loss_m3,
        loss_rate=row.loss_rate,
        sigma=row.sigma,
        coverage=row.coverage,
        verdict=LossVerdict(row.verdict),
        reason=row.reason,
        steady_sigma=row.steady_sigma,
        between_m3=row.between_m3,
        between_sigma_m3=row.between_sigma_m3,
        terms=terms,
    )


def terms_of(stored: Mapping[str, Sequence[float]] | None) -> dict[str, tuple[float, float]]:
    """Return the terms of a loss as they stand in a row: m3 and sigma of each."""
    return {name: (pair[0], pair[1]) for name, pair in (stored or {}).items()}


def _same(old: Row[Any], new: LossRow) -> bool:
    """Say whether a day's figures tell the same as before: every pass moves estimates of unread meters a little."""
    if old.verdict != new.verdict.value or old.reason != new.reason or bool(old.told) != bool(new.terms):
        return False
    spread = SAME_SHARE * (new.sigma or 0.0)
    spread_m3 = spread * (new.supply_m3 or 0.0)
    bounds = {"loss_rate": spread, "sigma": spread, "steady_sigma": spread, "coverage": 0.0}
    return all(_close(getattr(old, name), getattr(new, name), bounds.get(name, spread_m3)) for name in LOSS_FIGURES)


def _close(old: float | None, new: float | None, bound: float) -> bool:
    if old is None or new is None:
        return old is new
    return math.isclose(old, new, rel_tol=SAME, abs_tol=max(bound, 1e-9))
