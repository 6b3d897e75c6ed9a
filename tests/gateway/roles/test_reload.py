"""Reloads of the role keep in this process, with real Modbus servers, a real broker and a real InfluxDB stand-in."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest

from collectors.modbus import ModbusCollector
from collectors.probe import ModbusProbe
from gateway.config import load
from gateway.model.reading import ReadingBatch
from gateway.ports import Delivery
from gateway.probing import probe_any
from gateway.roles.revision import must_restart
from gateway.runtime.runner import PollRunner
from gateway.snapshot import take_snapshot
from gateway.store import revision_rows
from tests.end_to_end.small_site import Publisher, SmallSite, message
from tests.gateway.roles.reloaded import Running, devices, link, running, write_sources
from tests.services import Server


@pytest.fixture
def site(tmp_path: Path, free_port: Callable[[], int]) -> SmallSite:
    return SmallSite(tmp_path / f"reload-{os.getpid()}", free_port(), meters=9)


async def until(ready: Callable[[], object], limit_s: float = 60.0) -> None:
    async with asyncio.timeout(limit_s):
        while not ready():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_untouched_links_keep_connection_state_and_phase_while_others_come_change_and_go(site: SmallSite) -> None:
    async with devices() as stays, devices() as changes, devices() as goes, devices() as comes:
        write_sources(
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
        write_sources(site, link("a", device.port, (1, "REG-001")))
        async with running(site) as run:
            await until(lambda: device.answered)
            run.sources(link("a", device.port, (1, "REG-001")), at=40)
            assert await run.reload() == "source stations changed, links stations/a"
            await until(lambda: device.asked[-1].start == 40)
            assert len(device.ports) == 1


async def test_a_removed_unit_finishes_the_request_in_flight(site: SmallSite) -> None:
    async with devices(slow_s=0.2) as device:
        write_sources(site, link("a", device.port, (1, "REG-001")), every_s=0.3)
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
        write_sources(site, link("a", device.port, (1, "REG-001")))
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
            assert "gasgate.toml:1:4: is not TOML" in run.follower.problem
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


async def test_a_source_that_ended_begins_again_only_where_it_was_changed(site: SmallSite, mosquitto: Server) -> None:
    site.broker_port = mosquitto.port
    site.write_config()
    async with running(site) as run:
        await until(lambda: run.links()["meters"].up)
        ended = run.keeper._sources._sources["meters"]
        assert ended.task is not None
        ended.task.cancel()
        await asyncio.wait([ended.task])
        text = site.config.read_text()
        site.config.write_text(text.replace('name = "Small site"', 'name = "Other"'), encoding="utf-8")
        assert await run.reload() == "nothing that this role uses"
        assert ended.task.done()
        assert run.keeper._sources._sources["meters"] is ended
        site.config.write_text(text.replace('name = "meters"', 'name = "meters"\nkeepalive_s = 20'))
        assert await run.reload() == "source meters replaced"
        await until(lambda: run.links()["meters"].up)


async def test_an_output_that_goes_and_comes_back_keeps_its_cursor(site: SmallSite, influxdb_v1: Server) -> None:
    site.influx_url = influxdb_v1.url
    site.write_config()
    async with running(site) as run:
        await run.keeper.intake.put(_delivery())
        await until(lambda: (run.keeper._streams.status()[0]["cursor"] or 0) > 0)
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


def _delivery() -> Delivery:
    return Delivery("test", ReadingBatch.empty())


async def test_many_reloads_keep_ports_and_leave_nothing_behind(site: SmallSite) -> None:
    many = 1000 if os.environ.get("GASGATE_THOROUGH") else 50
    async with devices() as stays, devices() as changes:
        untouched = link("stays", stays.port, (1, "REG-001"))
        write_sources(site, untouched, link("changes", changes.port, (1, "M-000001")))
        async with running(site) as run:
            await until(lambda: stays.answered and changes.answered)
            for turn in range(many):
                run.sources(untouched, link(f"changes{turn % 2}", changes.port, (1 + turn % 3, f"M-00000{turn % 5}")))
                assert "changed" in await run.reload()
                if turn == 5:
                    before = _memory()
            assert run.follower.number == many + 1
            assert len(stays.ports) == 1
            tasks = sum(1 for task in asyncio.all_tasks() if task.get_name().startswith("poll "))
            assert tasks == 2
            grown = [after - at for after, at in zip(_memory(), before, strict=True)]
            assert grown[:2] == [0, 0]
            assert grown[2] < 5_000, "kB"


def _memory() -> tuple[int, int, int]:
    """Return how many collectors and runners there are, and the most memory that this process ever had, in kB."""
    gc.collect()
    kinds = [type(one) for one in gc.get_objects()]
    return kinds.count(ModbusCollector), kinds.count(PollRunner), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


async def test_a_probe_goes_through_the_running_gateway_if_that_has_the_link(site: SmallSite) -> None:
    async with devices() as device, devices() as other:
        write_sources(site, link("a", device.port, (1, "REG-001")), every_s=600)
        async with running(site) as run:
            await until(lambda: run.keeper.status()["ok"])
            await asyncio.sleep(0.2)
            config = run.first.config
            probed = await probe_any(config, "REG-001", 1)
            assert isinstance(probed, ModbusProbe)
            assert (probed.through_gateway, probed.error) == (True, "")
            assert [one.point for one in probed.readings] == ["REG-001/pressure_gauge_kpa"]
            assert probed.requests[0].cells == (0x42C8, 0x42C8)
            again = await probe_any(config, "stations/a/1", 1)
            assert isinstance(again, ModbusProbe)
            assert len(device.ports) == 1, "both over the gateway's own connection"
            run.sources(link("b", other.port, (1, "M-000001")), every_s=600)
            direct = await probe_any(load(site.config), "M-000001", 1)
            assert isinstance(direct, ModbusProbe)
            assert (direct.through_gateway, len(other.ports)) == (False, 1), (
                "not reloaded yet: the gateway has no such link"
            )
        gone = await probe_any(config, "REG-001", 1)
        assert isinstance(gone, ModbusProbe)
        assert (gone.through_gateway, len(device.ports)) == (False, 2)


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
