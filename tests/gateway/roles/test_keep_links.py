"""Which link reads an asset, as the role keep tells it over the store service."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.config import load
from gateway.roles.common import remote_store
from gateway.roles.keep import Keeper
from gateway.store.remote import RemoteStore
from tests.collectors.valves import Valves, serving, source_of
from tests.end_to_end.small_site import Publisher, SmallSite, message
from tests.services import Server


async def told(remote: RemoteStore, asset: str) -> tuple[list[str], bool]:
    found = await remote.links(asset)
    return [link["key"] for link in found["links"]], found["known"]


async def until(remote: RemoteStore, asset: str, wanted: Any) -> None:
    async with asyncio.timeout(60):
        while await told(remote, asset) != wanted:  # noqa: ASYNC110 - only the service knows
            await asyncio.sleep(0.05)


async def test_a_unit_is_known_by_the_file_and_a_broker_by_what_it_brought(
    tmp_path: Path, free_port: Callable[[], int], mosquitto: Server
) -> None:
    async with serving(Valves()) as valves:
        source = source_of(tmp_path, valves.port)
        site = SmallSite(tmp_path / f"links-{free_port()}", mosquitto.port, extra=source)
        config = load(site.config)
        keeper = Keeper(config)
        await keeper.open()
        task = asyncio.create_task(keeper.run())
        remote = remote_store(config)
        await asyncio.sleep(0.5)
        assert await told(remote, "REG-001") == (["boxes/a/1"], True)
        assert await told(remote, "M-000001") == (["meters"], False)
        meters = Publisher(mosquitto.port, f"meters-{free_port()}")
        await asyncio.to_thread(meters.publish, site.topic(1), message(1, [(time.time_ns() // 1_000_000, 1000, 0)]))
        await until(remote, "M-000001", (["meters"], True))
        assert await told(remote, "M-000002") == (["meters"], False)
        assert await told(remote, "") == (["meters"], False)
        meters.close()
        await remote.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await keeper.close()
