"""The master alarm database as rows: proposals, decisions, and what is in force. Rows are never removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select

from gateway.errors import RefusedError
from gateway.model.reading import from_us, to_us
from gateway.store import tables
from gateway.store.user_rows import add_audit

GATEWAY = "gasgate"
"""author and approver of the rows that come with gasgate"""
_row = tables.definition_row
_PROPOSED, _APPROVED, _REFUSED = "proposed", "approved", "refused"


@dataclass(frozen=True, slots=True)
class DefinitionChange:
    """One revision of one definition, and what became of it; `row` is the table of the TOML file without `revision`."""

    id: int
    definition: str
    revision: int
    row: Mapping[str, Any]
    state: str
    """proposed, approved or refused"""
    author: str
    reason: str
    made_at: datetime
    decided_by: str
    decided_at: datetime | None
    next_review: str | None


def seed(connection: Connection, shipped: Mapping[str, Mapping[str, Any]], at: datetime) -> None:
    """Put the rows that come with gasgate in force where nobody has decided otherwise.

    A definition that people have changed stays as they approved it, also when a new version ships another row.
    """
    newest = in_force(connection)
    touched = set(connection.execute(select(_row.c.definition).where(_row.c.author != GATEWAY)).scalars())
    for name, row in shipped.items():
        known = newest.get(name)
        if known is None:
            _insert(connection, name, int(row["revision"]), _without_revision(row), at)
        elif name not in touched and dict(known.row) != _without_revision(row):
            revision = max(known.revision + 1, int(row["revision"]))
            _insert(connection, name, revision, _without_revision(row), at)


def in_force(connection: Connection) -> dict[str, DefinitionChange]:
    """Return the newest approved row of each definition."""
    query = select(_row).where(_row.c.state == _APPROVED).order_by(_row.c.definition, _row.c.revision)
    return {row["definition"]: _change(row) for row in connection.execute(query).mappings()}


def mark(connection: Connection) -> tuple[int, int]:
    """Return what differs whenever another row came into force."""
    query = select(func.count(), func.max(_row.c.decided_at)).where(_row.c.state == _APPROVED)
    count, newest = connection.execute(query).one()
    return int(count), int(newest or 0)


def propose(
    connection: Connection, name: str, row: Mapping[str, Any], *, author: str, reason: str, at: datetime
) -> DefinitionChange:
    """Write a proposal and return it. Raises RefusedError 409 `proposal_waits` or `no_change`."""
    waits = select(_row.c.id).where(_row.c.definition == name, _row.c.state == _PROPOSED)
    if connection.execute(waits).first() is not None:
        raise RefusedError(409, "proposal_waits", "another proposal for this definition waits for a decision")
    wanted = _without_revision(row)
    known = in_force(connection).get(name)
    if known is not None and dict(known.row) == wanted:
        raise RefusedError(409, "no_change", "that is what is in force")
    newest = connection.execute(select(func.max(_row.c.revision)).where(_row.c.definition == name)).scalar()
    values = {"definition": name, "revision": int(newest or 0) + 1, "row": wanted, "reason": reason}
    made = connection.execute(
        _row.insert().values(**values, state=_PROPOSED, author=author, made_at=to_us(at), decided_by="")
    )
    assert made.inserted_primary_key is not None
    detail = {"revision": values["revision"], "reason": reason}
    add_audit(connection, to_us(at), author, "definition.propose", subject=name, detail=detail)
    return find(connection, int(made.inserted_primary_key[0]))


def find(connection: Connection, change_id: int) -> DefinitionChange:
    """Return one. Raises RefusedError 404 `unknown_proposal`."""
    row = connection.execute(select(_row).where(_row.c.id == change_id)).mappings().first()
    if row is None:
        raise RefusedError(404, "unknown_proposal")
    return _change(row)


def decide(
    connection: Connection, change_id: int, who: str, *, agree: bool, at: datetime, next_review: str | None = None
) -> DefinitionChange:
    """Approve or refuse a proposal.

    Raises RefusedError 404 `unknown_proposal`, 409 `not_waiting`, 403 `same_person` if its author approves it.
    """
    change = find(connection, change_id)
    if change.state != _PROPOSED:
        raise RefusedError(409, "not_waiting")
    if agree and change.author == who:
        raise RefusedError(403, "same_person")
    values = {"state": _APPROVED if agree else _REFUSED, "decided_by": who, "decided_at": to_us(at)}
    connection.execute(_row.update().where(_row.c.id == change_id).values(**values, next_review=next_review))
    act = "definition.approve" if agree else "definition.refuse"
    add_audit(connection, to_us(at), who, act, subject=change.definition, detail={"revision": change.revision})
    return find(connection, change_id)


def history(connection: Connection, name: str | None = None, limit: int = 500) -> list[DefinitionChange]:
    """Return revisions of one definition, or of all, newest first."""
    query = select(_row).order_by(_row.c.id.desc()).limit(limit)
    if name is not None:
        query = query.where(_row.c.definition == name)
    return [_change(row) for row in connection.execute(query).mappings()]


def waiting(connection: Connection) -> list[DefinitionChange]:
    """Return proposals that nobody has decided, oldest first."""
    query = select(_row).where(_row.c.state == _PROPOSED).order_by(_row.c.id)
    return [_change(row) for row in connection.execute(query).mappings()]


def _insert(connection: Connection, name: str, revision: int, row: Mapping[str, Any], at: datetime) -> None:
    values = {"definition": name, "revision": revision, "row": row, "state": _APPROVED, "author": GATEWAY}
    moments = {"made_at": to_us(at), "decided_at": to_us(at)}
    connection.execute(_row.insert().values(**values, **moments, decided_by=GATEWAY, reason="comes with gasgate"))


def _without_revision(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "revision"}


def _change(row: RowMapping) -> DefinitionChange:
    decided = None if row["decided_at"] is None else from_us(row["decided_at"])
    return DefinitionChange(**{**row, "made_at": from_us(row["made_at"]), "decided_at": decided})
