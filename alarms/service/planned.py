"""The ticket of a planned interruption: opened when it is entered, told what was recorded, asked to end if given up.

An interruption that is an emergency has none: its work has a ticket of its own, and neither notice nor duration were
promised (document 003).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from alarms import route
from alarms.suppress import unfed_zones
from alarms.tickets.raising import Raising, Wanted
from gateway.model.affected import Affected
from gateway.model.interruption import Interruption
from gateway.model.network import MeterRole, Network
from gateway.model.ticket import Ticket, TicketAct, TicketClass
from gateway.store import delivery_rows, promise_rows, ticket_rows
from gateway.store.delivery_rows import Act

TYPE = "planned_interruption"
STEPS = {"closed": "stopped", "restored": "restored"}
"""what is recorded of an interruption, and the step of its ticket's clocks that this is"""
_MOST_NAMES = 20
"""of the zones and assets that a message lists; it has the count of all"""


def open_planned(work: Raising, plan: Interruption) -> Ticket:
    """Open the PLANNED ticket of an interruption; notice and planned start are steps of its clocks at once."""
    places = (*plan.zones, *plan.assets)
    asset = places[0] if len(places) == 1 else ""
    affected = count_affected(work.network, plan.zones, plan.assets)
    listed = ", ".join(places[:_MOST_NAMES]) + (f" and {len(places) - _MOST_NAMES} more" * (len(places) > _MOST_NAMES))
    times = f"{route.iso(plan.planned_start)} to {route.iso(plan.planned_end)}"
    wanted = Wanted(
        ticket_class=TicketClass.PLANNED,
        type=TYPE,
        asset=asset,
        key=f"{plan.id}:PLANNED_INTERRUPTION:1",
        raised_at=work.now,
        title=f"Planned interruption: {work.network.name_of(asset) if asset else f'{len(places)} places'}",
        description=f"{plan.reason}. Supply of {listed} stops, {times}.",
        priority=4,
    )
    place = route.asset_body(asset, work.network) if asset else {"id": "", "kind": "place", "address": listed}
    counts = {"customers": affected.customers, "sensitive": affected.sensitive}
    ticket = work.open_other(wanted, {"asset": place | counts, "interruption": _facts(plan)})
    ticket_rows.set_extent(work.connection, replace(ticket, customers=affected.customers, sensitive=affected.sensitive))
    for step, at in (("announced", plan.announced_at), ("planned_start", plan.planned_start)):
        promise_rows.add_step(work.connection, ticket.ticket_no, step, at, entered_at=work.now, actor=plan.by)
    return ticket


def record(work: Raising, plan: Interruption, what: str, who: str) -> None:
    """Bring what was recorded of an interruption to its ticket: a step of its clocks and a note, or a request to end.

    The ticketing system ends the ticket; one that has ended gets the step only.
    """
    ticket = ticket_rows.find_ticket(work.connection, plan.ticket_no or "")
    if ticket is None:
        return
    at = {"closed": plan.closed_at, "restored": plan.restored_at}.get(what)
    if at is not None:
        step = STEPS[what]
        promise_rows.add_step(work.connection, ticket.ticket_no, step, at, entered_at=work.now, actor=who)
        promise_rows.look_again(work.connection, ticket.ticket_no)
    if ticket.state in ticket_rows.ENDED:
        return
    act, command = (TicketAct.NOTE, "note") if at is not None else (TicketAct.CANCEL_REQUEST, "cancel_request")
    text = f"{plan.id}: supply {STEPS[what]} at {route.iso(at)}" if at is not None else f"{plan.id} was given up"
    delivery_rows.add_act(work.connection, Act(ticket.ticket_no, act, who, text, {}, work.now))
    work.send(ticket, command, route.note_body(ticket, command, text, who))


def stopped_zones(network: Network, zones: Iterable[str], assets: Iterable[str]) -> set[str]:
    """Return the zones without gas, with all below: the named ones, and those whose regulators are all stopped."""
    return {below for zone in (*zones, *unfed_zones(network, assets)) for below in network.below(zone)}


def count_affected(network: Network, zones: Iterable[str], assets: Iterable[str]) -> Affected:
    """Return how many customers lose gas, and how many of them depend on supply; each counts once."""
    singly = tuple(assets)
    without_gas = stopped_zones(network, zones, singly)
    tops = [zone for zone in without_gas if network.zones[zone].parent_id not in without_gas]
    meters = [network.meters[name] for name in dict.fromkeys(singly) if name in network.meters]
    outside = [one.meter_id for one in meters if one.role is MeterRole.CUSTOMER and one.zone_id not in without_gas]
    return sum(map(network.affected, [*tops, *outside]), Affected())


def _facts(plan: Interruption) -> dict[str, Any]:
    """Return what a crew needs of a plan."""
    return {
        "id": plan.id,
        "zones": list(plan.zones[:_MOST_NAMES]),
        "assets": list(plan.assets[:_MOST_NAMES]),
        "places": len(plan.zones) + len(plan.assets),
        "reason": plan.reason,
        "planned_start": route.iso(plan.planned_start),
        "planned_end": route.iso(plan.planned_end),
        "notice_by": route.iso(plan.notice_by),
        "short_notice": plan.short_notice,
    }
