"""Service to customers: clocks of tickets, telephone reports, call-backs and the monthly brief."""

from __future__ import annotations

import csv
import io
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from alarms.service.brief import Brief, OnTime, make_brief
from alarms.service.brief_facts import CallFact
from alarms.service.policy import orders
from alarms.service.quota import marks_of, published
from alarms.service.work_done import QUOTAS
from alarms.tickets.desk import Order
from api.auth import User
from api.deps import Parts
from api.roles import Act
from api.services import brief_facts, tickets
from api.services.export import harmless
from api.services.views import AlarmView, load_alarms
from gateway.errors import RefusedError
from gateway.model.call import Call
from gateway.model.ticket import Ticket
from gateway.store import call_back_rows, call_rows, promise_rows, ticket_rows
from gateway.store.call_back_rows import CallBack
from gateway.store.call_rows import CallReport
from gateway.store.promise_rows import CallRow, ChangeRow, ClockRow, PauseRow

_MONTH = re.compile(r"[12][0-9]{3}-(0[1-9]|1[0-2])")
MOST_NEAR = 50
NOT_RECORDED = "not recorded"
"""stands in a file where a figure has no source"""


@dataclass(frozen=True, slots=True)
class TicketClocks:
    """The clocks of one ticket with all that moved them."""

    clocks: Sequence[ClockRow]
    pauses: Sequence[PauseRow]
    changes: Sequence[ChangeRow]
    told: Sequence[CallRow]


@dataclass(frozen=True, slots=True)
class Near:
    """What is open where a caller is."""

    tickets: Sequence[Ticket]
    alarms: Sequence[AlarmView]
    calls: Mapping[str, Call]
    """the call that opened a ticket, by its number"""


def clocks_of(parts: Parts, ticket_no: str) -> TicketClocks:
    """Return the clocks of a ticket. Raises RefusedError 404."""
    with parts.state.read() as connection:
        if ticket_rows.find_ticket(connection, ticket_no) is None:
            raise RefusedError(404, "unknown_ticket", f"there is no ticket {ticket_no}")
        return TicketClocks(
            promise_rows.clocks_of(connection, ticket_no),
            promise_rows.pauses_of(connection, ticket_no),
            promise_rows.changes_of(connection, ticket_no),
            promise_rows.told(connection, ticket_no=ticket_no),
        )


def told(parts: Parts, hours: int, limit: int) -> list[CallRow]:
    """Return who was told of a clock in the last hours, the newest first."""
    with parts.state.read() as connection:
        return promise_rows.told(connection, since=parts.clock.now() - timedelta(hours=hours), limit=limit)


def take_call(parts: Parts, user: User, call: Call, request_id: str, join: str) -> CallReport:
    """Take a telephone report. Raises RefusedError 401, 403 and what `Telephone.take` raises."""
    parts.auth.permit(user, Act.CALL_TAKE)
    return parts.telephone.take(call, user.name, request_id, wall_s=time.time(), join=join)


def order_kinds(parts: Parts) -> tuple[tuple[str, str], ...]:
    """Return type and size of what customers may ask for."""
    return orders(parts.desk.policy.promises)


def take_order(parts: Parts, user: User, wanted: Order, request_id: str) -> str:
    """Take what a customer asks for; return its ticket.

    Raises RefusedError 401, 403 and what `TicketDesk.order` raises.
    """
    parts.auth.permit(user, Act.CALL_TAKE)
    return str(tickets.desk(parts).order(wanted, who=user.name, request_id=request_id)["ticket_no"])


def complete_call(parts: Parts, user: User, ticket_no: str, more: Mapping[str, Any]) -> CallReport:
    """Add what was asked later. Raises RefusedError 401, 403 and what `Telephone.complete` raises."""
    parts.auth.permit(user, Act.CALL_TAKE)
    return parts.telephone.complete(ticket_no, more, user.name, wall_s=time.time())


def calls(parts: Parts, limit: int) -> list[CallReport]:
    """Return telephone reports, the latest first."""
    with parts.state.read() as connection:
        return call_rows.newest(connection, limit=limit)


def near(parts: Parts, asset: str, x_m: float | None, y_m: float | None) -> Near:
    """Return open tickets and live alarms at a place: in its regulator zone, or within 500 m.

    A ticket that a call opened stands where that call came from.
    """
    telephone = parts.telephone
    place = asset or telephone.zone_at(x_m, y_m)
    with parts.state.read() as connection:
        calls_of = call_rows.of_open(connection)

        def is_there(ticket_no: str, other: str) -> bool:
            call = calls_of.get(ticket_no)
            beside = call is not None and telephone.within(call.x_m, call.y_m, x_m, y_m)
            return beside or telephone.is_near(other, place, x_m, y_m)

        tickets = ticket_rows.list_open_at(connection, is_there, limit=MOST_NEAR)
    alarms = [one for one in load_alarms(parts, parts.state) if telephone.is_near(one.alarm.asset, place, x_m, y_m)]
    found = {one.ticket_no: calls_of[one.ticket_no] for one in tickets if one.ticket_no in calls_of}
    return Near(tickets, alarms[:MOST_NEAR], found)


