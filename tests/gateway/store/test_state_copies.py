"""Copies of the state database, and a start with one that is damaged."""

import itertools
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gateway.errors import GatewayError, TransientError
from gateway.model.reading import PointId
from gateway.store import state_copies, user_rows
from gateway.store.registry import StateRegistry
from gateway.store.state import State
from gateway.store.state_check import problem_of
from gateway.store.state_copies import copies_of, copy_state, restore_from
from tests.beside import beside

THOROUGH = os.environ.get("GASGATE_THOROUGH") == "1"
PLACES = 1000 if THOROUGH else 200


def put(state, number) -> None:
    with state.write() as connection:
        for at in range(number, number + 20):
            user_rows.add_audit(connection, at, "wang", "act", subject=f"M-{at:06d}", detail={"reason": "r" * 30})


def acts(state) -> int:
    with state.read() as connection:
        return user_rows.count_audit(connection)


def filled(folder, *, rows=400) -> None:
    state = State.in_folder(folder)
    StateRegistry(state).indices([PointId(f"M-{number:06d}/register_measured_m3") for number in range(200)])
    for number in range(0, rows, 20):
        put(state, number)
    state.close()


@pytest.fixture
def folder(tmp_path) -> Any:
    filled(tmp_path)
    copy_state(tmp_path, 3)
    return tmp_path


def damage(folder: Path, change: Callable[[bytes], bytes]) -> bytes:
    file = folder / "state.db"
    before = file.read_bytes()
    file.write_bytes(change(before))
    return before


def test_copies_are_whole_and_the_oldest_go(folder):
    for number in range(4):
        copy_state(folder, 3, real=2e9 + number)
    assert [copy.name for copy in copies_of(folder)] == [f"state-20330518T03332{number}Z.db" for number in (3, 2, 1)]
    assert all(problem_of(copy) == "" for copy in copies_of(folder))
    assert {path.suffix for path in (folder / "state-copies").iterdir()} == {".db"}


