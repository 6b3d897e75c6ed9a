"""Alarms, their journal and the answers to requests as rows of the state database."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, Text, bindparam, func, select, type_coerce

from gateway.model.alarm import Alarm, AlarmState, OutOfService, Priority, Shelf
from gateway.model.reading import from_us, to_us
from gateway.store import tables

_MOMENTS = ("silenced_until", "source_at", "condition_at", "raised_at", "acked_at", "cleared_at")
_PLAIN = (
    "definition",
    "asset",
    "cond",
    "occurrence_no",
    "acked",
    "latched",
    "uncertain",
    "announced_no",
    "acked_by",
    "value",
    "definition_rev",
    "version",
)
_PAGE = 10_000
_AT_ONCE = 500

# Statements of the hot path are built once: SQLAlchemy takes longer to build one than SQLite to run it.
_LOAD = select(tables.alarm).where(tables.alarm.c.alarm_id == bindparam("key"))
_LOAD_MANY = select(tables.alarm).where(tables.alarm.c.alarm_id.in_(bindparam("keys", expanding=True)))
_UPDATE = tables.alarm.update().where(tables.alarm.c.alarm_id == bindparam("key"))
_INSERT = tables.alarm.insert()
_NEWEST_HASH = select(tables.journal.c.hash).order_by(tables.journal.c.seq.desc()).limit(1)
_APPEND = tables.journal.insert()


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One row of the journal with its chained hash; `before` and `after` are the facts as stored."""

    seq: int
    at: datetime
    alarm_id: str
    occurrence_no: int
    event: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    actor: str
    reason: str
    hash: str


@dataclass(frozen=True, slots=True)
class NewLine:
    """A line that is to be appended to the journal."""

    at: datetime
    before: Alarm
    after: Alarm
    event: str
    occurrence_no: int
    actor: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """The first answer that was given to a request id."""

    who: str
    status: int
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RunningTimer:
    """A delay that was running at the last commit; times are us UTC."""

    alarm_id: str
    since: int
    """device time at which it began"""
    last: int
    """device time of the newest sample"""
    seen: int
    """received time of the newest sample"""
    period: int
    """us between samples as learnt so far, 0 = unknown"""
    value: float
    """the newest value"""


def facts_of(alarm: Alarm) -> dict[str, Any]:
    """Return the stored facts as plain JSON values; times are us UTC."""
    facts: dict[str, Any] = {name: getattr(alarm, name) for name in _PLAIN}
    for name in _MOMENTS:
        moment = getattr(alarm, name)
        facts[name] = None if moment is None else to_us(moment)
    facts["priority"] = int(alarm.priority)
    facts["sbd"] = sorted(alarm.sbd)
    facts["shelf"] = None if alarm.shelf is None else _with_us(alarm.shelf)
    facts["oos"] = None if alarm.oos is None else _with_us(alarm.oos)
    return facts


def alarm_from(facts: Mapping[Any, Any]) -> Alarm:
    """Read what `facts_of` wrote; further keys are ignored."""
    values: dict[str, Any] = {name: facts[name] for name in _PLAIN}
    for name in _MOMENTS:
        values[name] = None if facts[name] is None else from_us(facts[name])
    values["priority"] = Priority(facts["priority"])
    values["sbd"] = frozenset(facts["sbd"])
    values["shelf"] = None if facts["shelf"] is None else Shelf(**_with_moments(facts["shelf"]))
    values["oos"] = None if facts["oos"] is None else OutOfService(**_with_moments(facts["oos"]))
    return Alarm(**values)


def load(connection: Connection, alarm_id: str) -> Alarm | None:
    """Return the facts of one alarm, None if it never rose."""
    row = connection.execute(_LOAD, {"key": alarm_id}).mappings().first()
    return None if row is None else alarm_from(row)


def load_all(connection: Connection) -> list[Alarm]:
    """Return every alarm that ever rose."""
    return [alarm_from(row) for row in connection.execute(select(tables.alarm)).mappings()]


