from __future__ import annotations

import multiprocessing
import operator
import os
import signal
from collections.abc import Iterator

import pytest

from gateway.errors import GatewayError
from simulators.dataset.work import in_order


@pytest.fixture(autouse=True)
def _no_helper_stays() -> Iterator[None]:
    before = len(multiprocessing.active_children())
    yield
    assert len(multiprocessing.active_children()) == before
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.parametrize("processes", [1, 2])
def test_results_come_in_order(processes: int) -> None:
    assert list(in_order(10, operator.add, range(8), processes)) == list(range(10, 18))
    assert list(in_order(10, operator.add, [], processes)) == []


@pytest.mark.parametrize("processes", [1, 2])
def test_an_error_comes_through(processes: int) -> None:
    results = in_order(6.0, operator.truediv, [1, 0, 2], processes)
    assert next(results) == 6.0
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_a_killed_helper_is_named() -> None:
    with pytest.raises(GatewayError, match="fewer processes"):
        list(in_order(signal.raise_signal, operator.call, [signal.SIGKILL, signal.SIGKILL], 2))


def test_helpers_end_when_nobody_wants_more() -> None:
    results = in_order(2.0, operator.mul, range(100), 2)
    assert next(results) == 0.0
    results.close()  # type: ignore[attr-defined]


def test_one_process_is_this_one() -> None:
    assert set(in_order(os.getpid, _call, [0, 1], 1)) == {os.getpid()}


def _call(what: object, _task: int) -> object:
    return what()  # type: ignore[operator]
