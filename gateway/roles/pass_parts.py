"""Passes over a city that is too large for one: parts are judged in processes of their own, which read what they need.

A process holds one part at a time, so memory depends on the part and not on the city.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

import numpy as np

from alarms.analysis import parts
from alarms.analysis.city import AccountChange, SiteFigures
from alarms.analysis.parts import Plan
from alarms.analysis.study import IN_TURN
from alarms.analysis.whole import UnitSums
from alarms.city_data import PASS_QUANTITIES, CityData, Exchange, city_from_batch
from alarms.company_events import accounts_of, exchanges_of
from alarms.hourly_data import hourly_city
from alarms.passes import Passes, PassResult
from gateway.config import Config
from gateway.dataset import read_events, read_weather
from gateway.errors import ConfigError, GatewayError, RefusedError, TransientError
from gateway.model.network import Network
from gateway.model.quantity import Quantity
from gateway.model.reading import PointId, ReadingBatch, point_id, to_us
from gateway.roles.common import open_state, remote_store, site_network
from gateway.roles.kept_rows import KeptRows
from gateway.runtime import child, memory
from gateway.store.registry import StateRegistry
from gateway.store.remote import RemoteStore

PART_CUSTOMERS = 5_000
"""so many customers a part has at most, or one zone"""
TOLD_DAYS = 8
"""of a city in parts the loss of so many gas days is written with each pass; those before stay as they were"""
LEAD_DAYS = 5
"""readings of so many days before the lookback tell its first boundaries"""
MOST_DEATHS = 3
"""processes that die one after the other, with no part judged between, after which a pass is given up"""


class WorkersDieError(TransientError):
    """The processes that judge parts die, whatever part they have."""


@dataclass(frozen=True, slots=True)
class Site:
    """What the company's files say."""

    config: Config
    network: Network
    weather: Mapping[date, float]
    exchanges: tuple[Exchange, ...]
    accounts: Mapping[str, tuple[AccountChange, ...]]

    @staticmethod
    def read(config: Config, network: Network) -> Site:
        """Read weather and events. Raises ConfigError."""
        problems: list[str] = []
        weather = read_weather(config.network.folder, problems)
        events = read_events(config.network.folder, problems)
        if problems:
            raise ConfigError(problems)
        return Site(config, network, dict(weather), exchanges_of(events), accounts_of(events))

    def city(self, batch: ReadingBatch, names: Mapping[int, PointId]) -> CityData:
        """Return the site with these readings, as passes take it."""
        site = self.config.site
        figures = SiteFigures(site.base_temperature_c, site.base_pressure_kpa, site.customer_pressure_kpa)
        return city_from_batch(
            self.network,
            site.gas_day,
            figures,
            batch,
            names,
            weather=self.weather,
            exchanges=self.exchanges,
            accounts=self.accounts,
        )


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What became of a part: its pass, or why there is none."""

    result: PassResult | None
    problem: str = ""
    died: bool = False
    """whether its process ended without a word"""


@dataclass(frozen=True, slots=True)
class Work:
    """What a process is to do."""

    config: Config
    until: datetime
    chosen: tuple[tuple[str, ...], ...]
    """the topmost zones of each part"""
    elsewhere: frozenset[str] = frozenset()
    """the topmost zones of all parts, where what stands above them is to be judged"""
    sums: tuple[UnitSums, ...] = field(default=(), repr=False)


async def judged(config: Config, dealt: Plan, until: datetime, processes: int) -> AsyncGenerator[Judged]:
    """Yield what became of each part, in their order, and at last of what stands above them.

    A part whose process is killed is a problem of its own. Raises TransientError when the store is away, and
    WorkersDieError when processes die one after the other.
    """
    sums: list[UnitSums] = []
    shares = [dealt.parts[number::processes] for number in range(min(processes, len(dealt.parts)))]
    # closed here, so that no process outlives a pass that breaks off
    async with aclosing(_made([Work(config, until, share) for share in shares])) as made:
        async for one in made:
            if one.result is not None and one.result.sums is not None:
                sums.append(one.result.sums)
            yield one
    async with aclosing(_made([Work(config, until, ((),), dealt.units, tuple(sums))])) as made:
        async for one in made:
            yield one


async def _made(works: Sequence[Work]) -> AsyncGenerator[Judged]:
    """Yield what became of the parts of all works, one of each in turn.

    A part whose process dies is not judged, and a new process takes those that follow it.
    """
    helpers: list[_Helper] = []
    deaths = 0
    try:
        # one at a time, so that those that run are ended if the next one cannot be started
        helpers.extend(_Helper.start(work) for work in works)
        for number in range(sum(len(work.chosen) for work in works)):
            at = number % len(helpers)
            one = await asyncio.to_thread(helpers[at].next)
            deaths = deaths + 1 if one.died else 0
            if deaths >= MOST_DEATHS:
                raise WorkersDieError(one.problem)
            left = helpers[at].work.chosen[1:]
            helpers[at].work = replace(helpers[at].work, chosen=left)
            if one.died and left:
                await asyncio.to_thread(helpers[at].end)
                helpers[at] = _Helper.start(helpers[at].work)
            yield one
    finally:
        for helper in helpers:
            helper.process.terminate()
        for helper in helpers:
            await asyncio.to_thread(helper.end)


@dataclass(slots=True)
class _Helper:
    """A process, and what it has not sent yet."""

    work: Work
    process: BaseProcess
    ours: Connection

    @staticmethod
    def start(work: Work) -> _Helper:
        """Start the process."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_run, args=(work, theirs, os.getpid()), daemon=True)
        process.start()
        theirs.close()
        return _Helper(work, process, ours)

    def next(self) -> Judged:
        """Wait for the next part. Raises TransientError when the process says that it cannot go on."""
        try:
            found: Judged | str = self.ours.recv()
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode or 0
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
            name = _named(self.work.chosen[0])
            return Judged(None, f"{name}: the process that judged it {how}; perhaps its memory ran out", died=True)
        if isinstance(found, str):
            raise TransientError(found)
        return found

    def end(self) -> None:
        """Wait for the end of the process."""
        self.process.join()
        self.ours.close()


