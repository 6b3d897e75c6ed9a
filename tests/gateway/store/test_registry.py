"""Point indices: permanent, shared between processes, quick for a city."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest

from gateway.model.reading import PointId
from gateway.store.registry import StateRegistry, highest_cursor
from gateway.store.state import State


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
    begun = time.monotonic()
    assert StateRegistry(state).indices(names).tolist() == list(range(100_000))
    assert StateRegistry(state).indices(names[::-1]).tolist() == list(range(100_000))[::-1]
    assert time.monotonic() - begun < 9
    state.close()


def test_the_most_advanced_reader_is_known(tmp_path: Path) -> None:
    state = State.in_folder(tmp_path)
    assert highest_cursor(state) == 0
    state.set_cursor("alarm", 12)
    state.set_cursor("output:a", 9)
    assert highest_cursor(state) == 12
    state.close()
