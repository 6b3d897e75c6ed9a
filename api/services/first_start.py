"""Whether the site is new, and how far it has come: for the guide that stands in the place of empty pages."""

from __future__ import annotations

from dataclasses import dataclass

from api.deps import Parts
from api.services.live import Board
from api.services.pulse import Pulse, links
from gateway.store import user_rows


@dataclass(frozen=True, slots=True)
class FirstStart:
    """How far a site has come that has not had a reading yet."""

    meters: int
    stations: int
    points: int
    links: int
    links_up: int
    people: int


def first_start(parts: Parts, board: Board, pulse: Pulse) -> FirstStart | None:
    """Return how far the site has come; None once a reading has come or an alarm is active, or if nobody can say.

    A look into memory unless the site is new. Raises TransientError.
    """
    spool = None if pulse.store is None else pulse.store.get("spool")
    if spool is None or spool["last_seq"] or spool["loaded"] or board.alarms:
        return None
    found = links(pulse.store)
    with parts.state.read() as connection:
        people = user_rows.count_users(connection)
    network = parts.network
    return FirstStart(
        len(network.meters),
        len(network.stations),
        len(network.points),
        len(found),
        sum(link.up is True for link in found),
        people,
    )
