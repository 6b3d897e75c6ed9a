"""Reloads of the role keep in this process, with real Modbus servers, a real broker and a real InfluxDB stand-in."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import struct
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.roles.keep import Keeper
from gateway.roles.revision import Follower, Restart, begin_first, must_restart
from gateway.runtime.runner import LinkState
from gateway.snapshot import fixed_values, take_snapshot
from gateway.store import revision_rows
from gateway.store.state import State
from tests.collectors.devices import Question
from tests.end_to_end.small_site import Publisher, SmallSite, message
from tests.services import Server

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
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
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
        writer.close()

    def units(self) -> set[int]:
        return {question.unit for question in self.asked}


@asynccontextmanager
async def devices(**how: float) -> AsyncIterator[Devices]:
    made = Devices(**how)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
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
        (self.site.folder / "gauge.toml").write_text(PROFILE.format(every_s=every_s, at=at), encoding="utf-8")
        self.site.extra = '[[source]]\nkind = "modbus"\nname = "stations"\n' + "".join(links) if links else ""
        self.site.write_config()

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


@pytest.fixture
def site(tmp_path: Path, free_port: Callable[[], int]) -> SmallSite:
    made = SmallSite(tmp_path / f"reload-{os.getpid()}", free_port(), meters=9)
    return made


async def until(ready: Callable[[], object], limit_s: float = 5.0) -> None:
    async with asyncio.timeout(limit_s):
        while not ready():
            await asyncio.sleep(0.01)


def begin_with(site: SmallSite, *links: str, **how: float) -> None:
    Running.sources(_Unbound(site), *links, **how)  # type: ignore[arg-type]


@dataclass
class _Unbound:
    site: SmallSite


async def test_untouched_links_keep_connection_state_and_phase_while_others_come_change_and_go(site: SmallSite) -> None:
    async with devices() as stays, devices() as changes, devices() as goes, devices() as comes:
        begin_with(
            site,
            link("stays", stays.port, (1, "REG-001")),
            link("changes", changes.port, (1, "M-000001")),
            link("goes", goes.port, (1, "M-000002")),
        )
        async with running(site) as run:
            await until(lambda: stays.answered > 3 and changes.answered > 3 and goes.answered > 3)
            before = run.links()["stations/stays/1"]
            run.sources(
                link("stays", stays.port, (1, "REG-001")),
                link("changes", changes.port, (1, "M-000001"), (2, "M-000003")),
                link("comes", comes.port, (1, "M-000004")),
            )
            told = await run.reload()
            assert told == "source stations changed, links stations/changes, stations/comes, stations/goes"
            silent, count = goes.answered, stays.answered
            await until(lambda: comes.answered > 3 and changes.units() == {1, 2} and stays.answered > count + 3)
            assert goes.answered == silent
            assert (len(stays.ports), len(changes.ports), len(goes.ports)) == (1, 1, 1), "no new connection"
            after = run.links()
            links = ("stays/1", "changes/1", "changes/2", "comes/1")
            assert set(after) == {"meters", *(f"stations/{one}" for one in links)}
            assert after["stations/stays/1"].since_us == before.since_us
            assert after["stations/stays/1"].deliveries > before.deliveries
            assert run.follower.number == 2


async def test_a_changed_profile_gives_its_units_a_new_plan(site: SmallSite) -> None:
    async with devices() as device:
        begin_with(site, link("a", device.port, (1, "REG-001")))
        async with running(site) as run:
            await until(lambda: device.answered)
            run.sources(link("a", device.port, (1, "REG-001")), at=40)
            assert await run.reload() == "source stations changed, links stations/a"
            await until(lambda: device.asked[-1].start == 40)
            assert len(device.ports) == 1


async def test_a_removed_unit_finishes_the_request_in_flight(site: SmallSite) -> None:
    async with devices(slow_s=0.2) as device:
        begin_with(site, link("a", device.port, (1, "REG-001")), every_s=0.3)
        async with running(site) as run:
            await until(lambda: len(device.asked) > device.answered)
            asked = len(device.asked)
            kept = run.keeper._accounting.snapshot().get("stations", {}).get("received", 0)
            run.sources()
            assert await run.reload() == "source stations removed"
            assert (len(device.asked), device.answered) == (asked, asked)
            assert run.keeper._accounting.snapshot()["stations"]["received"] == kept + 1
            await asyncio.sleep(0.5)
            assert len(device.asked) == asked
            assert list(run.links()) == ["meters"]


async def test_a_broken_file_or_a_file_that_changed_again_changes_nothing(site: SmallSite) -> None:
    async with devices() as device:
        begin_with(site, link("a", device.port, (1, "REG-001")))
        async with running(site) as run:
            await until(lambda: device.answered)
            taken = take_snapshot(site.config)
            run.sources(link("a", device.port, (1, "REG-001"), (2, "M-000001")))
            with run.state.write() as connection:
                revision_rows.begin(connection, "0" * 64, {}, who="test", outcome="reloaded", at_us=1)
            await run.follower.look()
            _, detail = run.follower.status(run.keeper.health)()
            assert detail["revision"] == 1
            assert detail["problems"][-1].startswith("revision 2 not taken, 1 runs: its files were changed again")
            site.config.write_text("no toml", encoding="utf-8")
            with run.state.write() as connection:
                revision_rows.begin(connection, "1" * 64, {}, who="test", outcome="reloaded", at_us=1)
            await run.follower.look()
            assert "gasgate.toml: is not TOML" in run.follower.problem
            count = device.answered
            await until(lambda: device.answered > count + 2)
            assert device.units() == {1}
            assert run.follower.site.digest == taken.digest
            run.sources(link("a", device.port, (1, "REG-001")))
            await run.reload()
            assert (run.follower.number, run.follower.problem) == (4, "")


async def test_a_new_meter_a_new_topic_and_one_that_goes_leave_the_broker_connected(
    site: SmallSite, mosquitto: Server
) -> None:
    site.broker_port = mosquitto.port
    site.write_config()
    async with running(site) as run:
        publisher = Publisher(mosquitto.port, f"pub-{site.folder.name}")
        await until(lambda: run.links()["meters"].up)
        since = run.links()["meters"].since_us
        await _says(run, publisher, site.topic(1), message(1, [(1_760_000_000_000, 1, 0)]), stored=1)
        await _says(run, publisher, site.topic(9), message(9, [(1_760_000_000_000, 1, 0)]), dead=1)
        meters = site.folder / "network" / "meters.csv"
        meters.write_text(
            meters.read_text() + meters.read_text().splitlines()[1].replace("M-000000", "M-000009") + "\n"
        )
        other = site.config.read_text().replace(f'"{site.folder.name}/', f'"{site.folder.name}-new/')
        site.config.write_text(other, encoding="utf-8")
        assert await run.reload() == "source meters changed"
        await _says(
            run, publisher, f"{site.folder.name}-new/M-000009/up", message(9, [(1_760_000_000_000, 1, 0)]), stored=2
        )
        publisher.publish(site.topic(1), message(1, [(1_760_000_001_000, 2, 0)]))
        publisher.drain()
        await asyncio.sleep(0.3)
        assert run.keeper._accounting.snapshot()["meters"]["received"] == 5, "the old topic is not subscribed any more"
        assert run.links()["meters"].since_us == since
        publisher.close()


async def _says(
    run: Running, publisher: Publisher, topic: str, payload: bytes, *, stored: int = 0, dead: int = 0
) -> None:
    publisher.publish(topic, payload)
    await asyncio.to_thread(publisher.drain)

    def there() -> bool:
        account = run.keeper._accounting.snapshot().get("meters", {})
        return bool((stored and account.get("stored") == stored * 2) or (dead and account.get("dead_lettered") == dead))

    await until(there)


async def test_an_output_that_goes_and_comes_back_keeps_its_cursor(site: SmallSite, influxdb_v1: Server) -> None:
    site.influx_url = influxdb_v1.url
    site.write_config()
    async with running(site) as run:
        await run.keeper.intake.put(_delivery())
        await until(lambda: (run.keeper._streams.status()[0]["cursor"] or 0) > 0, 8)
        cursor = run.state.cursor("output:influx")
        assert cursor > 0
        url, site.influx_url = site.influx_url, ""
        site.write_config()
        assert await run.reload() == "output influx removed"
        assert run.keeper._streams.status() == []
        site.influx_url = url
        site.write_config()
        assert await run.reload() == "output influx added"
        await until(lambda: run.keeper._streams.status()[0]["cursor"] == cursor)


def _delivery() -> object:
    import numpy as np

    from gateway.model.reading import ReadingBatch
    from gateway.ports import Delivery

    return Delivery("test", ReadingBatch.build(np.zeros(0), [], [], []))


def test_which_roles_start_anew(site: SmallSite) -> None:
    before = take_snapshot(site.config)
    roles = ("keep", "alarm", "analyse", "web")

    def anew() -> list[str]:
        after = take_snapshot(site.config)
        assert after.digest != before.digest
        return [role for role in roles if must_restart(role, before, after)]

    text = site.config.read_text()
    site.config.write_text(text.replace('url = "mqtt://127', 'url = "mqtt://127.0.0.2#127').replace("#127.0.0.1", ""))
    assert anew() == []
    site.config.write_text(text.replace('name = "Small site"', 'name = "Other"'))
    assert anew() == ["alarm", "analyse", "web"]
    site.config.write_text(text.replace('classes = ["EMERGENCY", "URGENT", "CHECK"]', 'classes = ["EMERGENCY"]'))
    assert anew() == ["alarm", "web"]
    site.config.write_text(text.replace("[keep]", "[keep]\nspool_cap_gib = 3"))
    assert anew() == ["keep"]
    site.config.write_text(text)
    os.utime(site.folder / "desk.secret", ns=(1, 1))
    assert anew() == ["alarm", "web"]
    os.utime(site.folder / "desk.secret", ns=(0, 0))
    stations = site.folder / "network" / "stations.csv"
    stations.write_text(stations.read_text().replace("1 Main Street", "2 Main Street"))
    assert anew() == ["alarm", "analyse", "web"]