def load_of(connection: Connection, definitions: Sequence[str]) -> list[Alarm]:
    """Return every alarm of these definitions that ever rose, normal ones too."""
    query = select(tables.alarm).where(tables.alarm.c.definition.in_(definitions))
    return [alarm_from(row) for row in connection.execute(query).mappings()]


def load_many(connection: Connection, alarm_ids: Sequence[str]) -> dict[str, Alarm]:
    """Return the facts of those alarms that ever rose, by id."""
    wanted, found = sorted(set(alarm_ids)), {}
    for first in range(0, len(wanted), _AT_ONCE):
        for row in connection.execute(_LOAD_MANY, {"keys": wanted[first : first + _AT_ONCE]}).mappings():
            found[row["alarm_id"]] = alarm_from(row)
    return found


def save_many(connection: Connection, alarms: Sequence[Alarm], stored: Collection[str]) -> None:
    """Store the facts of alarms, each once; `stored` are the ids of those that have a row."""
    values = {alarm.alarm_id: {**facts_of(alarm), "state": alarm.state.value} for alarm in alarms}
    known = [{**one, "key": name} for name, one in values.items() if name in stored]
    fresh = [{**one, "alarm_id": name} for name, one in values.items() if name not in stored]
    if known:
        connection.execute(_UPDATE, known)
    if fresh:
        connection.execute(_INSERT, fresh)


def list_active(
    connection: Connection,
    *,
    states: Sequence[AlarmState] | None = None,
    assets: Sequence[str] | None = None,
    limit: int | None = 1000,
    offset: int = 0,
) -> list[Alarm]:
    """Return alarms that are not in state A, or those in `states`: worst priority first, then newest first."""
    column = tables.alarm.c
    query = select(tables.alarm).order_by(column.priority, column.condition_at.desc(), column.alarm_id)
    wanted = [state for state in AlarmState if state is not AlarmState.NORMAL] if states is None else states
    query = query.where(column.state.in_([state.value for state in wanted]))
    if assets is not None:
        query = query.where(column.asset.in_(assets))
    return [alarm_from(row) for row in connection.execute(query.limit(limit).offset(offset)).mappings()]


def count_unacknowledged(connection: Connection) -> dict[Priority, int]:
    """Return how many visible alarms wait for an acknowledgement, by priority; every priority is a key."""
    column = tables.alarm.c
    letters = [
        AlarmState.UNACKNOWLEDGED.value,
        AlarmState.LATCHED_UNACKNOWLEDGED.value,
        AlarmState.RETURNED_UNACKNOWLEDGED.value,
    ]
    query = select(column.priority, func.count()).where(column.state.in_(letters)).group_by(column.priority)
    counted = {int(priority): int(count) for priority, count in connection.execute(query)}
    return {priority: counted.get(int(priority), 0) for priority in Priority}


def append_lines(connection: Connection, lines: Sequence[NewLine]) -> None:
    """Append rows in this order, each chained to the one before, inside the caller's transaction."""
    if not lines:
        return
    previous = connection.execute(_NEWEST_HASH).scalar() or ""
    rows: list[dict[str, Any]] = []
    alarms = {id(alarm): alarm for line in lines for alarm in (line.before, line.after)}
    facts = {key: facts_of(alarm) for key, alarm in alarms.items()}
    for line in lines:
        values: dict[str, Any] = {
            "at": to_us(line.at),
            "alarm_id": line.after.alarm_id,
            "occurrence_no": line.occurrence_no,
            "event": line.event,
            "before": facts[id(line.before)],
            "after": facts[id(line.after)],
            "actor": line.actor,
            "reason": line.reason,
        }
        previous = _chained(values, previous)
        rows.append({**values, "hash": previous})
    connection.execute(_APPEND, rows)


def journal(connection: Connection, alarm_id: str, *, limit: int = 200) -> list[JournalEntry]:
    """Return the newest rows of one alarm, oldest of them first."""
    query = (
        select(tables.journal)
        .where(tables.journal.c.alarm_id == alarm_id)
        .order_by(tables.journal.c.seq.desc())
        .limit(limit)
    )
    return [_entry(row) for row in connection.execute(query).mappings()][::-1]


