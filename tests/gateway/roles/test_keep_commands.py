"""A command through the role keep: offered over the store service, carried out, and its read-back kept as a reading."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

from gateway.config import load
from gateway.model.command import CommandState, CommandWish
from gateway.model.reading import PointId
from gateway.roles.common import remote_store
from gateway.roles.keep import Keeper
from gateway.store import command_rows
from gateway.store.registry import StateRegistry
from gateway.store.state import State
from tests.collectors.valves import Valves, serving, source_of
from tests.end_to_end.small_site import SmallSite


async def test_a_command_goes_the_whole_way_through_the_role(tmp_path: Path, free_port: Callable[[], int]) -> None:
    async with serving(Valves()) as valves:
        source = source_of(tmp_path, valves.port)
        config = load(SmallSite(tmp_path / "site", free_port(), extra=source).config)
        keeper = Keeper(config)
        await keeper.open()
        task = asyncio.create_task(keeper.run())
        remote = remote_store(config)
        await asyncio.sleep(0.5)
        assert await remote.offers("M-000001") == []
        offer = (await remote.offers("REG-001"))[0]
        state = State.in_folder(config.data.folder)
        wish = CommandWish("k", "REG-001", offer.name, "smell of gas", "wang")
        with state.write() as connection:
            command, _ = command_rows.add_request(connection, wish, offer, time.time_ns() // 1000, time.time())
        point = StateRegistry(state).indices([PointId("REG-001/valve")])
        for _ in range(100):
            await asyncio.sleep(0.05)
            stored = await remote.latest(point)
            if len(stored) and stored.value[0] == 0.0:
                break
        with state.read() as connection:
            over = command_rows.find(connection, command.id)
        assert (over.state, len(valves.writes)) == (CommandState.CONFIRMED, 1)
        assert stored.source_time[0] >= over.read_at
        state.close()
        await remote.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await keeper.close()
