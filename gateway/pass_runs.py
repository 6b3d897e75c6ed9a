"""Runs passes one after the other, here or dealt out to processes; their results come in order and are the same."""

from __future__ import annotations

import multiprocessing
import os
import signal
import warnings
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import numpy as np

from alarms.analysis.hourly import HourlyCity
from alarms.city_data import CityData
from alarms.hourly_data import hourly_city
from alarms.passes import Passes, PassResult
from gateway.errors import GatewayError


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def results(
    city: CityData, moments_us: Sequence[int], processes: int, *, loss_days: int, between_us: Collection[int] = ()
) -> Iterator[PassResult]:
    """Yield the pass at each moment, oldest first, with the loss of the last `loss_days` gas days.

    At those of `between_us` only what cannot wait for the day is looked for. Processes share the readings, so each
    needs memory only for what it computes. Raises GatewayError if one is killed.
    """
    if not moments_us:
        return
    between = frozenset(between_us)
    plan = _Plan(city, hourly_city(city, moments_us[0], moments_us[-1]), loss_days, between)
    processes = min(processes, len(moments_us))
    if processes <= 1 or "fork" not in multiprocessing.get_all_start_methods():
        yield from plan.run(moments_us)
        return
    city.prepare()
    # what lies between two daily passes goes with the first of them, so that each process gets as many of both
    owner = np.cumsum([moment not in between for moment in moments_us]) % processes
    parts = [[moment for moment, of in zip(moments_us, owner, strict=True) if of == n] for n in range(processes)]
    helpers: list[tuple[BaseProcess, Connection]] = []
    try:
        # one at a time, so that those that run are ended if the next one cannot be started
        helpers.extend(_start(plan, part) for part in parts)
        for number in owner:
            yield _next(helpers[number][1])
    finally:
        for process, ours in helpers:
            process.terminate()
            process.join()
            ours.close()


@dataclass(frozen=True, slots=True)
class _Plan:
    """What to run at each moment."""

    city: CityData
    hourly: HourlyCity | None
    loss_days: int
    between: frozenset[int]

    def run(self, moments_us: Sequence[int]) -> Iterator[PassResult]:
        """Yield the passes at some moments."""
        passes = Passes(self.city, loss_days=self.loss_days, hourly=self.hourly)
        for moment in moments_us:
            yield passes.between(moment) if moment in self.between else passes.at(moment)


def _start(plan: _Plan, moments_us: Sequence[int]) -> tuple[BaseProcess, Connection]:
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_run, args=(plan, moments_us, theirs), daemon=True)
    with warnings.catch_warnings():
        # threads of numerical libraries survive a fork as far as they are needed; ours take part in nothing here
        warnings.simplefilter("ignore", DeprecationWarning)
        process.start()
    theirs.close()
    return process, ours


def _run(plan: _Plan, moments_us: Sequence[int], theirs: Connection) -> None:
    """Send one result after the other; the reader takes them at its own pace."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        for result in plan.run(moments_us):
            theirs.send(result)
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
