"""The role that computes loss and findings: a pass at the start, after each gas day, and again for late readings."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from alarms import work_items
from alarms.analysis.parts import Plan, plan
from alarms.city_data import CityData
from alarms.company_events import cause_in
from alarms.passes import PassResult, daily_pass
from alarms.reading_audit import Auditor
from gateway.config import Config
from gateway.errors import ConfigError, GatewayError, RefusedError, TransientError
from gateway.model.network import Network
from gateway.model.reading import PointId, ReadingBatch, to_us
from gateway.pass_runs import cores
from gateway.roles.audit_source import StoreSource
from gateway.roles.common import be_nice, heartbeat, open_state, remote_store, site_clock, site_network
from gateway.roles.interval_stream import IntervalStreams, LineOutput
from gateway.roles.kept_rows import KeptRows
from gateway.roles.pass_parts import LEAD_DAYS, PART_CUSTOMERS, Site, WorkersDieError, judged
from gateway.roles.revision import Follower
from gateway.roles.state_care import StateCare
from gateway.snapshot import Snapshot
from gateway.store.change_watch import ChangeWatch
from gateway.store.intervals import IntervalStore
from gateway.store.memory import StateMemory
from gateway.store.outputs import OUTPUTS
from gateway.store.registry import MemoryRegistry, StateRegistry
from gateway.store.remote import RemoteStore
from gateway.store.state import State

log = logging.getLogger(__name__)

AGAIN_AFTER_CLOSE = (timedelta(0), timedelta(minutes=20), timedelta(minutes=45), timedelta(hours=2))
"""passes after a gas day has settled: a day is judged once nearly all of its volume is known"""
AGAIN_AFTER = timedelta(hours=6)
"""otherwise, so that late readings count"""
RETRY_S = 2.0
LONGEST_PAUSE_S = 1_800.0
"""after a pass whose processes died, as starting them takes a core for seconds; shorter before"""
_MOST_TOLD = 20
SMALL_PART = 1_000
"""so many customers a part has of a city that has too many readings to be judged at once"""
LOOK_S = 2.0
"""real seconds between looks at what auditors decided"""
NICENESS = 19
"""a pass may take long; it must not slow an alarm"""


async def work(site: Snapshot) -> None:
    """Analyse until cancelled."""
    be_nice(NICENESS)
    config = site.config
    state = open_state(config)
    analyst = Analyst(config, state, site_network(config))
    follower = Follower(state, "analyse", site)
    async with asyncio.TaskGroup() as group:
        group.create_task(heartbeat(state, "analyse", follower.status(analyst.health)), name="heartbeat")
        group.create_task(follower.run(), name="configuration")
        group.create_task(analyst.run(), name="passes")
        group.create_task(analyst.streams.run(), name="gas days to outputs")
        group.create_task(analyst.care.run(), name="copies of the state")


@dataclass(frozen=True, slots=True)
class _Done:
    until: datetime
    seconds: float
    raised: int


class Analyst:
    """Runs the passes of a site."""

    def __init__(self, config: Config, state: State, network: Network) -> None:
        """Remember what to analyse; nothing is read yet."""
        self._config = config
        self._state = state
        self._network = network
        self._clock = site_clock(config)
        self._intervals = IntervalStore(config.data.folder / "intervals")
        self.care = StateCare(state, config.data.folder, config.data.state_copies)
        self._rows = KeptRows(config.analyse.lookback_days + LEAD_DAYS)
        self._dealt = plan(network, PART_CUSTOMERS)
        self._auditor = Auditor(state, self._intervals, days=config.analyse.audit_days)
        self.streams = IntervalStreams(_outputs(config, network), self._intervals, StateMemory(state), network)
        self._changes = ChangeWatch(state)
        self._last: _Done | None = None
        self._problem = ""
        self._died = 0
        """passes in a row that were given up because their processes died"""

    def health(self) -> tuple[bool, Mapping[str, Any]]:
        """Return whether the last pass ended well."""
        last = self._last
        detail = {} if last is None else {"last_pass": last.until.isoformat(), "seconds": round(last.seconds, 2)}
        problems = [*([self._problem] if self._problem else []), *self._damaged_intervals(), *self.care.problems()]
        problems += self.streams.problems()
        return not self._problem, {**detail, "problems": problems}

    def _damaged_intervals(self) -> list[str]:
        damage = self._intervals.damage[:_MOST_TOLD]
        return [
            f"intervals/{name} was damaged and set aside; its days are audited anew if they are recent"
            for name in damage
        ]

    async def run(self) -> None:
        """Pass after pass, until cancelled."""
        store = remote_store(self._config)
        try:
            while True:
                now = self._clock.now()
                try:
                    await self._pass(store, now)
                except (TransientError, ConfigError) as error:
                    wait_s = self._pause(error)
                    self._complain(str(error) if wait_s <= RETRY_S else f"{error}; tried again in {wait_s:.0f} s")
                    await asyncio.sleep(wait_s)
                    continue
                self._died = 0
                await self._until_wanted(self.next_pass(now))
        finally:
            await store.close()

    def _pause(self, error: GatewayError) -> float:
        """Return how long to wait after a pass that failed: longer each time where its processes die."""
        if not isinstance(error, WorkersDieError):
            return RETRY_S
        self._died += 1
        return min(RETRY_S * 2.0 ** min(self._died, 20), LONGEST_PAUSE_S)

    async def _until_wanted(self, when: datetime) -> None:
        """Return at a moment, or soon after somebody decided on a reading or a gas day."""
        while self._clock.now() < when:
            try:
                if self._changes.changed() and await asyncio.to_thread(self._auditor.decided_anew):
                    return
            except TransientError:
                self._changes.again()
            wait_s = min(LOOK_S, self._clock.real_seconds((when - self._clock.now()).total_seconds()))
            await asyncio.sleep(max(wait_s, 0.05))

    def next_pass(self, now: datetime) -> datetime:
        """Return when to run after a pass at `now`: soon after the next gas day ends, or for late readings."""
        gas_day = self._config.site.gas_day
        settle = timedelta(minutes=self._config.analyse.settle_minutes)
        today = gas_day.of(now)
        closes = [gas_day.begins(today), gas_day.ends(today)]
        after_close = [close + settle + again for close in closes for again in AGAIN_AFTER_CLOSE]
        return min(moment for moment in (*after_close, now + AGAIN_AFTER) if moment > now)

    async def _pass(self, store: RemoteStore, now: datetime) -> None:
        registry = await asyncio.to_thread(StateRegistry, self._state)
        site = await asyncio.to_thread(Site.read, self._config, self._network)
        read, batch, names = False, ReadingBatch.empty(), dict[int, PointId]()
        if self._dealt is None:
            try:
                every = np.arange(len(registry), dtype=np.uint32)
                batch, names = await self._rows.at(store, every, registry.names, to_us(now))
            except RefusedError as error:
                self._dealt = plan(self._network, SMALL_PART)
                self._complain(str(error))
            else:
                self._problem = ""
        city = await asyncio.to_thread(site.city, batch, names)
        if self._dealt is not None:
            read = await self._judge_parts(self._dealt, city, now)
        elif len(batch):
            await self._judge(city, now)
        elif not self._problem:
            self._last = _Done(now, 0.0, 0)
        del batch
        if names or read or self._problem:
            loop = asyncio.get_running_loop()
            source = StoreSource(city.model, city.exchanges, store, registry, loop)
            await asyncio.to_thread(self._audit, source, now)
        self.streams.audited(to_us(now))

    async def _judge(self, city: CityData, now: datetime) -> None:
        began = asyncio.get_running_loop().time()
        result = await asyncio.to_thread(daily_pass, city, to_us(now), lookback_days=self._config.analyse.lookback_days)
        raised = await asyncio.to_thread(self._record, city, result)
        self._done(now, began, len(result.loss), raised)

    async def _judge_parts(self, dealt: Plan, city: CityData, now: datetime) -> bool:
        """Judge part by part, and write each when it is done; return whether anything was read."""
        began, problems, raised, rows = asyncio.get_running_loop().time(), list[str](), 0, 0
        async with aclosing(judged(self._config, dealt, now, self._config.analyse.processes or cores())) as made:
            async for one in made:
                if one.result is None:
                    problems.append(one.problem)
                else:
                    rows += len(one.result.loss)
                    raised += await asyncio.to_thread(self._record, city, one.result)
        self._done(now, began, rows, raised)
        if problems:
            self._complain("; ".join(problems[:_MOST_TOLD]))
        else:
            self._problem = ""
        return rows > 0

    def _record(self, city: CityData, result: PassResult) -> int:
        cause_of = cause_in(city.exchanges, city.model.accounts)
        return len(work_items.record(self._state, result, city.model.zone_for, cause_of))

    def _done(self, now: datetime, began: float, rows: int, raised: int) -> None:
        seconds = asyncio.get_running_loop().time() - began
        self._last = _Done(now, seconds, raised)
        log.info("pass until %s: %d loss rows, %d new findings, %.1f s", now, rows, raised, seconds)

    def _audit(self, source: StoreSource, now: datetime) -> None:
        began = time.monotonic()
        found = self._auditor.run(source, to_us(now))
        seconds = time.monotonic() - began
        log.info("audit until %s: %d new intervals, %d verdicts, %d work items, %.1f s",
                 now, found.intervals, found.verdicts, found.work_items, seconds)  # fmt: skip

    def _complain(self, problem: str) -> None:
        if problem != self._problem:
            log.warning("no pass yet: %s", problem)
        self._problem = problem


def _outputs(config: Config, network: Network) -> list[tuple[LineOutput, Any]]:
    names = MemoryRegistry().names
    return [(OUTPUTS[one.kind](one, names, network), one) for one in config.output if one.interval_measurement]