def call_backs(parts: Parts, *, month: str | None, waiting: bool) -> list[CallBack]:
    """Return call-backs of a month, or those that wait. Raises RefusedError 422."""
    if month is not None:
        first_of(month)
    with parts.state.read() as connection:
        return call_back_rows.listed(connection, month=month, waiting=waiting)


def seeds(parts: Parts) -> list[tuple[str, str, str | None]]:
    """Return month, published hash, and the seed itself of months that are over."""
    this = f"{parts.service.calendar.local(parts.clock.now()):%Y-%m}"
    with parts.state.read() as connection:
        found = call_back_rows.seeds(connection)
    return [(month, published(seed), seed if month < this else None) for month, seed in found.items()]


def brief(parts: Parts, month: str) -> Brief:
    """Return the service brief of a local month. Raises RefusedError 422."""
    first = first_of(month)
    zone = ZoneInfo(parts.service.calendar.timezone)
    following = (first + timedelta(days=32)).replace(day=1)
    start, end = (datetime.combine(day, datetime.min.time(), zone).astimezone(UTC) for day in (first, following))
    with parts.state.read() as connection:
        back = call_back_rows.listed(connection, month=month, limit=None)
        return make_brief(
            month,
            brief_facts.tickets_of(parts, connection, start, end),
            map(_call_fact, back),
            stops=brief_facts.stops_of(connection, start, end),
            delivery=brief_facts.delivery_of(connection, start, end),
            inspected=brief_facts.inspected_of(parts, connection, end),
        )


def opened(parts: Parts, month: str, figure: str) -> tuple[str, ...]:
    """Return the tickets that a figure of a month's brief counts, once for each count.

    A figure is `group:name:figure`, e.g. `clock:EMERGENCY/arrive:late`. Raises RefusedError 422.
    """
    return brief(parts, month).opened.get(figure, ())


def brief_csv(found: Brief) -> str:
    """Return a brief as CSV: one line a figure, then one line a breach."""
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\n")
    write.writerow(["group", "name", "kept", "late", "not_recorded", "open", "cancelled", "share_on_time"])
    for group, name, figures in _lines(found):
        share = "" if figures.share is None else f"{figures.share:.4f}"
        counts = (figures.kept, figures.late, figures.not_recorded, figures.open, figures.cancelled)
        write.writerow([group, name, *counts, share])
    write.writerow([])
    write.writerow(["figure", "count"])
    write.writerows(_counts(found))
    write.writerow([])
    write.writerow(["ticket", "class", "type", "clock", "promise", "standing", "district", "crew", "due", "stopped"])
    for one in found.breaches:
        moments = ("" if at is None else at.isoformat() for at in (one.due_at, one.stopped_at))
        facts = (one.ticket_no, one.ticket_class, one.type, one.clock, one.promise_id, one.standing.value)
        write.writerow([harmless(str(cell)) for cell in (*facts, one.district, one.crew, *moments)])
    return out.getvalue()


def _lines(found: Brief) -> Iterator[tuple[str, str, OnTime]]:
    yield "all", "", found.on_time
    yield "emergencies", "", found.emergencies
    for group, table in (("clock", found.by_clock), ("district", found.by_district), ("crew", found.by_crew)):
        for name, figures in table.items():
            yield group, harmless(name), figures


def _counts(found: Brief) -> Iterator[tuple[str, int | str]]:
    """Yield the figures that are plain counts."""
    yield from (("reopened", found.reopened), ("late_entries", found.late_entries))
    yield from (("not_believed", found.not_believed), ("complaints", found.complaints))
    for group in QUOTAS:
        yield f"inspected.{group}", NOT_RECORDED if found.inspected is None else found.inspected[group].enough
    for group, counted in (("interruptions", found.stops), ("delivery", found.delivery)):
        for field in fields(counted) if counted is not None else ():
            value = getattr(counted, field.name)
            if not isinstance(value, Mapping):
                yield f"{group}.{field.name}", value if isinstance(value, int) else len(value)
    if (work := found.work) is not None:
        for name in ("reminders", "same_caller", "repeated", "visited", "one_visit", "untrue"):
            yield f"work.{name}", NOT_RECORDED if (count := work.count(name)) is None else count
    yield from ((name, NOT_RECORDED) for name in found.unrecorded)


def _call_fact(one: CallBack) -> CallFact:
    reached = one.answers is not None
    marks = marks_of(one.answers or {})
    first = datetime.fromisoformat(one.tries[0]["at"]) if one.tries else None
    in_time = first is not None and first <= one.due_at
    return CallFact(one.level, bool(one.tries), reached, marks, in_time, one.ticket_no)


def first_of(text: str) -> date:
    """Return the first day of a month such as 2026-11. Raises RefusedError 422 `month`."""
    if _MONTH.fullmatch(text) is None:
        raise RefusedError(422, "month", "write a month as 2026-11")
    return date.fromisoformat(f"{text}-01")
