"""HTML of places: what a search found, what was chosen, and what is open there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from html import escape
from typing import Any

from api.pages.parts import ticket_words, words
from api.pages.parts.html import priority_mark
from api.services.format import clock_time
from api.services.places import Place
from api.services.service import Near
from api.text import Texts, mark
from gateway.model.alarm import Alarm
from gateway.model.ticket import Ticket

KINDS = {
    "meter": mark("Meter"),
    "station": mark("Station"),
    "regulator": mark("Regulator"),
    "regulator_zone": mark("Regulator zone"),
    "position": mark("Place on the map"),
}
_UNDER_ALL = 9
"""a mark's order on the map below every priority"""
_Names = Callable[[str], str]


def found(places: Sequence[Place], tr: Texts, name_of: _Names) -> str:
    """Return what a search found, each a button; an empty search shows nothing."""
    return "".join(
        f'<button type="button" data-place="{escape(one.asset)}"><span class="gg-tag">{escape(kind(one, tr))}</span>'
        f"<b>{escape(one.name)}</b><small>{escape(_rest(one, name_of))}</small></button>"
        for one in places
    )


def chosen(spot: Place, tr: Texts, name_of: _Names) -> str:
    """Return where the caller is, and the way to take it back."""
    name = " · ".join(filter(None, (kind(spot, tr), spot.name, _rest(spot, name_of))))
    unknown = f' <span class="gg-dim">{escape(tr("not on the map"))}</span>' * (spot.x_m is None)
    return (
        f'<span class="gg-chip">{escape(name)}{unknown} <button type="button" data-forget="1" '
        f'aria-label="{escape(tr("Take out"))}" title="{escape(tr("Take out"))}">×</button></span>'
    )


def kind(place: Place, tr: Texts) -> str:
    """Name what a place is."""
    name = KINDS.get(place.kind)
    return tr(name) if name else tr(words.ZONES.get(place.kind, place.kind))


def _rest(place: Place, name_of: _Names) -> str:
    """Return id and zone, as far as the name does not tell them."""
    zone = name_of(place.zone) if place.zone else ""
    return " · ".join(dict.fromkeys(text for text in (place.asset, zone) if text and text != place.name))


def near(open_there: Near, tr: Texts, name_of: _Names, timezone: str, now: datetime) -> str:
    """Return what is open where the caller is, each ticket with the way to put the call to it."""
    if not open_there.tickets and not open_there.alarms:
        return f'<p class="gg-dim">{escape(tr("Nothing is open there."))}</p>'
    since = partial(_since, timezone=timezone, now=now)
    tickets = "".join(
        _ticket(one, call.place if (call := open_there.calls.get(one.ticket_no)) else name_of(one.asset), tr, since)
        for one in open_there.tickets
    )
    alarms = "".join(
        f"<li>{priority_mark(view.alarm)} {escape(tr(view.definition.title))} "
        f'<span class="gg-dim">{escape(view.alarm.asset)} · {escape(words.state(view.letter, tr))}'
        f"{since(view.alarm.raised_at)}</span></li>"
        for view in open_there.alarms
    )
    return f'<h3>{escape(tr("Open there"))}</h3><ul class="gg-near">{tickets}{alarms}</ul>'


def _ticket(one: Ticket, where: str, tr: Texts, since: Callable[[datetime], str]) -> str:
    facts = " · ".join(filter(None, (where, words.ticket_state(one.state.value, tr), one.ticket_no)))
    return (
        f'<li><span class="gg-tag">{escape(words.ticket_class(one.ticket_class.value, tr))}</span> '
        f"{escape(ticket_words.ticket_type(one.type, tr))} "
        f'<span class="gg-dim">{escape(facts)}{since(one.raised_at)}</span> '
        f'<button type="button" class="gg-button small" data-join="{escape(one.ticket_no)}">'
        f"{escape(tr('Put the call to it'))}</button></li>"
    )


def _since(at: datetime | None, timezone: str, now: datetime) -> str:
    return "" if at is None else f" · {clock_time(at, timezone, now)}"


def ticket_mark(ticket: Ticket, at: tuple[float, float], tr: Texts) -> dict[str, Any]:
    """Return the map's mark of an open ticket."""
    flag = escape(words.ticket_class(ticket.ticket_class.value, tr))
    return _mark(ticket.asset, at, _UNDER_ALL, f'<span class="gg-there"></span><span class="flag">{flag}</span>')


def alarm_mark(alarm: Alarm, at: tuple[float, float]) -> dict[str, Any]:
    """Return the map's mark of a live alarm."""
    return _mark(alarm.asset, at, int(alarm.priority), priority_mark(alarm))


def here(at: tuple[float, float]) -> dict[str, Any]:
    """Return the map's mark of where the caller is."""
    return _mark("here", at, 0, '<span class="gg-here"></span>')


def _mark(asset: str, at: tuple[float, float], priority: int, html: str) -> dict[str, Any]:
    return {"asset": asset, "x": at[0], "y": at[1], "priority": priority, "html": html}
