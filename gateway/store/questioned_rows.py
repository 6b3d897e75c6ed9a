"""Readings that a rule questioned and nobody decided on yet, and what was decided, as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, exists, func, select

from gateway.store import tables
from gateway.store.user_rows import add_audit

_verdict, _decision = tables.vee_verdict, tables.verdict_decision
_newer = _verdict.alias("newer")
_SUPERSEDED = exists().where(
    _newer.c.point_id == _verdict.c.point_id,
    _newer.c.source_time == _verdict.c.source_time,
    _newer.c.rule == _verdict.c.rule,
    _newer.c.revision > _verdict.c.revision,
)
_SAME = and_(
    _decision.c.point_id == _verdict.c.point_id,
    _decision.c.source_time == _verdict.c.source_time,
    _decision.c.rule == _verdict.c.rule,
    _decision.c.revision == _verdict.c.revision,
)
_DECIDED = exists().where(_SAME)
_OPEN = and_(_verdict.c.holds, ~_SUPERSEDED, ~_DECIDED)


@dataclass(frozen=True, slots=True)
class Questioned:
    """A verdict that holds; times are microseconds UTC."""

    id: int
    meter: str
    point_id: str
    source_time: int
    rule: str
    revision: int
    result: str
    since: int
    until: int
    evidence: Mapping[str, float | None]
    written_at: int


@dataclass(frozen=True, slots=True)
class VerdictDecision:
    """What a person decided on a verdict."""

    meter: str
    point_id: str
    source_time: int
    rule: str
    revision: int
    accepted: bool
    who: str
    reason: str
    at: int


def questioned(
    connection: Connection, *, rules: Sequence[str], written_after: int, before: int | None, limit: int
) -> list[Questioned]:
    """Return verdicts of these rules that nobody decided on, the newest first; `before` is the last one's id."""
    query = select(_verdict).where(_OPEN, _verdict.c.rule.in_(rules), _verdict.c.written_at > written_after)
    if before is not None:
        query = query.where(_verdict.c.id < before)
    rows = connection.execute(query.order_by(_verdict.c.id.desc()).limit(limit)).mappings()
    return [_questioned(row) for row in rows]


def find(connection: Connection, verdict_id: int) -> Questioned | None:
    """Return a verdict if it holds and nobody decided on it."""
    row = connection.execute(select(_verdict).where(_OPEN, _verdict.c.id == verdict_id)).mappings().first()
    return None if row is None else _questioned(row)


def count_by_rule(connection: Connection, *, written_after: int, limit: int) -> dict[str, int]:
    """Return how many of the newest `limit` open verdicts each rule has."""
    newest = (
        select(_verdict.c.rule)
        .where(_OPEN, _verdict.c.written_at > written_after)
        .order_by(_verdict.c.id.desc())
        .limit(limit)
        .subquery()
    )
    query = select(newest.c.rule, func.count()).group_by(newest.c.rule)
    return {str(rule): int(count) for rule, count in connection.execute(query)}


def decide(connection: Connection, decision: VerdictDecision) -> None:
    """Write a decision, and who made it and why into the audit trail."""
    values = {name: getattr(decision, name) for name in VerdictDecision.__slots__}
    connection.execute(_decision.insert().values(**values))
    detail = {"rule": decision.rule, "source_time": decision.source_time, "reason": decision.reason}
    act = "reading_accepted" if decision.accepted else "reading_rejected"
    add_audit(connection, decision.at, decision.who, act, subject=decision.meter, detail=detail)


def decided(connection: Connection, limit: int) -> list[VerdictDecision]:
    """Return decisions, the newest first."""
    rows = connection.execute(select(_decision).order_by(_decision.c.id.desc()).limit(limit)).mappings()
    return [VerdictDecision(**_values(row, VerdictDecision.__slots__)) for row in rows]


def _questioned(row: RowMapping) -> Questioned:
    return Questioned(**_values(row, Questioned.__slots__))


def _values(row: RowMapping, names: Sequence[str]) -> dict[str, Any]:
    return {name: row[name] for name in names}
