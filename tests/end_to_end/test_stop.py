"""SIGTERM of the role keep while meters talk and a backlog waits: it ends in time, and the next start goes on."""

from __future__ import annotations

import signal
import threading
import time

import pytest

from gateway.runtime.supervisor import PATIENCE_S
from gateway.store.state import State
from tests.end_to_end.small_site import Publisher, SmallSite, message, wait_until
from tests.end_to_end.test_kill import stored

METERS = 50
STOPS = 5


class Flood(threading.Thread):
    """Meters that report as fast as the broker takes it, a little faster than people would."""

    def __init__(self, site: SmallSite) -> None:
        super().__init__(daemon=True)
        self._site = site
        self._publisher = Publisher(site.broker_port, f"{site.folder.name}-meters")
        self.ending = threading.Event()
        self.sent = 0

    def run(self) -> None:
        while not self.ending.wait(0.02):
            self.report(METERS)
        self._publisher.drain()
        self._publisher.close()

    def report(self, count: int) -> None:
        for _ in range(count):
            self.sent += 1
            reading = (time.time_ns() // 1_000_000_000 * 1000 + self.sent % 1000, self.sent, 0)
            number = self.sent // 1000 % METERS
            self._publisher.publish(self._site.topic(number), message(number, [reading]))


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_keep_ends_in_time_under_load_and_loses_nothing(tmp_path, mosquitto):
    site = SmallSite(tmp_path / "stop", mosquitto.port, METERS)
    state = State.in_folder(site.folder / "data")
    site.start("keep")
    wait_until(lambda: "connected" in site.log("keep"), what="the connection to the broker")
    meters = Flood(site)
    meters.start()
    try:
        for number in range(STOPS):
            time.sleep(0.5 + number / 4)
            process = site.children.pop("keep")
            began = time.monotonic()
            process.send_signal(signal.SIGTERM)
            assert process.wait(PATIENCE_S) == 0
            assert time.monotonic() - began < PATIENCE_S - 2, "hardly in time"
            time.sleep(0.3)
            before = site.log("keep").count(": connected")
            site.start("keep")
            wait_until(lambda n=before: site.log("keep").count(": connected") > n, what="the next start")
        meters.ending.set()
        meters.join(30)
        wait_until(lambda: len(stored(site, state)) >= meters.sent, what="the last reading")
        assert len(stored(site, state)) == meters.sent
        assert "Traceback" not in site.log("keep")
    finally:
        meters.ending.set()
        site.stop()
        state.close()
