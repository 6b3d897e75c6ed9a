"""Call-backs: which finished tickets are called, drawn so that nobody can foresee it and everybody can repeat it. Pure.

Of each unit and month at least a share is drawn. The order of the draw comes from a secret seed, whose hash is
published before the month begins and which is shown after it.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class Level:
    """One level of call-backs."""

    name: str
    share: Fraction
    """of the tickets completed in a month"""
    days: int
    """within which a drawn ticket is called: working days, of which the day of completion is the first"""
    calendar_days: bool = False
    """every day counts, after the day of completion"""
    types: frozenset[str] = frozenset()
    """types of tickets that are drawn from; empty = every type"""


GAS_ON = frozenset({"first_gas_on", "reconnect", "unseal"})
"""types of tickets after which gas burns at a customer's for the first time, or again"""
LEVELS = {
    level.name: level
    for level in (
        Level("station", Fraction(1), 3),
        Level("company", Fraction(1, 10), 5),
        Level("group", Fraction(8, 100), 7),
        Level("gas_on", Fraction(1, 10), 5, calendar_days=True, types=GAS_ON),
    )
}
"""shares and days by the company's service standard (document 001); gas-on work by sample within five days (document
000, its share proposed); each level draws by itself"""
SATISFIED = 4
"""lowest mark, of 1 to 5, of each question in a call-back whose customer is satisfied"""


def marks_of(answers: Mapping[str, object]) -> dict[str, int]:
    """Return the marks in a customer's answers; an improper gain that is told of is the worst mark."""
    marks = {name: mark for name, mark in answers.items() if type(mark) is int}
    return marks | ({"improper_gain": 1} if answers.get("improper_gain") is True else {})


def satisfied(marks: Mapping[str, int]) -> bool:
    """Tell whether a customer with these marks is satisfied."""
    return min(marks.values(), default=0) >= SATISFIED


@dataclass(frozen=True, slots=True)
class Finished:
    """A ticket that was completed today."""

    ticket_no: str
    crew: str


def published(seed: str) -> str:
    """Return the hash of a month's seed, to be shown before the month."""
    return hashlib.sha256(seed.encode()).hexdigest()


def draw(
    today: Sequence[Finished],
    level: Level,
    seed: str,
    *,
    completed_before: int,
    drawn_before: int,
    completed_of_crew: Mapping[str, int],
    drawn_of_crew: Mapping[str, int],
) -> tuple[str, ...]:
    """Return the tickets of one unit that are drawn this evening, in the order of the draw.

    `completed_before` and `drawn_before` count the unit's tickets of this month before today, the two mappings the
    same by crew. So many are drawn that the month's share is reached every evening; each time first of the crew with
    the lowest share so far, then by the hash of level, seed and ticket. Tickets may not stand twice in `today`.
    """
    wanted = math.ceil(level.share * (completed_before + len(today))) - drawn_before
    completed, drawn = Counter(completed_of_crew), Counter(drawn_of_crew)
    completed.update(one.crew for one in today)
    left = sorted(today, key=lambda one: _rank(one.ticket_no, level, seed))
    chosen: list[str] = []
    while left and len(chosen) < wanted:
        place = min(range(len(left)), key=lambda at: (Fraction(drawn[left[at].crew], completed[left[at].crew]), at))
        one = left.pop(place)
        drawn[one.crew] += 1
        chosen.append(one.ticket_no)
    return tuple(chosen)


def _rank(ticket_no: str, level: Level, seed: str) -> bytes:
    return hashlib.sha256(f"{level.name}:{seed}:{ticket_no}".encode()).digest()
