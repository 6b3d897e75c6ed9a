"""What only time brings about: each function looks at facts and returns the events that are due."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from alarms.acts import Edge
from alarms.alarm_events import (
    ConditionFalls,
    ConditionRises,
    PriorityRises,
    QualityBad,
    QualityGood,
    Realarm,
    ShelfOver,
    TicketDue,
)
from alarms.suppress import area_of, below
from alarms.tickets.watch import ABOUT, DOWN, many_unconfirmed
from gateway.model.alarm import Alarm, AlarmState, Definition, Priority
from gateway.model.interruption import LONGEST, Interruption
from gateway.model.network import Network
from gateway.model.ticket import Ticket, TicketClass
from gateway.store import ticket_rows
from gateway.store.state import Transaction

TOGETHER = timedelta(minutes=5)
AREA_LEAST = 3
AREA_SHARE = 0.3
AREA_MANY = 100
"""so many stations at once are an area's fault, whatever their share"""
_CHILD_OF = {"AREA_COMM_LOSS": "STATION_COMM_LOSS", "AREA_SUPPLY_LOSS": "SUPPLY_LOSS"}


def timer_edges(
    connection: Transaction, active: Mapping[str, Alarm], definitions: Mapping[str, Definition], now: datetime
) -> list[Edge]:
    """Return shelves that are over, alarms that sound again, and delayed tickets that are due."""
    edges = []
    for alarm in active.values():
        definition = definitions.get(alarm.definition)
        if definition is None:
            continue
        if alarm.shelf is not None and alarm.shelf.until <= now:
            edges.append(Edge(alarm.alarm_id, ShelfOver()))
        elif _sounds_again(alarm, definition, now):
            edges.append(Edge(alarm.alarm_id, Realarm()))
        if _ticket_ripe(alarm, definition, now):
            known = ticket_rows.ticket_of(connection, alarm.alarm_id, alarm.occurrence_no)
            edges += [] if known is not None else [Edge(alarm.alarm_id, TicketDue())]
    return edges


def quality_edges(active: Mapping[str, Alarm], stale: Mapping[str, bool]) -> list[Edge]:
    """Return active alarms whose value became unknown, or known again; neither ever ends an alarm."""
    edges = []
    for alarm_id, is_stale in stale.items():
        alarm = active.get(alarm_id)
        if alarm is not None and alarm.uncertain != is_stale:
            edges.append(Edge(alarm_id, QualityBad() if is_stale else QualityGood()))
    return edges


def ticket_edges(
    tickets: Sequence[Ticket], undelivered: Collection[str], active: Mapping[str, Alarm], now: datetime
) -> list[Edge]:
    """Return the alarms about tickets that begin or end: late crews, and what is wrong with their delivery.

    `tickets` are at least the late ones, `undelivered` the alarms of `alarms.tickets.watch` that hold now.
    """
    holds: dict[str, float | None] = dict.fromkeys(undelivered)
    down = active.get(DOWN)
    if many_unconfirmed(undelivered, before=down is not None and down.cond):
        holds[DOWN] = None
    for ticket in tickets:
        emergency = ticket.ticket_class is TicketClass.EMERGENCY
        left = ticket.departed_at or ticket.arrived_at
        if emergency and left is None and ticket.depart_by is not None and ticket.depart_by <= now:
            holds[f"DEPART_OVERDUE@{ticket.ticket_no}"] = _minutes(now - ticket.raised_at)
        if emergency and ticket.arrived_at is None and ticket.arrive_by is not None and ticket.arrive_by <= now:
            holds[f"ARRIVE_OVERDUE@{ticket.ticket_no}"] = _minutes(now - ticket.raised_at)
    about = ("DEPART_OVERDUE", "ARRIVE_OVERDUE", *ABOUT)
    over = {alarm.alarm_id: alarm for alarm in active.values() if alarm.definition in about and alarm.cond}
    begun = [alarm_id for alarm_id in holds if alarm_id not in over]
    # one that speaks for many comes first, so that it hides them before they are announced
    begun.sort(key=lambda alarm_id: alarm_id != DOWN)
    edges = [Edge(alarm_id, ConditionRises(now, holds[alarm_id])) for alarm_id in begun]
    more = any(alarm_id.startswith("TICKET_UNCONFIRMED@") for alarm_id in begun)
    if more and down is not None and down.state is AlarmState.ACKNOWLEDGED:
        edges.append(Edge(DOWN, Realarm(grew=True)))
    return edges + [Edge(alarm_id, ConditionFalls()) for alarm_id in over if alarm_id not in holds]


