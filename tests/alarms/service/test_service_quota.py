"""Call-backs: the share is reached every evening, the draw can be repeated, and no crew is passed over."""

from __future__ import annotations

import math
import random
from collections import Counter
from fractions import Fraction

import pytest

from alarms.service.quota import LEVELS, Finished, Level, draw, published


def month(level: Level, seed: str, sizes: list[int], crews: list[str]) -> tuple[list[str], Counter[str], Counter[str]]:
    """Draw a whole month of a unit; checks the share on every evening."""
    lot = random.Random(seed)
    completed: Counter[str] = Counter()
    drawn: Counter[str] = Counter()
    chosen: list[str] = []
    for day, size in enumerate(sizes):
        today = [Finished(f"T-{seed}-{day:02d}-{number:03d}", lot.choice(crews)) for number in range(size)]
        new = draw(
            today,
            level,
            seed,
            completed_before=completed.total(),
            drawn_before=len(chosen),
            completed_of_crew=completed,
            drawn_of_crew=drawn,
        )
        crew_of = {one.ticket_no: one.crew for one in today}
        completed.update(one.crew for one in today)
        drawn.update(crew_of[ticket] for ticket in new)
        chosen += new
        assert len(chosen) == math.ceil(level.share * completed.total())
    return chosen, completed, drawn


@pytest.mark.parametrize("name", LEVELS)
def test_no_crew_with_thirty_tickets_is_missed_in_any_month(name: str) -> None:
    level = LEVELS[name]
    for number in range(500 if level.share < 1 else 20):
        sizes = [random.Random(f"{number}").randint(0, 12) for _ in range(22)]
        chosen, completed, drawn = month(level, f"seed-{number}", sizes, ["A", "B", "C"])
        assert len(set(chosen)) == len(chosen)
        assert all(drawn[crew] for crew, count in completed.items() if count >= 30)


def test_a_draw_can_be_repeated_from_its_seed_and_not_guessed_without() -> None:
    sizes = [10] * 20
    level = LEVELS["company"]
    assert month(level, "a", sizes, ["A", "B"])[0] == month(level, "a", sizes, ["A", "B"])[0]
    today = [Finished(f"T-{number}", "A") for number in range(100)]
    nothing: dict[str, int] = {}
    drawn = {
        draw(today, level, seed, completed_before=0, drawn_before=0, completed_of_crew=nothing, drawn_of_crew=nothing)
        for seed in "abcdefgh"
    }
    assert len(drawn) == 8
    assert published("a") != published("b")


def test_levels_draw_by_themselves() -> None:
    today = [Finished(f"T-{number}", "A") for number in range(100)]
    one, two = (Level(name, Fraction(1, 10), 5) for name in ("company", "other"))
    none: dict[str, int] = {}
    picks = [
        draw(today, level, "s", completed_before=0, drawn_before=0, completed_of_crew=none, drawn_of_crew=none)
        for level in (one, two)
    ]
    assert picks[0] != picks[1]
