"""Parquet export from a stopped site and from a running one, checked with an independent reader."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.dataset
import pyarrow.parquet
import pytest

from gateway import exporting
from gateway.config import load
from gateway.errors import GatewayError, RefusedError, TransientError
from gateway.model.reading import PointId, ReadingBatch, Reason, Severity, quality
from gateway.roles.common import open_state, service_token
from gateway.runtime.http import serve
from gateway.store import exporting as store_exporting
from gateway.store.export_service import ExportService
from gateway.store.readings import DuckReadings
from gateway.store.registry import StateRegistry
from gateway.store.remote import RemoteStore
from gateway.store.service import make_service
from gateway.store.tail import TailRing
from tests.gateway.store.rewriting import Here, tidy

DAY = 86_400_000_000
START = 1_704_067_200_000_000
"""2024-01-01"""
NAMES = [PointId(name) for name in ("M-000001/register_base_m3", "S-01/pressure_gauge_kpa", "M-000002/battery_v")]
Table = Any


def day(number: int) -> ReadingBatch:
    times = START + number * DAY + np.repeat(np.arange(24) * 3_600_000_000, 3)
    values = np.arange(72, dtype=np.float64) + number * 1000
    marks = np.zeros(72, dtype=np.uint8)
    values[5], marks[5] = np.nan, quality(Severity.BAD, Reason.NO_REPLY)
    return ReadingBatch.build(np.tile(np.arange(3), 24), times, times + 5_000_000, values, marks)


@pytest.fixture
async def site(tmp_path: Path, free_port: Any) -> SimpleNamespace:
    """A site with two sealed days and one that is open; nobody runs."""
    toml = f"""
        site = {{ id = "test" }}
        data = {{ folder = "data" }}
        network = {{ folder = "network" }}
        keep = {{ listen = "127.0.0.1:{free_port()}" }}
    """
    (tmp_path / "gasgate.toml").write_text(toml, encoding="utf-8")
    config = load(tmp_path / "gasgate.toml")
    state = open_state(config)
    registry = StateRegistry(state)
    assert registry.indices(NAMES).tolist() == [0, 1, 2]
    store = DuckReadings(config.data.folder / "readings", names=registry.names)
    for number in range(3):
        await store.load(number + 1, day(number))
    await tidy(Here(store))
    await store.close()
    state.close()
    return SimpleNamespace(config=config, out=tmp_path / "out", path=tmp_path / "gasgate.toml")


@pytest.fixture
async def running(site: SimpleNamespace) -> AsyncIterator[SimpleNamespace]:
    state = open_state(site.config)
    registry = StateRegistry(state)
    store = DuckReadings(site.config.data.folder / "readings", names=registry.names)
    spool: Any = None
    app = make_service(
        store, spool, TailRing(), service_token(site.config), dict, exports=ExportService(store, store.folder)
    )
    task = asyncio.create_task(serve(app, site.config.keep.listen))
    remote = RemoteStore(f"http://{site.config.keep.listen}", service_token(site.config))
    async with asyncio.timeout(60):
        while True:
            try:
                await remote.days()
                break
            except TransientError:
                await asyncio.sleep(0.05)
    yield SimpleNamespace(**vars(site), remote=remote, store=store)
    await remote.close()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await store.close()
    state.close()


def quiet(_done: int, _count: int, _rows: int) -> None:
    return


def read(out: Path) -> Table:
    return pyarrow.dataset.dataset(out, partitioning="hive").to_table().to_pydict()


def files(out: Path) -> list[str]:
    return sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())


async def export(site: SimpleNamespace, *patterns: str, days: Any = (None, None)) -> int:
    return await exporting.export_site(site.config, site.out, days, patterns, quiet)


async def check_everything(site: SimpleNamespace) -> None:
    assert await export(site) == 3 * 72
    assert files(site.out) == [
        f"family={family}/day=2024-01-0{number}/readings.parquet"
        for family in ("meter", "network")
        for number in (1, 2, 3)
    ]
    table = read(site.out)
    wanted = ReadingBatch.concat(day(number) for number in range(3))
    index = {tuple(name.split("/")): number for number, name in enumerate(NAMES)}
    order = np.lexsort((wanted.source_time, wanted.point))
    got = sorted(range(len(table["asset"])), key=lambda row: (
        index[table["asset"][row], table["quantity"][row]], table["source_time"][row]
    ))  # fmt: skip
    for place, row in zip(order.tolist(), got, strict=True):
        value = wanted.value[place]
        assert table["value"][row] == value or (table["value"][row] is None and np.isnan(value))
        assert np.datetime64(table["source_time"][row], "us").astype(int) == wanted.source_time[place]
        assert np.datetime64(table["received_time"][row], "us").astype(int) == wanted.received_time[place]
        bad = wanted.quality[place] != 0
        assert (table["severity"][row], table["reason"][row]) == (("bad", "no_reply") if bad else ("good", ""))
        assert (table["family"][row] == "meter") == (table["quantity"][row] == "register_base_m3")


async def test_a_stopped_site_gives_everything(site: SimpleNamespace) -> None:
    await check_everything(site)


async def test_a_running_site_gives_the_same_through_its_service(running: SimpleNamespace) -> None:
    await check_everything(running)
    assert not [path for path in running.store.folder.iterdir() if path.name.startswith("export-")]


async def test_days_and_points_may_be_chosen(running: SimpleNamespace) -> None:
    days = (date(2024, 1, 2), date(2024, 1, 9))
    assert await export(running, "M-*", days=days) == 2 * 48
    table = read(running.out)
    assert {str(one) for one in table["day"]} == {"2024-01-02", "2024-01-03"}
    assert set(table["asset"]) == {"M-000001", "M-000002"}


async def test_what_does_not_exist_is_said(site: SimpleNamespace) -> None:
    with pytest.raises(GatewayError, match="no point fits X-"):
        await export(site, "X-*")
    with pytest.raises(GatewayError, match="from 2024-01-01 to 2024-01-03"):
        await export(site, days=(date(2025, 1, 1), None))


async def test_a_service_that_is_asked_nonsense_refuses(running: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="a family is one of"):
        await running.remote.export_day("gas", date(2024, 1, 1), None, tmp_path / "one")
    assert await running.remote.export_day("meter", date(2020, 1, 1), None, tmp_path / "one") == 0
    assert not (tmp_path / "one").exists()


async def test_no_half_file_stands_under_its_final_name(site: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    real = store_exporting.write_day

    def cut_short(*arguments: Any) -> int:
        rows = real(*arguments)
        if rows and "2024-01-02" in str(arguments[-1]):
            raise OSError(28, "No space left on device")
        return rows

    monkeypatch.setattr(store_exporting, "write_day", cut_short)
    with pytest.raises(TransientError, match="No space left"):
        await export(site)
    whole = [name for name in files(site.out) if not name.endswith(".part")]
    assert whole == [f"family={family}/day=2024-01-01/readings.parquet" for family in ("meter", "network")]
    monkeypatch.undo()
    assert await export(site) == 3 * 72
    assert len([name for name in files(site.out) if not name.endswith(".part")]) == len(files(site.out)) == 6
