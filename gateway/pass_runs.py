"""Runs passes one after the other, here or dealt out to processes; their results come in order and are the same."""

from __future__ import annotations

import multiprocessing
import os
import signal
import warnings
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from alarms.city_data import CityData
from alarms.passes import Passes, PassResult
from gateway.errors import GatewayError


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def results(city: CityData, moments_us: Sequence[int], processes: int, *, loss_days: int) -> Iterator[PassResult]:
    """Yield the pass at each moment, oldest first, with the loss of the last `loss_days` gas days.

    Processes share the readings, so each needs memory only for what it computes. Raises GatewayError if one is killed.
    """
    processes = min(processes, len(moments_us))
    if processes <= 1 or "fork" not in multiprocessing.get_all_start_methods():
        passes = Passes(city, loss_days=loss_days)
        for moment in moments_us:
            yield passes.at(moment)
        return
    city.prepare()
    helpers: list[tuple[BaseProcess, Connection]] = []
    try:
        # one at a time, so that those that run are ended if the next one cannot be started
        helpers.extend(_start(city, moments_us[number::processes], loss_days) for number in range(processes))
        for number in range(len(moments_us)):
            yield _next(helpers[number % processes][1])
    finally:
        for process, ours in helpers:
            process.terminate()
            process.join()
            ours.close()


def _start(city: CityData, moments_us: Sequence[int], loss_days: int) -> tuple[BaseProcess, Connection]:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(
        target=_run, args=(city, moments_us, loss_days, theirs), daemon=True
    )
    with warnings.catch_warnings():
        # threads of numerical libraries survive a fork as far as they are needed; ours take part in nothing here
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    theirs.close()
    return process, ours


def _run(city: CityData, moments_us: Sequence[int], loss_days: int, theirs: Connection) -> None:
    """Send one result after the other; the reader takes them at its own pace."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    passes = Passes(city, loss_days=loss_days)
    try:
        for moment in moments_us:
            theirs.send(passes.at(moment))
    except BrokenPipeError:
        return
    except Exception as error:  # noqa: BLE001 - it is raised where the results are read
        theirs.send(error)


def _next(ours: Connection) -> PassResult:
    try:
        result: PassResult | Exception = ours.recv()
    except EOFError as error:
        raise GatewayError("a helper process was killed, perhaps because memory ran out: use --processes 1") from error
    if isinstance(result, Exception):
        raise result
    return result
