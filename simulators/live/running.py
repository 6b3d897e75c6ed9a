"""One live city: its clock, devices, broker and remote meters, tick by tick until somebody ends it."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from gateway.model.reading import from_us
from simulators import weather
from simulators.city import City, Plan
from simulators.dataset.history import write_weather
from simulators.faults import HOUR_US, Fault, FaultKind
from simulators.files import PIPES_FILE, replace_file
from simulators.live.broker import BrokerProcess, local_address
from simulators.live.clock import LiveClock
from simulators.live.devices import LinkPlan, build_servers
from simulators.live.mqtt_publisher import Publisher
from simulators.live.reports import HalfHourly, Message, Reporter
from simulators.live.saved import Saved
from simulators.valves import Closure, Valves

TICK_S = 0.05
STATE_FILE, CLOCK_FILE, READY_FILE = "city_now.json", "clock.json", "ready"
_SAVED_EVERY_S = 1.0
_MESSAGES_A_TICK = 100
"""after a jump of the clock devices are not to wait until all remote meters have reported"""
_DAY_US = 24 * HOUR_US
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Served:
    """Where a city's devices listen."""

    broker_port: int
    links: tuple[LinkPlan, ...]
    address: str = "127.0.0.1"


class Live:
    """One running city in a folder. `run` returns when its event is set; all else is for the same thread."""

    def __init__(
        self,
        folder: Path,
        plan: Plan,
        given: Sequence[Fault],
        served: Served,
        *,
        start_us: int,
        speed: float,
        alone: bool = False,
        identity: str = "",
        reporter: Callable[[City, int], Reporter] = HalfHourly,
    ) -> None:
        """Find the state that the folder holds, else begin at `start_us`.

        `given` are the faults that this city has by itself; `speed` holds until somebody asks for another one; `alone`
        says that whoever reads the city ends when it does; `identity` says which city it is.
        Raises ConfigError if the state is damaged.
        """
        self.folder = folder
        self.plan = plan
        self._given = tuple(given)
        self._state_file = folder / STATE_FILE
        self.saved = replace(Saved.read(self._state_file, start_us), city=identity)
        self.clock = LiveClock.resume(folder / CLOCK_FILE, self.saved, self.saved.speed or speed, alone=alone)
        past = [Closure(*closure) for closure in self.saved.opened]
        self.valves = Valves(self.saved.closed, self._keep_valves, past)
        self.city = City(plan, self.faults(), self.valves, tables=folder / PIPES_FILE)
        self.broker = BrokerProcess(served.broker_port, served.address)
        self.publisher = Publisher(served.broker_port, address=local_address(served.address))
        self._reporter = reporter(self.city, self.saved.reported_us or self.saved.city_us)
        self._waiting: deque[Message] = deque()
        self._servers = build_servers(self.city, self.clock.now_us, served.links, served.address)
        self.each_tick: list[Callable[[int], None]] = []
        self.each_second: list[Callable[[int], None]] = []
        self.on_ready: Callable[[], None] = lambda: None

    def faults(self) -> tuple[Fault, ...]:
        """Return all faults, with the ends that they were given."""
        return self.saved.with_ends((*self._given, *self.saved.faults()))

    def take_faults(self, now_us: int, **changes: Any) -> None:
        """Save changes of the faults, then let them act."""
        self.save(now_us, **changes)
        self.city.replace_faults(self.faults())

    def _keep_valves(self) -> None:
        opened = tuple((one.asset, one.start_us, one.end_us) for one in self.valves.past)
        self.save(self.clock.now_us(), closed=dict(self.valves.closed), opened=opened)

    async def compute_until(self, until_us: int) -> None:
        """Compute all registers up to a moment; devices answer between two days of it."""
        start_us = self.plan.start_hour * HOUR_US
        for at_us in (*range(start_us, until_us, _DAY_US), until_us):
            self.city.registers(max(at_us, start_us))
            await asyncio.sleep(0)

    async def run(self, stop: asyncio.Event) -> None:
        """Open the ports, then live tick by tick. Raises RuntimeError if a port is taken."""
        ready = self.folder / READY_FILE
        ready.unlink(missing_ok=True)
        (self.folder / "repairs").mkdir(exist_ok=True)
        try:
            await self.compute_until(self.clock.now_us())
            self.broker.start()
            for server in self._servers:
                await server.start()
            self.publisher.start()
            self.clock.go()
            self._each_second(self.clock.now_us())
            replace_file(ready, "ready\n")
            self.on_ready()
            await self._live(stop)
        finally:
            ready.unlink(missing_ok=True)
            await self._close()

    async def _live(self, stop: asyncio.Event) -> None:
        next_save_s = 0.0
        while not stop.is_set():
            now_us = self.clock.now_us()
            self._tick(now_us)
            if time.monotonic() >= next_save_s:
                self._each_second(now_us)
                next_save_s = time.monotonic() + _SAVED_EVERY_S
            try:
                await asyncio.wait_for(stop.wait(), TICK_S)
            except TimeoutError:
                continue

    def _tick(self, now_us: int) -> None:
        self._waiting += self._reporter.due(now_us)
        for _ in range(min(len(self._waiting), _MESSAGES_A_TICK)):
            self.publisher.publish(*self._waiting.popleft())
        for act in self.each_tick:
            act(now_us)

    def _each_second(self, now_us: int) -> None:
        self._take_repairs(now_us)
        for act in self.each_second:
            act(now_us)
        network = self.folder / "network"
        if _local_day(now_us) != _local_day(self.saved.city_us) and network.is_dir():
            write_weather(self.plan, network, from_us(now_us))
        self.save(now_us)

    def _take_repairs(self, now_us: int) -> None:
        """End the gas at every site that a crew has repaired since; the crew opens its valve, too."""
        repaired = dict(self.saved.ended)
        for file in (self.folder / "repairs").glob("*.json"):
            asset = str(_read_object(file).get("asset", ""))
            for fault in self.city.faults:
                if fault.kind is FaultKind.GAS_CLOUD and fault.asset == asset and fault.active(now_us):
                    repaired[fault.fault_id] = now_us
                    _log.info("%s was repaired", asset)
            self.valves.open_on_site(asset, now_us)
            if repaired != self.saved.ended:
                self.take_faults(now_us, ended=repaired)
            file.rename(file.with_suffix(".done"))

    def save(self, now_us: int, *, clean: bool = False, **changes: Any) -> None:
        """Write the state, with changes of it."""
        wall_us = time.time_ns() // 1000
        self.saved = replace(
            self.saved,
            **{"city_us": now_us, "reported_us": now_us, "wall_us": wall_us, "clean": clean, **changes},
        )
        self.saved.write(self._state_file)

    async def _close(self) -> None:
        reported_us = self.clock.now_us()
        self.save(self.clock.stand(), clean=True, reported_us=reported_us)
        for server in self._servers:
            await server.stop()
        await asyncio.to_thread(self.publisher.stop)
        await asyncio.to_thread(self.broker.stop)


def _local_day(at_us: int) -> str:
    return (from_us(at_us) + timedelta(hours=weather.UTC_OFFSET_H)).date().isoformat()


def _read_object(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def stop_on_signals(stop: asyncio.Event) -> None:
    """Set the event at SIGTERM and SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
