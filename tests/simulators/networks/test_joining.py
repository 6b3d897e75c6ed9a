from __future__ import annotations

from simulators.ground import Pipe
from simulators.networks.graph import neighbours, reached
from simulators.networks.joining import Joiner


def pipe(name: str, *line: tuple[float, float]) -> Pipe:
    return Pipe(name, "R-1", "distribution", 110.0, line)


def joiner(*pipes: Pipe) -> Joiner:
    return Joiner(list(pipes), {one.pipe_id for one in pipes})


def test_a_chain_of_gaps_is_joined_in_one_go() -> None:
    chain = joiner(*(pipe(f"P-{n}", (n * 10.0, 0.0), (n * 10.0 + 9.6, 0.0)) for n in range(200)))
    assert chain.join() == 199
    joined = neighbours(chain.pipes)
    assert reached(joined, (0.0, 0.0)) == set(joined)
    assert len({one.pipe_id for one in chain.pipes}) == len(chain.pipes)


def test_a_gap_is_bridged_once() -> None:
    two = joiner(pipe("A", (0.0, 0.0), (10.0, 0.0)), pipe("B", (10.3, 0.0), (20.0, 0.0)))
    assert two.join() == 1
    assert [(one.pipe_id, one.line) for one in two.pipes[2:]] == [("J-B", ((10.3, 0.0), (10.0, 0.0)))]


def test_a_ring_of_two_halves_stays_a_ring() -> None:
    left = pipe("A", (0.0, 0.0), (-5.0, 5.0), (0.0, 10.0))
    right = pipe("B", (0.2, 0.0), (5.0, 5.0), (0.2, 10.0))
    ring = joiner(left, right)
    assert ring.join() == 2
    joined = neighbours(ring.pipes)
    assert all(len(others) == 2 for others in joined.values())
    assert reached(joined, (0.0, 0.0)) == set(joined)


def test_crossing_pipes_are_not_joined() -> None:
    cross = joiner(pipe("A", (0.0, 0.0), (10.0, 0.0)), pipe("B", (5.0, -5.0), (5.0, 5.0)))
    assert cross.join() == 0
    assert [(one.pipe_id, count, gap) for one, count, gap in cross.apart((0.0, 0.0), 9)] == [("B", 1, 5.0)]


def test_a_new_name_is_never_one_that_is_there() -> None:
    tee = joiner(
        pipe("A", (0.0, 0.0), (10.0, 0.0)), pipe("A.1", (5.0, 0.0), (5.0, 5.0)), pipe("A.1x", (5.0, 5.0), (5.0, 9.0))
    )
    assert tee.join() == 1
    assert [one.pipe_id for one in tee.pipes] == ["A.1xx", "A.2", "A.1", "A.1x"]
