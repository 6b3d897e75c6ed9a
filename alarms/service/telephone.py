"""Telephone reports become tickets: with time, number and place at once, with the rest as it is asked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from alarms import route
from alarms.tickets.raising import Raising, Wanted
from gateway.errors import RefusedError
from gateway.model.call import CLASSES, LATE, Call
from gateway.model.network import Meter, Network, Station, ZoneKind
from gateway.model.ticket import TicketClass
from gateway.ports import Clock
from gateway.store import call_rows, promise_rows, ticket_rows, user_rows
from gateway.store.call_rows import CallReport
from gateway.store.state import State, Transaction

NEAR_M = 500.0
"""within which open tickets and live alarms are shown to the call taker"""
OLDEST = timedelta(days=7)
AHEAD = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Telephone:
    """Where calls are taken. Safe for threads: each call is one transaction."""

    state: State
    network: Network
    policy: route.TicketPolicy
    clock: Clock

    def take(self, call: Call, taker: str, request_id: str, *, wall_s: float, join: str = "") -> CallReport:
        """Write a call down and open its ticket, or put it to the open one that the call taker names.

        The same request id again returns the first answer and does nothing. Raises RefusedError 404
        `unknown_ticket` or `unknown_asset`, 409 `ended` or `request_id_used`, 422 `called_at`.
        """
        now = self.clock.now()
        if not now - OLDEST <= call.called_at <= now + AHEAD:
            raise RefusedError(422, "called_at", "the call must have been taken within the last 7 days")
        call = replace(call, called_at=min(call.called_at, now))
        if call.asset and not self.network.zone_of(call.asset):
            raise RefusedError(404, "unknown_asset", f"the network has no {call.asset}")
        with self.state.write() as connection:
            known = call_rows.find(connection, request_id)
            if known is not None:
                if known.taker != taker:
                    raise RefusedError(409, "request_id_used", "another person had this request id")
                return known
            ticket_no = (
                self._join(connection, join, call, taker, wall_s) if join else self._open(connection, call, wall_s)
            )
            report = CallReport(ticket_no, call, now, taker, joined=bool(join))
            call_rows.add(connection, request_id, report)
            promise_rows.add_step(
                connection, ticket_no, "called" if join else "reported", call.called_at, entered_at=now, actor=taker
            )
            self._audit(connection, taker, "call.join" if join else "call.take", ticket_no, call)
        return report

    def complete(self, ticket_no: str, more: Mapping[str, Any], taker: str, *, wall_s: float) -> CallReport:
        """Add what was asked later; the crew gets it as an `update`. Raises RefusedError 404 `unknown_call`."""
        with self.state.write() as connection:
            reports = [one for one in call_rows.of_ticket(connection, ticket_no) if not one.joined]
            ticket = ticket_rows.find_ticket(connection, ticket_no)
            if not reports or ticket is None:
                raise RefusedError(404, "unknown_call", f"no call opened ticket {ticket_no}")
            call = replace(reports[0].call, **more)
            if call.asset and not self.network.zone_of(call.asset):
                raise RefusedError(404, "unknown_asset", f"the network has no {call.asset}")
            call_rows.set_said(connection, ticket_no, call.details)
            body = {**route.note_body(ticket, "update", _words(call), taker), "call": call.details}
            self._work(connection, wall_s).send(ticket, "update", body)
            self._audit(connection, taker, "call.complete", ticket_no, call)
        return replace(reports[0], call=call)

    def _open(self, connection: Transaction, call: Call, wall_s: float) -> str:
        wanted = CLASSES[call.what]
        order = Wanted(
            ticket_class=wanted,
            type=call.what.value,
            asset=call.asset or self.zone_at(call.x_m, call.y_m),
            key=f"CALL:{call.what.upper()}:{{number}}",
            raised_at=call.called_at,
            title=f"{_TITLES[call.what.value]}: {call.place}",
            description=_words(call),
            priority=1 if wanted is TicketClass.EMERGENCY else 3,
        )
        body = {
            "asset": self._place(order.asset, call),
            "contact": {"name": call.caller, "phone": call.number},
            "call": call.details,
        }
        return self._work(connection, wall_s).open_other(order, body).ticket_no

    def _join(self, connection: Transaction, ticket_no: str, call: Call, taker: str, wall_s: float) -> str:
        ticket = ticket_rows.find_ticket(connection, ticket_no)
        if ticket is None:
            raise RefusedError(404, "unknown_ticket", f"there is no ticket {ticket_no}")
        if ticket.state in ticket_rows.ENDED:
            raise RefusedError(409, "ended", f"{ticket_no} has ended; open a new ticket")
        if CLASSES[call.what] is TicketClass.EMERGENCY and ticket.ticket_class is not TicketClass.EMERGENCY:
            raise RefusedError(409, "lower_class", "an emergency never joins a lower ticket; open a new one")
        body = {**route.note_body(ticket, "update", _words(call), taker), "call": call.details}
        self._work(connection, wall_s).send(ticket, "update", body)
        return ticket_no

    def _place(self, asset: str, call: Call) -> dict[str, Any]:
        place = route.asset_body(asset, self.network) if asset else {"id": "", "kind": "place"}
        if call.x_m is not None and call.y_m is not None:
            place |= {"x_m": call.x_m, "y_m": call.y_m, "crs": "local"}
        return {**place, "address": call.place}

    def _work(self, connection: Transaction, wall_s: float) -> Raising:
        return Raising(connection, self.network, self.policy, self.clock.now(), wall_s)

    def _audit(self, connection: Transaction, taker: str, act: str, ticket_no: str, call: Call) -> None:
        late = self.clock.now() - call.called_at > LATE
        detail = {"what": call.what.value, "place": call.place, "entered_late": late}
        user_rows.add_audit(connection, self.clock.now_us(), taker, act, subject=ticket_no, detail=detail)

    def zone_at(self, x_m: float | None, y_m: float | None) -> str:
        """Return the regulator zone whose regulator stands nearest to a place, empty if that is not known."""
        if x_m is None or y_m is None:
            return ""
        regulators = [one for one in self.network.stations.values() if one.kind == "regulator"]
        nearest = min(regulators, key=lambda one: math.hypot(one.x_m - x_m, one.y_m - y_m), default=None)
        return "" if nearest is None else nearest.zone_id

    def is_near(self, asset: str, place: str, x_m: float | None, y_m: float | None) -> bool:
        """Return whether an asset is at a place: in the same regulator zone or building, or within 500 m."""
        zone = self.network.zone_above(place, ZoneKind.REGULATOR) if place else ""
        if zone and zone == self.network.zone_above(asset, ZoneKind.REGULATOR):
            return True
        found: Station | Meter | None = self.network.stations.get(asset) or self.network.meters.get(asset)
        return found is not None and self.within(found.x_m, found.y_m, x_m, y_m)

    def within(self, x_m: float | None, y_m: float | None, other_x_m: float | None, other_y_m: float | None) -> bool:
        """Return whether two positions are known and within 500 m of each other."""
        if x_m is None or y_m is None or other_x_m is None or other_y_m is None:
            return False
        return math.dist((x_m, y_m), (other_x_m, other_y_m)) <= NEAR_M


_TITLES = {
    "smell": "Smell of gas reported",
    "hiss": "Hissing gas reported",
    "fire": "Fire reported",
    "ill": "Ill persons reported",
    "no_gas": "No gas reported",
    "meter_problem": "Problem with a meter reported",
    "other": "Fault reported",
}


def _words(call: Call) -> str:
    """Return in words what a crew must know of a call."""
    facts = {
        "indoors": {True: "indoors", False: "outdoors"}.get(call.indoors) if call.indoors is not None else None,
        "valve": {True: "valve closed", False: "valve open"}.get(call.valve_closed)
        if call.valve_closed is not None
        else None,
        "ill": "ill persons" if call.ill_persons else None,
    }
    said = [f"By telephone at {call.place}", *(text for text in facts.values() if text), call.note]
    return "; ".join(text for text in said if text) + "."
