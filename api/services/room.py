"""What the control room shows of all alarms together: marks on the map, and whether the horn sounds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from api.services.acts import LOWEST_WITH_HORN
from api.services.city import place_of
from api.services.live import Board
from api.services.views import AlarmView, TicketView, ticket_order

MOST_MARKS = 150
"""marks that a map shows and a person can tell apart; the most urgent places have one"""
MOST_RELATED = 5
Place = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Mark:
    """A place with its worst visible alarm, and the most urgent ticket there."""

    view: AlarmView
    place: Place
    ticket: TicketView | None


def marks(board: Board, places: dict[str, Place | None]) -> list[Mark]:
    """Return one mark for each of the most urgent places; `places` keeps what was looked up."""
    worst: dict[str, AlarmView] = {}
    for view in board.alarms.values():
        if view.alarm.hidden:
            continue
        known = worst.get(view.alarm.asset)
        if known is None or view.order < known.order:
            worst[view.alarm.asset] = view
    urgent = sorted(worst.values(), key=lambda view: view.order)
    of_alarm: dict[str, TicketView] = {}
    for ticket in sorted((one for one in board.tickets.values() if one.open), key=ticket_order):
        for alarm_id in ticket.alarms:
            of_alarm.setdefault(alarm_id, ticket)
    found: dict[Place, Mark] = {}
    for view in urgent:
        asset = view.alarm.asset
        if asset not in places:
            places[asset] = place_of(board.parts.network, asset)
        place = places[asset]
        if place is not None and place not in found:
            found[place] = Mark(view, place, of_alarm.get(view.id))
        if len(found) == MOST_MARKS:
            break
    return list(found.values())


def horn(board: Board, now: datetime) -> int:
    """Return the highest priority whose alarms sound now: unacknowledged, not hidden, not muted; 0 for silence."""
    sounding = [
        int(view.alarm.priority)
        for view in board.alarms.values()
        if view.letter in {"B", "L1"}
        and view.alarm.priority <= LOWEST_WITH_HORN
        and (view.alarm.silenced_until is None or view.alarm.silenced_until <= now)
    ]
    return min(sounding, default=0)


def related(board: Board, view: AlarmView) -> list[AlarmView]:
    """Return other active alarms of the same asset, then of the same zone, the most urgent first."""
    alarm = view.alarm
    near = [
        other
        for other in board.alarms.values()
        if other.id != view.id and (other.alarm.asset == alarm.asset or (view.zone and other.zone == view.zone))
    ]
    return sorted(near, key=lambda other: (other.alarm.asset != alarm.asset, other.order))[:MOST_RELATED]
