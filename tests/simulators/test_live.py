from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from pymodbus.client import ModbusTcpClient

from gateway.model.reading import to_us
from simulators.city import LIVE_START
from simulators.live.demo import DemoCity
from simulators.live.saved import Saved
from simulators.story import BAD_INPUT_AT, BROKER_AT, GAS_AT

MINUTE_US = 60_000_000


@dataclass
class RunningCity:
    folder: Path
    broker_port: int
    modbus_port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def start(self, speed: float = 30.0) -> subprocess.Popen[bytes]:
        words = ["demo-city", "--folder", str(self.folder), "--speed", str(speed)]
        words += ["--broker-port", str(self.broker_port), "--modbus-port", str(self.modbus_port)]
        (self.folder / "ready").unlink(missing_ok=True)
        process = subprocess.Popen([sys.executable, "-m", "simulators", *words], stderr=subprocess.DEVNULL)
        self.processes.append(process)
        end = time.monotonic() + 30.0
        while not (self.folder / "ready").exists():
            assert time.monotonic() < end
            assert process.poll() is None
            time.sleep(0.02)
        return process

    def saved(self) -> Saved:
        return Saved.read(self.folder / "city_now.json", 0)

    def supply_m3(self) -> float:
        with ModbusTcpClient("127.0.0.1", port=self.modbus_port + 5, timeout=30) as client:
            words = client.read_holding_registers(100, count=2, device_id=1).registers
        return int(words[1] << 16 | words[0]) / 100.0


@pytest.fixture
def running_city(own_city: Path, free_port: Callable[[], int]) -> Iterator[RunningCity]:
    made = RunningCity(own_city, free_port(), _free_run())
    yield made
    for process in made.processes:
        if process.poll() is None:
            process.kill()
            process.wait(60.0)


def _free_run() -> int:
    """Return the first of seven ports that nobody listens on."""
    import socket

    def free(port: int) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) != 0

    return next(first for first in range(19000, 32000, 7) if all(free(first + n) for n in range(7)))


def test_the_city_stands_still_while_it_is_off(running_city: RunningCity) -> None:
    first = running_city.start()
    clock = json.loads((running_city.folder / "clock.json").read_text())
    assert clock["city_us"] == to_us(LIVE_START)
    assert clock["factor"] == 30.0
    before = running_city.supply_m3()
    time.sleep(0.3)
    first.send_signal(signal.SIGTERM)
    assert first.wait(60.0) == 0
    assert not (running_city.folder / "ready").exists()
    stood = running_city.saved().city_us
    time.sleep(0.5)
    running_city.start(speed=60.0)
    clock = json.loads((running_city.folder / "clock.json").read_text())
    assert clock["city_us"] == stood > to_us(LIVE_START)
    assert clock["factor"] == 60.0
    after = running_city.supply_m3()
    assert 0.0 < after - before < 5.0


def test_after_kill_9_no_register_steps_back_and_no_broker_stays(running_city: RunningCity) -> None:
    process = running_city.start()
    time.sleep(1.3)
    before = running_city.supply_m3()
    os.kill(process.pid, signal.SIGKILL)
    process.wait(60.0)
    _wait(lambda: not _listens(running_city.broker_port))
    running_city.start()
    assert 0.0 <= running_city.supply_m3() - before < 5.0
    assert running_city.saved().city_us > to_us(LIVE_START)


def test_gas_rises_and_goes_when_a_crew_has_repaired_it(running_city: RunningCity) -> None:
    Saved(to_us(GAS_AT) + 10 * MINUTE_US, {}).write(running_city.folder / "city_now.json")
    running_city.start()
    with ModbusTcpClient("127.0.0.1", port=running_city.modbus_port + 3, timeout=30) as client:

        def lel_pct() -> float:
            return float(client.read_input_registers(7, count=1, device_id=1).registers[0]) / 10.0

        assert lel_pct() == pytest.approx(28.0, abs=1.5)
        note = {item["id"]: item["state"] for item in _story(running_city)}
        assert note["gas"] == "now"
        (running_city.folder / "repairs" / "x.json").write_text('{"asset": "REG-002"}')
        (running_city.folder / "repairs" / "y.json").write_text("{broken")
        _wait(lambda: lel_pct() < 20.0)
    _wait(lambda: {item["id"]: item["state"] for item in _story(running_city)}["gas"] == "past")
    assert list(running_city.saved().ended) == ["story-gas"]
    assert not list((running_city.folder / "repairs").glob("*.json"))


async def test_the_broker_is_restarted_once(own_city: Path, free_port: Callable[[], int]) -> None:
    Saved(to_us(BROKER_AT) - MINUTE_US // 2, {}).write(own_city / "city_now.json")
    port = free_port()
    live = DemoCity(own_city, speed=30.0, broker_port=port, first_modbus_port=_free_run())
    stop = asyncio.Event()
    task = asyncio.create_task(live.run(stop))
    await _until((own_city / "ready").exists)
    await _until(lambda: not _listens(port))
    assert Saved.read(own_city / "city_now.json", 0).done == ("broker",)
    stop.set()
    await task
    again = DemoCity(own_city, speed=30.0, broker_port=port, first_modbus_port=_free_run())
    stop.clear()
    task = asyncio.create_task(again.run(stop))
    await _until((own_city / "ready").exists)
    await asyncio.sleep(0.5)
    assert _listens(port)
    stop.set()
    await task


def test_the_story_is_labelled_and_told_in_both_languages(running_city: RunningCity) -> None:
    Saved(to_us(BAD_INPUT_AT), done=("broker", "bad-input")).write(running_city.folder / "city_now.json")
    running_city.start()
    story = _story(running_city)
    assert [item["id"] for item in story] == ["non-moving", "gas", "broker", "silent", "bad-input", "loss"]
    for item in story:
        assert item["title_en"].startswith("Simulated: ")
        assert item["title_zh"].startswith("模拟：")
        assert item["look_en"]
        assert item["look_zh"]
        assert "{" not in "".join(item.values())
    assert {item["id"]: item["state"] for item in story} == {
        "gas": "now", "broker": "past", "silent": "now", "bad-input": "now", "loss": "coming", "non-moving": "now",
    }  # fmt: skip


def _story(city: RunningCity) -> list[dict[str, str]]:
    story: list[dict[str, str]] = json.loads((city.folder / "story.json").read_text(encoding="utf-8"))
    return story


def _listens(port: int) -> bool:
    import socket

    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _wait(done: Callable[[], bool], limit_s: float = 60.0) -> None:
    end = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


async def _until(done: Callable[[], bool], limit_s: float = 60.0) -> None:
    async with asyncio.timeout(limit_s):
        while not done():  # noqa: ASYNC110  (another process changes it)
            await asyncio.sleep(0.05)
