"""From an occurrence to a ticket: its key, whom it may join, its clocks and what the message says. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from alarms.extent import SizeRule, extent_of
from alarms.service.calendar import WorkCalendar, official
from alarms.service.clocks import BEGIN, due
from alarms.service.policy import Promise, Unit, matching, place_of, shipped, shipped_sizes
from gateway.model.alarm import Alarm, Definition
from gateway.model.network import Network, ZoneKind
from gateway.model.ticket import Ticket, TicketClass, TicketState

_OF_AN_AREA = ("SUPPLY_LOSS", "HOMES_NO_GAS", "UNDERPRESS_LO", "UNDERPRESS_LOLO")
_BY_URGENCY = tuple(TicketClass)


@dataclass(frozen=True, slots=True)
class TicketPolicy:
    """What the company fixed about its tickets."""

    site: str = "hq"
    epoch: int = 1
    """goes up by one whenever the state database is restored from a backup, so that no used key returns"""
    timezone: str = "Asia/Shanghai"
    """days in ticket numbers begin at its midnight"""
    sinks: Mapping[TicketClass, str] = field(default_factory=dict)
    """name of the sink that gets a class; without one the ticket stays unconfirmed, which raises an alarm"""
    promises: Sequence[Promise] = field(default_factory=shipped, repr=False)
    """by when crews leave and arrive"""
    calendar: WorkCalendar = field(default_factory=official, repr=False)
    sizes: Sequence[SizeRule] = field(default_factory=shipped_sizes, repr=False)
    """what makes a fault large or major"""
    desk_name: str = ""
    """whom a crew calls back: name of the control room"""
    desk_phone: str = ""
    public_url: str = ""
    """address under which people open gasgate's pages; empty = messages carry no links"""


def dedup_key(alarm: Alarm, policy: TicketPolicy) -> str:
    """Return the one key of an occurrence: `site.epoch:asset:type:occurrence_no`."""
    return f"{policy.site}.{policy.epoch}:{alarm.asset}:{alarm.definition}:{alarm.occurrence_no}"


def classes_at_least(wanted: TicketClass) -> tuple[TicketClass, ...]:
    """Return the classes that an alarm of class `wanted` may join: its own and the more urgent ones."""
    return _BY_URGENCY[: _BY_URGENCY.index(wanted) + 1]


def join_scope(alarm: Alarm, definition: Definition, network: Network) -> tuple[str, str]:
    """Return join group and the node within which alarms of this group share one incident."""
    station = network.stations.get(alarm.asset)
    match definition.join_group:
        case "network" if station is not None and station.kind == "station":
            return "station", alarm.asset
        case "network":
            zone = network.zone_above(alarm.asset, ZoneKind.REGULATOR) or network.zone_of(alarm.asset)
            return "network", zone or alarm.asset
        case "home":
            return "home", network.zone_above(alarm.asset, ZoneKind.BUILDING) or alarm.asset
        case group:
            return group, alarm.asset


def join_places(alarm: Alarm, definition: Definition, network: Network) -> list[tuple[str, str]]:
    """Return where an alarm may find a ticket to join, as (group, node), the first that has one counts.

    While a whole area has lost its supply, its zones' losses of supply and low pressures belong to that one incident.
    """
    group, scope = join_scope(alarm, definition, network)
    places = [(group, scope)] if group else []
    if definition.id not in _OF_AN_AREA:
        return places
    return [("area", zone) for zone in _climb(network, network.zone_of(alarm.asset))] + places


def clocks(ticket: Ticket, network: Network, policy: TicketPolicy) -> tuple[datetime | None, datetime | None]:
    """Return (depart by, arrive by), as promised for a ticket raised then; None where nothing is."""
    found = {
        row.clock: due(row, ticket.raised_at, policy.calendar)
        for row in promised(ticket, network, policy)
        if row.start in BEGIN
    }
    arrive = [limit.at for name in ("arrive", "visit") if (limit := found.get(name)) is not None]
    depart = found.get("depart")
    return None if depart is None else depart.at, min(arrive, default=None)


