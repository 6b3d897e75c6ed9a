"""Findings become CHECK tickets: so many a district and working day, the most certain first, or when a person says so.

The ticket says "inspect", never who did what; its clocks start at the release. One meter has at most one open CHECK
ticket, which a further finding joins.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from alarms import route
from alarms.service.calendar import WorkCalendar
from alarms.tickets.raising import Raising, Wanted
from gateway.errors import RefusedError
from gateway.model.finding import LIKELY, Finding, FindingKind, FindingStatus
from gateway.model.network import Network, ZoneKind
from gateway.model.ticket import TicketClass
from gateway.ports import Clock
from gateway.store import finding_rows, promise_rows, ticket_rows, user_rows, work_rows
from gateway.store.state import State, Transaction, put_cursor

CURSOR = "checks"
"""name of the cursor that stands on the last day (since 1970) whose checks were released"""
MORNING = time(8, 0)
"""local time of the release on working days"""
URGENT = frozenset({FindingKind.LEAK, FindingKind.INSIDE_LEAK, FindingKind.FLOW_WHEN_CLOSED})
"""kinds whose ticket is URGENT; a grave leak has an alarm and an EMERGENCY ticket of its own"""
TWO_PERSONS = frozenset({FindingKind.THEFT, FindingKind.UNAUTHORISED})
"""kinds that are looked into by two people on site"""
_WORK = {"battery": "Change the battery", "exchange": "Exchange a meter past its life"}
_LONG_UNREAD = ((365, "long_unread_12"), (183, "long_unread_6"), (122, "long_unread_4"))
"""days without a reading that make the classes over 12, 6 to 12 and 4 to 6 months (document 004)"""
_EPOCH = date(1970, 1, 1)
_MOST = 5000


@dataclass(frozen=True, slots=True)
class Checks:
    """Where findings are released as tickets. Safe for threads: each call is one transaction."""

    state: State
    network: Network
    policy: route.TicketPolicy
    calendar: WorkCalendar
    clock: Clock
    a_day: int = 0
    """CHECK tickets a district and working day; 0 = none without a person"""

    def morning(self, *, wall_s: float) -> int:
        """Release what a working day's crews can do, once its morning has come; return how many tickets went out."""
        now = self.clock.now()
        local = self.calendar.local(now)
        today = (local.date() - _EPOCH).days
        due = self.a_day and local.time() >= MORNING and self.calendar.works(local.date())
        # a day that lies further ahead was released while the clock was wrong, and must not hold up all days until then
        if not due or today <= self.state.cursor(CURSOR) <= today + 1:
            return 0
        count: Counter[str] = Counter()
        with self.state.write() as connection:
            found = finding_rows.list_findings(connection, status=FindingStatus.OPEN, limit=_MOST)
            for stored in found:
                finding = stored.finding
                district = self.network.zone_above(finding.zone, ZoneKind.DISTRICT) or finding.zone
                if finding.score < LIKELY or finding.kind in URGENT or count[district] >= self.a_day:
                    continue
                if self._ticket_of(connection, finding) is None:
                    count[district] += self._release(connection, finding, "gasgate", now, wall_s).joined == ""
            put_cursor(connection, CURSOR, today)
        return count.total()

    def release(self, finding_id: int, who: str, *, wall_s: float) -> Released:
        """Release one finding. Raises RefusedError 404, 409 `not_open` or `released`."""
        now = self.clock.now()
        with self.state.write() as connection:
            finding = finding_rows.get_finding(connection, finding_id).finding
            if finding.status is not FindingStatus.OPEN:
                raise RefusedError(409, "not_open", "this finding is settled")
            known = self._ticket_of(connection, finding)
            if known is not None:
                raise RefusedError(409, "released", f"ticket {known} looks into it already")
            done = self._release(connection, finding, who, now, wall_s)
            user_rows.add_audit(
                connection,
                self.clock.now_us(),
                who,
                "finding.release",
                subject=str(finding_id),
                detail={"ticket": done.ticket_no},
            )
        return done

    def release_item(self, item_id: int, who: str, *, wall_s: float) -> Released:
        """Let somebody do a work item about a meter: it becomes a CHECK ticket, or joins the open one of its meter.

        Raises RefusedError 404 `unknown_item`, 409 `already_done` or `released`, 422 `no_meter`.
        """
        now = self.clock.now()
        with self.state.write() as connection:
            stored = work_rows.find(connection, item_id)
            item = stored.item
            if stored.done_at is not None:
                raise RefusedError(409, "already_done", "this work is done")
            if item.subject not in self.network.meters:
                raise RefusedError(422, "no_meter", "only work at a meter becomes a ticket")
            link = f"WORK_{item.kind.upper()}@{item.subject}"
            known = ticket_rows.ticket_of(connection, link, item_id)
            if known is not None:
                raise RefusedError(409, "released", f"ticket {known.ticket_no} does it already")
            work = Raising(connection, self.network, self.policy, now, wall_s)
            joined = ticket_rows.find_joinable(connection, "meter", item.subject, [TicketClass.CHECK])
            if joined is not None:
                work.send(
                    joined, "update", route.note_body(joined, "update", f"also to be done there: {item.kind}", who)
                )
                ticket = joined
            else:
                wanted = Wanted(
                    ticket_class=TicketClass.CHECK,
                    type=item.kind,
                    asset=item.subject,
                    key=f"{item.subject}:WORK_{item.kind.upper()}:{item_id}",
                    raised_at=now,
                    title=f"{_WORK.get(item.kind, item.kind)}: {item.subject}",
                    description=_WORK.get(item.kind, item.kind),
                    priority=4,
                    join_group="meter",
                )
                ticket = work.open_other(wanted, {"asset": route.asset_body(item.subject, self.network)})
                promise_rows.add_step(connection, ticket.ticket_no, "released", now, entered_at=now, actor=who)
            ticket_rows.link_alarm(connection, link, item_id, ticket.ticket_no)
            user_rows.add_audit(
                connection,
                self.clock.now_us(),
                who,
                "work_item.release",
                subject=f"W-{item_id}",
                detail={"ticket": ticket.ticket_no},
            )
        return Released(ticket.ticket_no, "" if joined is None else joined.ticket_no)

    def _release(self, connection: Transaction, finding: Finding, who: str, now: datetime, wall_s: float) -> Released:
        work = Raising(connection, self.network, self.policy, now, wall_s)
        urgent = finding.kind in URGENT
        wanted = TicketClass.URGENT if urgent else TicketClass.CHECK
        group = "" if urgent else "meter"
        joined = ticket_rows.find_joinable(connection, group, finding.subject, [wanted]) if group else None
        if joined is not None:
            text = f"also suspected there: {finding.kind}"
            body = {**route.note_body(joined, "update", text, who), "finding": _facts(finding)}
            work.send(joined, "update", body)
            ticket_rows.link_alarm(connection, link_of(finding), finding.episode_no, joined.ticket_no)
            return Released(joined.ticket_no, joined.ticket_no)
        order = self._order(finding, wanted, group, now)
        body = {"asset": route.asset_body(finding.subject, self.network), "finding": _facts(finding)}
        ticket = work.open_other(order, body)
        ticket_rows.link_alarm(connection, link_of(finding), finding.episode_no, ticket.ticket_no)
        promise_rows.add_step(connection, ticket.ticket_no, "released", now, entered_at=now, actor=who)
        return Released(ticket.ticket_no)

    def _order(self, finding: Finding, wanted: TicketClass, group: str, now: datetime) -> Wanted:
        return Wanted(
            ticket_class=wanted,
            type=_type_of(finding),
            asset=finding.subject,
            key=f"{finding.subject}:{finding.kind.upper()}:{finding.episode_no}",
            raised_at=now,
            title=f"Inspect: {self.network.name_of(finding.subject)}",
            description=f"Readings suggest {finding.kind.replace('_', ' ')}. Look and report what is there.",
            priority=3 if wanted is TicketClass.URGENT else 4,
            join_group=group,
        )

    def _ticket_of(self, connection: Transaction, finding: Finding) -> str | None:
        ticket = ticket_rows.ticket_of(connection, link_of(finding), finding.episode_no)
        return None if ticket is None else ticket.ticket_no


@dataclass(frozen=True, slots=True)
class Released:
    """The ticket that looks into a finding; `joined` names it if it was open before."""

    ticket_no: str
    joined: str = ""


def link_of(finding: Finding) -> str:
    """Return how a finding stands among what a ticket answers, beside alarms."""
    return f"FINDING_{finding.kind.upper()}@{finding.subject}"


def _type_of(finding: Finding) -> str:
    """Return a ticket's type: a visit to who is long unread has one by how long that is."""
    if finding.kind == FindingKind.LEAK:
        return "leak_survey"
    if finding.kind == FindingKind.VISIT:
        days = float(finding.evidence.get("days") or 0.0)
        return next((name for least, name in _LONG_UNREAD if days >= least), finding.kind)
    return finding.kind


def _facts(finding: Finding) -> dict[str, Any]:
    """Return what a crew needs of a finding; the curves stay with gasgate."""
    return {
        "kind": finding.kind,
        "episode_no": finding.episode_no,
        "probability": finding.score,
        "onset": route.iso(finding.onset),
        "estimate_m3_per_day": finding.estimate_m3_per_day,
        "alternatives": finding.evidence.get("alternatives", {}),
        "two_persons": finding.kind in TWO_PERSONS,
    }
