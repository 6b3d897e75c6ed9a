"""Rows of verdicts in the state database: only ever added, by revision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, Row, func, select

from gateway.store import tables
from gateway.store.interval_rows import IntervalRow

MOST_NAMES = 500
"""names in one query"""
LASTS_ON_US = 28 * 86_400_000_000
"""a verdict on what goes on is written again once it has gone on for this much longer"""


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """What one rule said of one reading or gas day, at one revision."""

    meter: str
    point_id: str
    source_time: int
    rule: str
    version: int
    result: str
    since: int
    until: int
    evidence: Mapping[str, float | None]
    written_at: int
    holds: bool = True
    revision: int = 0

    @property
    def key(self) -> tuple[str, int, str]:
        """What it is about."""
        return self.point_id, self.source_time, self.rule


_VERDICT = tuple(field.name for field in fields(VerdictRow))


def first_old_day(connection: Connection) -> str | None:
    """Return the oldest gas day whose intervals stand in this database still, as the first release wrote them."""
    day: str | None = connection.execute(select(func.min(tables.interval.c.gas_day))).scalar()
    return day


def old_intervals(connection: Connection, day: str) -> list[IntervalRow]:
    """Return all revisions of a gas day as the first release wrote them."""
    rows = connection.execute(select(tables.interval).where(tables.interval.c.gas_day == day))
    return [IntervalRow(**row._mapping, who="", note="") for row in rows]  # noqa: SLF001 - public, says SQLAlchemy


def forget_old_intervals(connection: Connection, day: str) -> None:
    """Remove a gas day that stands elsewhere now."""
    connection.execute(tables.interval.delete().where(tables.interval.c.gas_day == day))


def save_verdicts(
    connection: Connection,
    meters: Sequence[str],
    rows: Iterable[VerdictRow],
    since_us: int,
    now_us: int,
    *,
    kept: frozenset[str] = frozenset(),
) -> int:
    """Add verdicts that are new, and take back those since `since_us` that no longer hold; return how many rows.

    `rows` is all that the rules say of these meters at `now_us`. What a rule in `kept` once said stays said.
    """
    now = {row.key: row for row in rows}
    known = {row.key: row for row in _newest_verdicts(connection, meters, since_us)}
    fresh = [_next(known.get(key), row) for key, row in now.items() if _is_new(known.get(key), row)]
    for key, old in known.items():
        if old.holds and key not in now and old.rule not in kept:
            fresh.append(
                {**_columns(old, _VERDICT), "holds": False, "revision": old.revision + 1, "written_at": now_us}
            )
    if fresh:
        connection.execute(tables.vee_verdict.insert(), fresh)
    return len(fresh)


def count_verdicts(connection: Connection) -> int:
    """Return how many rows of verdicts there are."""
    return int(connection.execute(select(func.count()).select_from(tables.vee_verdict)).scalar_one())


def verdicts_of(connection: Connection, meter: str, start_us: int, end_us: int) -> list[VerdictRow]:
    """Return all revisions of the verdicts on a meter that touch start <= time < end, oldest first."""
    table = tables.vee_verdict
    match = (table.c.meter == meter, table.c.since < end_us, table.c.until >= start_us)
    query = select(table).where(*match).order_by(table.c.source_time, table.c.rule, table.c.revision)
    return [_verdict(row) for row in connection.execute(query)]


def _newest_verdicts(connection: Connection, meters: Sequence[str], since_us: int) -> Iterator[VerdictRow]:
    table = tables.vee_verdict
    for at in range(0, len(meters), MOST_NAMES):
        match = (table.c.meter.in_(meters[at : at + MOST_NAMES]), table.c.source_time >= since_us)
        newest: dict[tuple[str, int, str], VerdictRow] = {}
        for row in connection.execute(select(table).where(*match).order_by(table.c.revision)):
            verdict = _verdict(row)
            newest[verdict.key] = verdict
        yield from newest.values()


def _is_new(old: VerdictRow | None, new: VerdictRow) -> bool:
    if old is None or not old.holds or (old.version, old.result) != (new.version, new.result):
        return True
    return abs(new.until - old.until) >= LASTS_ON_US


def _next(old: VerdictRow | None, new: VerdictRow) -> dict[str, Any]:
    return {**_columns(new, _VERDICT), "revision": 1 if old is None else old.revision + 1}


def _columns(row: VerdictRow, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _verdict(row: Row[Any]) -> VerdictRow:
    columns = {name: value for name, value in row._mapping.items() if name != "id"}  # noqa: SLF001 - as above
    return VerdictRow(**columns)