def interruption_edges(plans: Sequence[Interruption], active: Mapping[str, Alarm], now: datetime) -> list[Edge]:
    """Return PLAN_OVERRUN for supply that has been away for 20 h; it grows when the promised 24 h are over."""
    late = {f"PLAN_OVERRUN@{plan.id}": plan for plan in plans if plan.overruns_at(now)}
    edges: list[Edge] = []
    for alarm_id, plan in late.items():
        alarm = active.get(alarm_id)
        if alarm is None or not alarm.cond:
            edges.append(Edge(alarm_id, ConditionRises(now, _hours(plan, now))))
        elif plan.overruns_at(now, LONGEST) and alarm.priority > Priority.P2 and not alarm.hidden:
            edges.append(Edge(alarm_id, PriorityRises(Priority.P2)))
    over = [one for one in active.values() if one.definition == "PLAN_OVERRUN" and one.cond]
    return edges + [Edge(one.alarm_id, ConditionFalls()) for one in over if one.alarm_id not in late]


def _hours(plan: Interruption, now: datetime) -> float | None:
    return None if plan.closed_at is None else round((now - plan.closed_at).total_seconds() / 3600.0, 1)


def area_edges(
    active: Mapping[str, Alarm],
    silent: Sequence[Edge],
    definitions: Mapping[str, Definition],
    network: Network,
    *,
    suspects: Sequence[str] = (),
    well_since: dict[str, datetime],
    now: datetime,
) -> list[Edge]:
    """Return the area alarms that begin or end; `silent` are station events that are about to be committed.

    `suspects` are stations that fell silent so lately that they are not told yet. An area begins with three of its
    stations, and 30 % of them, or with a hundred, within five minutes; it ends when fewer than three
    have been abnormal for its off-delay. `well_since` remembers since when, by alarm id, and is changed here.
    """
    edges: list[Edge] = []
    for area, child in _CHILD_OF.items():
        definition = definitions.get(area)
        if definition is None:
            continue
        bad = {
            alarm.asset: alarm.condition_at
            for alarm in active.values()
            if alarm.definition == child and alarm.cond and "planned_interruption" not in alarm.sbd
        }
        if child == "STATION_COMM_LOSS":
            bad |= {asset: now for asset in suspects if asset not in bad}
        for edge in silent:
            name, _, asset = edge.alarm_id.partition("@")
            if name == child and isinstance(edge.event, ConditionRises):
                bad[asset] = now
            elif name == child:
                bad.pop(asset, None)
        edges += _area_begins(area, bad, active, network, now)
        edges += _area_ends(definition, bad, active, network, well_since=well_since, now=now)
    return edges


def _area_begins(
    area: str, bad: Mapping[str, datetime | None], active: Mapping[str, Alarm], network: Network, now: datetime
) -> list[Edge]:
    covered = [alarm.asset for alarm in active.values() if alarm.definition == area and alarm.cond]
    recent = [
        asset
        for asset, since in bad.items()
        if since is not None and now - since <= TOGETHER and not any(below(asset, zone, network) for zone in covered)
    ]
    zone = area_of(recent, network, least=AREA_LEAST, share=AREA_SHARE, many=AREA_MANY)
    return [] if zone is None else [Edge(f"{area}@{zone}", ConditionRises(now, float(len(recent))))]


def _area_ends(
    definition: Definition,
    bad: Mapping[str, datetime | None],
    active: Mapping[str, Alarm],
    network: Network,
    *,
    well_since: dict[str, datetime],
    now: datetime,
) -> list[Edge]:
    edges = []
    for alarm in active.values():
        if alarm.definition != definition.id or not alarm.cond:
            continue
        if sum(below(asset, alarm.asset, network) for asset in bad) >= AREA_LEAST:
            well_since.pop(alarm.alarm_id, None)
            continue
        since = well_since.setdefault(alarm.alarm_id, now)
        if now - since >= timedelta(seconds=definition.off_delay_s):
            del well_since[alarm.alarm_id]
            edges.append(Edge(alarm.alarm_id, ConditionFalls()))
    return edges


def _sounds_again(alarm: Alarm, definition: Definition, now: datetime) -> bool:
    if alarm.state is not AlarmState.ACKNOWLEDGED or definition.realarm_after is None or alarm.acked_at is None:
        return False
    return now - alarm.acked_at >= definition.realarm_after


def _ticket_ripe(alarm: Alarm, definition: Definition, now: datetime) -> bool:
    waiting = bool(definition.ticket_class) and bool(definition.ticket_delay) and alarm.cond and not alarm.hidden
    return waiting and alarm.raised_at is not None and now - alarm.raised_at >= definition.ticket_delay


def _minutes(elapsed: timedelta) -> float:
    return round(elapsed.total_seconds() / 60.0, 1)
