"""The role keep in this process: how it ends, what it tells, who may ask its store service."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import numpy as np
import pytest

from gateway.config import Config, load
from gateway.errors import PermanentError, TransientError
from gateway.model.reading import ReadingBatch
from gateway.ports import Delivery
from gateway.roles.common import remote_store, service_token
from gateway.roles.keep import Keeper
from gateway.runtime.http import serve
from gateway.store.spool import FileSpool
from tests.end_to_end.small_site import SmallSite


@pytest.fixture
def config(tmp_path: Path, free_port: Callable[[], int]) -> Config:
    return load(SmallSite(tmp_path / "site", free_port()).config)


@contextlib.asynccontextmanager
async def running(keeper: Keeper) -> AsyncIterator[Keeper]:
    await keeper.open()
    task = asyncio.create_task(keeper.run())
    await asyncio.sleep(0.05)
    try:
        yield keeper
    finally:
        task.cancel()
        async with asyncio.timeout(60):
            await asyncio.gather(task, return_exceptions=True)
            await keeper.close()


def reading(number: int) -> Delivery:
    return Delivery("test", ReadingBatch.build([1], [number], [number], [float(number)]))


async def test_what_was_put_before_the_end_is_on_disk(config: Config) -> None:
    async with running(Keeper(config)) as keeper:
        for number in range(1, 50):
            await keeper.intake.put(reading(number))
    spool = FileSpool(config.data.folder / "spool")
    kept = ReadingBatch.concat(one.batch for one in spool.read(0, 100))
    spool.close()
    assert kept.source_time.tolist() == list(range(1, 50))


async def test_a_full_disk_does_not_keep_the_role_from_ending(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise TransientError("No space left on device")

    keeper = Keeper(config)
    monkeypatch.setattr(FileSpool, "append", full)
    async with running(keeper):
        await keeper.intake.put(reading(1))
        async with asyncio.timeout(60):
            while keeper.health()[0]:  # noqa: ASYNC110 - health is asked, it tells nobody
                await asyncio.sleep(0.02)
        assert "No space left on device" in keeper.health()[1]["problems"]


async def test_damage_found_at_the_start_is_told_to_people(config: Config) -> None:
    spool = FileSpool(config.data.folder / "spool")
    for number in range(1, 4):
        spool.append([reading(number)])
    spool.close()
    (segment,) = (config.data.folder / "spool").glob("*.spool")
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0xFF
    segment.write_bytes(bytes(data))
    (config.data.folder / "readings").mkdir()
    (config.data.folder / "readings" / "readings-2026-01.duckdb").write_bytes(b"garbage" * 3000)
    keeper = Keeper(config)
    await keeper.open()
    ok, detail = keeper.health()
    await keeper.close()
    first, second = detail["problems"]
    assert ok, "readings are being kept"
    assert segment.name in first
    assert "lost are records 2 to 2" in first
    assert "readings-2026-01.duckdb" in second


async def test_a_disk_that_runs_short_is_told_to_people(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.runtime.room._usage", lambda _: (100 << 30, 3 << 30))
    async with running(Keeper(config)) as keeper:
        await keeper.intake.put(reading(1))
        ok, detail = keeper.health()
    assert ok
    assert "class D" in detail["problems"][0]


async def test_the_store_service_answers_only_those_who_have_the_sites_token(config: Config) -> None:
    async with running(Keeper(config)):
        store = remote_store(config)
        await asyncio.sleep(0.3)
        assert (await store.status())["ok"] is True
        assert len(await store.latest(np.array([1], dtype=np.uint32))) == 0
        await store.close()
        async with httpx.AsyncClient(base_url=f"http://{config.keep.listen}", trust_env=False) as stranger:
            for token in ("", "Bearer x", f"Bearer {service_token(config)}x", f"Basic {service_token(config)}"):
                assert (await stranger.get("/status", headers={"Authorization": token})).status_code == 401


def test_the_token_stays_and_is_ours_alone(config: Config) -> None:
    token = service_token(config)
    assert len(token) >= 32
    assert service_token(config) == token
    folder = config.data.folder
    assert (folder / "store-service.token").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == ["store-service.token"]


async def test_a_taken_port_is_named() -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(PermanentError, match=rf"cannot listen on 127\.0\.0\.1:{port}"):
            await serve(lambda *_: None, f"127.0.0.1:{port}")
