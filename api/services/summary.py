"""The strip of key figures, and the note of a simulated city's story."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from alarms.flood import Flood
from api.services.live import Board
from api.services.pulse import Pulse, Supply, links
from api.services.shown import is_told
from api.text import LANGUAGES

_LARGEST_NOTE = 200_000


@dataclass(frozen=True, slots=True)
class Summary:
    """Figures of the strip, counted as the list has rows; None where the answer is not known."""

    unacknowledged: Mapping[int, int]
    """by priority 1 to 4"""
    active: int
    hidden: int
    tickets_out: int
    undelivered: int
    """tickets whose delivery nobody has confirmed"""
    worst: tuple[str, datetime, str] | None
    """(depart or arrive, its end, ticket) of the clock that ends first"""
    supply: Supply
    links_down: int | None
    links: int
    flood: Flood | None = None
    """the flood of announcements that goes on"""


def summary(board: Board, pulse: Pulse) -> Summary:
    """Count what the board and the pulse hold."""
    unacknowledged = dict.fromkeys((1, 2, 3, 4), 0)
    hidden, told = 0, 0
    for view in board.alarms.values():
        hidden += view.alarm.hidden
        if is_told(view, board.alarms):
            # it has no row of its own, so it is no trouble of its own
            told += not view.alarm.hidden
        elif view.unacknowledged:
            unacknowledged[int(view.alarm.priority)] += 1
    out = [ticket for ticket in board.tickets.values() if ticket.open]
    clocks = [(clock[1], clock[0], ticket.ticket_no) for ticket in out if (clock := ticket.clock())]
    worst = min(clocks, default=None)
    known_links = links(pulse.store)
    return Summary(
        unacknowledged=unacknowledged,
        active=len(board.alarms) - hidden - told,
        hidden=hidden,
        tickets_out=len(out),
        undelivered=sum(ticket.delivery not in {"confirmed", ""} for ticket in out),
        worst=None if worst is None else (worst[1], worst[0], worst[2]),
        supply=pulse.supply,
        links_down=None if pulse.store is None else sum(link.up is False for link in known_links),
        links=len(known_links),
        flood=board.flood,
    )


@dataclass(frozen=True, slots=True)
class Note:
    """One note of a simulated city's story; texts by language."""

    at: datetime
    state: str
    """past, now or next"""
    title: Mapping[str, str]
    look: Mapping[str, str]


def story(board: Board, now: datetime) -> list[Note]:
    """Return the notes of a simulated city's story, oldest first; none if there is no readable file."""
    path = board.parts.note_file
    if path is None:
        return []
    try:
        if path.stat().st_size > _LARGEST_NOTE:
            return []
        entries = json.loads(path.read_text(encoding="utf-8"))
        notes = [_note(entry, now) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
    return sorted(notes, key=lambda note: note.at)


def _note(entry: Mapping[str, Any], now: datetime) -> Note:
    at = datetime.fromisoformat(entry["at"])
    state = str(entry["state"]) if at <= now else "next"
    title = {language: str(entry[f"title_{language}"]) for language in LANGUAGES}
    return Note(at, state, title, {language: str(entry[f"look_{language}"]) for language in LANGUAGES})