def journal_after(connection: Connection, seq: int, *, limit: int = 500) -> list[JournalEntry]:
    """Return rows of all alarms with a later seq, oldest first; for whoever follows what happens."""
    query = select(tables.journal).where(tables.journal.c.seq > seq).order_by(tables.journal.c.seq).limit(limit)
    return [_entry(row) for row in connection.execute(query).mappings()]


def journal_since(connection: Connection, moment: datetime, events: Sequence[str]) -> list[JournalEntry]:
    """Return rows of these events from a moment on, oldest first."""
    column = tables.journal.c
    query = select(tables.journal).where(column.at >= to_us(moment), column.event.in_(events)).order_by(column.seq)
    return [_entry(row) for row in connection.execute(query).mappings()]


def last_journal_seq(connection: Connection) -> int:
    """Return the seq of the newest row, 0 if there is none."""
    return int(connection.execute(select(func.max(tables.journal.c.seq))).scalar() or 0)


def verify_journal(connection: Connection) -> int | None:
    """Return the seq of the first row that is not as it was written, None if the whole chain holds.

    The facts are compared as text, too: another way to write the same is a change.
    """
    column = tables.journal.c
    texts = [type_coerce(column[name], Text).label(f"{name}_text") for name in ("before", "after")]
    plain = [column[name] for name in ("seq", "at", "alarm_id", "occurrence_no", "event", "actor", "reason", "hash")]
    previous = ""
    rows = connection.execution_options(yield_per=_PAGE).execute(select(*plain, *texts).order_by(column.seq))
    for row in rows.mappings():
        try:
            facts = {name: json.loads(row[f"{name}_text"]) for name in ("before", "after")}
        except ValueError:
            return int(row["seq"])
        values = {name: row[name] for name in ("at", "alarm_id", "occurrence_no", "event", "actor", "reason")}
        same = all(json.dumps(facts[name]) == row[f"{name}_text"] for name in facts)
        if not same or row["hash"] != _chained({**values, **facts}, previous):
            return int(row["seq"])
        previous = row["hash"]
    return None


def load_timers(connection: Connection) -> list[RunningTimer]:
    """Return the delays that were running at the last commit."""
    return [RunningTimer(**row) for row in connection.execute(select(tables.running_timer)).mappings()]


def replace_timers(connection: Connection, timers: Sequence[RunningTimer]) -> None:
    """Store exactly these running delays, inside the transaction that moves the reader's cursor."""
    connection.execute(tables.running_timer.delete())
    if timers:
        connection.execute(tables.running_timer.insert(), [asdict(timer) for timer in timers])


def find_answer(connection: Connection, request_id: str) -> Answer | None:
    """Return the first answer to a request id, None if it is new."""
    column = tables.answer.c
    query = select(column.who, column.status, column.body).where(column.request_id == request_id)
    row = connection.execute(query).first()
    return None if row is None else Answer(str(row.who), int(row.status), row.body)


def keep_answer(connection: Connection, request_id: str, answer: Answer, at: datetime) -> None:
    """Keep the first answer to a request id, in the transaction of the act itself."""
    connection.execute(
        tables.answer.insert().values(
            request_id=request_id, who=answer.who, at=to_us(at), status=answer.status, body=dict(answer.body)
        )
    )


def _entry(row: RowMapping) -> JournalEntry:
    return JournalEntry(**{**row, "at": from_us(row["at"])})


def _chained(values: Mapping[str, Any], previous: str) -> str:
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(f"{previous}\n{text}".encode()).hexdigest()


def _with_us(cover: Shelf | OutOfService) -> dict[str, Any]:
    """Return the fields with moments as us; `asdict` would copy each value deeply, which costs more than all else."""
    values = {name: getattr(cover, name) for name in cover.__slots__}
    return {name: to_us(value) if isinstance(value, datetime) else value for name, value in values.items()}


def _with_moments(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: from_us(value) if name in ("since", "until") else value for name, value in values.items()}
