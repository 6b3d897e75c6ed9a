"""Point indices: permanent, shared between processes, quick for a city."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from gateway.columns_file import read_columns
from gateway.model.reading import PointId
from gateway.store import registry, tables
from gateway.store.registry import StateRegistry, highest_cursor
from gateway.store.state import State, put_cursor
from tests.beside import beside


def points(*names: str) -> list[PointId]:
    return [PointId(name) for name in names]


def test_an_index_is_permanent(tmp_path: Path) -> None:
    state = State.in_folder(tmp_path)
    first = StateRegistry(state).indices(points("b/flags", "a/flags", "b/flags"))
    assert first.dtype == np.uint32
    assert first.tolist() == [0, 1, 0]
    again = StateRegistry(state)
    assert again.indices(points("c/flags", "a/flags")).tolist() == [2, 1]
    assert again.names(np.array([2, 0, 1, 0], np.uint32)) == points("c/flags", "b/flags", "a/flags", "b/flags")
    state.close()


def test_points_of_another_process_are_found(tmp_path: Path) -> None:
    state = State.in_folder(tmp_path)
    one, other = StateRegistry(state), StateRegistry(state)
    one.indices(points("a/x", "b/x"))
    assert other.names(np.array([1], np.uint32)) == points("b/x")
    assert other.indices(points("c/x", "a/x")).tolist() == [2, 0]
    assert one.indices(points("d/x", "c/x")).tolist() == [3, 2]
    with pytest.raises(KeyError):
        one.names(np.array([9], np.uint32))
    state.close()


def test_many_writers_agree(tmp_path: Path) -> None:
    state = State.in_folder(tmp_path)
    registries = [StateRegistry(state) for _ in range(4)]
    names = [PointId(f"m-{number}/x") for number in range(200)]

    def register(registry: StateRegistry, begin: int) -> None:
        for number in range(0, 200, 10):
            at = (begin + number) % 200
            registry.indices(names[at : at + 10])

    threads = [threading.Thread(target=register, args=(one, 50 * place)) for place, one in enumerate(registries)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    answers = {tuple(one.indices(names).tolist()) for one in registries}
    assert len(answers) == 1
    assert sorted(answers.pop()) == list(range(200))
    state.close()


def test_a_city_of_points_is_registered_in_one_transaction(tmp_path: Path) -> None:
    state = State.in_folder(tmp_path)
    names = [PointId(f"M-{number:06}/register_measured_m3") for number in range(100_000)]
    begun = time.process_time()
    assert StateRegistry(state).indices(names).tolist() == list(range(100_000))
    assert StateRegistry(state).indices(names[::-1]).tolist() == list(range(100_000))[::-1]
    assert time.process_time() - begun < 9, "of computing"
    state.close()


def test_the_most_advanced_reader_is_known(tmp_path: Path) -> None:
    state = State.in_folder(tmp_path)
    assert highest_cursor(state) == 0
    with state.write() as connection:
        put_cursor(connection, "alarm", 12)
        put_cursor(connection, "output:a", 9)
    assert highest_cursor(state) == 12
    state.close()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a table of the names whenever more than ten stand beside it, and read few rows at a time."""
    monkeypatch.setattr(registry, "_FEW", 10)
    monkeypatch.setattr(registry, "_OBJECTS", 7)


def many(first: int, last: int, quantity: str = "x") -> list[PointId]:
    return [PointId(f"m-{number}/{quantity}") for number in range(first, last)]


@pytest.mark.usefixtures("small")
def test_names_in_the_file_are_not_read_again(tmp_path: Path) -> None:
    state = State.in_folder(tmp_path)
    one = StateRegistry(state)
    for number in range(0, 100, 5):
        one.indices(many(number, number + 5))
    again = StateRegistry(state)
    with state.write() as connection:
        connection.execute(tables.point.delete())
    assert again.indices(many(0, 100)[::-1]).tolist() == list(range(100))[::-1]
    assert again.names(np.arange(100, dtype=np.uint32)) == many(0, 100)
    assert again.find(points("m-7/x", "m-7/y", "")).tolist() == [7, -1, -1]
    assert dict(again.every()) == dict(enumerate(many(0, 100)))
    assert len(again) == 100
    state.close()


