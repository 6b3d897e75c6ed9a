"""What a person does with a ticket: split, link, note, ask to cancel, hand over by telephone, send given-up ones again.

Each act is one transaction; the same request id again gets the first answer and does nothing. Nothing here ends work:
the ticketing system does, and tells.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from alarms import route
from alarms.extent import rank
from alarms.service.policy import orders
from alarms.tickets.raising import Raising, Wanted
from gateway.errors import RefusedError
from gateway.model.alarm import Definition
from gateway.model.network import Network
from gateway.model.reading import to_us
from gateway.model.ticket import Ticket, TicketAct, TicketClass
from gateway.ports import Clock
from gateway.store import (
    alarm_rows,
    delivery_rows,
    endpoint_rows,
    outbox_rows,
    promise_rows,
    ticket_rows,
    user_rows,
)
from gateway.store.delivery_rows import Act
from gateway.store.state import State, Transaction

Answer = dict[str, Any]
OLDEST_ORDER = timedelta(days=7)
AHEAD = timedelta(minutes=2)
MOST_AT_ONCE = 500
"""given-up commands that one request may send again"""


@dataclass(frozen=True, slots=True)
class Order:
    """What a customer asks for: gas-on, a complaint, an alteration; a type that the promises know."""

    type: str
    reported_at: datetime
    place: str
    customer: str
    phone: str
    asset: str = ""
    """meter, building or zone, as far as it is known"""
    size: str = ""
    """size of the job where promises differ by it, e.g. business"""
    note: str = ""


class TicketDesk:
    """Acts on tickets. Safe to share between threads; several processes may each have one."""

    def __init__(
        self,
        state: State,
        definitions: Mapping[str, Definition],
        network: Network,
        clock: Clock,
        policy: route.TicketPolicy,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Remember the parts; `wall` gives real seconds since 1970."""
        self._state, self._definitions, self._network = state, definitions, network
        self._clock, self._policy, self._wall = clock, policy, wall

    def split(
        self, number: str, alarm_id: str, occurrence_no: int, *, who: str, reason: str, request_id: str
    ) -> Answer:
        """Give a joined occurrence a ticket of its own, with clocks from its own raising.

        Neither ticket takes further alarms. Raises RefusedError: 404 `unknown_ticket`, 409 `ticket_ended`,
        `not_joined` if the occurrence has no part in the ticket or opened it, `occurrence_over` if it is over.
        """

        def act(work: Raising) -> Answer:
            ticket = _alive(work.connection, number)
            linked = ticket_rows.ticket_of(work.connection, alarm_id, occurrence_no)
            name, _, asset = alarm_id.partition("@")
            opened = ticket.dedup_key.partition(":")[2] == f"{asset}:{name}:{occurrence_no}"
            if linked is None or linked.ticket_no != number or opened:
                raise RefusedError(409, "not_joined", f"{alarm_id} no. {occurrence_no} did not join {number}")
            alarm = alarm_rows.load(work.connection, alarm_id)
            definition = self._definitions.get(name)
            if alarm is None or definition is None or alarm.occurrence_no != occurrence_no:
                raise RefusedError(409, "occurrence_over", "another occurrence of this alarm has begun since")
            ticket_rows.close_to_joining(work.connection, number)
            ticket_rows.unlink_alarm(work.connection, alarm_id, occurrence_no)
            own = work.open(alarm, definition, joinable=False)
            data = {"alarm_id": alarm_id, "occurrence_no": occurrence_no, "ticket_no": own.ticket_no}
            _keep(work, number, TicketAct.SPLIT, who, reason, **data)
            text = f"{alarm_id} no. {occurrence_no} has its own ticket {own.ticket_no}: {reason}"
            work.send(ticket, "note", route.note_body(ticket, "note", text, who))
            return {"ticket_no": own.ticket_no}

        return self._once(request_id, who, number, act)

    def link(self, number: str, other: str, *, who: str, reason: str, request_id: str) -> Answer:
        """Say on two tickets that they are about the same; both live until the ticketing system ends them."""

        def act(work: Raising) -> Answer:
            one, two = _alive(work.connection, number), _alive(work.connection, other)
            if number == other:
                raise RefusedError(409, "same_ticket", "a ticket cannot be linked with itself")
            work.link(one, two, who, reason)
            return {"ticket_no": number}

        return self._once(request_id, who, number, act)

    def note(self, number: str, *, who: str, text: str, request_id: str) -> Answer:
        """Send a note to the crew."""

        def act(work: Raising) -> Answer:
            ticket = _alive(work.connection, number)
            _keep(work, number, TicketAct.NOTE, who, text)
            work.send(ticket, "note", route.note_body(ticket, "note", text, who))
            return {"ticket_no": number}

        return self._once(request_id, who, number, act)

    def ask_to_cancel(self, number: str, *, who: str, reason: str, supervisor: bool, request_id: str) -> Answer:
        """Ask the ticketing system to cancel; clocks run until it confirms. Only a supervisor asks for an EMERGENCY."""

        def act(work: Raising) -> Answer:
            ticket = _alive(work.connection, number)
            if ticket.ticket_class is TicketClass.EMERGENCY and not supervisor:
                raise RefusedError(403, "forbidden", "a supervisor asks for the end of an emergency")
            _keep(work, number, TicketAct.CANCEL_REQUEST, who, reason)
            work.send(ticket, "cancel_request", route.note_body(ticket, "cancel_request", reason, who))
            return {"ticket_no": number}

        return self._once(request_id, who, number, act)

    def handled_by_phone(self, number: str, *, who: str, reason: str, request_id: str) -> Answer:
        """Note that a crew was sent by telephone: no more alarm, no other way; delivery goes on and merges by key."""

        def act(work: Raising) -> Answer:
            _alive(work.connection, number)
            _keep(work, number, TicketAct.HANDLED_BY_PHONE, who, reason)
            return {"ticket_no": number}

        return self._once(request_id, who, number, act)

    def resize(self, number: str, size: str, *, who: str, reason: str, supervisor: bool, request_id: str) -> Answer:
        """Correct how large a fault is: upward anybody, downward a supervisor; its clocks are set anew by that.

        Raises RefusedError 404 `unknown_ticket`, 409 `ticket_ended` or `same_size`, 403 `forbidden`.
        """

        def act(work: Raising) -> Answer:
            ticket = _alive(work.connection, number)
            if size == ticket.size:
                raise RefusedError(409, "same_size", f"{number} is so already")
            if rank(size) < rank(ticket.size) and not supervisor:
                raise RefusedError(403, "forbidden", "a supervisor makes a fault smaller")
            resized = replace(ticket, size=size)
            ticket_rows.set_extent(work.connection, resized)
            _keep(work, number, TicketAct.SIZE, who, reason, before=ticket.size, after=size)
            body = route.note_body(resized, "update", f"size: {size or 'ordinary'}: {reason}", who)
            work.send(resized, "update", {**body, "size": size})
            return {"ticket_no": number, "size": size}

        return self._once(request_id, who, number, act)

    def send_again(self, row_ids: Sequence[int], *, who: str, request_id: str) -> Answer:
        """Send given-up commands again, with the ids that they had; return which were given up indeed."""

        def act(work: Raising) -> Answer:
            done = [
                one
                for one in row_ids[:MOST_AT_ONCE]
                if outbox_rows.replay_dead(work.connection, one, wall_now_s=work.wall_s)
            ]
            return {"sent_again": done}

        return self._once(request_id, who, "", act)

    def order(self, wanted: Order, *, who: str, request_id: str) -> Answer:
        """Open the SERVICE ticket of what a customer asks for; its clocks start when it was asked.

        Raises RefusedError 404 `unknown_asset`, 422 `unknown_type`, `unknown_size` or `reported_at`.
        """
        known = orders(self._policy.promises)

        def act(work: Raising) -> Answer:
            sizes = [size for kind, size in known if kind == wanted.type]
            if not sizes:
                raise RefusedError(422, "unknown_type", f"one of {', '.join(sorted({kind for kind, _ in known}))}")
            if wanted.size not in sizes:
                raise RefusedError(422, "unknown_size", f"one of {', '.join(repr(one) for one in sizes)}")
            if wanted.asset and not self._network.zone_of(wanted.asset):
                raise RefusedError(404, "unknown_asset", f"the network has no {wanted.asset[:120]}")
            if not work.now - OLDEST_ORDER <= wanted.reported_at <= work.now + AHEAD:
                raise RefusedError(422, "reported_at", "it must have been asked within the last 7 days")
            words = wanted.type.replace("_", " ").capitalize()
            asked = Wanted(
                ticket_class=TicketClass.SERVICE,
                type=wanted.type,
                asset=wanted.asset,
                key=f"ORDER:{wanted.type.upper()}:{{number}}",
                raised_at=min(wanted.reported_at, work.now),
                title=f"{words}: {wanted.place}",
                description=wanted.note,
                priority=4,
                size=wanted.size or None,
            )
            place = route.asset_body(wanted.asset, self._network) if wanted.asset else {"id": "", "kind": "place"}
            contact = {"name": wanted.customer, "phone": wanted.phone}
            body = {"asset": {**place, "address": wanted.place}, "contact": contact}
            ticket = work.open_other(asked, body)
            promise_rows.add_step(
                work.connection, ticket.ticket_no, "reported", asked.raised_at, entered_at=work.now, actor=who
            )
            return {"ticket_no": ticket.ticket_no}

        return self._once(request_id, who, "order", act)

    def switch_on(self, sink: str, *, who: str, request_id: str) -> Answer:
        """Let a ticketing system that said that its address is gone get tickets again. Raises RefusedError 409 `on`."""

        def act(work: Raising) -> Answer:
            if not endpoint_rows.switch_on(work.connection, sink, wall_now_s=work.wall_s):
                raise RefusedError(409, "on", f"{sink} is not switched off")
            return {"sink": sink}

        return self._once(request_id, who, f"endpoint {sink}", act)

    def _once(self, request_id: str, who: str, subject: str, act: Callable[[Raising], Answer]) -> Answer:
        """Act unless the request was answered before; a refusal leaves nothing and may be tried again."""
        now = self._clock.now()
        with self._state.write() as connection:
            known = alarm_rows.find_answer(connection, request_id)
            if known is not None:
                if known.who != who or known.body.get("about_ticket") != subject:
                    raise RefusedError(409, "request_id_used", "another person, or another ticket, had this request id")
                return dict(known.body)
            work = Raising(connection, self._network, self._policy, now, self._wall())
            # alarms' acts share the table of answers: to them this is an answer about another alarm
            body = {**act(work), "about_ticket": subject, "alarm_id": f"ticket {subject}"}
            alarm_rows.keep_answer(connection, request_id, alarm_rows.Answer(who, 200, body), now)
            _audit(connection, now, who, subject, body)
        return body


def _alive(connection: Transaction, number: str) -> Ticket:
    ticket = ticket_rows.find_ticket(connection, number)
    if ticket is None:
        raise RefusedError(404, "unknown_ticket", number[:60])
    if ticket.state in ticket_rows.ENDED:
        raise RefusedError(409, "ticket_ended", f"{number} is {ticket.state.value}")
    return ticket


def _keep(work: Raising, number: str, act: TicketAct, who: str, reason: str, **data: Any) -> None:
    delivery_rows.add_act(work.connection, Act(number, act, who, reason, data, work.now))


def _audit(connection: Transaction, now: datetime, who: str, subject: str, body: Answer) -> None:
    user_rows.add_audit(connection, to_us(now), who, "ticket.act", subject=subject, detail=body)