def _named(units: tuple[str, ...]) -> str:
    return ", ".join(units) or "what stands above the zones"


def _run(work: Work, theirs: Connection, parent: int) -> None:
    """Judge one part after the other and send what became of it."""
    child.follow(parent)
    memory.reuse_freed()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with suppress(BrokenPipeError):
        try:
            asyncio.run(_judge(work, theirs))
        except GatewayError as error:
            theirs.send(str(error))


async def _judge(work: Work, theirs: Connection) -> None:
    state, store = open_state(work.config), remote_store(work.config)
    try:
        site = Site.read(work.config, site_network(work.config))
        registry = StateRegistry(state)
        for units in work.chosen:
            try:
                judged_part = Judged(await _part(site, work, units, registry, store))
            except RefusedError as error:
                judged_part = Judged(None, f"{_named(units)}: {error}")
            theirs.send(judged_part)
    finally:
        await store.close()
        state.close()


async def _part(
    site: Site, work: Work, units: tuple[str, ...], registry: StateRegistry, store: RemoteStore
) -> PassResult:
    whole = site.network
    network = parts.part_of(whole, units) if units else parts.above(whole, work.elsewhere)
    wanted = [point_id(asset, quantity) for asset in _assets(network) for quantity in PASS_QUANTITIES]
    found = registry.find(wanted)
    points = np.unique(found[found >= 0]).astype(np.uint32)
    days = work.config.analyse.lookback_days + LEAD_DAYS
    until_us = to_us(work.until)
    batch, names = await KeptRows(days).at(store, points, registry.names, until_us)
    # a large city has no time to weigh each zone every day
    city = replace(replace(site, network=network).city(batch, names), config=IN_TURN)
    del batch
    if work.elsewhere:
        city = replace(city, model=replace(city.model, elsewhere=work.elsewhere))
    # above a very large city hours would take more memory than a part; its days tell the same a day later
    hourly = (
        None if len(network.meters) > 2 * PART_CUSTOMERS and work.elsewhere else hourly_city(city, until_us, until_us)
    )
    passes = Passes(
        city, lookback_days=work.config.analyse.lookback_days, loss_days=TOLD_DAYS, hourly=hourly, units=units
    )
    return passes.at(until_us, work.sums)


def _assets(network: Network) -> list[str]:
    """Return what passes look at readings of: meters, and what measures pressure."""
    measuring = (point.asset for point in network.points.values() if point.quantity is Quantity.PRESSURE_GAUGE_KPA)
    return list(dict.fromkeys([*network.meters, *network.stations, *measuring]))
