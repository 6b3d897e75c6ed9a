"""Rows of configuration revisions: which one is to run, since when, by whom, and which reload was refused."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, desc, func, insert, select

from gateway.store import tables, user_rows

STARTED, RELOADED, REFUSED = "started", "reloaded", "refused"
MOST_ROWS = 1_000
"""the oldest go when there are more; the audit trail keeps them"""
_MOST_PROBLEMS = 20
_TABLE = tables.revision


@dataclass(frozen=True, slots=True)
class Revision:
    """One start or reload."""

    number: int
    at: int
    """real us UTC"""
    who: str
    outcome: str
    digest: str
    fixed: Mapping[str, Any]
    problems: tuple[str, ...]


def current(connection: Connection) -> Revision | None:
    """Return the revision that is to run; None before the first start."""
    query = select(_TABLE).where(_TABLE.c.outcome != REFUSED).order_by(desc(_TABLE.c.id)).limit(1)
    return _revision(connection.execute(query).first())


def last_attempt(connection: Connection) -> Revision | None:
    """Return the newest row, which may be a reload that was refused."""
    return _revision(connection.execute(select(_TABLE).order_by(desc(_TABLE.c.id)).limit(1)).first())


def begin(connection: Connection, digest: str, fixed: Mapping[str, Any], *, who: str, outcome: str, at_us: int) -> int:
    """Make a configuration the one to run and return its number; `at_us` is the site's time for the audit trail."""
    before = current(connection)
    number = 1 if before is None else before.number + 1
    _add(connection, number, who=who, outcome=outcome, digest=digest, fixed=fixed)
    detail = {"revision": number, "digest": digest}
    user_rows.add_audit(connection, at_us, who, f"configuration.{outcome}", subject=f"revision {number}", detail=detail)
    return number


def refuse(connection: Connection, problems: Sequence[str], *, who: str, at_us: int) -> None:
    """Note that a reload was refused; what runs stays."""
    before = current(connection)
    number, digest, fixed = (0, "", {}) if before is None else (before.number, before.digest, before.fixed)
    told = [problem[:500] for problem in problems[:_MOST_PROBLEMS]]
    _add(connection, number, who=who, outcome=REFUSED, digest=digest, fixed=fixed, problems=told)
    user_rows.add_audit(
        connection,
        at_us,
        who,
        f"configuration.{REFUSED}",
        subject=f"revision {number} stays",
        detail={"problems": told},
    )


def _add(connection: Connection, number: int, *, problems: Sequence[str] = (), **values: Any) -> None:
    at = time.time_ns() // 1000
    connection.execute(insert(_TABLE).values(number=number, at=at, problems=list(problems), **values))
    newest = connection.execute(select(func.max(_TABLE.c.id))).scalar_one()
    connection.execute(delete(_TABLE).where(_TABLE.c.id <= newest - MOST_ROWS, _TABLE.c.number < number))


def _revision(row: Row[Any] | None) -> Revision | None:
    if row is None:
        return None
    return Revision(row.number, row.at, row.who, row.outcome, row.digest, row.fixed, tuple(row.problems))
