"""What pages and the API read: lists joined and ordered for people. Nothing here writes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, and_, desc, func, or_, select

from gateway.model.alarm import Alarm
from gateway.model.finding import LIKELY
from gateway.store import alarm_rows, tables

ENDED_TICKET = ("completed", "cancelled", "called_back", "rechecked")
"""states after which a ticket leaves the board of open work"""


@dataclass(frozen=True, slots=True)
class Marks:
    """How far the append-only tables have grown; a larger mark means something to show."""

    journal: int
    ticket_event: int
    finding: int


def marks(connection: Connection) -> Marks:
    """Return how far each table of events has grown."""

    def top(column: Any) -> int:
        return int(connection.execute(select(func.max(column))).scalar() or 0)

    return Marks(top(tables.journal.c.seq), top(tables.ticket_event.c.id), top(tables.finding.c.updated_at))


def alarms_named(connection: Connection, alarm_ids: Sequence[str]) -> list[Alarm]:
    """Return the facts of the named alarms, also of normal ones."""
    query = select(tables.alarm).where(tables.alarm.c.alarm_id.in_(alarm_ids))
    return [alarm_rows.alarm_from(row) for row in connection.execute(query).mappings()]


def alarms_touched(connection: Connection, after_seq: int, limit: int) -> list[str]:
    """Return the alarms that the journal mentions after a line, each once; `limit` of them means: perhaps more."""
    query = select(tables.journal.c.alarm_id).where(tables.journal.c.seq > after_seq).distinct().limit(limit)
    return list(connection.execute(query).scalars())


def active_versions(connection: Connection, limit: int) -> dict[str, tuple[int, str]]:
    """Return version and ticket (empty if none) of all alarms that are not normal, at most so many of the worst."""
    link, alarm = tables.ticket_alarm, tables.alarm
    own = and_(link.c.alarm_id == alarm.c.alarm_id, link.c.occurrence_no == alarm.c.occurrence_no)
    query = (
        select(alarm.c.alarm_id, alarm.c.version, link.c.ticket_no)
        .outerjoin(link, own)
        .where(alarm.c.state != "A")
        .order_by(alarm.c.priority, alarm.c.condition_at.desc(), alarm.c.alarm_id)
        .limit(limit)
    )
    return {alarm_id: (version, ticket_no or "") for alarm_id, version, ticket_no in connection.execute(query)}


def ticket_rows(connection: Connection, *, ended_after: int | None, limit: int) -> list[RowMapping]:
    """Return open tickets, and ended ones raised after a moment (None: no ended ones), newest first."""
    ticket = tables.ticket
    open_now = ticket.c.state.not_in(ENDED_TICKET)
    wanted = open_now if ended_after is None else or_(open_now, ticket.c.raised_at > ended_after)
    query = select(ticket).order_by(desc(ticket.c.raised_at), desc(ticket.c.ticket_no)).limit(limit)
    return list(connection.execute(query.where(wanted)).mappings())


def ticket_row(connection: Connection, ticket_no: str) -> RowMapping | None:
    """Return one ticket."""
    return connection.execute(select(tables.ticket).where(tables.ticket.c.ticket_no == ticket_no)).mappings().first()


def tickets_of_alarm(connection: Connection, alarm_id: str, limit: int = 5) -> list[RowMapping]:
    """Return the ticket that an alarm is about, then those that its occurrences opened or joined, newest first."""
    link = tables.ticket_alarm
    about = select(tables.ticket).where(tables.ticket.c.ticket_no == alarm_id.partition("@")[2])
    query = (
        select(tables.ticket)
        .join(link, link.c.ticket_no == tables.ticket.c.ticket_no)
        .where(link.c.alarm_id == alarm_id)
        .order_by(desc(link.c.occurrence_no))
        .limit(limit)
    )
    return [*connection.execute(about).mappings(), *connection.execute(query).mappings()]


def open_ticket_of_alarms(connection: Connection, alarm_ids: Sequence[str]) -> dict[str, str]:
    """Return the newest ticket of each alarm's current occurrence, where it has one."""
    link, alarm = tables.ticket_alarm, tables.alarm
    query = (
        select(link.c.alarm_id, link.c.ticket_no)
        .join(alarm, and_(alarm.c.alarm_id == link.c.alarm_id, alarm.c.occurrence_no == link.c.occurrence_no))
        .where(link.c.alarm_id.in_(alarm_ids))
    )
    return {str(alarm_id): str(ticket_no) for alarm_id, ticket_no in connection.execute(query)}


def alarms_of_tickets(connection: Connection, ticket_nos: Iterable[str]) -> dict[str, list[tuple[str, int]]]:
    """Return alarm id and occurrence of everything that each ticket covers."""
    wanted = list(ticket_nos)
    found: dict[str, list[tuple[str, int]]] = {number: [] for number in wanted}
    link = tables.ticket_alarm
    for row in connection.execute(select(link).where(link.c.ticket_no.in_(wanted))).mappings():
        found[row["ticket_no"]].append((row["alarm_id"], row["occurrence_no"]))
    return found


