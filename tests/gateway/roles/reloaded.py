"""A role keep that is reloaded in this process, and Modbus devices that note who connects. Also used by a benchmark."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.roles.keep import Keeper
from gateway.roles.revision import Follower, begin_first
from gateway.runtime.polled_unit import LinkState
from gateway.snapshot import fixed_values, take_snapshot
from gateway.store import revision_rows
from gateway.store.state import State
from tests.collectors.devices import Question
from tests.end_to_end.small_site import SmallSite

REGISTERS = [0x42C8] * 125


@dataclass
class Devices:
    """A Modbus server that notes who is connected and what was asked."""

    slow_s: float = 0.0
    ports: list[int] = field(default_factory=list)
    asked: list[Question] = field(default_factory=list)
    answered: int = 0
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.ports.append(writer.get_extra_info("peername")[1])
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readexactly(7)
                transaction, _, length, unit = struct.unpack(">HHHB", head)
                function, start, count = struct.unpack(">BHH", await reader.readexactly(length - 1))
                question = Question(transaction, unit, function, start, count)
                self.asked.append(question)
                await asyncio.sleep(self.slow_s)
                bits = function in {1, 2}
                data = bytes((count + 7) // 8) if bits else struct.pack(f">{count}H", *REGISTERS[:count])
                writer.write(question.frame(bytes([function, len(data)]) + data))
                await writer.drain()
                self.answered += 1

    def units(self) -> set[int]:
        return {question.unit for question in self.asked}


@asynccontextmanager
async def devices(*, slow_s: float = 0.0, port: int = 0) -> AsyncIterator[Devices]:
    made = Devices(slow_s)
    server = await asyncio.start_server(made.serve, "127.0.0.1", port)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()


PROFILE = """
name = "gauge"
description = "one pressure"
every_s = {every_s}
point = [{{ quantity = "pressure_gauge_kpa", at = "holding:{at}", type = "float32" }}]
golden = [{{ ask = "03 {at:04X} 0002", reply = "03 04 42C8 0000", gives = {{ pressure_gauge_kpa = 100.0 }} }}]
"""


def link(name: str, port: int, *units: tuple[int, str]) -> str:
    text = f'[[source.link]]\nname = "{name}"\nurl = "tcp://127.0.0.1:{port}"\ntimeout_s = 0.5\n'
    for unit, asset in units:
        text += f'[[source.link.unit]]\nunit = {unit}\nprofile = "gauge.toml"\nasset = "{asset}"\n'
    return text


def write_sources(site: SmallSite, *links: str, every_s: float = 0.05, at: int = 0) -> None:
    (site.folder / "gauge.toml").write_text(PROFILE.format(every_s=every_s, at=at), encoding="utf-8")
    site.extra = '[[source]]\nkind = "modbus"\nname = "stations"\n' + "".join(links) if links else ""
    site.write_config()


class Running:
    """A role keep that follows the revisions of its site."""

    def __init__(self, site: SmallSite) -> None:
        self.site = site
        self.state = State.in_folder(site.folder / "data")
        self.first = take_snapshot(site.config)
        begin_first(self.state, self.first, "test")
        self.keeper = Keeper(self.first.config)
        self.follower = Follower(self.state, "keep", self.first, self.keeper._take)
        self.keeper._follower = self.follower

    def sources(self, *links: str, every_s: float = 0.05, at: int = 0) -> None:
        """Write another configuration; nothing is reloaded yet."""
        write_sources(self.site, *links, every_s=every_s, at=at)

    async def reload(self) -> str:
        taken = take_snapshot(self.site.config)
        with self.state.write() as connection:
            revision_rows.begin(
                connection, taken.digest, fixed_values(taken.config), who="test", outcome="reloaded", at_us=1
            )
        await self.follower.look()
        return self.follower._taken

    def links(self) -> dict[str, LinkState]:
        return {state.key: state for state in self.keeper._sources.link_states()}


@asynccontextmanager
async def running(site: SmallSite) -> AsyncIterator[Running]:
    made = Running(site)
    await made.keeper.open()
    made.follower.run = _nothing  # type: ignore[method-assign]
    await made.follower.look()
    task = asyncio.create_task(made.keeper.run())
    await asyncio.sleep(0.05)
    try:
        yield made
        assert not task.done(), task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await made.keeper.close()
        made.state.close()


async def _nothing() -> None:
    await asyncio.Event().wait()
