"""InfluxDB goes away under the running gateway: readings go on being kept, and none is missing there in the end."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import numpy as np
import pytest

from gateway.config import load
from gateway.errors import TransientError
from gateway.model.reading import PointId
from gateway.roles.common import remote_store
from gateway.store.registry import StateRegistry
from gateway.store.state import State
from tests.end_to_end.small_site import Publisher, SmallSite, message, meter, wait_until

METERS = 20


class Traffic:
    """Meters that report, and what became of it."""

    def __init__(self, site: SmallSite) -> None:
        self._site = site
        self._publisher = Publisher(site.broker_port, f"{site.folder.name}-meters")
        self._state = State.in_folder(site.folder / "data")
        self.sent = 0

    def report(self, rounds: int) -> None:
        for _ in range(rounds):
            now_ms = time.time_ns() // 1_000_000
            for number in range(METERS):
                readings = [(now_ms - back, self.sent + back, 0) for back in (2, 1, 0)]
                self._publisher.publish(self._site.topic(number), message(number, readings))
                self.sent += len(readings)
            time.sleep(0.05)
        self._publisher.drain()

    def seconds_until_kept(self) -> float:
        """Send one more reading and return how long the gateway needs to have it in its store."""
        began, now_ms = time.monotonic(), time.time_ns() // 1_000_000
        self._publisher.publish(self._site.topic(0), message(0, [(now_ms, 1, 0)]))
        self.sent += 1
        wait_until(lambda: self._latest_ms() == now_ms, what="the reading in the store")
        return time.monotonic() - began

    def _latest_ms(self) -> int:
        (index,) = StateRegistry(self._state).indices([PointId(f"{meter(0)}/register_measured_m3")])

        async def ask() -> int:
            store = remote_store(load(self._site.config))
            try:
                batch = await store.latest(np.array([index], dtype=np.uint32))
                return int(batch.source_time[0]) // 1000 if len(batch) else 0
            except TransientError:
                return 0
            finally:
                await store.close()

        return asyncio.run(ask())

    def close(self) -> None:
        self._publisher.close()
        self._state.close()


def status(site: SmallSite) -> dict[str, Any]:
    async def ask() -> dict[str, Any]:
        store = remote_store(load(site.config))
        try:
            return await store.status()
        finally:
            await store.close()

    return asyncio.run(ask())


def in_influx(site: SmallSite) -> int:
    query = {"db": site.folder.name, "q": "SELECT count(value) FROM register_measured_m3"}
    try:
        (result,) = httpx.get(f"{site.influx_url}/query", params=query).json()["results"]
    except httpx.TransportError:
        return 0
    return int(result["series"][0]["values"][0][1]) if "series" in result else 0


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_an_absent_influxdb_loses_and_slows_nothing(tmp_path, mosquitto, influxdb_v1):
    site = SmallSite(tmp_path / "away", mosquitto.port, METERS, influx_url=influxdb_v1.url)
    site.start("keep")
    wait_until(lambda: "connected" in site.log("keep"), what="the connection to the broker")
    meters = Traffic(site)
    try:
        meters.report(20)
        wait_until(lambda: in_influx(site) == meters.sent, what="the readings in InfluxDB")
        influxdb_v1.stop()
        meters.report(40)
        assert meters.seconds_until_kept() < 3
        (output,) = status(site)["outputs"]
        assert (output["connected"], output["rejected"]) == (False, 0)
        assert output["lag"] > 0
        assert status(site)["ok"] is True, "an absent output is no fault of keeping"
        site.kill("keep")
        meters.report(20)
        site.start("keep")
        wait_until(lambda: site.log("keep").count("connected") == 2, what="the connection after the kill")
        assert meters.seconds_until_kept() < 5
        influxdb_v1.start()
        wait_until(lambda: in_influx(site) == meters.sent, what="every reading in InfluxDB")
        wait_until(lambda: status(site)["outputs"][0]["lag"] == 0, what="the end of the gap")
        assert status(site)["outputs"][0]["connected"] is True
    finally:
        influxdb_v1.start()
        meters.close()
        site.stop()
