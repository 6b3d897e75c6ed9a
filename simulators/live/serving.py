"""Serve the simulated city: its clock, its devices, its broker and its story, until a signal ends it."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from gateway.model.reading import from_us, to_us
from gateway.runtime import child
from gateway.runtime.clock import CityClock
from simulators import weather
from simulators.city import LIVE_START, City
from simulators.dataset.history import write_weather
from simulators.faults import Fault, FaultKind
from simulators.files import replace_file
from simulators.live.broker import BrokerProcess
from simulators.live.devices import build_servers, plan_links
from simulators.live.mqtt_publisher import Publisher, Reporter, bad_messages
from simulators.prepare import read_city
from simulators.story import (
    BAD_INPUT_AT,
    BROKER_AT,
    BROKER_AWAY_S,
    Chapter,
    chapters,
    live_faults,
    past_faults,
)
from simulators.valves import Closure, Valves

TICK_S = 0.05
_SAVED_EVERY_S = 1.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Saved:
    """Where the city stood: written each second, so that the next start goes on from there."""

    city_us: int
    ended: dict[str, int]
    """fault id -> us UTC at which a crew ended it"""
    done: tuple[str, ...] = ()
    """parts of the story that must not happen twice"""
    closed: dict[str, int] = field(default_factory=dict)
    """asset -> us UTC at which its valve was told to close"""
    opened: tuple[tuple[str, int, int], ...] = ()
    """(asset, us UTC from, us UTC to) of each time that a valve was closed until a crew opened it"""
    clean: bool = True
    """False while the city runs: then up to a second since the last saving is missing"""

    @staticmethod
    def read(path: Path) -> Saved:
        """Return the saved state, that of the first start if there is none."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return Saved(to_us(LIVE_START), {})
        closed = dict(data.get("closed", {}))
        opened = tuple((str(asset), int(start), int(end)) for asset, start, end in data.get("opened", ()))
        return Saved(
            int(data["city_us"]), dict(data["ended"]), tuple(data["done"]), closed, opened, bool(data["clean"])
        )

    def write(self, path: Path) -> None:
        """Replace the file at once."""
        replace_file(path, json.dumps(asdict(self)))