@pytest.mark.usefixtures("small")
def test_an_older_copy_of_the_database_gets_no_names_of_a_newer_one(tmp_path: Path) -> None:
    state = State.in_folder(tmp_path)
    StateRegistry(state).indices(many(0, 30))
    with state.write() as connection:
        kept = connection.execute(tables.memory.select()).all()
        rows = connection.execute(tables.point.select()).all()
    StateRegistry(state).indices([*many(30, 60, "old"), *many(60, 70)])
    with state.write() as connection:
        for table, content in ((tables.point, rows), (tables.memory, kept)):
            connection.execute(table.delete())
            connection.execute(table.insert(), [row._asdict() for row in content])
    restored = StateRegistry(state)
    assert len(restored) == 30
    new = [*many(30, 60, "new"), *many(60, 70)]
    assert restored.indices(new).tolist() == list(range(30, 70))
    for one in (restored, StateRegistry(state)):
        assert one.names(np.arange(70, dtype=np.uint32)) == [*many(0, 30), *new]
        assert one.find(many(30, 31, "old")).tolist() == [-1]
    state.close()


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("content", [b"", b"gasgate columns 1\n\xff\xff\xff\xff", None])
def test_without_its_file_a_registry_reads_the_database(tmp_path: Path, content: bytes | None) -> None:
    state = State.in_folder(tmp_path)
    StateRegistry(state).indices(many(0, 40))
    file = tmp_path / "points.columns"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    assert StateRegistry(state).find(many(0, 41)).tolist() == [*range(40), -1]
    assert len(read_columns(file)[1]["ends"]) == 40  # type: ignore[index]
    state.close()


@pytest.mark.usefixtures("small")
def test_a_database_of_an_older_release_has_no_digest(tmp_path: Path) -> None:
    state = State.in_folder(tmp_path)
    with state.write() as connection:
        rows = [{"index": number, "point_id": name} for number, name in enumerate(many(0, 25))]
        connection.execute(tables.point.insert(), rows)
    one = StateRegistry(state)
    assert one.find(many(0, 25)).tolist() == list(range(25))
    with state.read() as connection:
        assert len(connection.execute(tables.memory.select()).all()) == 1
    state.close()


@pytest.mark.usefixtures("small")
def test_processes_share_one_table_of_names(tmp_path: Path) -> None:
    state = State.in_folder(tmp_path)
    one, other = StateRegistry(state), StateRegistry(state)
    one.indices(many(0, 25))
    file = tmp_path / "points.columns"
    made = file.stat().st_ino
    assert other.names(np.array([24, 3], np.uint32)) == points("m-24/x", "m-3/x")
    assert file.stat().st_ino == made
    assert other.indices(many(20, 30)).tolist() == list(range(20, 30))
    assert one.indices(many(29, 31)).tolist() == [29, 30]
    state.close()


@pytest.mark.usefixtures("small")
def test_a_file_that_cannot_be_written_keeps_no_point_from_its_index(tmp_path: Path) -> None:
    state = State.in_folder(tmp_path)
    one = StateRegistry(state)
    (tmp_path / "points.columns").mkdir()
    assert one.indices(many(0, 50)).tolist() == list(range(50))
    assert one.names(np.array([49], np.uint32)) == points("m-49/x")
    state.close()


@pytest.mark.usefixtures("small")
def test_names_are_found_while_others_are_added(tmp_path: Path) -> None:
    state = State.in_folder(tmp_path)
    shared = StateRegistry(state)
    wrong: list[tuple[int, int]] = []

    def look() -> None:
        count = len(shared)
        found = shared.find(many(0, count)).tolist()
        wrong.extend((at, index) for at, index in enumerate(found) if at != index)
        if shared.names(np.arange(count, dtype=np.uint32)) != many(0, count):
            wrong.append((-1, -1))

    with beside(look):
        for number in range(0, 400, 4):
            shared.indices(many(number, number + 4))
    assert not wrong
    state.close()


def test_a_hole_has_no_name(tmp_path: Path) -> None:
    state = State.in_folder(tmp_path)
    with state.write() as connection:
        connection.execute(tables.point.insert(), [{"index": 0, "point_id": "a/x"}, {"index": 3, "point_id": "b/x"}])
    one = StateRegistry(state)
    assert one.known() == {0: "a/x", 3: "b/x"}
    assert one.indices(points("c/x", "b/x")).tolist() == [4, 3]
    with pytest.raises(KeyError):
        one.names(np.array([2], np.uint32))
    state.close()
