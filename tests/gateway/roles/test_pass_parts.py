"""A city in parts, judged by processes of their own that read from the store service as those of a running site do."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn

from alarms.analysis.city import SiteFigures
from gateway.config import load
from gateway.errors import TransientError
from gateway.model.network import MeterRole
from gateway.model.reading import ReadingBatch, from_us
from gateway.roles import analyse, kept_rows, pass_parts
from gateway.roles.analyse import Analyst
from gateway.roles.common import remote_store, service_token, site_network
from gateway.store import finding_rows
from gateway.store.readings import DuckReadings
from gateway.store.registry import StateRegistry
from gateway.store.service import make_service
from gateway.store.spool import FileSpool
from gateway.store.state import State
from gateway.store.tail import TailRing
from tests.alarms.test_parts import a_network, in_parts, readings
from tests.end_to_end.small_site import SmallSite


class Running:
    """A site's files, its readings, and the store service over them."""

    def __init__(self, folder: Path, leak: float, processes: int) -> None:
        site = SmallSite(folder, 1, extra=f"[analyse]\nprocesses = {processes}\n")
        network = a_network()
        zones = "".join(
            f"{one.zone_id},{one.parent_id},{one.kind.value},{one.name},{one.pipe_volume_m3 or ''}\n"
            for one in network.zones.values()
        )
        meters = "".join(
            f"{one.meter_id},{one.zone_id},{one.role.value},{one.kind.value},{one.customer_class},{one.digits},"
            f"{one.decimals},{one.max_flow_m3h},1,2020-01-01,{one.account},,\n"
            for one in network.meters.values()
        )
        for name, text in (("zones", zones), ("meters", meters)):
            file = folder / "network" / f"{name}.csv"
            header = file.read_text(encoding="utf-8").splitlines()[0]
            file.write_text(f"{header}\n{text}", encoding="utf-8")
        for name in ("stations", "points"):
            file = folder / "network" / f"{name}.csv"
            file.write_text(file.read_text(encoding="utf-8").splitlines()[0] + "\n", encoding="utf-8")
        self.config = load(site.config)
        self.state = State.in_folder(self.config.data.folder)
        self.batch, self.points, self.until = readings(network, leak=leak)
        index = StateRegistry(self.state).indices([self.points[n] for n in range(len(self.points))])
        batch = self.batch
        self.rows = ReadingBatch(index[batch.point], batch.source_time, batch.received_time, batch.value, batch.quality)
        self.store = DuckReadings(folder / "own-readings")
        spool = FileSpool(folder / "own-spool", segment_bytes=300, cap_bytes=0)
        app = make_service(self.store, spool, TailRing(most_records=5), service_token(self.config), dict)
        port = site.keep_port
        self.server = uvicorn.Server(
            uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None, lifespan="off", ws="none")
        )

    async def start(self) -> None:
        self.task = asyncio.create_task(self.server.serve())
        while not self.server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)

    async def stop(self) -> None:
        await self.go_away()
        await self.store.close()
        self.state.close()

    async def go_away(self) -> None:
        self.server.should_exit = True
        await self.task

    @property
    def figures(self) -> SiteFigures:
        site = self.config.site
        return SiteFigures(site.base_temperature_c, site.base_pressure_kpa, site.customer_pressure_kpa)

    def loss(self) -> dict[Any, Any]:
        with self.state.read() as connection:
            rows = finding_rows.list_loss(connection, first=date(2025, 1, 1), last=date(2027, 1, 1))
        return {(row.zone, row.gas_day): row for row in rows}

    def findings(self) -> list[Any]:
        with self.state.read() as connection:
            return [(one.finding.kind, one.finding.zone) for one in finding_rows.open_findings(connection)]


@asynccontextmanager
async def running_site(folder: Path, processes: int) -> AsyncIterator[Running]:
    running = Running(folder, leak=12.0, processes=processes)
    await running.store.bulk(running.rows)
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    monkeypatch.setattr(analyse, "cores", lambda: 1)
    async with running_site(tmp_path / "site", 2) as running:
        yield running


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[Running]:
    """A site that judges one part at a time."""
    async with running_site(tmp_path / "site", 1) as running:
        yield running


async def passed(site: Running, monkeypatch: pytest.MonkeyPatch) -> Analyst:
    analyst = Analyst(site.config, site.state, site_network(site.config))
    monkeypatch.setattr(analyst, "_audit", lambda *_: None)
    store = remote_store(site.config)
    try:
        await analyst._pass(store, from_us(site.until))
    finally:
        await store.close()
    return analyst


