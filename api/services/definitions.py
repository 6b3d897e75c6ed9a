"""The master alarm database as people see and change it: proposed by one, approved by another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from pydantic import ValidationError

from alarms.definitions import DefinitionRow, parse_rows, priority_of, rows_as_toml
from alarms.master import definition_of, differences, digest
from api.auth import User
from api.deps import Parts
from api.roles import Act
from gateway.errors import ConfigError, RefusedError
from gateway.store import definition_rows, health_rows
from gateway.store.definition_rows import DefinitionChange

FIXED = ("id", "kind", "quantity", "asset_kinds", "highly_managed")
"""what code and safety rest on: never changed by an edit"""
NEW_KINDS = ("high_limit", "low_limit", "flag")
"""kinds of definitions that may be added; what raises the others is part of gasgate"""


@dataclass(frozen=True, slots=True)
class Master:
    """What is in force, what waits, and what runs otherwise than approved."""

    in_force: tuple[DefinitionChange, ...]
    waiting: tuple[DefinitionChange, ...]
    differ: tuple[str, ...]
    """definitions that the judging process runs otherwise than approved; empty means none"""
    running: bool
    """False while the judging process has not told what it runs"""


def master(parts: Parts) -> Master:
    """Return the master alarm database."""
    with parts.state.read() as connection:
        rows = definition_rows.in_force(connection)
        waiting = definition_rows.waiting(connection)
    approved = {name: _digest(change) for name, change in rows.items()}
    running: Mapping[str, str] = health_rows.detail(parts.state, "alarm").get("definitions") or {}
    differ = tuple(differences(approved, running)) if running else ()
    return Master(tuple(rows[name] for name in sorted(rows)), tuple(waiting), differ, bool(running))


def as_toml(parts: Parts) -> str:
    """Return what is in force as the text of a definitions file."""
    with parts.state.read() as connection:
        rows = definition_rows.in_force(connection)
    return rows_as_toml({**change.row, "revision": change.revision} for _, change in sorted(rows.items()))


def history(parts: Parts, name: str) -> list[DefinitionChange]:
    """Return all revisions of a definition, newest first. Raises RefusedError 404 `unknown_definition`."""
    with parts.state.read() as connection:
        found = definition_rows.history(connection, name)
    if not found:
        raise RefusedError(404, "unknown_definition")
    return found


def propose(parts: Parts, user: User, name: str, changes: Mapping[str, Any], reason: str) -> DefinitionChange:
    """Propose a changed or a new definition; `changes` are keys of its row. Priority follows from harm and time.

    Raises RefusedError 403, 409 `proposal_waits` or `no_change`, 422 `bad_row`, `fixed_field` or `new_kind`.
    """
    parts.auth.permit(user, Act.DEFINITION_PROPOSE)
    with parts.state.write() as connection:
        known = definition_rows.in_force(connection).get(name)
        wanted = {**({} if known is None else known.row), "id": name, **changes}
        row = _checked(_with_priority(wanted, changes), known)
        now = parts.clock.now()
        return definition_rows.propose(connection, name, row, author=user.name, reason=reason.strip(), at=now)


def import_toml(parts: Parts, user: User, text: str, reason: str) -> list[DefinitionChange]:
    """Propose every row of a definitions file that differs from what is in force.

    Raises RefusedError as `propose` does; then nothing was proposed.
    """
    parts.auth.permit(user, Act.DEFINITION_PROPOSE)
    try:
        rows = parse_rows(text, "import")
    except ConfigError as error:
        raise RefusedError(422, "bad_row", str(error)[:2000]) from error
    proposed = []
    with parts.state.write() as connection:
        in_force = definition_rows.in_force(connection)
        for name, parsed in rows.items():
            known = in_force.get(name)
            row = _checked(_plain(parsed), known)
            if known is None or row != dict(known.row):
                proposed.append(
                    definition_rows.propose(
                        connection, name, row, author=user.name, reason=reason.strip(), at=parts.clock.now()
                    )
                )
    if not proposed:
        raise RefusedError(409, "no_change", "that is what is in force")
    return proposed


def decide(
    parts: Parts, user: User, change_id: int, *, agree: bool, next_review: date | None = None
) -> DefinitionChange:
    """Approve or refuse a proposal; its author may take it back, never approve it.

    Raises RefusedError 403, 403 `same_person`, 404 `unknown_proposal`, 409 `not_waiting`.
    """
    with parts.state.read() as connection:
        author = definition_rows.find(connection, change_id).author
    own = not agree and author == user.name
    parts.auth.permit(user, Act.DEFINITION_PROPOSE if own else Act.DEFINITION_APPROVE)
    review = None if next_review is None else next_review.isoformat()
    with parts.state.write() as connection:
        done = definition_rows.decide(
            connection, change_id, user.name, agree=agree, at=parts.clock.now(), next_review=review
        )
    if agree:
        parts.refresh()
    return done


def _digest(change: DefinitionChange) -> str:
    try:
        return digest(definition_of(change.row, change.revision))
    except ValidationError:
        return "unusable"


def _with_priority(row: Mapping[str, Any], changes: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a row whose priority follows from another harm or time, unless somebody says it as well."""
    if "priority" in changes or not {"harm", "time_available_s"} & changes.keys():
        return row
    try:
        follows = priority_of(str(row.get("harm", "")), float(row.get("time_available_s", 0.0)))
    except (TypeError, ValueError, KeyError):
        return row
    return row if follows is None else {**row, "priority": int(follows)}


def _checked(row: Mapping[str, Any], known: DefinitionChange | None) -> dict[str, Any]:
    try:
        checked = _plain(DefinitionRow.model_validate({**row, "revision": 1}))
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()[:10]]
        raise RefusedError(422, "bad_row", "; ".join(problems)) from error
    if "harm" not in checked:
        raise RefusedError(422, "bad_row", "harm: one of people, many, few, money; it makes the priority")
    if known is None and checked["kind"] not in NEW_KINDS:
        raise RefusedError(422, "new_kind", f"a new definition is one of {', '.join(NEW_KINDS)}")
    if known is not None:
        before = _plain(DefinitionRow.model_validate({**known.row, "revision": 1}))
        changed = [name for name in FIXED if before.get(name) != checked.get(name)]
        if changed:
            raise RefusedError(422, "fixed_field", f"{', '.join(changed)}: fixed; add another definition instead")
    return checked


def _plain(row: DefinitionRow) -> dict[str, Any]:
    values = row.model_dump(mode="json", exclude_defaults=True)
    return {name: value for name, value in values.items() if name != "revision"}
