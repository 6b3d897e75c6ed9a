"""Reads what a month's brief is made from: tickets with clocks, interruptions, and how tickets were delivered."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from alarms.service.brief_facts import ClockFact, TicketFact
from alarms.service.clocks import Standing
from alarms.service.month import Delivery, DeliveryFact, StopFact, Stops, count_delivery, count_stops
from alarms.service.work_done import Inspected, count_inspections
from api.deps import Parts
from api.services.registers import HOMES
from gateway.model.interruption import REPEATED_WITHIN
from gateway.store import brief_rows, interruption_rows
from gateway.store.state import Transaction


def tickets_of(parts: Parts, connection: Transaction, start: datetime, end: datetime) -> list[TicketFact]:
    """Return the tickets raised in [start, end)."""
    return [
        TicketFact(
            ticket_no=one.ticket_no,
            ticket_class=one.ticket_class,
            type=one.type,
            source="alarm" if one.from_alarm else "telephone" if one.by_telephone else "other",
            district=parts.call_backs.unit_of(one.asset),
            crew=one.crew,
            raised_at=one.raised_at,
            confirmed_at=one.confirmed_at,
            departed_at=one.departed_at,
            arrived_at=one.arrived_at,
            completed_at=one.completed_at,
            reopened=one.reopened,
            late_entries=one.late_entries,
            not_believed=one.not_believed,
            replies=one.replies,
            visits=one.visits,
            reminders=one.reminders,
            same_caller=one.same_caller,
            repeats=one.repeats,
            clocks=tuple(
                ClockFact(row.clock, row.promise["id"], Standing(row.standing), row.due_at, row.stopped_at)
                for row in one.clocks
            ),
        )
        for one in brief_rows.tickets_between(connection, start, end)
    ]


def stops_of(connection: Transaction, start: datetime, end: datetime) -> Stops:
    """Return the interruptions that were to begin, or began, in [start, end)."""
    facts = [
        StopFact(plan, sum(one.customers for one in interruption_rows.notices(connection, plan.id)))
        for plan in interruption_rows.between(connection, start, end)
    ]
    return count_stops(facts, interruption_rows.between(connection, start - REPEATED_WITHIN, end + REPEATED_WITHIN))


def inspected_of(parts: Parts, connection: Transaction, end: datetime) -> dict[str, Inspected] | None:
    """Return how far the safety inspections of a year are by a moment, the end of one of its months."""
    zone = ZoneInfo(parts.service.calendar.timezone)
    year = (end.astimezone(zone) - timedelta(days=1)).year
    start = datetime(year, 1, 1, tzinfo=zone).astimezone(UTC)
    meters = parts.network.meters
    done = [
        (ticket_no, asset, _group(meters[asset].customer_class))
        for ticket_no, asset in brief_rows.inspections_between(connection, start, end)
        if asset in meters
    ]
    customers: Counter[str] = Counter()
    for _zone, customer_class, count in parts.network.customers() if done else ():
        customers[_group(customer_class)] += count
    return count_inspections(customers, done)


def _group(customer_class: str) -> str:
    return "homes" if customer_class in HOMES else "others"


def delivery_of(connection: Transaction, start: datetime, end: datetime) -> Delivery:
    """Return how the tickets raised in [start, end) were delivered."""
    facts = [
        DeliveryFact(one.ticket_no, one.confirmed, one.attempts, one.dead, one.fallbacks, one.by_phone)
        for one in brief_rows.deliveries_between(connection, start, end)
    ]
    return count_delivery(facts, brief_rows.differences_between(connection, start, end))