async def test_a_city_with_too_many_readings_for_one_pass_is_judged_in_parts_as_in_one_process(
    site: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(kept_rows, "MOST_ROWS", 500)
        patched.setattr(analyse, "SMALL_PART", 20)
        analyst = await passed(site, monkeypatch)
    well, detail = analyst.health()
    assert (well, detail["problems"]) == (True, [])
    stored = site.loss()
    expected = {
        (row.zone, row.gas_day): row
        for one in in_parts(a_network(), site.batch, site.points, site.until, most=20, figures=site.figures)
        for row in one.loss
    }
    last = sorted({day for _, day in expected})[-pass_parts.TOLD_DAYS :]
    assert set(stored) == {key for key in expected if key[1] in last}
    for key, row in stored.items():
        assert row.loss_m3 == pytest.approx(expected[key].loss_m3), key
        assert row.sigma == pytest.approx(expected[key].sigma), key
    assert site.findings() == [("leak", "R-2")]


async def test_a_store_that_is_away_writes_nothing_and_leaves_no_process(
    site: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analyse, "PART_CUSTOMERS", 20)
    await site.go_away()
    begun = set(multiprocessing.active_children())
    with pytest.raises(TransientError, match="away"):
        await passed(site, monkeypatch)
    assert set(multiprocessing.active_children()) == begun
    assert site.loss() == {}


def kill_who_asks(site: Running, monkeypatch: pytest.MonkeyPatch, zone: str) -> None:
    """Let any process die that asks for readings of customers of a zone; of any zone where none is named."""
    meters = a_network().meters.values()
    names = {one.meter_id for one in meters if one.role is MeterRole.CUSTOMER and zone in ("", one.zone_id)}
    deadly = [point for point in site.points.values() if point.partition("/")[0] in names]
    index = StateRegistry(site.state).indices(deadly)
    history = site.store.history

    async def asked(points: Any, *span: Any, **more: Any) -> ReadingBatch:
        if np.isin(points, index).any():
            for process in multiprocessing.active_children():
                os.kill(process.pid or 0, signal.SIGKILL)
        return await history(points, *span, **more)

    monkeypatch.setattr(site.store, "history", asked)


@pytest.mark.slow
async def test_a_part_that_kills_its_process_is_named_and_the_others_are_judged(
    alone: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analyse, "PART_CUSTOMERS", 20)
    kill_who_asks(alone, monkeypatch, "R-1")
    analyst = await passed(alone, monkeypatch)
    well, detail = analyst.health()
    assert not well
    (problem,) = detail["problems"]
    assert problem.startswith("R-1, R-2: the process that judged it was killed by SIGKILL")
    known = {zone for (zone, _), row in alone.loss().items() if row.loss_m3 is not None}
    # of what stands above the two nothing is known
    assert known == {"R-3", "R-4", "R-5", "R-6", "D-2"}
    monkeypatch.undo()
    monkeypatch.setattr(analyse, "PART_CUSTOMERS", 20)
    assert (await passed(alone, monkeypatch)).health()[0]
    assert "CITY" in {zone for (zone, _), row in alone.loss().items() if row.loss_m3 is not None}


@pytest.mark.slow
async def test_processes_that_always_die_are_started_again_later_each_time_and_said_to_be_dying(
    alone: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(analyse, "PART_CUSTOMERS", 12)
    monkeypatch.setattr(pass_parts, "MOST_DEATHS", 1)
    monkeypatch.setattr(analyse, "RETRY_S", 0.6)
    monkeypatch.setattr(analyse, "LONGEST_PAUSE_S", 2.0)
    kill_who_asks(alone, monkeypatch, "")
    analyst = Analyst(alone.config, alone.state, site_network(alone.config))
    running = asyncio.create_task(analyst.run())
    told: list[str] = []
    try:
        async with asyncio.timeout(30):
            while len(told) < 2:
                await asyncio.sleep(0.05)
                for problem in analyst.health()[1]["problems"]:
                    if problem not in told:
                        told.append(problem)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert "killed by SIGKILL" in told[0]
    assert [problem.rpartition(" in ")[2] for problem in told] == ["1 s", "2 s"]
    assert not analyst.health()[0]
    assert alone.loss() == {}
