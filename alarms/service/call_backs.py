"""Call-backs of a site: drawn each evening, called within working days, answered or tried three times."""

from __future__ import annotations

import secrets
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from time import time as wall_time
from typing import Any
from zoneinfo import ZoneInfo

from alarms import route
from alarms.route import TicketPolicy
from alarms.service.calendar import WorkCalendar
from alarms.service.quota import LEVELS, Finished, Level, draw, marks_of, satisfied
from alarms.tickets.raising import Raising, Wanted
from gateway.errors import RefusedError
from gateway.model.network import Network, ZoneKind
from gateway.model.ticket import TicketClass
from gateway.ports import Clock
from gateway.store import call_back_rows, ticket_rows, user_rows
from gateway.store.call_back_rows import CallBack, FinishedTicket
from gateway.store.state import State, Transaction, put_cursor

CURSOR = "call-backs"
"""name of the cursor that stands on the last day (since 1970) that was drawn"""
EVENING = time(20, 0)
"""local time of the draw"""
TRIES = 3
"""so many tries end a call-back that reaches nobody"""
APART = timedelta(hours=1)
"""between two tries at the least, so that they are at different hours"""
QUESTIONS = ("conduct", "attitude", "skill", "timeliness")
"""by the company's service standard (document 001)"""
AGAIN = "not_satisfied"
"""type of the ticket that is opened for a customer who is not satisfied"""
_WITH_CREW = (TicketClass.EMERGENCY, TicketClass.URGENT, TicketClass.REPAIR)
_EPOCH = date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class CallBacks:
    """Where call-backs are drawn and written down. Safe for threads: each call is one transaction."""

    state: State
    network: Network
    calendar: WorkCalendar
    clock: Clock
    policy: TicketPolicy = field(default_factory=TicketPolicy)
    wall: Callable[[], float] = wall_time
    """gives real seconds since 1970"""

    def evening(self) -> int:
        """Draw the days whose evening has come and that were not drawn yet; return how many tickets were drawn.

        A site that was off draws the missed days one by one, so that the month's share holds; a new site begins today.
        """
        now = self.clock.now()
        local = self.calendar.local(now)
        last = (local.date() - _EPOCH).days - (local.time() < EVENING)
        done = self.state.cursor(CURSOR) or last - 1
        if done > last:
            # the clock was ahead once; who was drawn then is not drawn again
            done = last - 1
        count = 0
        for number in range(max(done + 1, last - 31), last + 1):
            with self.state.write() as connection:
                count += self._draw(connection, _EPOCH + timedelta(days=number), now)
                put_cursor(connection, CURSOR, number)
        return count

    def tried(
        self,
        ticket_no: str,
        level: str,
        who: str,
        *,
        reached: bool,
        answers: Mapping[str, Any] | None = None,
    ) -> CallBack:
        """Write down a try; for a customer who is not satisfied a new ticket is opened and linked with the old one.

        Raises RefusedError 404, 409 `closed` or `too_soon`, 422 `answers`.
        """
        now = self.clock.now()
        if reached and (answers is None or not set(QUESTIONS) <= set(answers)):
            raise RefusedError(422, "answers", f"who was reached is asked for {', '.join(QUESTIONS)}")
        with self.state.write() as connection:
            found = call_back_rows.find(connection, ticket_no, level)
            if found is None:
                raise RefusedError(404, "unknown_call_back", f"{ticket_no} was not drawn for {level}")
            if found.closed_at is not None:
                raise RefusedError(409, "closed", "this call-back is closed")
            if found.tries and now - datetime.fromisoformat(found.tries[-1]["at"]) < APART:
                raise RefusedError(409, "too_soon", "tries lie an hour apart at the least")
            tries = (*found.tries, {"at": now.isoformat(), "by": who, "reached": reached})
            over = reached or len(tries) >= TRIES
            changed = replace(
                found, tries=tries, answers=dict(answers or {}) if reached else None, closed_at=now if over else None
            )
            if reached and not satisfied(marks_of(changed.answers or {})):
                opened = self._open_again(connection, changed, who, now)
                changed = replace(changed, opened=opened)
            call_back_rows.put(connection, changed)
            user_rows.add_audit(
                connection,
                self.clock.now_us(),
                who,
                "call_back.try",
                subject=f"{ticket_no}/{level}",
                detail={"reached": reached, "opened": changed.opened},
            )
        return changed

    def _open_again(self, connection: Transaction, call: CallBack, who: str, now: datetime) -> str:
        """Open the ticket for what did not satisfy, or name the one that another level opened already."""
        before = ticket_rows.find_ticket(connection, call.ticket_no)
        known = call_back_rows.opened_for(connection, call.ticket_no)
        if before is None or known:
            return known
        work = Raising(connection, self.network, self.policy, now, self.wall())
        again = TicketClass.REPAIR if before.ticket_class in _WITH_CREW else before.ticket_class
        wanted = Wanted(
            ticket_class=again,
            type=AGAIN,
            asset=before.asset,
            key=f"CALLBACK:{call.level.upper()}:{call.ticket_no.removeprefix('T-')}",
            raised_at=now,
            title=f"Customer not satisfied: {before.title}",
            description=_told(call),
            priority=3,
        )
        body = {"asset": route.asset_body(before.asset, self.network), "linked": [before.ticket_no]}
        opened = work.open_other(wanted, body)
        work.link(before, opened, who, "the customer was not satisfied", tell=False)
        return opened.ticket_no

    def _draw(self, connection: Transaction, day: date, now: datetime) -> int:
        month = f"{day:%Y-%m}"
        seed = call_back_rows.seed_of(connection, month, secrets.token_hex(32), now)
        upcoming = f"{day.replace(day=1) + timedelta(days=32):%Y-%m}"
        call_back_rows.seed_of(connection, upcoming, secrets.token_hex(32), now)
        before = self._finished(connection, day.replace(day=1), day)
        today = self._finished(connection, day, day + timedelta(days=1))
        units: dict[str, list[FinishedTicket]] = defaultdict(list)
        for one in today:
            units[self.unit_of(one.asset)].append(one)
        return sum(
            self._draw_unit(connection, level, unit, found, before, month, seed, now)
            for level in LEVELS.values()
            for unit, found in units.items()
        )

    def _finished(self, connection: Transaction, first: date, after: date) -> list[FinishedTicket]:
        """Return completed tickets that have a customer, of a meter or reported by telephone, of some days.

        A day reaches from the evening before it to its own: what is completed after a draw belongs to the next one.
        """
        found = call_back_rows.finished(connection, self._at(first), self._at(after))
        return [one for one in found if one.reported or one.asset in self.network.meters]

    def _draw_unit(  # noqa: PLR0917 - the facts of one draw
        self,
        connection: Transaction,
        level: Level,
        unit: str,
        today: list[FinishedTicket],
        before: list[FinishedTicket],
        month: str,
        seed: str,
        now: datetime,
    ) -> int:
        if level.types:
            today, before = ([one for one in found if one.type in level.types] for found in (today, before))
        again = call_back_rows.drawn_among(connection, level.name, [one.ticket_no for one in today])
        completed = Counter(one.crew for one in before if self.unit_of(one.asset) == unit)
        # a ticket that was reopened and completed once more has its call-back already
        completed.update(one.crew for one in today if one.ticket_no in again)
        drawn = call_back_rows.drawn_of(connection, level.name, unit, month)
        chosen = draw(
            [Finished(one.ticket_no, one.crew) for one in today if one.ticket_no not in again],
            level,
            seed,
            completed_before=completed.total(),
            drawn_before=drawn.total(),
            completed_of_crew=completed,
            drawn_of_crew=drawn,
        )
        by_number = {one.ticket_no: one for one in today}
        for ticket_no in chosen:
            one = by_number[ticket_no]
            due = self._due(one.completed_at, level)
            call_back_rows.add(connection, CallBack(ticket_no, level.name, unit, one.crew, month, now, due))
        return len(chosen)

    def _due(self, completed_at: datetime, level: Level) -> datetime:
        if level.calendar_days:
            return self.calendar.days_after(completed_at, level.days).at
        return self.calendar.working_days_after(completed_at, level.days, first_counts=True).at

    def unit_of(self, asset: str) -> str:
        """Return the district of an asset; its own zone where there is none."""
        return self.network.zone_above(asset, ZoneKind.DISTRICT) or self.network.zone_of(asset)

    def _at(self, day: date) -> datetime:
        """Return when the draw before a day took place."""
        evening = datetime.combine(day - timedelta(days=1), EVENING, ZoneInfo(self.calendar.timezone))
        return evening.astimezone(UTC)


def _told(call: CallBack) -> str:
    """Return what a crew is told of an answer; what it says of persons stays with gasgate."""
    answers = call.answers or {}
    marks = ", ".join(f"{name} {answers[name]}" for name in QUESTIONS)
    note = str(answers.get("note", ""))
    return f"Called back by {call.level}; marks from 1 to 5: {marks}.{' ' + note if note else ''}"
