"""The cheap look in front of queries that would be repeated for nothing."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.store.change_watch import ChangeWatch
from gateway.store.state import State, put_cursor


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    state = State.in_folder(tmp_path)
    yield state
    state.close()


def test_a_commit_is_seen_once_by_each_who_looks(tmp_path: Path, state: State) -> None:
    other = State.in_folder(tmp_path)
    watches = [ChangeWatch(state), ChangeWatch(other)]
    assert [one.changed() for one in watches] == [True, True]
    assert [one.changed() for one in watches] == [False, False]
    for seq, writer in enumerate((state, other), 1):
        with writer.write() as connection:
            put_cursor(connection, "reader", seq)
        assert [one.changed() for one in watches] == [True, True]
        assert [one.changed() for one in watches] == [False, False]
    for one in watches:
        one.close()
    other.close()


def test_what_could_not_be_read_is_looked_at_again(state: State) -> None:
    watch = ChangeWatch(state)
    assert watch.changed()
    watch.again()
    assert watch.changed()
    assert not watch.changed()
    watch.close()
    watch.close()


def test_a_reader_and_a_writer_at_work_are_no_change(state: State) -> None:
    watch = ChangeWatch(state)
    watch.changed()
    with state.write() as connection:
        connection.exec_driver_sql("INSERT INTO cursor (name, seq) VALUES ('reader', 1)")
        assert not watch.changed()
        connection.rollback()
    with state.read():
        assert not watch.changed()
    watch.close()


def test_what_cannot_be_told_counts_as_a_change(tmp_path: Path, state: State) -> None:
    watch = ChangeWatch(state)
    watch.changed()
    away = sqlite3.connect(tmp_path / "state.db")
    away.execute("PRAGMA locking_mode=EXCLUSIVE")
    state.engine.dispose()
    watch.close()
    away.execute("BEGIN EXCLUSIVE")
    assert watch.changed()
    assert watch.changed()
    away.close()
    watch.changed()
    assert not watch.changed()
    watch.close()
