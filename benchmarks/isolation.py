"""Whether a page slows a reading, or an analysis an alarm.

Ingest runs at half of the rate that it reached alone; ten loss pages a second are loaded, with their data; a full daily
pass of a larger city runs again and again, as nice as the role that runs it. Meanwhile meters report gas.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

import httpx

from benchmarks.measure import broker, p99, running, session
from gateway.config import load as load_config
from gateway.model.reading import to_us
from gateway.roles.common import service_token
from gateway.runtime import child
from gateway.store import alarm_rows
from gateway.store.state import State
from tests.end_to_end.small_site import Publisher, SmallSite, message, meter

LEAK = 64
PAGES_PER_S = 10.0
ALARMS_PER_S = 4.0
LOAD_METERS = 2000
SETTLE_S = 3.0
READINGS = 48
"""in a message: register and flags at 24 moments"""


def run(*, quick: bool) -> dict[str, float]:
    """Measure for 12 s (quick) or 60 s under load, after finding the limit."""
    seconds = 12.0 if quick else 60.0
    alarms = int(seconds * ALARMS_PER_S)
    with tempfile.TemporaryDirectory(prefix="gasgate-isolation-") as folder, broker(Path(folder)) as port:
        site = SmallSite(Path(folder) / "site", port, meters=alarms + LOAD_METERS, mqtt_version="3.1.1")
        with running(site, "keep", "alarm", "analyse", "web") as state:
            counter = Counter(site)
            limit = _ingest(site, counter, alarms, rate=0.0, seconds=seconds / 2)
            half = limit / 2
            time.sleep(SETTLE_S)
            alone = _alarms(site, state, range(alarms // 4), 1.0)
            with passes_running(), Pages(site) as pages:
                publisher = Load(site, alarms, half / READINGS, seconds)
                before = counter.stored()
                busy = _alarms(site, state, range(alarms // 4, alarms), seconds)
                publisher.wait()
                stored = counter.settled() - before
            return {
                "ingest_limit_readings_per_s": limit,
                "ingest_offered_readings_per_s": half,
                "ingest_kept_ratio": stored / publisher.seconds / half,
                "ingest_lost_readings": publisher.messages * READINGS - stored,
                "loss_pages_per_s": pages.count / pages.seconds,
                "loss_page_p99_ms": p99(pages.times_ms),
                "alarm_decision_alone_p99_ms": p99(alone),
                "alarm_decision_p99_ms": p99(busy),
                "alarms": float(len(busy)),
            }


class Counter:
    """Reads the accounts of the keeping role."""

    def __init__(self, site: SmallSite) -> None:
        config = load_config(site.config)
        token = service_token(config)
        self._http = httpx.Client(
            base_url=f"http://{config.keep.listen}", headers={"Authorization": f"Bearer {token}"}, timeout=30
        )

    def stored(self) -> float:
        """Return how many readings are in the store."""
        accounts = self._http.get("/status").json()["accounting"]
        return float(sum(account["stored"] for account in accounts.values()))

    def settled(self) -> float:
        """Return the number once it has stopped growing."""
        before = -1.0
        while (now := self.stored()) != before:
            before = now
            time.sleep(1.0)
        return now


class Load:
    """The publisher process."""

    def __init__(self, site: SmallSite, first: int, rate: float, seconds: float) -> None:
        arguments = {
            "port": site.broker_port,
            "prefix": site.folder.name,
            "meters": LOAD_METERS,
            "first": first,
            "rate": rate,
            "seconds": seconds,
        }
        options = [f"--{name}={value}" for name, value in arguments.items()]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.load", *options], stdout=subprocess.PIPE, text=True
        )
        self.messages = 0.0
        self.seconds = 0.0

    def wait(self) -> None:
        """Wait until all is published."""
        output, _ = self._process.communicate()
        figures = json.loads(output)
        self.messages, self.seconds = figures["messages"], figures["seconds"]


def _ingest(site: SmallSite, counter: Counter, first: int, *, rate: float, seconds: float) -> float:
    before, began = counter.stored(), time.monotonic()
    publisher = Load(site, first, rate, seconds)
    publisher.wait()
    while counter.stored() - before < publisher.messages * READINGS:
        time.sleep(0.1)
    return publisher.messages * READINGS / (time.monotonic() - began)


def _alarms(site: SmallSite, state: State, numbers: range, seconds: float) -> list[float]:
    """Report gas at each meter, spread over `seconds`; return ms from publishing to the raised alarm."""
    publisher = Publisher(site.broker_port, f"gas-{numbers.start}")
    published: dict[str, float] = {}
    for number in numbers:
        published[f"HOME_GAS_SENSOR@{meter(number)}"] = time.time() * 1000
        publisher.publish(site.topic(number), message(number, [(int(time.time() * 1000), number, LEAK)]))
        time.sleep(seconds / len(numbers))
    publisher.drain()
    publisher.close()
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with state.read() as connection:
            found = {one.alarm_id: one for one in alarm_rows.list_active(connection, limit=100_000)}
        if published.keys() <= found.keys():
            break
        time.sleep(0.2)
    raised = {key: found[key].raised_at for key in published if key in found}
    return [to_us(at) / 1000 - published[key] for key, at in raised.items() if at is not None]


class Pages:
    """Loads the loss page and its data ten times a second until left."""

    def __init__(self, site: SmallSite) -> None:
        self._site = site
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._load, args=(turn,)) for turn in range(4)]
        self.times_ms: list[float] = []
        self.count = 0
        self.seconds = 0.0

    def __enter__(self) -> Self:
        """Begin."""
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self.seconds = time.monotonic() - self._began
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _load(self, turn: int) -> None:
        pause = len(self._threads) / PAGES_PER_S
        due = time.monotonic() + turn * pause / len(self._threads)
        with contextlib.closing(session(self._site)) as client:
            while not self._stopping.is_set():
                self._stopping.wait(max(0.0, due - time.monotonic()))
                due += pause
                began = time.monotonic()
                client.get("/loss").raise_for_status()
                client.get("/api/v1/loss").raise_for_status()
                self.times_ms.append((time.monotonic() - began) * 1000)
                self.count += 1


@contextmanager
def passes_running() -> Iterator[None]:
    """Run full daily passes of a larger city in a process of its own, one after the other."""
    process = child.start(["benchmarks.passes"], log=Path(os.devnull))
    try:
        time.sleep(3)
        if process.poll() is not None:
            raise SystemExit(f"the daily pass ended with code {process.returncode}")
        yield
    finally:
        child.stop([process])