def test_a_damaged_state_is_set_aside_and_the_newest_good_copy_takes_its_place(folder):
    state = State.in_folder(folder)
    put(state, 1000)
    assert acts(state) == 420
    state.close()
    bad = folder / "state-copies" / "state-20990101T000000Z.db"
    bad.write_bytes(b"SQLite format 3\0" + bytes(5000))
    before = damage(folder, lambda whole: whole[: len(whole) // 2])
    state = State.in_folder(folder)
    assert acts(state) == 400
    restored = state.restoration()
    assert restored is not None
    assert restored.copied_at == state_copies.copied_at(copies_of(folder)[1])
    assert (folder / restored.aside / "state.db").read_bytes() == before[: len(before) // 2]
    assert "is missing" in str(restored)
    put(state, 2000)
    state.close()
    again = State.in_folder(folder)
    assert (acts(again), again.restoration()) == (420, restored), "it is restored once"
    again.close()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_state_that_is_cut_or_flipped_anywhere_opens_and_works(folder, tmp_path):
    rng = np.random.default_rng(7)
    whole = (folder / "state.db").read_bytes()
    copies = folder / "state-copies"
    restored = unnoticed = 0
    for number in range(PLACES):
        at = int(rng.integers(0, len(whole)))
        kind = number % 3
        changed = whole[:at] if kind == 0 else whole[:at] + bytes([whole[at] ^ (1 << number % 8)]) + whole[at + 1 :]
        place = tmp_path / "places" / str(number)
        place.mkdir(parents=True)
        (place / "state.db").write_bytes(changed)
        (place / "state-copies").symlink_to(copies)
        state = State.in_folder(place)
        try:
            assert acts(state) >= (400 if state.restoration() else 1)
            put(state, 5000)
            with state.read() as connection:
                assert len(user_rows.list_audit(connection, None, 500)) > 20
            StateRegistry(state).indices([PointId("M-new/flags")])
            told = state.restoration()
        finally:
            state.close()
        restored += told is not None
        unnoticed += told is None
        if kind == 0:
            assert told is not None, at
        shutil.rmtree(place)
    assert restored > PLACES // 3
    # a changed sign inside a text or a number is nothing that SQLite could see
    assert unnoticed < PLACES * 2 // 3


def test_without_a_good_copy_the_state_begins_anew_and_says_so(tmp_path):
    filled(tmp_path)
    damage(tmp_path, lambda whole: whole[:3000])
    state = State.in_folder(tmp_path)
    assert acts(state) == 0
    restored = state.restoration()
    assert restored is not None
    assert restored.copied_at is None
    assert "began anew" in str(restored)
    state.close()


def test_a_missing_state_with_copies_is_a_restoration_that_was_cut_short(folder):
    (folder / "state.db").unlink()
    state = State.in_folder(folder)
    assert (acts(state), state.restoration() is None) == (400, False)
    state.close()


def test_points_that_were_registered_since_keep_their_index_and_none_is_given_out_twice(folder):
    state = State.in_folder(folder)
    late = [PointId(f"M-9{number:05d}/register_measured_m3") for number in range(50)]
    indices = StateRegistry(state).indices(late)
    state.close()
    with sqlite3.connect(folder / "state.db") as connection:
        (page,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'journal'").fetchone()
    connection.close()
    damage(folder, lambda whole: whole[: 4096 * (page - 1)] + b"\xff" * 4096 + whole[4096 * page :])
    state = State.in_folder(folder)
    assert state.restoration() is not None
    registry = StateRegistry(state)
    assert registry.indices(late).tolist() == indices.tolist()
    assert int(registry.indices([PointId("M-unseen/flags")])[0]) > int(indices.max()) + 500
    state.close()
    damage(folder, lambda whole: b"\xff" * 5000 + whole[5000:])
    state = State.in_folder(folder)
    assert int(StateRegistry(state).indices(late[:1])[0]) > 100_000, "which index it had nobody knows any more"
    state.close()


def test_a_copy_is_one_view_while_others_write_and_makes_nobody_wait(folder, monkeypatch):
    monkeypatch.setattr(state_copies, "_PAGES", 4)
    state = State.in_folder(folder)
    numbers, waits = itertools.count(10_000, 20), []

    def write() -> None:
        began = time.monotonic()
        put(state, next(numbers))
        waits.append(time.monotonic() - began)

    with beside(write):
        began = time.monotonic()
        copy = copy_state(folder, 3)
        took = time.monotonic() - began
    state.close()
    with sqlite3.connect(copy) as connection:
        (count,) = connection.execute("SELECT count(*) FROM audit").fetchone()
    connection.close()
    assert count % 20 == 0
    assert len(waits) > 3
    assert max(waits) < max(1.0, 0.8 * took), "no writer waits for the whole copy"


def test_a_full_disk_leaves_the_older_copies(folder, monkeypatch):
    before = copies_of(folder)
    monkeypatch.setattr(state_copies, "make_durable", lambda _path: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(TransientError, match="No space left"):
        copy_state(folder, 1)
    assert copies_of(folder) == before
    assert list((folder / "state-copies").iterdir()) == before


def test_who_opens_the_state_second_waits_for_the_check_and_never_restores_it_under_the_first(folder):
    first = State.in_folder(folder)
    damage(folder, lambda whole: whole[:-4096])
    script = (
        "import sys; from pathlib import Path; from gateway.store.state_copies import copies_of\n"
        "from gateway.store.state import State; from gateway.errors import GatewayError\n"
        f"folder = Path({str(folder)!r})\n"
        "try: State.in_folder(folder).close()\n"
        "except GatewayError: pass\n"
        "print((folder / 'quarantine').exists())\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "False"
    first.close()
    second = State.in_folder(folder)
    assert second.restoration() is not None
    second.close()


def test_a_person_restores_a_copy(folder, tmp_path):
    state = State.in_folder(folder)
    put(state, 1000)
    state.close()
    elsewhere = tmp_path / "elsewhere.db"
    shutil.copyfile(copies_of(folder)[0], elsewhere)
    restore_from(folder, elsewhere)
    state = State.in_folder(folder)
    restored = state.restoration()
    assert (acts(state), restored is not None and restored.problem) == (400, "a person restored it")
    state.close()
    elsewhere.write_bytes(b"no database")
    with pytest.raises(GatewayError, match="no whole state database"):
        restore_from(folder, elsewhere)


def test_the_reserve_is_given_when_the_database_finds_no_room_and_held_again_later(tmp_path):
    state = State.in_folder(tmp_path, reserve_bytes=1 << 20)
    reserve = tmp_path / "state.reserve"
    assert reserve.stat().st_size == 1 << 20
    assert reserve.stat().st_blocks * 512 >= 1 << 20, "the room is taken, not only promised"
    with state.write() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")

    def fill() -> None:
        for number in range(0, 20_000, 20):
            put(state, number)

    with pytest.raises(TransientError, match="full"):
        fill()
    assert not reserve.exists()
    state.keep_reserve()
    assert reserve.exists()
    state.close()


def test_a_name_that_is_no_text_any_more_does_not_hinder_the_start(folder):
    state = State.in_folder(folder)
    StateRegistry(state).indices([PointId("M-late/flags"), PointId("M-later/flags")])
    state.close()
    with sqlite3.connect(folder / "state.db") as connection:
        connection.execute("UPDATE point SET point_id = CAST(x'4d2dee2f66' AS TEXT) WHERE point_id = 'M-late/flags'")
        connection.execute("UPDATE audit SET who = CAST(x'ff' AS TEXT) WHERE seq = 1")
    connection.close()
    state = State.in_folder(folder)
    assert state.restoration() is not None
    assert int(StateRegistry(state).indices([PointId("M-later/flags")])[0]) > 1000
    state.close()
