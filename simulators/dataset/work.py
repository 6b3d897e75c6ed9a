"""Runs tasks in order, here or in processes of their own, never more ahead than the reader can take."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

from gateway.errors import GatewayError
from gateway.runtime.child import die_with_parent

Result = TypeVar("Result")
_AHEAD = 1
"""results that may wait for the reader, beside those that are being computed"""
_source: Any = None


def in_order(source: Any, work: Callable[[Any, int], Result], tasks: Sequence[int], processes: int) -> Iterator[Result]:
    """Yield `work(source, task)` for each task in their order. The source is sent to each process once.

    Raises what the work raises, and GatewayError if a process is killed.
    """
    if processes <= 1 or len(tasks) <= 1:
        for task in tasks:
            yield work(source, task)
        return
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        min(processes, len(tasks)), mp_context=context, initializer=_begin, initargs=(source, os.getpid())
    )
    try:
        yield from _drained(pool, work, tasks, processes + _AHEAD)
    except BrokenProcessPool as error:
        raise GatewayError(
            "a helper process was killed, perhaps because memory ran out: use fewer processes, or fewer meters"
        ) from error
    finally:
        for helper in set(multiprocessing.active_children()) - others:
            helper.terminate()  # what it still computes nobody wants: all results are here, or there was an error
        pool.shutdown(wait=True, cancel_futures=True)


def _drained(
    pool: ProcessPoolExecutor, work: Callable[[Any, int], Result], tasks: Sequence[int], most: int
) -> Iterator[Result]:
    waiting: deque[Future[Result]] = deque()
    for task in tasks:
        with _without_interrupts():
            waiting.append(pool.submit(_do, work, task))
        if len(waiting) >= most:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Start processes that Ctrl-C does not reach: it is this one's to end them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(source: Any, parent: int) -> None:
    global _source  # noqa: PLW0603 - one for each process, set once before its first task
    os.environ["GASGATE_PARENT"] = str(parent)
    die_with_parent()
    _source = source


def _do(work: Callable[[Any, int], Result], task: int) -> Result:
    return work(_source, task)
