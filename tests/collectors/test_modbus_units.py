import asyncio
from pathlib import Path
from typing import Any

import pytest

from collectors.modbus import ModbusCollector
from collectors.modbus_config import ModbusConfig
from gateway.errors import ConfigError
from gateway.ports import Delivery
from gateway.runtime.clock import ManualClock, SystemClock
from gateway.runtime.runner import PollRunner
from tests.collectors.devices import Question, honest, running
from tests.collectors.sites import METERS, START_US, MemoryRegistry, link, modbus, network, opened, write_profile


@pytest.fixture
def registry() -> MemoryRegistry:
    return MemoryRegistry()


def config(**changes: Any) -> dict[str, Any]:
    unit = {"unit": 1, "profile": "station_rtu", "asset": "S-01", **changes}
    return {"kind": "modbus", "name": "site", "link": [link(1502, unit)]}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"asset": "S-99"}, "S-99 is neither in meters.csv"),
        ({"asset": ""}, "name the asset"),
        ({"members": ["M-000001"]}, "has 0 slots, but 1 members"),
        ({"identity": "1"}, "no identity register"),
        ({"profile": "ic_card_concentrator", "members": ["M-1"]}, "M-1 is neither"),
        ({"profile": "ic_card_concentrator", "members": ["M-000001"] * 2}, "is read by site/a/1 and by site/a/1"),
    ],
)
def test_what_does_not_fit_the_network_is_named(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        ModbusCollector(
            ModbusConfig.model_validate(config(**changes)), MemoryRegistry(), network(), ManualClock(START_US)
        )


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("profile", "nothing", "use one of"),
        ("unit", 256, "less than or equal to 255"),
        ("color", 1, "Extra inputs"),
    ],
)
def test_a_wrong_unit_is_refused_when_the_configuration_is_read(key: str, value: object, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        ModbusConfig.model_validate(config(**{key: value}))


def test_two_links_or_units_of_one_name_are_refused() -> None:
    unit = {"unit": 1, "profile": "station_rtu", "asset": "S-01"}
    for links in ([link(1, unit), link(2, unit)], [link(1, unit, unit)]):
        with pytest.raises(ValueError, match="appears twice"):
            ModbusConfig.model_validate({"name": "site", "link": links})


@pytest.mark.parametrize("url", ["udp://x:1", "tcp://", "tcp://host:1/x", "host:502"])
def test_a_wrong_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is no Modbus address"):
        ModbusConfig.model_validate({"name": "s", "link": [{**link(1, config()["link"][0]["unit"][0]), "url": url}]})


async def test_units_of_a_link_never_talk_at_once_and_links_do(registry: MemoryRegistry, tmp_path: Path) -> None:
    busy: dict[int, int] = {}
    together = set()

    def slow(port: int) -> Any:
        async def answer(question: Question) -> bytes:
            busy[port] = busy.get(port, 0) + 1
            together.add(tuple(sorted(busy.values())))
            await asyncio.sleep(0.05)
            busy[port] -= 1
            return honest(question)

        return answer

    profile = write_profile(tmp_path)
    units = [{"unit": number, "profile": profile, "asset": METERS[number]} for number in range(4)]
    async with running(slow(1)) as one, running(slow(2)) as two:
        links = (link(one.port, *units[:2], name="a"), link(two.port, *units[2:], name="b"))
        async with opened(modbus(registry, *links)) as collector:
            await asyncio.gather(*(collector.collect(job) for job in collector.jobs()))
    assert (1, 1) in together
    assert not any(max(counts) > 1 for counts in together)
    assert one.connections == two.connections == 1


async def test_a_dead_unit_costs_its_neighbour_on_the_line_little(registry: MemoryRegistry, tmp_path: Path) -> None:
    profile = write_profile(tmp_path, every_s=0.1)
    units = [{"unit": number, "profile": profile, "asset": METERS[number]} for number in (1, 2)]
    rows: dict[bool, int] = {True: 0, False: 0}

    async def put(delivery: Delivery) -> None:
        rows[bool(delivery.batch.good.all())] += 1

    async with running(lambda q: honest(q) if q.unit == 2 else None) as device:
        collector = modbus(registry, link(device.port, *units, timeout_s=0.1))
        runner = PollRunner(collector, put, SystemClock())
        task = asyncio.create_task(runner.run())
        await asyncio.sleep(3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert rows[True] >= 18
    assert rows[False] == 1
    assert [state.up for state in runner.link_states()] == [False, True]
    assert sum(question.unit == 1 for question in device.asked) < 8


async def test_several_connections_share_the_units(registry: MemoryRegistry, tmp_path: Path) -> None:
    busy = most = 0

    async def answer(question: Question) -> bytes:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0.05)
        busy -= 1
        return honest(question)

    profile = write_profile(tmp_path)
    units = [{"unit": number, "profile": profile, "asset": METERS[number]} for number in range(1, 6)]
    async with (
        running(answer) as device,
        opened(modbus(registry, {**link(device.port, *units), "connections": 2})) as collector,
    ):
        jobs = collector.jobs()
        batches = await asyncio.gather(*(collector.collect(job) for job in jobs))
    assert [job.link for job in jobs] == ["site/a", "site/a#2", "site/a", "site/a#2", "site/a"]
    assert [job.key for job in jobs] == [f"site/a/{number}" for number in range(1, 6)]
    assert all(len(batch) == 4 for batch in batches)
    assert device.connections == most == 2


async def test_a_unit_that_is_dead_on_one_link_is_alive_on_another(registry: MemoryRegistry, tmp_path: Path) -> None:
    profile = write_profile(tmp_path, every_s=0.1)
    good: dict[str, int] = {}

    async def put(delivery: Delivery) -> None:
        if delivery.batch.good.all():
            for point in {name.split("/")[0] for name in registry.names(delivery.batch.point)}:
                good[point] = good.get(point, 0) + 1

    async with running(lambda _: None) as dead, running(honest) as alive:
        links = [
            link(device.port, {"unit": 1, "profile": profile, "asset": METERS[place]}, name=f"l{place}", timeout_s=0.3)
            for place, device in enumerate((dead, alive))
        ]
        runner = PollRunner(modbus(registry, *links), put, SystemClock())
        task = asyncio.create_task(runner.run())
        await asyncio.sleep(1.5)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert METERS[0] not in good
    assert good[METERS[1]] >= 13
