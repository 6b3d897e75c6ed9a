"""InfluxDB is away under a running role keep while a day of a city's readings arrives in short; then it comes back.

The role reads messages of 24 readings from Mosquitto. Its memory is compared at the beginning and at the end of the
outage, and with the growth over as many readings while the server was there. When the server is back, a reading is
sent every 0.2 s and looked for there until the gap is filled: how late is it? In the end every reading must be there.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.ingest import mosquitto
from gateway.config import load as load_config
from gateway.roles.common import service_token
from tests.end_to_end.small_site import Publisher, SmallSite, message, wait_until
from tests.services import Server, influxd_server

METERS, READINGS, POINTS = 2000, 24, 2
"""a message has 24 times of two points: register and flags"""
DAY = {True: 20_000, False: 50_000}
"""messages that stand for the day"""
LIMIT_S = 600.0


def run(*, quick: bool) -> dict[str, float]:
    """Measure with a million readings (quick) or 2.4 million."""
    with tempfile.TemporaryDirectory(prefix="gasgate-outage-") as name, mosquitto(Path(name)) as port:
        folder = Path(name) / "influx"
        folder.mkdir()
        influx = influxd_server(folder)
        influx.start()
        site = SmallSite(Path(name) / "site", port, 3 * METERS, influx_url=influx.url)
        site.start("keep")
        try:
            return _Outage(site, influx).measure(DAY[quick])
        finally:
            site.stop()
            influx.stop()


class _Outage:
    def __init__(self, site: SmallSite, influx: Server) -> None:
        self._site, self._influx = site, influx
        config = load_config(site.config)
        headers = {"Authorization": f"Bearer {service_token(config)}"}
        self._keep = httpx.Client(base_url=f"http://{config.keep.listen}", headers=headers, timeout=30)
        self._sent = 0

    def measure(self, messages: int) -> dict[str, float]:
        """Return memory, lateness and what arrived."""
        wait_until(lambda: "connected" in self._site.log("keep"), what="the connection to the broker")
        self._publish(messages, 0)
        self._until_streamed()
        calm_from = self._memory_mib()
        self._publish(messages, METERS)
        self._until_streamed()
        away_from = self._memory_mib()
        self._influx.stop()
        self._publish(messages, 2 * METERS)
        self._until(self._loaded)
        away_to = self._memory_mib()
        waiting = self._status()["outputs"][0]["lag"]
        self._influx.start()
        back = time.monotonic()
        late = self._lateness()
        filled_s = time.monotonic() - back
        return {
            "readings_while_away": float(messages * READINGS * POINTS),
            "lag_records_at_return": float(waiting),
            "memory_growth_mib_while_there": away_from - calm_from,
            "memory_growth_mib_while_away": away_to - away_from,
            "first_live_reading_s_after_return": late[0],
            "live_late_s_worst": max(late),
            "live_late_s_median": float(np.median(late)),
            "live_readings_seen_before_gap_was_filled": float(len(late)),
            "gap_filled_s": filled_s,
            "missing_readings": float(self._sent - self._arrived()),
        }

    def _publish(self, messages: int, first: int) -> None:
        options = {"port": self._site.broker_port, "meters": METERS, "first": first, "rate": 2500.0}
        options |= {"seconds": messages / 2500.0}
        arguments = [f"--prefix={self._site.folder.name}", *(f"--{name}={value}" for name, value in options.items())]
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.load", *arguments], stdout=subprocess.PIPE, text=True, check=True
        )
        self._sent += int(json.loads(done.stdout)["messages"]) * READINGS

    def _lateness(self) -> list[float]:
        """Send live readings until the gap is filled; return how long each took to be in InfluxDB."""
        publisher = Publisher(self._site.broker_port, "live")
        found: list[float] = []
        try:
            while not found or self._status()["outputs"][0]["lag"] > 20:
                began, now_ms = time.monotonic(), time.time_ns() // 1_000_000
                publisher.publish(self._site.topic(0), message(0, [(now_ms, 1, 0)]))
                self._sent += 1
                self._until(partial(self._is_there, now_ms), 0.05)
                found.append(time.monotonic() - began)
                time.sleep(0.2)
        finally:
            publisher.close()
        self._until_streamed()
        return found

    def _is_there(self, at_ms: int) -> bool:
        query = f"SELECT value FROM register_measured_m3 WHERE time = {at_ms}ms"
        return "series" in self._ask(query)

    def _arrived(self) -> int:
        found = self._ask("SELECT count(value) FROM register_measured_m3")
        return int(found["series"][0]["values"][0][1])

    def _ask(self, query: str) -> dict[str, Any]:
        params = {"db": self._site.folder.name, "q": query}
        (result,) = httpx.get(f"{self._influx.url}/query", params=params, timeout=60).json()["results"]
        return dict(result)

    def _status(self) -> dict[str, Any]:
        return dict(self._keep.get("/status").json())

    def _until_streamed(self) -> None:
        self._until(lambda: self._status()["outputs"][0]["lag"] == 0 and self._loaded())

    def _loaded(self) -> bool:
        spool = self._status()["spool"]
        return bool(spool["loaded"] >= spool["last_seq"])

    def _until(self, ready: Callable[[], bool], every_s: float = 0.2) -> None:
        end = time.monotonic() + LIMIT_S
        while not ready():
            if time.monotonic() > end:
                raise SystemExit(f"not reached within {LIMIT_S:g} s: {self._status()}")
            time.sleep(every_s)

    def _memory_mib(self) -> float:
        """Return what the role keep holds of memory that is its own."""
        text = Path(f"/proc/{self._site.children['keep'].pid}/status").read_text(encoding="ascii")
        return int(text.split("RssAnon:")[1].split()[0]) / 1024
