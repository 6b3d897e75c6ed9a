"""Opens tickets, each in one transaction: for an occurrence that joins none, and for what people or findings ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from alarms import route
from alarms.extent import Extent, extent_of, larger
from alarms.tickets import commands
from gateway.model.alarm import Alarm, Definition
from gateway.model.network import Network
from gateway.model.ticket import Ticket, TicketAct, TicketClass, TicketState
from gateway.store import delivery_rows, ticket_rows
from gateway.store.state import Transaction


@dataclass(frozen=True, slots=True)
class Wanted:
    """A ticket that no alarm raises: a call, a finding, an order, a customer who is not satisfied."""

    ticket_class: TicketClass
    type: str
    asset: str
    key: str
    """what it is about, the part of its key behind the site; `{number}` stands for the ticket's own number"""
    raised_at: datetime
    title: str
    description: str
    priority: int
    join_group: str = ""
    size: str | None = None
    """None: by the company's rules"""


@dataclass(frozen=True, slots=True)
class Raising:
    """What raising a ticket needs beside its reason: where it is written, and the one moment of it all."""

    connection: Transaction
    network: Network
    policy: route.TicketPolicy
    now: datetime
    wall_s: float
    """real seconds since 1970"""

    def open_or_join(self, alarm: Alarm, definition: Definition) -> None:
        """Let an occurrence that has no ticket join one, or open one."""
        joined = self._joinable(alarm, definition)
        if joined is None:
            self.open(alarm, definition)
            return
        ticket_rows.link_alarm(self.connection, alarm.alarm_id, alarm.occurrence_no, joined.ticket_no)
        grown = larger(joined, self._extent(alarm, joined))
        if grown != joined:
            ticket_rows.set_extent(self.connection, grown)
        self.send(grown, "update", route.update_body(grown, alarm, definition))

    def open(self, alarm: Alarm, definition: Definition, *, joinable: bool | None = None) -> Ticket:
        """Open a ticket of an occurrence's own; an open lower one of the same incident is linked with it.

        Others may join it if its definition has a group, unless `joinable` says otherwise.
        """
        policy, number = self._next()
        ticket = route.new_ticket(alarm, definition, self.network, policy, number)
        lower = self._lower(alarm, definition)
        ticket_rows.insert_ticket(self.connection, ticket, joinable=joinable)
        ticket_rows.link_alarm(self.connection, alarm.alarm_id, alarm.occurrence_no, number)
        body = route.open_body(ticket, alarm, definition, self.network, policy)
        self.send(ticket, "open", body | {"linked": [one.ticket_no for one in lower]})
        for one in lower:
            self.link(one, ticket, "gasgate", "a graver alarm of the same incident")
        return ticket

    def open_other(self, wanted: Wanted, body: Mapping[str, Any]) -> Ticket:
        """Open a ticket that no alarm raises; `body` adds to what its first message says."""
        policy, number = self._next()
        key = wanted.key.replace("{number}", number.removeprefix("T-"))
        ticket = Ticket(
            ticket_no=number,
            dedup_key=f"{policy.site}.{policy.epoch}:{key}",
            ticket_class=wanted.ticket_class,
            type=wanted.type,
            asset=wanted.asset,
            join_group=wanted.join_group,
            scope=wanted.asset,
            state=TicketState.OPEN,
            raised_at=wanted.raised_at,
            depart_by=None,
            arrive_by=None,
            title=wanted.title,
            description=wanted.description,
        )
        ticket = route.measured(ticket, self.network, policy, size=wanted.size)
        ticket_rows.insert_ticket(self.connection, ticket)
        self.send(ticket, "open", {**route.first_body(ticket, wanted.priority, self.network, policy), **body})
        return ticket

    def link(self, one: Ticket, other: Ticket, who: str, reason: str, *, tell: bool = True) -> None:
        """Say on both tickets that they are about the same; both live on. With `tell` the crew of the first is told."""
        for here, there in ((one, other), (other, one)):
            data = {"ticket_no": there.ticket_no, "dedup_key": there.dedup_key}
            act = delivery_rows.Act(here.ticket_no, TicketAct.LINK, who, reason, data, self.now)
            delivery_rows.add_act(self.connection, act)
        if not tell:
            return
        text = f"about the same as {other.ticket_no}: {reason}"
        self.send(one, "note", route.note_body(one, "note", text, who))

    def send(self, ticket: Ticket, command: str, body: Mapping[str, Any]) -> None:
        """Put a command into the outbox."""
        sink = self.policy.sinks.get(ticket.ticket_class, "")
        commands.put(self.connection, ticket, command, body, sink=sink, now=self.now, wall_s=self.wall_s)

    def _next(self) -> tuple[route.TicketPolicy, str]:
        """Return the policy with the epoch that new keys get, and the number of the next ticket."""
        policy = replace(self.policy, epoch=delivery_rows.epoch(self.connection, self.policy.epoch))
        prefix = route.number_prefix(self.now, policy)
        return policy, route.next_number(prefix, ticket_rows.newest_number(self.connection, prefix))

    def _extent(self, alarm: Alarm, ticket: Ticket) -> Extent:
        return extent_of(alarm.asset, ticket.ticket_class, ticket.type, self.network, self.policy.sizes)

    def _joinable(self, alarm: Alarm, definition: Definition) -> Ticket | None:
        classes = route.classes_at_least(TicketClass(definition.ticket_class))
        for group, scope in route.join_places(alarm, definition, self.network):
            found = ticket_rows.find_joinable(self.connection, group, scope, classes)
            if found is not None:
                return found
        return None

    def _lower(self, alarm: Alarm, definition: Definition) -> list[Ticket]:
        group, scope = route.join_scope(alarm, definition, self.network)
        at_least = route.classes_at_least(TicketClass(definition.ticket_class))
        lower = [name for name in TicketClass if name not in at_least]
        found = ticket_rows.find_joinable(self.connection, group, scope, lower) if group and lower else None
        return [] if found is None else [found]
