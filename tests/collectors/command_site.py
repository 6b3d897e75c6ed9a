"""A site that carries out commands, in this process or in one of its own that may be killed."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from collectors.commands import CommandRunner
from collectors.modbus import ModbusCollector
from gateway.model.command import CommandWish, DeviceCommand
from gateway.model.reading import ReadingBatch
from gateway.ports import Commander, Delivery
from gateway.runtime.clock import SystemClock
from gateway.runtime.reading_watch import ReadingWatch
from gateway.store import command_rows, user_rows
from gateway.store.state import State
from tests.collectors.sites import MemoryRegistry, link, modbus

WITHIN_S = 60.0


class CommandSite:
    """State, sources and the runner."""

    def __init__(self, folder: Path, commanders: Sequence[Commander], registry: MemoryRegistry) -> None:
        self.folder = folder
        self.state = State.in_folder(folder)
        self.clock = SystemClock()
        self.stored: list[Delivery] = []
        self.latest: dict[int, ReadingBatch] = {}
        self.watch = ReadingWatch(self._latest)
        self.runner = CommandRunner(
            self.state, lambda: commanders, self.watch, registry.indices, self._put, clock=self.clock
        )

    async def _latest(self, points: Any) -> ReadingBatch:
        return self.latest.get(int(points[0]), ReadingBatch.empty())

    async def _put(self, delivery: Delivery) -> None:
        self.stored.append(delivery)

    async def ask(
        self, asset: str, name: str = "valve_close", *, who: str = "wang", key: str = "", age_s: float = 0.0
    ) -> DeviceCommand:
        (offer,) = [one for one in await self.runner.offers(asset) if one.name == name]
        wish = CommandWish(key or f"{asset}-{time.monotonic_ns()}", asset, name, "smell of gas", who)
        with self.state.write() as connection:
            wall = time.time() - age_s
            command, _ = command_rows.add_request(connection, wish, offer, self.clock.now_us(), wall)
        return command

    def now(self, command: DeviceCommand) -> DeviceCommand:
        with self.state.read() as connection:
            return command_rows.find(connection, command.id)

    async def until_over(self, command: DeviceCommand, within_s: float = WITHIN_S) -> DeviceCommand:
        until = time.monotonic() + within_s
        while (seen := self.now(command)).open:
            assert time.monotonic() < until, f"still {seen.state}: {seen.detail}"
            await asyncio.sleep(0.02)
        return seen

    async def until_kept(self, within_s: float = WITHIN_S) -> Delivery:
        """Return the only reading that was handed over; it comes after the command is over."""
        until = time.monotonic() + within_s
        while not self.stored:
            assert time.monotonic() < until, "no reading was handed over"
            await asyncio.sleep(0.02)
        (delivery,) = self.stored
        return delivery

    def acts(self) -> list[str]:
        return [row.act.removeprefix("command.") for row in self.audit()]

    def audit(self) -> list[user_rows.AuditRow]:
        with self.state.read() as connection:
            return user_rows.list_audit(connection, None, 100)[::-1]

    def state_on_disk(self) -> str:
        """Read the row as another program would, from the file."""
        with sqlite3.connect(f"file:{self.folder / 'state.db'}?mode=ro", uri=True) as connection:
            (state,) = connection.execute("SELECT state FROM device_command ORDER BY id DESC LIMIT 1").fetchone()
        return str(state)


@asynccontextmanager
async def running(site: CommandSite) -> AsyncIterator[CommandSite]:
    task = asyncio.create_task(site.runner.run())
    try:
        yield site
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        site.state.close()


def one_unit(port: int, profile: str, *, timeout_s: float = 0.3, **more: Any) -> tuple[MemoryRegistry, ModbusCollector]:
    registry = MemoryRegistry()
    unit = {"unit": 1, "profile": profile, "asset": "S-01", **more}
    return registry, modbus(registry, link(port, unit, timeout_s=timeout_s))


@asynccontextmanager
async def site_at(folder: Path, port: int, profile: str, **more: Any) -> AsyncIterator[CommandSite]:
    registry, collector = one_unit(port, profile, **more)
    await collector.open()
    async with running(CommandSite(folder, [collector.commander], registry)) as site:
        yield site
    await collector.close()


async def _main(folder: Path, port: int, profile: str, timeout_s: str) -> None:
    async with site_at(folder, port, profile, timeout_s=float(timeout_s)):
        (folder / "up").touch()
        await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]))
