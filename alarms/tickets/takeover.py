"""Takes over what a ticketing system says about tickets: steps of the work, tickets that we lost, what differs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from alarms import route
from alarms.tickets import commands
from alarms.tickets.compare import Finding, compare, moment_of, steps_of
from alarms.tickets.events import fold
from gateway.model.alarm import Alarm, Definition, Priority
from gateway.model.network import Network
from gateway.model.ticket import (
    DifferenceKind,
    ExternalTicket,
    Ticket,
    TicketAct,
    TicketClass,
    TicketState,
)
from gateway.store import delivery_rows, outbox_rows, ticket_event_rows, ticket_rows
from gateway.store.delivery_rows import Act
from gateway.store.state import Transaction
from gateway.store.ticket_event_rows import TicketEvent

AHEAD = timedelta(minutes=2)
FIRST_COMMAND = 1_000
"""number of an imported ticket's first command: the lower ones were used by the gasgate that lost it"""
_MOST_EVENTS = 10_000
_OUR_NUMBER = re.compile(r"T-[0-9]{8}-0[0-9]{5}")


@dataclass(frozen=True, slots=True)
class TakeOver:
    """One transaction in which answers of one sink are taken over; `wall_s` is real seconds since 1970."""

    connection: Transaction
    sink: str
    network: Network
    definitions: dict[str, Definition]
    policy: route.TicketPolicy
    now: datetime
    wall_s: float

    def take(self, external: ExternalTicket) -> None:
        """Take over one ticket as the ticketing system has it; one of another site is left alone."""
        if not external.dedup_key.startswith(f"{self.policy.site}."):
            return
        ticket = ticket_rows.find_by_key(self.connection, external.dedup_key)
        if ticket is None:
            self._lost(external)
            return
        found = compare(ticket, external, str(route.iso(ticket.raised_at)))
        kinds = {one.kind for one in found}
        if DifferenceKind.DOUBLED in kinds:
            self._note(ticket, external, [one for one in found if one.kind is DifferenceKind.DOUBLED])
            return
        mistaken = any("raised_at" in one.detail for one in found if one.kind is DifferenceKind.FIELD)
        if not mistaken and not ticket.external_id:
            self._arrived(ticket, external)
            ticket = ticket_rows.find_by_key(self.connection, external.dedup_key) or ticket
        settled = [kind for kind in (DifferenceKind.STATE, DifferenceKind.FIELD) if kind not in kinds]
        delivery_rows.settle_differences(self.connection, ticket.ticket_no, settled, at=self.now, outcome="equal again")
        self._note(ticket, external, [one for one in found if one.kind is DifferenceKind.FIELD])
        states = [one for one in found if one.kind is DifferenceKind.STATE]
        if (states or external.events) and external.version >= ticket.external_version and not mistaken:
            # steps may have been passed over although the newest is known
            taken = self._steps(ticket, external)
            self._note(ticket, external, states, outcome="taken over" if taken else None)
        else:
            self._note(ticket, external, states)

    def vanished(self, ticket: Ticket) -> None:
        """Send a ticket again that the ticketing system surely has no more."""
        new = delivery_rows.note_difference(
            self.connection,
            DifferenceKind.MISSING_THERE,
            sink=self.sink,
            dedup_key=ticket.dedup_key,
            ticket_no=ticket.ticket_no,
            external_id=ticket.external_id,
            at=self.now,
            detail={"state": ticket.state.value},
        )
        if new:
            outbox_rows.send_again(self.connection, ticket.ticket_no, wall_now_s=self.wall_s)

    def _note(
        self, ticket: Ticket, external: ExternalTicket, found: list[Finding], *, outcome: str | None = None
    ) -> None:
        for one in found:
            delivery_rows.note_difference(
                self.connection,
                one.kind,
                sink=self.sink,
                dedup_key=ticket.dedup_key,
                ticket_no=ticket.ticket_no,
                external_id=external.external_id,
                at=self.now,
                detail=one.detail,
                outcome=outcome,
            )

    def _arrived(self, ticket: Ticket, external: ExternalTicket) -> None:
        """Believe that a ticket is there, although its own delivery was never confirmed."""
        ticket_rows.set_external(self.connection, ticket.ticket_no, external.external_id, external.url)
        for row in outbox_rows.outbox_of(self.connection, ticket.ticket_no):
            if row.command.command == "open":
                outbox_rows.set_confirmed(
                    self.connection, row.id, attempts=row.attempts, at=self.now, wall_now_s=self.wall_s
                )

    def _steps(self, ticket: Ticket, external: ExternalTicket) -> bool:
        """Take new steps over; True if the ticket then stands as the ticketing system says."""
        known = ticket_event_rows.events_of(self.connection, ticket.ticket_no, limit=_MOST_EVENTS)
        seen = {(event.version, event.type) for event in known}
        for step, moment in steps_of(external):
            if (step.version, step.type) in seen:
                continue
            believed = moment is not None and ticket.raised_at <= moment <= self.now + AHEAD
            said = {"result": step.result} if step.result else {}
            ticket_event_rows.insert_event(
                self.connection,
                TicketEvent(
                    source=f"pull:{self.sink}",
                    event_id=f"{external.external_id}:{step.event_id}"[:120],
                    ticket_no=ticket.ticket_no,
                    type=step.type,
                    version=step.version,
                    occurred_at=moment if believed and moment is not None else self.now,
                    received_at=self.now,
                    actor=step.actor,
                    data={"pulled": True, **said, **({} if believed else {"not_believed": step.occurred_at})},
                ),
            )
        events = ticket_event_rows.events_of(self.connection, ticket.ticket_no, limit=_MOST_EVENTS)
        after = fold(ticket, events)
        ticket_rows.update_ticket(self.connection, after)
        return after.external_version == external.version

    def _lost(self, external: ExternalTicket) -> None:
        """Import a ticket of ours that we do not know, if its work has not ended."""
        asset, name, *_ = [*external.dedup_key.partition(":")[2].rsplit(":", 2), "", ""]
        if external.state in [state.value for state in ticket_rows.ENDED] or not asset:
            return
        ticket = self._imported(external, asset, self.definitions.get(name))
        same = ticket_rows.find_joinable(self.connection, ticket.join_group, ticket.scope, [ticket.ticket_class])
        ticket_rows.insert_ticket(self.connection, ticket, joinable=bool(ticket.join_group) and same is None)
        body = {"command": "open", "dedup_key": ticket.dedup_key, "raised_at": route.iso(ticket.raised_at)}
        sink = self.policy.sinks.get(ticket.ticket_class, self.sink)
        commands.put(
            self.connection, ticket, "open", body, sink=sink, now=self.now, wall_s=self.wall_s, number=FIRST_COMMAND
        )
        self._arrived(ticket, external)
        act = Act(ticket.ticket_no, TicketAct.IMPORTED, "gasgate", "known to the ticketing system alone", {}, self.now)
        delivery_rows.add_act(self.connection, act)
        self._steps(ticket, external)
        found = Finding(DifferenceKind.MISSING_HERE, {"state": external.state, "raised_at": external.raised_at})
        self._note(ticket, external, [found], outcome="imported")

    def _imported(self, external: ExternalTicket, asset: str, definition: Definition | None) -> Ticket:
        number = external.ticket_no
        # a number from outside must not stand in the way of the next one of ours
        if not _OUR_NUMBER.fullmatch(number) or ticket_rows.find_ticket(self.connection, number) is not None:
            prefix = route.number_prefix(self.now, self.policy)
            number = route.next_number(prefix, ticket_rows.newest_number(self.connection, prefix))
        ticket_class = TicketClass.URGENT
        if external.ticket_class in TicketClass.__members__:
            ticket_class = TicketClass(external.ticket_class)
        group, scope = "", asset
        if definition is not None:
            group, scope = route.join_scope(Alarm(definition.id, asset, Priority.P1), definition, self.network)
        raised_at = min(moment_of(external.raised_at) or self.now, self.now)
        ticket = Ticket(
            ticket_no=number,
            dedup_key=external.dedup_key,
            ticket_class=ticket_class,
            type=external.type[:60],
            asset=asset[:120],
            join_group=group,
            scope=scope,
            state=TicketState.OPEN,
            raised_at=raised_at,
            depart_by=None,
            arrive_by=None,
            title=external.title or external.dedup_key,
            description="",
            external_id=external.external_id,
            external_url=external.url,
        )
        return route.measured(ticket, self.network, self.policy)
