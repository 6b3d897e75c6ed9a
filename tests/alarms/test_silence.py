from __future__ import annotations

import math

from alarms.detectors.silence import SilenceJudge
from gateway.model.reading import GOOD, ReadingBatch, Reason, Severity, quality
from tests.alarms.alarm_fixtures import small_network

BAD = quality(Severity.BAD, Reason.NO_REPLY)
S = 1_000_000
NOW = 1_700_000_000 * S
GAS = {"REG-001": 0, "REG-002": 1, "REG-003": 2, "S-01": 3}


def judge() -> SilenceJudge:
    made = SilenceJudge(small_network(), frozenset({"gas_lel_pct"}))
    made.adopt(list(GAS.values()), [f"{station}/gas_lel_pct" for station in GAS])  # type: ignore[misc]
    return made


def feed(made: SilenceJudge, second: int, *stations: str, mark: int = GOOD) -> None:
    at = NOW + second * S
    value = math.nan if mark == BAD else 0.0
    rows = [GAS[station] for station in stations]
    made.feed(ReadingBatch.build(rows, [at] * len(rows), at, [value] * len(rows), mark))


def edges(made: SilenceJudge, second: int) -> list[tuple[str, bool]]:
    return [(station, rises) for station, rises, _ in made.edges(NOW + second * S, 30 * S)]


def test_two_lost_polls_are_no_silence_and_three_are() -> None:
    made = judge()
    for second in range(0, 90, 30):
        feed(made, second, *GAS)
    for second in (90, 120):
        feed(made, second, "REG-001", mark=BAD)
        feed(made, second, "REG-002", "REG-003", "S-01")
    assert edges(made, 151) == []
    feed(made, 150, "REG-001", mark=BAD)
    feed(made, 150, "REG-002", "REG-003", "S-01")
    assert edges(made, 150) == []
    assert edges(made, 151) == []
    assert made.suspects() == ["REG-001"]
    assert edges(made, 154) == [("REG-001", True)], "one alone is told after 3 s"
    assert made.suspects() == []
    assert edges(made, 155) == []
    feed(made, 156, "REG-001")
    assert edges(made, 157) == []
    feed(made, 186, *GAS)
    assert edges(made, 187) == [("REG-001", False)]


def test_silence_without_failed_polls_takes_longer() -> None:
    made = judge()
    for second in range(0, 300, 30):
        feed(made, second, *GAS)
    for second in range(300, 600, 30):
        feed(made, second, "REG-002", "REG-003", "S-01")
    assert edges(made, 270 + 300) == []
    assert edges(made, 270 + 301) == []
    assert edges(made, 270 + 304) == [("REG-001", True)]


def test_a_station_never_heard_is_silent_after_fifteen_minutes() -> None:
    made = judge()
    for second in range(0, 990, 30):
        feed(made, second, "REG-002", "REG-003", "S-01")
        assert edges(made, second) == ([("REG-001", True)] if second == 960 else [])


def test_bad_rows_older_than_the_last_good_value_prove_nothing() -> None:
    made = judge()
    feed(made, 100, *GAS)
    for _ in range(5):
        feed(made, 50, "REG-001", mark=BAD)
    assert edges(made, 165) == []


def test_several_at_once_are_held_for_twenty_seconds_as_they_may_be_one_area() -> None:
    made = judge()
    for second in range(0, 90, 30):
        feed(made, second, *GAS)
    for second in range(90, 180, 30):
        feed(made, second, "REG-001", "REG-002", "REG-003", mark=BAD)
        feed(made, second, "S-01")
    assert edges(made, 151) == []
    assert made.suspects() == ["REG-001", "REG-002", "REG-003"]
    assert edges(made, 170) == []
    assert edges(made, 171) == [("REG-001", True), ("REG-002", True), ("REG-003", True)]


def test_a_suspect_that_speaks_again_is_never_told() -> None:
    made = judge()
    for second in range(0, 90, 30):
        feed(made, second, *GAS)
    for second in range(90, 180, 30):
        feed(made, second, "REG-001", mark=BAD)
        feed(made, second, "REG-002", "REG-003", "S-01")
    assert edges(made, 151) == []
    feed(made, 152, *GAS)
    assert edges(made, 160) == []
    assert made.suspects() == []
