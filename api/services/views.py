"""Alarms and tickets as people see them: facts joined with names, guidance and clocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from api.deps import Parts
from gateway.model.alarm import Alarm, Definition
from gateway.model.reading import from_us
from gateway.model.ticket import TicketClass
from gateway.store import alarm_rows, board_rows, view_rows
from gateway.store.state import State

MOST_ALARMS = 20_000
CLASS_ORDER = {name.value: place for place, name in enumerate(TicketClass)}


COUNTING = frozenset({"running", "late"})
NOT_KEPT = frozenset({"late", "breached", "not_recorded"})


@dataclass(frozen=True, slots=True)
class ClockView:
    """One clock of a ticket; `standing` is a word of `alarms.service.clocks.Standing`."""

    name: str
    standing: str
    started_at: datetime | None
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class TicketView:
    """A ticket with its clocks, its alarms and how its delivery stands."""

    ticket_no: str
    ticket_class: str
    type: str
    asset: str
    asset_name: str
    state: str
    title: str
    raised_at: datetime
    depart_by: datetime | None
    arrive_by: datetime | None
    dispatched_at: datetime | None
    departed_at: datetime | None
    arrived_at: datetime | None
    completed_at: datetime | None
    external_id: str
    delivery: str
    """pending, sending, confirmed, unknown, retry or dead; empty if nothing was to be sent"""
    attempts: int
    last_error: str
    alarms: tuple[str, ...]
    clocks: tuple[ClockView, ...] = ()
    """those that its class promises, the one that ends first first; empty until they are set"""

    @property
    def not_kept(self) -> int:
        """How many promises were not kept."""
        return sum(clock.standing in NOT_KEPT for clock in self.clocks)

    @property
    def open(self) -> bool:
        """True until the crew's work is over."""
        return self.state not in view_rows.ENDED_TICKET

    def clock(self) -> tuple[str, datetime] | None:
        """Return the clock that counts now, the first to end of several: (its name, its end); None when none does."""
        if not self.open:
            return None
        if self.clocks:
            ends = [(clock.due_at, clock.name) for clock in self.clocks if clock.standing in COUNTING and clock.due_at]
            return (min(ends)[1], min(ends)[0]) if ends else None
        if self.arrived_at is not None:
            return None
        if self.departed_at is None and self.depart_by is not None:
            return "depart", self.depart_by
        return None if self.arrive_by is None else ("arrive", self.arrive_by)


@dataclass(frozen=True, slots=True)
class AlarmView:
    """An alarm with its definition and names."""

    alarm: Alarm
    definition: Definition
    asset_name: str
    zone: str
    zone_name: str
    ticket_no: str = ""

    @property
    def id(self) -> str:
        """`<definition>@<asset>`."""
        return self.alarm.alarm_id

    @property
    def letter(self) -> str:
        """State letter of ISA-18.2."""
        return self.alarm.state.value

    @property
    def unacknowledged(self) -> bool:
        """True if it asks for a person: visible and not acknowledged."""
        return self.letter in {"B", "D", "L1"}

    @property
    def listed(self) -> bool:
        """True if it stands on the operator's list: what a design rule covers is told by what covers it."""
        return self.letter != "F"

    @property
    def order(self) -> tuple[int, int, float]:
        """Sort key: visible before hidden, then priority, newest first."""
        raised = self.alarm.raised_at or self.alarm.condition_at
        return (int(self.alarm.hidden), int(self.alarm.priority), -(raised.timestamp() if raised else 0.0))


def alarm_views(parts: Parts, alarms: Iterable[Alarm], ticket_of: Mapping[str, str]) -> list[AlarmView]:
    """Join alarms with their definitions and names; one whose definition is gone is left out."""
    network, definitions = parts.network, parts.desk.definitions
    views = []
    for alarm in alarms:
        definition = definitions.get(alarm.definition)
        if definition is None:
            continue
        zone = network.zone_of(alarm.asset)
        views.append(
            AlarmView(
                alarm,
                definition,
                network.name_of(alarm.asset),
                zone,
                network.name_of(zone) if zone else "",
                ticket_of.get(alarm.alarm_id, ""),
            )
        )
    return views


def ticket_views(parts: Parts, rows: Sequence[Any], connection: Any) -> list[TicketView]:
    """Join ticket rows with delivery and alarms."""
    numbers = [row["ticket_no"] for row in rows]
    sent = view_rows.deliveries(connection, numbers)
    covered = view_rows.alarms_of_tickets(connection, numbers)
    clocks = board_rows.clocks_of_tickets(connection, numbers)
    return [
        _ticket(parts, row, sent.get(row["ticket_no"]), covered[row["ticket_no"]], clocks.get(row["ticket_no"], ()))
        for row in rows
    ]


def _ticket(parts: Parts, row: Any, sent: Any, covered: Sequence[tuple[str, int]], clocks: Sequence[Any]) -> TicketView:
    return TicketView(
        ticket_no=row["ticket_no"],
        ticket_class=row["ticket_class"],
        type=row["type"],
        asset=row["asset"],
        asset_name=parts.network.name_of(row["asset"]),
        state=row["state"],
        title=row["title"],
        raised_at=from_us(row["raised_at"]),
        depart_by=_moment(row["depart_by"]),
        arrive_by=_moment(row["arrive_by"]),
        dispatched_at=_moment(row["dispatched_at"]),
        departed_at=_moment(row["departed_at"]),
        arrived_at=_moment(row["arrived_at"]),
        completed_at=_moment(row["completed_at"]),
        external_id=row["external_id"],
        delivery="" if sent is None else sent["state"].lower(),
        attempts=0 if sent is None else sent["attempts"],
        last_error="" if sent is None else sent["last_error"],
        alarms=tuple(alarm_id for alarm_id, _ in covered),
        clocks=tuple(
            ClockView(one["clock"], one["standing"], _moment(one["started_at"]), _moment(one["due_at"]))
            for one in clocks
        ),
    )


def _moment(us: int | None) -> datetime | None:
    return None if us is None else from_us(us)


def load_alarms(parts: Parts, state: State, ids: Sequence[str] | None = None) -> list[AlarmView]:
    """Return the named alarms, or all that are not normal, most urgent first."""
    with state.read() as connection:
        if ids is None:
            alarms = alarm_rows.list_active(connection, limit=MOST_ALARMS)
        else:
            alarms = view_rows.alarms_named(connection, ids)
        tickets = view_rows.open_ticket_of_alarms(connection, [alarm.alarm_id for alarm in alarms])
    return sorted(alarm_views(parts, alarms, tickets), key=lambda view: view.order)


def load_tickets(parts: Parts, state: State, *, ended_after: int | None, limit: int) -> list[TicketView]:
    """Return open tickets, and those ended ones raised after a moment; the worst clock first."""
    with state.read() as connection:
        rows = view_rows.ticket_rows(connection, ended_after=ended_after, limit=limit)
        views = ticket_views(parts, rows, connection)
    return sorted(views, key=ticket_order)


def ticket_order(view: TicketView) -> tuple[int, int, float]:
    """Sort key: open first, by class, then by the clock that ends first."""
    clock = view.clock()
    due = clock[1].timestamp() if clock else 1e11 - view.raised_at.timestamp()
    return (int(not view.open), CLASS_ORDER.get(view.ticket_class, 9), due)
