"""How alarms were answered: from raised to the crew's steps, and whether the linked instruction was opened. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from alarms.kpi import Spread, spread_of

STEPS = ("confirmed", "departed", "arrived")
Occurrence = tuple[str, int]


@dataclass(frozen=True, slots=True)
class TicketTimes:
    """A ticket that an alarm opened; times are us UTC, None = not on record."""

    alarm_id: str
    raised: int
    confirmed: int | None
    departed: int | None
    arrived: int | None


@dataclass(frozen=True, slots=True)
class Answers:
    """How the alarms of one position were answered."""

    tickets: int
    """that alarms opened"""
    steps: Mapping[str, Spread]
    """from raised to confirmed, departed and arrived, over the tickets of which the step is on record"""
    linked: int
    """announced occurrences whose definition leads to an instruction; of others nobody can know"""
    opened: int
    """those of them whose instruction somebody opened"""
    raised_to_opened: Spread


def count_answers(
    tickets: Iterable[TicketTimes], linked: Mapping[Occurrence, int], opened: Iterable[tuple[Occurrence, int]]
) -> Answers:
    """Return the figures; `linked` tells when each occurrence was announced, `opened` when its instruction was."""
    times = list(tickets)
    first: dict[Occurrence, int] = {}
    for occurrence, at in opened:
        if occurrence in linked:
            first[occurrence] = min(at, first.get(occurrence, at))
    return Answers(
        tickets=len(times),
        steps={
            name: spread_of((at - one.raised) / 1e6 for one in times if (at := getattr(one, name)) is not None)
            for name in STEPS
        },
        linked=len(linked),
        opened=len(first),
        raised_to_opened=spread_of((at - linked[occurrence]) / 1e6 for occurrence, at in first.items()),
    )
