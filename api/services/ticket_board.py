"""The board of tickets: which column a ticket stands in, and what of its delivery somebody has to know."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.deps import Parts
from api.services.views import NOT_KEPT, TicketView
from api.text import mark
from gateway.model.ticket import TicketState
from gateway.store import board_rows

State = TicketState
COLUMNS: Mapping[str, tuple[str, tuple[TicketState, ...]]] = {
    "waits": (mark("Waits for a crew"), (State.OPEN, State.RETURNED, State.REOPENED)),
    "given": (mark("Given to a crew"), (State.ACCEPTED, State.DISPATCHED)),
    "on_way": (mark("On the way"), (State.DEPARTED,)),
    "at_work": (
        mark("At work"),
        (State.ARRIVED, State.IN_PROGRESS, State.SUPPLY_RESTORED, State.FIXED, State.LEFT_SITE),
    ),
    "over": (mark("Over"), (State.COMPLETED, State.CANCELLED, State.CALLED_BACK, State.RECHECKED)),
}
"""title and ticket states of each column of the board, left to right"""
_COLUMN_OF = {state.value: name for name, (_, states) in COLUMNS.items() for state in states}
MOST_COMMANDS = 200


@dataclass(frozen=True, slots=True)
class Wish:
    """Which tickets the board shows."""

    ticket_class: str = ""
    only: str = ""
    """late: a promise is not kept; undelivered: delivery is not confirmed; empty: all"""
    text: str = ""
    """part of number, asset, name or title, in any case"""

    def takes(self, view: TicketView) -> bool:
        """Return whether a ticket is to be shown."""
        if self.ticket_class and view.ticket_class != self.ticket_class:
            return False
        if self.only == "late" and not view.not_kept:
            return False
        if self.only == "undelivered" and view.delivery in {"", "confirmed"}:
            return False
        words = self.text.casefold().split()
        facts = f"{view.ticket_no} {view.asset} {view.asset_name} {view.title} {view.external_id}".casefold()
        return all(word in facts for word in words)


@dataclass(frozen=True, slots=True)
class Figures:
    """What the head of the board tells."""

    open: int
    late: int
    """open tickets with a clock that runs past its end"""
    not_kept: int
    """tickets with a promise that is not kept"""
    waiting: int
    """commands on their way that nobody has confirmed"""
    given_up: int


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A command that is not confirmed."""

    id: int
    ticket_no: str
    ticket_class: str
    title: str
    command: str
    sink: str
    state: str
    attempts: int
    error: str
    age_s: float
    """real seconds since it was made"""
    next_in_s: float | None
    """real seconds until the next attempt, None if there is none"""


def column_of(view: TicketView) -> str:
    """Return the column of the board that a ticket stands in."""
    return _COLUMN_OF.get(view.state, "waits")


def late(view: TicketView) -> bool:
    """Return whether one of a ticket's clocks runs past its end."""
    return view.open and any(clock.standing == "late" for clock in view.clocks)


def figures(views: Iterable[TicketView], waiting: Mapping[str, int]) -> Figures:
    """Count what the head of the board tells; `waiting` is what `undelivered` counted."""
    known = list(views)
    return Figures(
        open=sum(view.open for view in known),
        late=sum(late(view) for view in known),
        not_kept=sum(any(clock.standing in NOT_KEPT for clock in view.clocks) for view in known),
        waiting=sum(count for state, count in waiting.items() if state != "dead"),
        given_up=waiting.get("dead", 0),
    )


def undelivered(parts: Parts) -> tuple[Mapping[str, int], Sequence[Undelivered]]:
    """Return how many commands are in each state of delivery, and the first of them; the given-up ones lead."""
    now_s = time.time()
    with parts.state.read() as connection:
        counts = board_rows.count_not_confirmed(connection)
        rows = board_rows.not_confirmed(connection, MOST_COMMANDS)
    return counts, [_undelivered(row, now_s) for row in rows]


def _undelivered(row: Any, now_s: float) -> Undelivered:
    given_up = row["state"] == "dead"
    return Undelivered(
        id=row["id"],
        ticket_no=row["ticket_no"],
        ticket_class=row["ticket_class"],
        title=row["title"],
        command=row["command"],
        sink=row["sink"],
        state=row["state"],
        attempts=row["attempts"],
        error=row["last_error"],
        age_s=max(0.0, now_s - row["wall_created_at"]),
        next_in_s=None if given_up else row["next_at"] - now_s,
    )
