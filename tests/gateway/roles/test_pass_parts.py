"""A city in parts, judged by processes of their own that read from the store service as those of a running site do."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from alarms.analysis.city import SiteFigures
from gateway.config import load
from gateway.errors import TransientError
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

    def __init__(self, folder: Path, leak: float) -> None:
        site = SmallSite(folder, 1, extra="[analyse]\nprocesses = 2\n")
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


@pytest.fixture
async def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Running]:
    running = Running(tmp_path / "site", leak=12.0)
    await running.store.bulk(running.rows)
    await running.start()
    monkeypatch.setattr(analyse, "cores", lambda: 1)
    yield running
    await running.stop()


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
