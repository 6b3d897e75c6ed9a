"""A gateway that is frozen or killed under load: a second one goes on, and the first does not fight when it wakes."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.store.state import State
from tests.end_to_end.small_site import Publisher, SmallSite, message, meter, wait_until
from tests.end_to_end.test_kill import stored
from tests.services import Server

METERS = 40
WITHIN_S = 30.0
VERSIONS = ["5", "3.1.1"] if os.environ.get("GASGATE_THOROUGH") else ["5"]


class Load(threading.Thread):
    """Meters that report all the time, whoever listens."""

    def __init__(self, site: SmallSite) -> None:
        super().__init__(daemon=True)
        self._site = site
        self._publisher = Publisher(site.broker_port, f"{site.folder.name}-meters")
        self._stopping = threading.Event()
        self.sent: dict[tuple[str, int], float] = {}

    def run(self) -> None:
        rounds = 0
        while not self._stopping.wait(0.05):
            rounds += 1
            for number in range(METERS):
                at_ms = int(time.time() * 1000) + rounds
                self.sent[meter(number), at_ms * 1000] = rounds / 1000
                self._publisher.publish(self._site.topic(number), message(number, [(at_ms, rounds, 0)]))

    def finish(self) -> None:
        self._stopping.set()
        self.join()
        self._publisher.drain()
        self._publisher.close()


@contextmanager
def two_gateways(folder: Path, port: int, version: str) -> Iterator[tuple[SmallSite, SmallSite]]:
    """Give two sites with one client id and the same meters, each with files of its own."""
    sites = [SmallSite(folder / owner / "twin", port, METERS, mqtt_version=version) for owner in ("first", "second")]
    try:
        yield sites[0], sites[1]
    finally:
        for site in sites:
            for process in site.children.values():
                process.send_signal(signal.SIGCONT)
            site.stop()


def readings(site: SmallSite) -> Counter[tuple[str, int, float]]:
    state = State.in_folder(site.folder / "data")
    try:
        return Counter((name, at, round(value, 6)) for name, at, value in stored(site, state))
    except Exception:  # noqa: BLE001 - not up yet
        return Counter()
    finally:
        state.close()


def connections(site: SmallSite) -> int:
    return len(re.findall(r"meters: connected", site.log("keep")))


def freeze(site: SmallSite) -> None:
    os.kill(site.children["keep"].pid, signal.SIGSTOP)


def wake(site: SmallSite) -> None:
    os.kill(site.children["keep"].pid, signal.SIGCONT)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_second_gateway_goes_on_and_the_first_does_not_fight_when_it_wakes(
    tmp_path: Path, mosquitto: Server, version: str
) -> None:
    with two_gateways(tmp_path, mosquitto.port, version) as (first, second):
        meters = Load(first)
        first.start("keep")
        wait_until(lambda: connections(first) == 1, what="the first gateway")
        meters.start()
        wait_until(lambda: len(readings(first)) > METERS, what="readings at the first")

        freeze(first)
        began = time.monotonic()
        second.start("keep")
        wait_until(lambda: len(readings(second)) > METERS, what="readings at the second", limit_s=WITHIN_S)
        assert time.monotonic() - began < WITHIN_S
        time.sleep(max(0.0, 4.0 - (time.monotonic() - began)))
        wake(first)
        wait_until(lambda: "another client has taken over" in first.log("keep"), what="the first giving way")
        time.sleep(1.5)
        assert (connections(first), connections(second)) == (1, 1), "they fought"
        assert "lost" not in second.log("keep")

        second.kill("keep")
        first.kill("keep")
        began = time.monotonic()
        first.start("keep")
        before = len(readings(first))
        wait_until(lambda: len(readings(first)) > before + METERS, what="the first again", limit_s=WITHIN_S)
        assert time.monotonic() - began < WITHIN_S
        meters.finish()
        # the second opens its store again to be asked; what the broker still holds may go to either
        second.start("keep")
        sent = {(name, at, value) for (name, at), value in meters.sent.items()}
        wait_until(lambda: set(readings(first)) | set(readings(second)) >= sent, what="every reading", limit_s=20)
        kept = [readings(first), readings(second)]
        assert set(kept[0]) | set(kept[1]) == sent
        assert all(count == 1 for one in kept for count in one.values()), "a store shows a reading twice"
