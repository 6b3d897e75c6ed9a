"""Dead letters in the state database: once each, newest first, bounded."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.ports import DeadLetter
from gateway.store import tables
from gateway.store.dead_rows import Caps, Totals, count_dead, dead_totals, list_dead, put_dead, put_rejected
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


def test_the_oldest_go_first_and_are_counted(state: State) -> None:
    put_dead(state, [(1, number, letter(str(number))) for number in range(8)], Caps(rows=5))
    put_dead(state, [(2, 0, letter("new"))], Caps(rows=5))
    assert [one.topic for one in list_dead(state)] == ["new", "7", "6", "5", "4"]
    assert dead_totals(state) == Totals(5, 10, 4)


def test_the_store_stays_within_its_bytes(state: State) -> None:
    letters = [(1, number, DeadLetter("s", str(number), bytes(1000), "why", number)) for number in range(2500)]
    assert put_dead(state, letters, Caps(payload_bytes=100_000)) == 2500
    kept = list_dead(state, limit=5000)
    assert [one.topic for one in kept] == [str(number) for number in range(2499, 2399, -1)]
    assert dead_totals(state) == Totals(100, 100_000, 2400)


def test_old_letters_go_when_new_ones_come(state: State) -> None:
    day_us = 86_400_000_000
    put_dead(state, [(day, 0, DeadLetter("s", str(day), b"x", "why", day * day_us)) for day in range(1, 11)])
    put_dead(state, [(11, 0, DeadLetter("s", "11", b"x", "why", 11 * day_us))], Caps(age_us=3 * day_us))
    assert [one.topic for one in list_dead(state)] == ["11", "10", "9", "8"]
    assert dead_totals(state).dropped == 7


def test_totals_of_an_older_database_are_counted_once(state: State) -> None:
    put_dead(state, [(1, number, letter(str(number))) for number in range(3)])
    with state.write() as connection:
        connection.execute(tables.memory.delete())
    put_dead(state, [(2, 0, letter("new"))])
    assert dead_totals(state) == Totals(4, 8, 0)


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
