"""Rows of verdicts and final intervals in the state database: only ever added, by revision."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, Row, func, select

from gateway.store import tables
from gateway.store.state import upsert

MOST_NAMES = 500
"""names in one query"""


@dataclass(frozen=True, slots=True)
class IntervalRow:
    """What one meter counted on one gas day, at one revision."""

    meter: str
    gas_day: str
    begins: int
    ends: int
    units: int | None
    """whole register units; None = missing"""
    decimals: int
    status: str
    method: str
    rules: str
    left_at: int | None
    right_at: int | None
    step_units: int | None
    computed_at: int
    revision: int = 0


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


_INTERVAL = tuple(field.name for field in fields(IntervalRow))
_VERDICT = tuple(field.name for field in fields(VerdictRow))
_COMPARED = tuple(name for name in _INTERVAL if name not in {"revision", "computed_at"})


def digests(connection: Connection, first_day: str) -> dict[tuple[str, int], str]:
    """Return the digests of the days since `first_day`, by day and slice."""
    table = tables.interval_digest
    rows = connection.execute(select(table).where(table.c.gas_day >= first_day))
    return {(row.gas_day, row.part): row.digest for row in rows}


def save_intervals(connection: Connection, rows: Sequence[IntervalRow], part: int, digest: str) -> int:
    """Add those rows of one gas day and slice that differ from the newest revision; return how many."""
    if not rows:
        return 0
    day = rows[0].gas_day
    known = {row.meter: row for row in _newest(connection, [row.meter for row in rows], day, day)}
    fresh = [_revised(known.get(row.meter), row) for row in rows if _differs(known.get(row.meter), row)]
    if fresh:
        connection.execute(tables.interval.insert(), fresh)
    upsert(connection, tables.interval_digest, {"gas_day": day, "part": part}, {"digest": digest})
    return len(fresh)


def estimates(connection: Connection, first_day: str) -> Iterator[IntervalRow]:
    """Yield the newest revisions that are estimates, of the days since `first_day`."""
    table = tables.interval
    newest = _newest_keys(first_day, "9999").subquery()
    query = select(table).join(newest, _same_key(newest)).where(table.c.status == "estimated")
    for row in connection.execute(query):
        yield _interval(row)


def intervals_of(connection: Connection, meter: str, first_day: str, last_day: str) -> list[IntervalRow]:
    """Return all revisions of a meter's gas days from `first_day` to `last_day`, oldest day first, newest last."""
    table = tables.interval
    match = (table.c.meter == meter, table.c.gas_day >= first_day, table.c.gas_day <= last_day)
    query = select(table).where(*match).order_by(table.c.gas_day, table.c.revision)
    return [_interval(row) for row in connection.execute(query)]


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


def verdicts_of(connection: Connection, meter: str, start_us: int, end_us: int) -> list[VerdictRow]:
    """Return all revisions of the verdicts on a meter that touch start <= time < end, oldest first."""
    table = tables.vee_verdict
    match = (table.c.meter == meter, table.c.since < end_us, table.c.until >= start_us)
    query = select(table).where(*match).order_by(table.c.source_time, table.c.rule, table.c.revision)
    return [_verdict(row) for row in connection.execute(query)]


def _newest(connection: Connection, meters: Sequence[str], first_day: str, last_day: str) -> Iterator[IntervalRow]:
    table = tables.interval
    for at in range(0, len(meters), MOST_NAMES):
        some = meters[at : at + MOST_NAMES]
        newest = _newest_keys(first_day, last_day).where(table.c.meter.in_(some)).subquery()
        for row in connection.execute(select(table).join(newest, _same_key(newest))):
            yield _interval(row)


def _newest_keys(first_day: str, last_day: str) -> Any:
    table = tables.interval
    return (
        select(table.c.meter, table.c.gas_day, func.max(table.c.revision).label("revision"))
        .where(table.c.gas_day >= first_day, table.c.gas_day <= last_day)
        .group_by(table.c.meter, table.c.gas_day)
    )


def _same_key(newest: Any) -> Any:
    table = tables.interval
    return (
        (table.c.meter == newest.c.meter)
        & (table.c.gas_day == newest.c.gas_day)
        & (table.c.revision == newest.c.revision)
    )


def _newest_verdicts(connection: Connection, meters: Sequence[str], since_us: int) -> Iterator[VerdictRow]:
    table = tables.vee_verdict
    for at in range(0, len(meters), MOST_NAMES):
        match = (table.c.meter.in_(meters[at : at + MOST_NAMES]), table.c.source_time >= since_us)
        newest: dict[tuple[str, int, str], VerdictRow] = {}
        for row in connection.execute(select(table).where(*match).order_by(table.c.revision)):
            verdict = _verdict(row)
            newest[verdict.key] = verdict
        yield from newest.values()


def _differs(old: IntervalRow | None, new: IntervalRow) -> bool:
    return old is None or any(getattr(old, name) != getattr(new, name) for name in _COMPARED)


def _revised(old: IntervalRow | None, new: IntervalRow) -> dict[str, Any]:
    return {**_columns(new, _INTERVAL), "revision": 1 if old is None else old.revision + 1}


def _is_new(old: VerdictRow | None, new: VerdictRow) -> bool:
    return old is None or not old.holds or (old.version, old.result) != (new.version, new.result)


def _next(old: VerdictRow | None, new: VerdictRow) -> dict[str, Any]:
    return {**_columns(new, _VERDICT), "revision": 1 if old is None else old.revision + 1}


def _columns(row: IntervalRow | VerdictRow, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in names}


def _interval(row: Row[Any]) -> IntervalRow:
    return IntervalRow(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it


def _verdict(row: Row[Any]) -> VerdictRow:
    columns = {name: value for name, value in row._mapping.items() if name != "id"}  # noqa: SLF001 - as above
    return VerdictRow(**columns)
