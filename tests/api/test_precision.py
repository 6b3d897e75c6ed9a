"""How often suspicions were right: counted per finding, with an interval that few visits cannot hide."""

from __future__ import annotations

import pytest

from api.pages.parts import finding_words
from api.services.precision import record_of, wilson
from api.text import texts


# Figures of Brown, Cai and DasGupta's formula worked out by hand: 3 of 10 and 0 of 20.
@pytest.mark.parametrize(
    ("right", "looked", "low", "high"),
    [(3, 10, 0.1078, 0.6032), (0, 20, 0.0, 0.1611), (20, 20, 0.8389, 1.0), (0, 0, 0, 1)],
)
def test_the_interval_is_wilson_s(right: int, looked: int, low: float, high: float) -> None:
    assert list(wilson(right, looked)) == pytest.approx([low, high], abs=5e-5)


def test_each_finding_counts_once_by_what_was_said_of_it_first() -> None:
    (theft,) = record_of(
        [
            (1, "theft", "not_reachable", ""),
            (1, "theft", "confirmed", ""),
            (1, "theft", "repaired", ""),
            (2, "theft", "honest", ""),
            (3, "theft", "confirmed", "non_moving"),
            (4, "theft", "meter_fault", ""),
            (5, "theft", "not_reachable", ""),
        ]
    )
    assert (theft.right, theft.other, theft.honest, theft.not_reached, theft.looked) == (1, 2, 1, 1, 4)
    assert theft.share is None
    assert "1 of 4, too few to tell" in finding_words.precision(theft, texts("en"))


def test_a_faulty_meter_confirms_a_meter_that_was_suspected_of_standing_still() -> None:
    visits = [(n, "non_moving", "meter_fault" if n < 9 else "honest", "") for n in range(12)]
    (stopped,) = record_of(visits)
    assert (stopped.right, stopped.honest, stopped.share) == (9, 3, 0.75)
    assert finding_words.precision(stopped, texts("en")) == "Non-moving meter: 9 of 12, 75 % (47–91 %)"


@pytest.mark.parametrize(("score", "said"), [(0.5, "50"), (0.989, "99"), (0.99, "> 99"), (1.0, "> 99")])
def test_nothing_is_called_certain(score: float, said: str) -> None:
    assert finding_words.certainty(score) == said
