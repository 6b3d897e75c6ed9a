from __future__ import annotations

from alarms.delay import STOPPED, Crossing, Delay, Timer, shape

S = 1_000_000


def run(
    delay: Delay, samples: list[tuple[int, float]], *, limit: float = 10.0, clear: float = 8.0, cond: bool = False
) -> tuple[Timer, list[tuple[int, bool]]]:
    times = [second * S for second, _ in samples]
    beyond = [value >= limit for _, value in samples]
    inside = [value < clear for _, value in samples]
    timer, changes = shape(Timer(cond), delay, times, beyond, inside)
    return timer, [(samples[change.at][0], change.rises) for change in changes]


def test_without_delay_the_first_sample_is_enough() -> None:
    assert run(Delay(0, 0, 0), [(0, 9.9), (1, 10.0), (2, 9.0), (3, 7.9)])[1] == [(1, True), (3, False)]


def test_the_on_delay_needs_every_sample_beyond() -> None:
    samples = [(0, 11.0), (5, 11.0), (9, 9.0), (10, 11.0), (19, 11.0), (20, 11.0), (21, 11.0)]
    assert run(Delay(10 * S, 0, 0), samples)[1] == [(20, True)]


def test_the_deadband_breaks_a_return() -> None:
    samples = [(0, 7.0), (20, 8.5), (40, 7.0), (60, 7.0), (69, 7.0), (70, 7.0)]
    assert run(Delay(0, 30 * S, 0), samples, cond=True)[1] == [(70, False)]


def test_missing_polls_start_the_delay_anew() -> None:
    delay = Delay(10 * S, 0, 3 * S)
    assert run(delay, [(0, 11.0), (3, 11.0), (7, 11.0), (10, 11.0), (13, 11.0)])[1] == []
    assert run(delay, [(0, 11.0), (3, 11.0), (6, 11.0), (9, 11.0), (12, 11.0)])[1] == [(12, True)]


def test_feeding_in_pieces_is_the_same_as_at_once() -> None:
    samples = [(second, 11.0 if second % 17 < 12 else 7.0) for second in range(120)]
    delay = Delay(5 * S, 3 * S, 2 * S)
    whole, changes = run(delay, samples)
    timer, pieces = Timer(False), []
    for second, value in samples:
        timer, changed = shape(timer, delay, [second * S], [value >= 10.0], [value < 8.0])
        pieces += [(second, change.rises) for change in changed]
    assert (timer, pieces) == (whole, changes)
    assert len(pieces) == 14


def test_nothing_changes_without_samples() -> None:
    timer = Timer(True, 5, 9)
    assert shape(timer, Delay(0, 0, 0), [], [], []) == (timer, [])
    assert shape(Timer(False), Delay(0, 0, 0), [1], [True], [False]) == (Timer(True, STOPPED, 1), [Crossing(0, True)])