def promised(ticket: Ticket, network: Network, policy: TicketPolicy) -> tuple[Promise, ...]:
    """Return of each clock the promise that counts for a ticket."""
    return matching(
        policy.promises,
        ticket_class=ticket.ticket_class,
        ticket_type=ticket.type,
        place=place_of(network.stations.get(ticket.asset)),
        day=policy.calendar.local(ticket.raised_at).date(),
        size=ticket.size,
        customer=ticket.customer,
    )


def measured(ticket: Ticket, network: Network, policy: TicketPolicy, *, size: str | None = None) -> Ticket:
    """Return a new ticket with its extent by the network, and its first deadlines by the promises for that.

    A `size` that a person named stands in the place of the one by the company's rules.
    """
    sized = extent_of(ticket.asset, ticket.ticket_class, ticket.type, network, policy.sizes).on(ticket)
    sized = sized if size is None else replace(sized, size=size)
    depart_by, arrive_by = clocks(sized, network, policy)
    return replace(sized, depart_by=depart_by, arrive_by=arrive_by)


def number_prefix(now: datetime, policy: TicketPolicy) -> str:
    """Return what the numbers of all tickets of this local day begin with."""
    return f"T-{now.astimezone(ZoneInfo(policy.timezone)):%Y%m%d}-"


def next_number(prefix: str, newest: str | None) -> str:
    """Return the number after the newest one of the day."""
    count = 0 if newest is None else int(newest.removeprefix(prefix))
    return f"{prefix}{count + 1:06d}"


def new_ticket(alarm: Alarm, definition: Definition, network: Network, policy: TicketPolicy, ticket_no: str) -> Ticket:
    """Return the ticket of an occurrence that joins none. Raises ValueError if it was never raised."""
    if alarm.raised_at is None:
        raise ValueError(f"{alarm.alarm_id} is not raised")
    group, scope = join_scope(alarm, definition, network)
    ticket = Ticket(
        ticket_no=ticket_no,
        dedup_key=dedup_key(alarm, policy),
        ticket_class=TicketClass(definition.ticket_class),
        type=definition.ticket_type,
        asset=alarm.asset,
        join_group=group,
        scope=scope,
        state=TicketState.OPEN,
        raised_at=alarm.raised_at,
        depart_by=None,
        arrive_by=None,
        title=f"{definition.title}: {network.name_of(alarm.asset)}",
        description=_description(alarm, definition),
    )
    return measured(ticket, network, policy)


def open_body(
    ticket: Ticket, alarm: Alarm, definition: Definition, network: Network, policy: TicketPolicy
) -> dict[str, Any]:
    """Return the `data` of the `open` of an alarm's ticket, ready for JSON."""
    body = first_body(ticket, int(alarm.priority), network, policy)
    return body | {
        "alarm": alarm_body(alarm, definition),
        "asset": asset_body(alarm.asset, network),
        "links": body["links"] | _links(policy, alarm=f"?alarm={quote(alarm.alarm_id)}"),
        "guidance": guidance(definition),
    }


def guidance(definition: Definition) -> dict[str, str]:
    """Return an alarm's cause and what to do about it, with the company's own instruction if there is one."""
    known = {"cause": definition.cause, "consequence": definition.consequence, "action": definition.action}
    return known | ({"url": definition.guidance_url} if definition.guidance_url else {})


def first_body(ticket: Ticket, priority: int, network: Network, policy: TicketPolicy) -> dict[str, Any]:
    """Return what every `open` command says, whatever raised its ticket; `command_no` is added by who sends it."""
    limits = {row.clock: row.limit * 60 for row in promised(ticket, network, policy) if row.unit is Unit.MINUTES}
    return {
        **_head(ticket, "open"),
        "class": ticket.ticket_class.value,
        "type": ticket.type,
        "priority": priority,
        "raised_at": iso(ticket.raised_at),
        "title": ticket.title,
        "description": ticket.description,
        "size": ticket.size,
        "joined": [],
        "contact": {"name": policy.desk_name, "phone": policy.desk_phone},
        "links": _links(policy, ticket=f"tickets/{quote(ticket.ticket_no)}"),
        "sla": {
            "policy": f"{ticket.ticket_class.value.lower()}@{policy.epoch}",
            "depart_by": iso(ticket.depart_by),
            "arrive_by": iso(ticket.arrive_by),
            "fix_within_s": limits.get("fix"),
            "stay_after_restore_s": limits.get("stay"),
        },
    }


