"""What a month hid from the control room: points without data, hidden and false alarms; how alarms were answered."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import numpy as np

from alarms.kpi import HOUR_US, Span
from alarms.kpi_answers import Answers, TicketTimes, count_answers
from api.auth import User
from api.deps import Parts
from api.roles import Act
from api.services.acts import one_alarm
from api.services.alarm_report import Hiding, note_hiding, span_of_days, spans
from api.services.registers import as_table
from gateway.model.network import MeterRole
from gateway.model.reading import to_us
from gateway.store import report_rows, user_rows, verdict_rows
from gateway.store.report_rows import GUIDANCE
from gateway.store.state import Transaction
from gateway.store.verdict_rows import Verdict

COMMUNICATION = "communication"
"""class of the alarms that say that a station, a cell or an area is silent"""
MOST_METERS = 2_000
"""meters without a reading that are listed; all are counted"""
_METERS_AT_ONCE = 150_000


@dataclass(frozen=True, slots=True)
class Silent:
    """An asset that was without data for some time of the span."""

    asset: str
    times: int
    hours: float


@dataclass(frozen=True, slots=True)
class Hidden:
    """An alarm that was hidden for some time of the span."""

    alarm_id: str
    kind: str
    """shelved, suppressed or out_of_service"""
    times: int
    hours: float


@dataclass(frozen=True, slots=True)
class MonthLists:
    """What is to be looked at each month; nobody can force a value in gasgate, so no list of forced ones is kept."""

    silent: tuple[Silent, ...]
    """the longest silent first"""
    meters_unread: int | None
    """customers' meters of which no register came; None where no gas day was audited yet"""
    unread: tuple[str, ...]
    """the first of them, in the order of the company's file"""
    hidden: tuple[Hidden, ...]
    """the longest hidden first"""
    false: tuple[Verdict, ...]
    """occurrences raised in the span of which the newest word says that they were false"""


def month_lists(parts: Parts, first: date, last: date, last_gas_day: date) -> MonthLists:
    """Return the lists of local days, both included. Blocks. Raises RefusedError 422 `bad_span`, TransientError."""
    _, begin, until = span_of_days(parts, first, last)
    silent: dict[str, list[Span]] = defaultdict(list)
    hiding: Hiding = {}
    definitions = parts.desk.definitions

    def is_silence(alarm_id: str) -> bool:
        found = definitions.get(alarm_id.partition("@")[0])
        return found is not None and found.alarm_class == COMMUNICATION

    with parts.state.read() as connection:
        for row in report_rows.journal_between(connection, begin, until):
            note_hiding(hiding, row)
            if row.event == "returned" and is_silence(row.alarm_id) and row.before["condition_at"] is not None:
                silent[row.alarm_id.partition("@")[2]].append(Span(row.before["condition_at"], row.at))
        for alarm_id, since, facts in report_rows.standing_at(connection, until):
            hiding.setdefault(alarm_id, [(begin, facts)])
            if since is not None and is_silence(alarm_id):
                silent[alarm_id.partition("@")[2]].append(Span(since, until))
        false = _false(connection, begin, until)
    hidden = [
        Hidden(alarm_id, kind, len(own), _hours(own, begin, until))
        for alarm_id, changes in hiding.items()
        for kind, own in _by_kind(spans(changes, until)).items()
    ]
    gone = [Silent(asset, len(own), _hours(own, begin, until)) for asset, own in silent.items()]
    count, unread = parts.kept.of(("unread", first, last_gas_day), lambda: _unread(parts, first, last_gas_day))
    return MonthLists(
        tuple(sorted((one for one in gone if one.hours), key=lambda one: (-one.hours, one.asset))),
        count,
        unread,
        tuple(sorted((one for one in hidden if one.hours), key=lambda one: (-one.hours, one.alarm_id))),
        false,
    )


