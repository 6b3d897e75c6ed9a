"""Rows of what an auditor decided: which of two values counts, and gas days set by hand. Only ever added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, func, select

from gateway.store import tables
from gateway.store.user_rows import add_audit


@dataclass(frozen=True, slots=True)
class Choice:
    """Which of several values of one device time counts; None = none, as before any choice."""

    meter: str
    source_time: int
    value: float | None
    who: str
    reason: str
    at: int


@dataclass(frozen=True, slots=True)
class Edit:
    """A gas day that a person set, in whole register units; None = taken back."""

    meter: str
    gas_day: str
    units: int | None
    who: str
    reason: str
    at: int
    id: int = 0
    """0 = not written yet; those written later have higher ones"""


def add_choice(connection: Connection, choice: Choice) -> None:
    """Write a choice, and who made it and why into the audit trail."""
    connection.execute(tables.reading_choice.insert().values(**_columns(choice)))
    detail = {"source_time": choice.source_time, "value": choice.value, "reason": choice.reason}
    add_audit(connection, choice.at, choice.who, "reading_chosen", subject=choice.meter, detail=detail)


def add_edit(connection: Connection, edit: Edit) -> None:
    """Write an edit, and who made it and why into the audit trail."""
    connection.execute(tables.interval_edit.insert().values(**_columns(edit)))
    detail = {"gas_day": edit.gas_day, "units": edit.units, "reason": edit.reason}
    add_audit(connection, edit.at, edit.who, "interval_edited", subject=edit.meter, detail=detail)


def choices(connection: Connection, meters: Sequence[str] | None = None) -> dict[tuple[str, int], Choice]:
    """Return the choices that hold, by meter and device time; of all meters, or of these few."""
    found = (
        Choice(**{name: value for name, value in values.items() if name != "id"})
        for values in _newest(connection, tables.reading_choice, "source_time", meters)
    )
    return {(one.meter, one.source_time): one for one in found if one.value is not None}


def edits(connection: Connection, meters: Sequence[str] | None = None) -> dict[tuple[str, str], Edit]:
    """Return the newest edit of each meter and gas day, those taken back too; of all meters, or of these few."""
    found = (Edit(**values) for values in _newest(connection, tables.interval_edit, "gas_day", meters))
    return {(one.meter, one.gas_day): one for one in found}


def newest_ids(connection: Connection) -> tuple[int, int]:
    """Return the ids of the newest choice and the newest edit, 0 where there is none."""
    one, other = (
        connection.execute(select(func.coalesce(func.max(table.c.id), 0))).scalar_one()
        for table in (tables.reading_choice, tables.interval_edit)
    )
    return int(one), int(other)


def _newest(
    connection: Connection, table: Table, subject: str, meters: Sequence[str] | None
) -> list[Mapping[str, Any]]:
    newest = select(func.max(table.c.id)).group_by(table.c.meter, table.c[subject])
    if meters is not None:
        newest = newest.where(table.c.meter.in_(meters))
    rows = connection.execute(select(table).where(table.c.id.in_(newest)))
    return [dict(row) for row in rows.mappings()]


def _columns(one: Choice | Edit) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__slots__ if name != "id"}