def update_body(ticket: Ticket, alarm: Alarm, definition: Definition) -> dict[str, Any]:
    """Return the `data` of an `update`: another alarm joined, or its priority or what it is about grew."""
    joined = [{"alarm": alarm.alarm_id, "occurrence_no": alarm.occurrence_no}]
    return {
        **_head(ticket, "update"),
        "size": ticket.size,
        "priority": int(alarm.priority),
        "joined": joined,
        "alarm": alarm_body(alarm, definition),
    }


def rtn_body(ticket: Ticket, alarm: Alarm, definition: Definition) -> dict[str, Any]:
    """Return the `data` of an `rtn`: the signal is normal again. It ends no work."""
    return {**_head(ticket, "rtn"), "alarm": alarm_body(alarm, definition), "cleared_at": iso(alarm.cleared_at)}


def note_body(ticket: Ticket, command: str, text: str, who: str) -> dict[str, Any]:
    """Return the `data` of a `note` or a `cancel_request`: what a person wants the crew to know."""
    return {**_head(ticket, command), "text": text, "by": who}


def alarm_body(alarm: Alarm, definition: Definition) -> dict[str, Any]:
    """Return what a message says about an alarm."""
    return {
        "id": alarm.alarm_id,
        "definition_rev": alarm.definition_rev,
        "occurrence_no": alarm.occurrence_no,
        "raised_at": iso(alarm.raised_at),
        "source_at": iso(alarm.source_at),
        "value": alarm.value,
        "unit": definition.unit,
        "limit": definition.limit,
        "quality": "uncertain" if alarm.uncertain else "good",
    }


def iso(moment: datetime | None) -> str | None:
    """Return a UTC moment as text with milliseconds and Z."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _links(policy: TicketPolicy, **paths: str) -> dict[str, str]:
    """Return where people open what a message is about; nothing if nobody said under which address."""
    base = policy.public_url.rstrip("/")
    return {name: f"{base}/{path}" for name, path in paths.items()} if base else {}


def _head(ticket: Ticket, command: str) -> dict[str, Any]:
    return {"dedup_key": ticket.dedup_key, "ticket_no": ticket.ticket_no, "command": command}


def _description(alarm: Alarm, definition: Definition) -> str:
    measured = "" if alarm.value is None else f"Measured {alarm.value:.4g} {definition.unit}. "
    return f"{measured}{definition.consequence}. {definition.action}."


def asset_body(asset: str, network: Network) -> dict[str, Any]:
    """Return what a message says about an asset."""
    affected = network.affected(asset)
    return {**_place(asset, network), "customers": affected.customers, "sensitive": affected.sensitive}


def _place(asset: str, network: Network) -> dict[str, Any]:
    station = network.stations.get(asset)
    if station is not None:
        place = {"kind": station.kind, "address": station.address, "x_m": station.x_m, "y_m": station.y_m}
        return {"id": asset, "name": station.name, **place, "crs": "local", "zone": station.zone_id}
    meter = network.meters.get(asset)
    if meter is not None:
        place = {"kind": "meter", "address": "", "x_m": meter.x_m, "y_m": meter.y_m}
        facts = {"name": asset, "customer_class": meter.customer_class}
        return {"id": asset, **facts, **place, "crs": "local", "zone": meter.zone_id}
    return {"id": asset, "name": network.name_of(asset), "kind": "zone", "address": "", "zone": network.zone_of(asset)}


def _climb(network: Network, zone_id: str) -> list[str]:
    """Return a zone and all above it, the lowest first."""
    found: list[str] = []
    while zone_id in network.zones and zone_id not in found:
        found.append(zone_id)
        zone_id = network.zones[zone_id].parent_id
    return found
