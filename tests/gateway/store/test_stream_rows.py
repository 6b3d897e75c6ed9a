"""Where a stream stands, kept over restarts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.model.stream import Gap, Place
from gateway.store.registry import highest_cursor
from gateway.store.state import State, put_cursor
from gateway.store.stream_rows import StreamRows


@pytest.fixture
def rows(tmp_path: Path) -> Iterator[StreamRows]:
    state = State.in_folder(tmp_path)
    yield StreamRows(state)
    state.close()


def test_a_place_comes_back_as_it_was_saved(rows: StreamRows) -> None:
    assert rows.load("output:a") is None
    first = Place(9, (Gap(0, 3, (1, 2, 3, 4), 77, "ABC"), Gap(5, 9)), (0, 0, 1, 2))
    rows.save("output:a", None, first)
    assert rows.load("output:a") == first
    second = Place(20, (Gap(1, 3, (1, 1, 1, 0), 77, "AB"), Gap(12, 20)), (0, 0, 5, 2))
    rows.save("output:a", first, second)
    assert rows.load("output:a") == second
    assert rows.load("output:b") is None
    assert highest_cursor(rows._state) == 20


def test_a_site_of_the_first_release_goes_on_at_its_cursor(rows: StreamRows) -> None:
    with rows._state.write() as connection:
        put_cursor(connection, "output:a", 12)
    assert rows.load("output:a") == Place(12)


def counted(place: Place, much: int) -> Place:
    at = next((at for at, gap in enumerate(place.gaps) if gap.rows is None), None)
    if at is None:
        return place
    gap = place.gaps[at]
    seq = min(gap.after + much, gap.upto)
    return place.counted_part(at, seq, (0, seq - gap.after, 0, 0), seq * 1_000_000_000)


STEPS: dict[str, Callable[[Place, int], Place]] = {
    "live": lambda place, much: Place(place.head + much, place.gaps, place.dropped),
    "skip": lambda place, much: place.skip_to(place.head + much),
    "fill": lambda place, much: (
        place.filled(min(place.gaps[0].after + much, place.gaps[0].upto), (0, much, 0, 0)) if place.gaps else place
    ),
    "count": counted,
}


@given(st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(1, 9)), max_size=40))
def test_every_load_is_either_streamed_or_in_one_gap(steps: list[tuple[str, int]]) -> None:
    place, waiting = Place(0), set[int]()
    for what, much in steps:
        before = place
        place = STEPS[what](place, much)
        if what == "skip":
            waiting |= set(range(before.head + 1, place.head + 1))
        if what == "fill" and before.gaps:
            end = (
                place.gaps[0].after if place.gaps and place.gaps[0].upto == before.gaps[0].upto else before.gaps[0].upto
            )
            waiting -= set(range(before.gaps[0].after + 1, end + 1))
        held = [seq for gap in place.gaps for seq in range(gap.after + 1, gap.upto + 1)]
        assert held == sorted(waiting)
        joined = place.bounded(2)
        assert len(joined.gaps) <= 2
        assert waiting <= {seq for gap in joined.gaps for seq in range(gap.after + 1, gap.upto + 1)}


@given(
    st.lists(st.tuples(*[st.integers(0, 50)] * 4), min_size=1, max_size=8),
    st.integers(0, 400),
)
def test_the_cap_takes_d_before_c_before_the_rest_and_no_more_than_needed(
    rows: list[tuple[int, int, int, int]], most: int
) -> None:
    place = Place(len(rows), tuple(Gap(at, at + 1, counts, at) for at, counts in enumerate(rows)))
    fitted = place.fitted(0, 10**9, most)
    waited, left, dropped = place.counted, fitted.counted, fitted.dropped
    assert sum(left) <= most
    assert [have + gone for have, gone in zip(left, dropped, strict=True)] == list(waited)
    if dropped[2]:
        assert left[3] == 0
    if dropped[0] or dropped[1]:
        assert left[2] == left[3] == 0
    if sum(waited) <= most:
        assert fitted.dropped == (0, 0, 0, 0)
    elif any(left):
        largest = max(sum(counts) for counts in rows)
        assert sum(left) + largest > most, "nothing is given up needlessly"