def answers(parts: Parts, first: date, last: date) -> dict[str, Answers]:
    """Return how the alarms of each position were answered. Blocks. Raises RefusedError 422 `bad_span`."""
    _, begin, until = span_of_days(parts, first, last)
    definitions = parts.desk.definitions
    with parts.state.read() as connection:
        tickets = [TicketTimes(*row) for row in report_rows.tickets_of_alarms(connection, begin, until)]
        announced = report_rows.announced_between(connection, begin, until)
        opened = report_rows.guidance_opened(connection, begin)

    def position(alarm_id: str) -> str:
        found = definitions.get(alarm_id.partition("@")[0])
        return "" if found is None else found.position

    def leads(alarm_id: str) -> bool:
        found = definitions.get(alarm_id.partition("@")[0])
        return found is not None and bool(found.guidance_url)

    return {
        name: count_answers(
            (one for one in tickets if position(one.alarm_id) == name),
            {key: at for key, at in announced.items() if position(key[0]) == name and leads(key[0])},
            opened,
        )
        for name in sorted({one.position for one in definitions.values()})
    }


def guidance_opened(parts: Parts, user: User, alarm_id: str) -> None:
    """Keep that somebody opened the instruction for an alarm. Raises RefusedError 401, 403, 404 `unknown_alarm`."""
    parts.auth.permit(user, Act.READ)
    view = one_alarm(parts, alarm_id)
    if view.definition.guidance_url:
        detail = {"occurrence_no": view.alarm.occurrence_no}
        with parts.state.write() as connection:
            user_rows.add_audit(connection, parts.clock.now_us(), user.name, GUIDANCE, subject=alarm_id, detail=detail)


def _false(connection: Transaction, begin: int, until: int) -> tuple[Verdict, ...]:
    raised = report_rows.announced_between(connection, begin, until)
    last: dict[tuple[str, int], Verdict] = {}
    for one in sorted(verdict_rows.since(connection, begin), key=lambda verdict: verdict.at):
        if (one.alarm_id, one.occurrence_no) in raised:
            last[one.alarm_id, one.occurrence_no] = one
    return tuple(one for one in last.values() if one.false_alarm)


def _by_kind(found: Iterable[Span]) -> dict[str, list[Span]]:
    """Return the stretches of each kind; what goes on behind a line of the journal is one stretch."""
    kinds: dict[str, list[Span]] = defaultdict(list)
    for one in found:
        own = kinds[one.kind]
        if own and own[-1].end == one.begin:
            own[-1] = Span(own[-1].begin, one.end, one.kind)
        else:
            own.append(one)
    return kinds


def _hours(found: Iterable[Span], begin: int, until: int) -> float:
    """Return the hours of a span in which any of these lasted."""
    hours, reached = 0, begin
    for one in sorted(found, key=lambda span: span.begin):
        end = min(until, until if one.end is None else one.end)
        hours += max(0, end - max(reached, one.begin))
        reached = max(reached, end)
    return hours / HOUR_US


def _unread(parts: Parts, first: date, last: date) -> tuple[int | None, tuple[str, ...]]:
    """Return how many customers' meters gave no register in a span of gas days, and the first of them."""
    if last < first:
        return None, ()
    table, gas_day = as_table(parts.network), parts.site.gas_day
    asked = table.rows({"account": set(table.words["account"]) - {"closed"}}, {"role": MeterRole.CUSTOMER})
    read = np.zeros(len(asked), dtype=np.bool_)
    begin, end = to_us(gas_day.begins(first)), to_us(gas_day.ends(last))
    batches = len(table) // _METERS_AT_ONCE + 1
    for names, _days in parts.intervals.read_meters(first, last, begin=begin, end=end, parts=batches):
        rows = np.fromiter(map(table.names.find, names), dtype=np.int64, count=len(names))
        read[rows[rows >= 0]] = True
    if not read.any():
        return None, ()
    missing = np.flatnonzero(asked & ~read)
    return len(missing), tuple(table.names.name(row) for row in missing[:MOST_METERS].tolist())
