"""The role that computes loss and findings: a pass at the start, after each gas day, and again for late readings."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from alarms import findings
from alarms.analysis.city import SiteFigures
from alarms.passes import REGISTERS, CityData, Exchange, PassResult, city_from_batch, daily_pass
from gateway.config import Config
from gateway.dataset import read_events, read_weather
from gateway.errors import ConfigError, TransientError
from gateway.model.finding import Verdict
from gateway.model.network import Network
from gateway.model.quantity import Quantity
from gateway.model.reading import PointId, from_us, split_point, to_us
from gateway.roles.common import heartbeat, open_state, remote_store, site_clock, site_network
from gateway.store import finding_rows
from gateway.store.registry import StateRegistry
from gateway.store.remote import RemoteStore
from gateway.store.state import State

log = logging.getLogger(__name__)

QUANTITIES = (*REGISTERS, Quantity.PRESSURE_GAUGE_KPA)
AGAIN_AFTER = timedelta(hours=6)
"""between gas days, so that late readings count"""
RETRY_S = 2.0
NICENESS = 10
"""a pass may take long; it must not slow an alarm"""


async def work(config: Config) -> None:
    """Analyse until cancelled."""
    os.nice(NICENESS)
    state = open_state(config)
    analyst = Analyst(config, state, site_network(config))
    async with asyncio.TaskGroup() as group:
        group.create_task(heartbeat(state, "analyse", analyst.health), name="heartbeat")
        group.create_task(analyst.run(), name="passes")


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
        self._last: _Done | None = None
        self._problem = ""

    def health(self) -> tuple[bool, Mapping[str, Any]]:
        """Return whether the last pass ended well."""
        last = self._last
        detail = {} if last is None else {"last_pass": last.until.isoformat(), "seconds": last.seconds}
        return not self._problem, {**detail, "problems": [self._problem] if self._problem else []}

    async def run(self) -> None:
        """Pass after pass, until cancelled."""
        store = remote_store(self._config)
        try:
            while True:
                now = self._clock.now()
                try:
                    await self._pass(store, now)
                except (TransientError, ConfigError) as error:
                    self._complain(str(error))
                    await asyncio.sleep(RETRY_S)
                    continue
                self._problem = ""
                await self._clock.sleep_until(self.next_pass(now))
        finally:
            await store.close()

    def next_pass(self, now: datetime) -> datetime:
        """Return when to run after a pass at `now`: soon after the next gas day ends, or for late readings."""
        gas_day = self._config.site.gas_day
        settle = timedelta(minutes=self._config.analyse.settle_minutes)
        today = gas_day.of(now)
        ends = [gas_day.begins(today) + settle, gas_day.ends(today) + settle, now + AGAIN_AFTER]
        return min(moment for moment in ends if moment > now)

    async def _pass(self, store: RemoteStore, now: datetime) -> None:
        began = asyncio.get_running_loop().time()
        city = await self._city(store, now)
        result = await asyncio.to_thread(daily_pass, city, to_us(now), lookback_days=self._config.analyse.lookback_days)
        raised = await asyncio.to_thread(self._keep, result, now)
        seconds = asyncio.get_running_loop().time() - began
        self._last = _Done(now, seconds, raised)
        log.info("pass until %s: %d loss rows, %d new findings, %.1f s", now, len(result.loss), raised, seconds)

    async def _city(self, store: RemoteStore, now: datetime) -> CityData:
        names = await asyncio.to_thread(self._points)
        start = now - timedelta(days=self._config.analyse.lookback_days + 5)
        indices = np.array(sorted(names), dtype=np.uint32)
        batch = await store.history(indices, to_us(start), to_us(now))
        problems: list[str] = []
        folder = self._config.network.folder
        weather = await asyncio.to_thread(read_weather, folder, problems)
        events = await asyncio.to_thread(read_events, folder, problems)
        if problems:
            raise ConfigError(problems)
        site = self._config.site
        return await asyncio.to_thread(
            lambda: city_from_batch(
                self._network,
                site.gas_day,
                SiteFigures(site.base_temperature_c, site.base_pressure_kpa, site.customer_pressure_kpa),
                batch,
                names,
                weather=weather,
                exchanges=[
                    Exchange(event.meter_id, to_us(event.at), event.old_register_m3, event.new_register_m3)
                    for event in events
                    if event.event == "exchange" and event.at <= now
                ],
            )
        )

    def _points(self) -> dict[int, PointId]:
        return {
            index: name
            for index, name in StateRegistry(self._state).known().items()
            if split_point(name)[1] in QUANTITIES
        }

    def _keep(self, result: PassResult, now: datetime) -> int:
        now_us = to_us(now)
        with self._state.write() as connection:
            finding_rows.save_loss(connection, result.loss, now_us)
            known = finding_rows.newest_findings(connection)
            seen = {(one.finding.kind, one.finding.subject): from_us(one.updated_us) for one in known}
            changes = findings.update(
                [one.finding for one in known], result.detections, now, self._network.zone_of, seen_at=seen
            )
            finding_rows.apply_changes(
                connection, now_us, raised=changes.raised, updated=changes.updated, ended=changes.ended
            )
            finding_rows.touch(connection, _abnormal(result), now_us)
        return len(changes.raised)

    def _complain(self, problem: str) -> None:
        if problem != self._problem:
            log.warning("no pass yet: %s", problem)
        self._problem = problem


def _abnormal(result: PassResult) -> list[tuple[str, str]]:
    return [
        (detection.condition, detection.assets[row])
        for detection in result.detections
        for row in np.flatnonzero(detection.verdict == Verdict.ABNORMAL)
    ]