class Live:
    """One running city. `run` returns when `stop` is set."""

    def __init__(self, folder: Path, *, speed: float, broker_port: int, first_modbus_port: int) -> None:
        """Read the prepared folder. Raises ConfigError if `prepare` has not been run there."""
        self._folder = folder
        self._plan = read_city(folder).plan()
        self._state_file = folder / "city_now.json"
        self._saved = Saved.read(self._state_file)
        # after a crash the city goes on from later rather than earlier, so that its clock never steps back
        missing_us = 0 if self._saved.clean else round(_SAVED_EVERY_S * 1.5e6 * speed)
        self._clock = CityClock(self._saved.city_us + missing_us, time.time_ns() // 1000, speed)
        past = [Closure(*closure) for closure in self._saved.opened]
        self._valves = Valves(self._saved.closed, self._keep_valves, past)
        self.city = City(self._plan, self._faults(), self._valves)
        self._broker = BrokerProcess(broker_port)
        self._publisher = Publisher(broker_port)
        self._reporter = Reporter(self.city, self._saved.city_us)
        links = plan_links(self._plan, first_modbus_port)
        self._servers = build_servers(self.city, self._clock.now_us, links)
        self._note = ""
        self._outage: asyncio.Task[None] | None = None

    def _keep_valves(self) -> None:
        opened = tuple((one.asset, one.start_us, one.end_us) for one in self._valves.past)
        self._save(self._clock.now_us(), closed=dict(self._valves.closed), opened=opened)

    def _faults(self) -> tuple[Fault, ...]:
        ended = self._saved.ended
        return tuple(
            replace(fault, end_us=ended.get(fault.fault_id, fault.end_us))
            for fault in (*past_faults(self._plan), *live_faults())
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Open the clock, then the ports, then live tick by tick."""
        ready = self._folder / "ready"
        ready.unlink(missing_ok=True)
        (self._folder / "repairs").mkdir(exist_ok=True)
        self._write_clock()
        self._write_note()
        try:
            self._broker.start()
            for server in self._servers:
                await server.start()
            self._publisher.start()
            replace_file(ready, "ready\n")
            await self._live(stop)
        finally:
            ready.unlink(missing_ok=True)
            await self._close()

    async def _live(self, stop: asyncio.Event) -> None:
        next_save_s = 0.0
        while not stop.is_set():
            now_us = self._clock.now_us()
            self._tick(now_us)
            if time.monotonic() >= next_save_s:
                self._each_second(now_us)
                next_save_s = time.monotonic() + _SAVED_EVERY_S
            try:
                await asyncio.wait_for(stop.wait(), TICK_S)
            except TimeoutError:
                continue

    def _tick(self, now_us: int) -> None:
        for topic, payload in self._reporter.due(now_us):
            self._publisher.publish(topic, payload)
        self._once("broker", to_us(BROKER_AT), now_us, self._begin_broker_outage)
        self._once("bad-input", to_us(BAD_INPUT_AT), now_us, lambda: self._send_bad_messages(now_us))

    def _once(self, name: str, at_us: int, now_us: int, act: Callable[[], None]) -> None:
        """Let a part of the story happen, at most once in the city's life; that it did is saved first."""
        if now_us < at_us or name in self._saved.done:
            return
        self._save(now_us, done=(*self._saved.done, name))
        act()

    def _begin_broker_outage(self) -> None:
        self._outage = asyncio.get_running_loop().create_task(self._restart_broker(), name="broker outage")

    async def _restart_broker(self) -> None:
        _log.info("the broker stops for %.0f s", BROKER_AWAY_S)
        await asyncio.to_thread(self._broker.stop)
        await asyncio.sleep(BROKER_AWAY_S)
        # launched here and not in a thread: the broker dies with the thread that starts it
        self._broker.launch()
        await asyncio.to_thread(self._broker.wait)
        _log.info("the broker is back; %d messages wait for it", self._publisher.counts().waiting)

    def _send_bad_messages(self, now_us: int) -> None:
        for topic, payload in bad_messages(self.city, now_us):
            self._publisher.publish(topic, payload)

    def _each_second(self, now_us: int) -> None:
        if self._outage is not None and self._outage.done():
            self._outage.result()
            self._outage = None
        self._take_repairs(now_us)
        self._write_note()
        if _local_day(now_us) != _local_day(self._saved.city_us):
            write_weather(self._plan, self._folder / "network", from_us(now_us))
        self._save(now_us)

    def _take_repairs(self, now_us: int) -> None:
        """End the gas at every site that a crew has repaired since; the crew opens its valve, too."""
        for file in (self._folder / "repairs").glob("*.json"):
            asset = str(_read_object(file).get("asset", ""))
            for fault in self.city.faults:
                if fault.kind is FaultKind.GAS_CLOUD and fault.asset == asset and fault.active(now_us):
                    self._save(now_us, ended={**self._saved.ended, fault.fault_id: now_us})
                    _log.info("%s was repaired", asset)
            self._valves.open_on_site(asset, now_us)
            file.rename(file.with_suffix(".done"))
        self.city.replace_faults(self._faults())

    def _write_clock(self) -> None:
        clock = {"city_us": self._clock.city_us, "wall_us": self._clock.wall_us, "factor": self._clock.factor}
        replace_file(self._folder / "clock.json", json.dumps(clock))

    def _write_note(self) -> None:
        now = self._clock.now()
        told: list[Chapter] = sorted(chapters(self._plan, self.city.faults), key=lambda chapter: chapter.begin)
        note = json.dumps([chapter.to_json(now) for chapter in told], ensure_ascii=False, indent=1)
        if note != self._note:
            replace_file(self._folder / "story.json", note)
            self._note = note

    def _save(self, now_us: int, *, clean: bool = False, **changes: Any) -> None:
        self._saved = replace(self._saved, city_us=now_us, clean=clean, **changes)
        self._saved.write(self._state_file)

    async def _close(self) -> None:
        self._save(self._clock.now_us(), clean=True)
        if self._outage is not None:
            self._outage.cancel()
            await asyncio.gather(self._outage, return_exceptions=True)
        for server in self._servers:
            await server.stop()
        await asyncio.to_thread(self._publisher.stop)
        await asyncio.to_thread(self._broker.stop)


def _local_day(at_us: int) -> str:
    return (from_us(at_us) + timedelta(hours=weather.UTC_OFFSET_H)).date().isoformat()


def _read_object(file: Path) -> dict[str, Any]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def serve(folder: Path, *, speed: float, broker_port: int, first_modbus_port: int) -> None:
    """Run the city until SIGTERM or SIGINT, or until the parent dies."""
    child.die_with_parent()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    asyncio.run(_serve(Live(folder, speed=speed, broker_port=broker_port, first_modbus_port=first_modbus_port)))


async def _serve(live: Live) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await live.run(stop)