def deliveries(connection: Connection, ticket_nos: Iterable[str]) -> dict[str, RowMapping]:
    """Return the outbox row that tells how each ticket's delivery stands: the oldest not confirmed, else the newest."""
    outbox = tables.outbox
    query = select(outbox).where(outbox.c.ticket_no.in_(list(ticket_nos))).order_by(outbox.c.command_no)
    shown: dict[str, RowMapping] = {}
    for row in connection.execute(query).mappings():
        known = shown.get(row["ticket_no"])
        if known is None or known["state"].lower() == "confirmed":
            shown[row["ticket_no"]] = row
    return shown


def ticket_events(connection: Connection, ticket_no: str, limit: int) -> list[RowMapping]:
    """Return what the ticketing system reported about a ticket, oldest first."""
    event = tables.ticket_event
    query = select(event).where(event.c.ticket_no == ticket_no).order_by(event.c.occurred_at, event.c.id).limit(limit)
    return list(connection.execute(query).mappings())


def open_findings(connection: Connection) -> dict[str, int]:
    """Return how many findings of each kind are not closed, without weak suspicions."""
    finding = tables.finding
    wanted = finding.c.status.in_(("open", "confirmed")) & (finding.c.score >= LIKELY)
    query = select(finding.c.kind, func.count()).where(wanted).group_by(finding.c.kind)
    return {name: int(count) for name, count in connection.execute(query)}


def outbox_counts(connection: Connection) -> dict[str, int]:
    """Return how many commands of the outbox are in each state, in small letters."""
    query = select(func.lower(tables.outbox.c.state), func.count()).group_by(func.lower(tables.outbox.c.state))
    return {state: int(count) for state, count in connection.execute(query)}


def alarm_counts(connection: Connection) -> list[tuple[str, int, int]]:
    """Return (state letter, priority, count) of all alarms that are not normal."""
    alarm = tables.alarm
    query = (
        select(alarm.c.state, alarm.c.priority, func.count())
        .where(alarm.c.state != "A")
        .group_by(alarm.c.state, alarm.c.priority)
    )
    return [(state, priority, int(count)) for state, priority, count in connection.execute(query)]


def role_rows(connection: Connection) -> list[RowMapping]:
    """Return the last sign of life of each role."""
    return list(connection.execute(select(tables.role_health).order_by(tables.role_health.c.role)).mappings())


def dead_letter_count(connection: Connection) -> int:
    """Return how many dead letters are kept."""
    return int(connection.execute(select(func.count()).select_from(tables.dead_letter)).scalar_one())


def dead_letter_reasons(connection: Connection, limit: int) -> list[tuple[str, str, int, int]]:
    """Return (source, reason, count, newest arrival) of kept dead letters, most frequent first."""
    letter = tables.dead_letter
    count = func.count()
    query = (
        select(letter.c.source, letter.c.reason, count, func.max(letter.c.received_at))
        .group_by(letter.c.source, letter.c.reason)
        .order_by(desc(count))
        .limit(limit)
    )
    return [(source, reason, int(n), int(newest)) for source, reason, n, newest in connection.execute(query)]


def dead_letter_rows(connection: Connection, before: int | None, limit: int) -> list[RowMapping]:
    """Return dead letters with an id < `before`, newest first."""
    letter = tables.dead_letter
    query = select(letter).order_by(desc(letter.c.id)).limit(limit)
    if before is not None:
        query = query.where(letter.c.id < before)
    return list(connection.execute(query).mappings())


def finding_rows(
    connection: Connection,
    statuses: Sequence[str],
    limit: int,
    *,
    zones: Sequence[str] | None = None,
    kind: str | None = None,
    subject: str | None = None,
    least: float = 0.0,
) -> list[RowMapping]:
    """Return findings of these statuses, the most certain first; none with a score below `least`."""
    finding = tables.finding
    query = select(finding).where(finding.c.status.in_(statuses)).order_by(desc(finding.c.score), desc(finding.c.id))
    if least > 0:
        query = query.where(finding.c.score >= least)
    if zones is not None:
        query = query.where(finding.c.zone.in_(zones))
    if kind is not None:
        query = query.where(finding.c.kind == kind)
    if subject is not None:
        query = query.where(finding.c.subject == subject)
    return list(connection.execute(query.limit(limit)).mappings())


def finding_row(connection: Connection, finding_id: int) -> RowMapping | None:
    """Return one finding."""
    return connection.execute(select(tables.finding).where(tables.finding.c.id == finding_id)).mappings().first()


def loss_days(connection: Connection) -> tuple[str, str] | None:
    """Return the first and the last gas day that has a loss row, None if there is none."""
    row = connection.execute(select(func.min(tables.loss.c.gas_day), func.max(tables.loss.c.gas_day))).one()
    return None if row[0] is None else (str(row[0]), str(row[1]))


def point_indices(connection: Connection, points: Sequence[str]) -> dict[str, int]:
    """Return the permanent index of each point that has one; none is assigned."""
    query = select(tables.point.c.point_id, tables.point.c["index"]).where(tables.point.c.point_id.in_(points))
    return {name: int(index) for name, index in connection.execute(query)}
