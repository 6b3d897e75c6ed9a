"""The demo's city: a live city that also plays a story."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path

from gateway.model.reading import from_us, to_us
from gateway.runtime import child
from simulators.city import LIVE_START
from simulators.files import replace_file
from simulators.live.broker import BrokerProcess
from simulators.live.devices import plan_links
from simulators.live.mqtt_publisher import Publisher
from simulators.live.reports import bad_messages
from simulators.live.running import Live, Served, stop_on_signals
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

_log = logging.getLogger(__name__)


class DemoCity:
    """One running demo city. `run` returns when `stop` is set."""

    def __init__(self, folder: Path, *, speed: float, broker_port: int, first_modbus_port: int) -> None:
        """Read the prepared folder. Raises ConfigError if `prepare` has not been run there."""
        plan = read_city(folder).plan()
        self.live = Live(
            folder,
            plan,
            (*past_faults(plan), *live_faults()),
            Served(broker_port, plan_links(plan, first_modbus_port)),
            start_us=to_us(LIVE_START),
            speed=speed,
            alone=True,
        )
        self.live.each_tick.append(self._tick)
        self.live.each_second.append(self._write_note)
        self._note = ""
        self._outage: asyncio.Task[None] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Live, and tell the story meanwhile."""
        try:
            await self.live.run(stop)
        finally:
            if self._outage is not None:
                self._outage.cancel()
                await asyncio.gather(self._outage, return_exceptions=True)

    def _tick(self, now_us: int) -> None:
        if self._outage is not None and self._outage.done():
            self._outage.result()
            self._outage = None
        self._once("broker", to_us(BROKER_AT), now_us, self._begin_broker_outage)
        self._once("bad-input", to_us(BAD_INPUT_AT), now_us, lambda: self._send_bad_messages(now_us))

    def _once(self, name: str, at_us: int, now_us: int, act: Callable[[], None]) -> None:
        """Let a part of the story happen, at most once in the city's life; that it did is saved first."""
        if now_us < at_us or name in self.live.saved.done:
            return
        self.live.save(now_us, done=(*self.live.saved.done, name))
        act()

    def _begin_broker_outage(self) -> None:
        outage = restart_broker(self.live.broker, self.live.publisher, BROKER_AWAY_S)
        self._outage = asyncio.get_running_loop().create_task(outage, name="broker outage")

    def _send_bad_messages(self, now_us: int) -> None:
        for topic, payload in bad_messages(self.live.city, now_us):
            self.live.publisher.publish(topic, payload)

    def _write_note(self, now_us: int) -> None:
        now = from_us(now_us)
        told: list[Chapter] = sorted(chapters(self.live.plan, self.live.city.faults), key=lambda chapter: chapter.begin)
        note = json.dumps([chapter.to_json(now) for chapter in told], ensure_ascii=False, indent=1)
        if note != self._note:
            replace_file(self.live.folder / "story.json", note)
            self._note = note


async def restart_broker(broker: BrokerProcess, publisher: Publisher, away_s: float) -> None:
    """Let the broker be away for some real seconds."""
    _log.info("the broker stops for %.0f s", away_s)
    await asyncio.to_thread(broker.stop)
    await asyncio.sleep(away_s)
    # launched here and not in a thread: the broker dies with the thread that starts it
    broker.launch()
    await asyncio.to_thread(broker.wait)
    _log.info("the broker is back; %d messages wait for it", publisher.counts().waiting)


def serve(folder: Path, *, speed: float, broker_port: int, first_modbus_port: int) -> None:
    """Run the city until SIGTERM or SIGINT, or until the parent dies."""
    child.die_with_parent()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", stream=sys.stderr)
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL)
    asyncio.run(_serve(DemoCity(folder, speed=speed, broker_port=broker_port, first_modbus_port=first_modbus_port)))


async def _serve(city: DemoCity) -> None:
    stop = asyncio.Event()
    stop_on_signals(stop)
    await city.run(stop)
