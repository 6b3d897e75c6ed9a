"""Dead letters in the state database: once each, newest first, bounded."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.ports import DeadLetter
from gateway.store.dead_rows import count_dead, list_dead, put_dead, put_rejected
from gateway.store.state import State


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    state = State.in_folder(tmp_path)
    yield state
    state.close()


def letter(topic: str, source: str = "mqtt") -> DeadLetter:
    return DeadLetter(source, topic, b"\x00\xff", "unknown meter", 1_700_000_000_000_000)


def test_the_same_letter_is_stored_once(state: State) -> None:
    rows = [(5, 0, letter("a")), (5, 1, letter("b")), (6, 0, letter("c"))]
    assert put_dead(state, rows) == 3
    assert put_dead(state, [*rows, (6, 1, letter("d")), (6, 1, letter("d"))]) == 1
    assert put_dead(state, []) == 0
    assert [one.topic for one in list_dead(state)] == ["d", "c", "b", "a"]
    newest = list_dead(state, limit=1)[0]
    assert (newest.payload, newest.reason, newest.received_at.year) == (b"\x00\xff", "unknown meter", 2023)


def test_a_list_continues_and_filters(state: State) -> None:
    put_dead(state, [(1, number, letter(str(number), "mqtt" if number % 2 else "modbus")) for number in range(6)])
    page = list_dead(state, limit=2)
    assert [one.topic for one in page] == ["5", "4"]
    assert [one.topic for one in list_dead(state, limit=2, before_id=page[-1].id)] == ["3", "2"]
    assert [one.topic for one in list_dead(state, source="modbus")] == ["4", "2", "0"]
    assert count_dead(state) == {"modbus": 3, "mqtt": 3}


def test_the_oldest_go_first(state: State) -> None:
    put_dead(state, [(1, number, letter(str(number))) for number in range(8)], most_rows=5)
    put_dead(state, [(2, 0, letter("new"))], most_rows=5)
    assert [one.topic for one in list_dead(state)] == ["new", "7", "6", "5", "4"]


def test_rows_refused_by_outputs_do_not_meet_other_letters(state: State) -> None:
    put_dead(state, [(7, 0, letter("a")), (7, 1, letter("b"))])
    assert put_rejected(state, "one", 7, [(0, letter("x", "output:one")), (1, letter("y", "output:one"))]) == 2
    assert put_rejected(state, "two", 7, [(0, letter("z", "output:two"))]) == 1
    assert put_rejected(state, "one", 7, [(1, letter("y", "output:one"))]) == 0
    assert count_dead(state) == {"mqtt": 2, "output:one": 2, "output:two": 1}


def test_long_texts_are_cut_and_not_refused(state: State) -> None:
    put_dead(state, [(1, 0, DeadLetter("s" * 300, "t" * 900, b"", "r" * 900, 0))])
    (row,) = list_dead(state)
    assert (len(row.source), len(row.topic), len(row.reason)) == (100, 500, 200)
