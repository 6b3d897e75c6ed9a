"""The role keep is killed again and again under load: what was lost, and what is there twice.

Meters publish 5,000 messages a second of one reading, QoS 1, to Mosquitto, which keeps a persistent session for the
gateway. SIGKILL comes at a random moment after the role is back; every fifth time at a random moment of its start, and
every tenth time shortly after it began to write a sealed file. The site's clock runs a day in half a minute, so that
days are sealed and merged all the time; each start also writes a checkpoint. In the end every message that the broker
took is looked for in the store, by point, source time and value.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.ingest import mosquitto, open_session
from benchmarks.load import STEP_MS
from gateway.config import load as load_config
from gateway.model.reading import ReadingBatch
from gateway.roles.common import service_token
from gateway.store.journal import PART
from gateway.store.readings import DuckReadings
from gateway.store.registry import StateRegistry
from gateway.store.state import State
from tests.end_to_end.small_site import SmallSite, meter, wait_until

METERS = 2000
RATE = 5000.0
ROUNDS = {True: 10, False: 100}
CLOCK_FACTOR = 3000.0
LIVES_S = (0.02, 1.5)
STARTS_S = (0.05, 2.0)
SEALS_S = (0.0, 0.5)
SEALING_WITHIN_S = 5.0
MOST_S = 3600.0
DRAIN_S = 600.0


def run(*, quick: bool, rounds: int | None = None) -> dict[str, float]:
    """Kill it 10 times (quick) or 100 times, or as often as told."""
    rounds = ROUNDS[quick] if rounds is None else rounds
    with tempfile.TemporaryDirectory(prefix="gasgate-kill-") as name, mosquitto(Path(name)) as port:
        site = make_site(Path(name), port)
        asyncio.run(open_session(load_config(site.config).source[0], f"gasgate-{site.folder.name}"))
        role = Killed(site)
        try:
            began = time.monotonic()
            with publisher(site) as load:
                role.go_through(rounds)
                load.send_signal(signal.SIGTERM)
                sent = json.loads(load.communicate(timeout=120)[0])
            killing_s = time.monotonic() - began
            role.drain()
        finally:
            site.stop()
        return {
            "kills": float(rounds),
            "kills_amid_sealing": float(role.amid_sealing),
            "kills_while_starting": float(role.while_starting),
            "files_sealed": float(site.log("keep").count(" rows from ")),
            "seconds": killing_s,
            "messages": sent["messages"],
            "messages_per_s": sent["messages"] / sent["seconds"],
            "wrong_accounts": float(role.wrong_accounts),
            "slowest_start_s": role.slowest_s,
            **compare(site, int(sent["messages"]), int(sent["base_ms"])),
        }


def make_site(folder: Path, port: int) -> SmallSite:
    """Describe a site of meters with a clock that runs fast."""
    site = SmallSite(folder / "site", port, meters=METERS, extra='[clock]\nfile = "clock.json"\n')
    text = site.config.read_text(encoding="utf-8")
    site.config.write_text(text.replace(', flags = "f"', ""), encoding="utf-8")
    now_us = time.time_ns() // 1000
    clock = {"city_us": now_us, "wall_us": now_us, "factor": CLOCK_FACTOR}
    (site.folder / "clock.json").write_text(json.dumps(clock), encoding="utf-8")
    return site


@contextmanager
def publisher(site: SmallSite) -> Iterator[subprocess.Popen[str]]:
    """Publish in a process of its own until it is told to end."""
    numbers = {"port": site.broker_port, "meters": METERS, "first": 0, "rate": RATE, "seconds": MOST_S, "readings": 1}
    words = [f"--prefix={site.folder.name}", *(f"--{name}={value}" for name, value in numbers.items())]
    command = [sys.executable, "-m", "benchmarks.load", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@dataclass
class Killed:
    """The role keep of a site, and what was seen of it while it was killed."""

    site: SmallSite
    amid_sealing: int = 0
    while_starting: int = 0
    wrong_accounts: int = 0
    slowest_s: float = 0.0
    _started: float = 0.0
    _dice: random.Random = field(default_factory=lambda: random.Random(100))

    def go_through(self, rounds: int) -> None:
        """Start and kill it so many times."""
        for number in range(1, rounds + 1):
            self._started = time.time()
            self.site.start("keep")
            if number % 5 == 0:
                time.sleep(self._dice.uniform(*STARTS_S))
                self.while_starting += 1
            else:
                self.wait()
                if number % 10 == 1:
                    self.wait_for_sealing()
                time.sleep(self._dice.uniform(*(SEALS_S if number % 10 == 1 else LIVES_S)))
                self.status()
            self.site.kill("keep")
            self.amid_sealing += self.is_sealing()

    def drain(self) -> None:
        """Start it once more and let it take all that waits."""
        self.site.start("keep")
        self.wait()
        seen: list[int] = []
        end = time.monotonic() + DRAIN_S
        while time.monotonic() < end:
            accounts = self.status()
            seen.append(sum(account["received"] for account in accounts.values()))
            still = len(seen) > 20 and seen[-1] == seen[-20]
            if still and not any(account["in_flight"] for account in accounts.values()):
                return
            time.sleep(0.25)
        raise SystemExit(f"what waited was not taken within {DRAIN_S:g} s: {accounts}")

    def wait(self) -> None:
        """Return when it takes messages again."""
        began = time.monotonic()
        wait_until(lambda: any(self.status().values()), what="the role's first message", limit_s=60)
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)

    def wait_for_sealing(self) -> None:
        """Return when a sealed file is being written, or after a while."""
        end = time.monotonic() + SEALING_WITHIN_S
        while time.monotonic() < end and not self.is_sealing():
            time.sleep(0.02)

    def is_sealing(self) -> bool:
        """Tell whether the role that runs, or ran last, has left a sealed file half written."""
        parts = list((self.site.folder / "data" / "readings").glob(f"*{PART}*"))
        with contextlib.suppress(FileNotFoundError):
            return any(part.stat().st_mtime > self._started for part in parts)
        return False

    def status(self) -> Mapping[str, Mapping[str, int]]:
        """Return the accounts, none while it does not answer; count those that do not add up."""
        config = load_config(self.site.config)
        with contextlib.suppress(httpx.TransportError):
            headers = {"Authorization": f"Bearer {service_token(config)}"}
            accounts: dict[str, dict[str, Any]] = httpx.get(
                f"http://{config.keep.listen}/status", headers=headers, timeout=30
            ).json()["accounting"]
            self.wrong_accounts += sum(min(account.values()) < 0 for account in accounts.values())
            return accounts
        return {}


def compare(site: SmallSite, messages: int, base_ms: int) -> dict[str, float]:
    """Look for each reading that was published, by point, source time and value."""
    state = State.in_folder(site.folder / "data")
    numbers = {f"{meter(number)}/register_measured_m3": number for number in range(METERS)}
    known = StateRegistry(state).known()
    state.close()
    meters = np.full(max(known, default=0) + 1, -1, dtype=np.int64)
    for index, name in known.items():
        meters[index] = numbers.get(name, -1)
    found = asyncio.run(everything(site.folder / "data" / "readings", meters))
    turns, rest = np.divmod(found.source_time // 1000 - base_ms, STEP_MS)
    count = turns * METERS + meters[found.point]
    right = (rest == 0) & (turns >= 0) & (count < messages) & (np.abs(found.value - turns / 1000) < 1e-9)
    times = np.bincount(count[right], minlength=messages)
    return {
        "found": float(len(found)),
        "lost": float(np.count_nonzero(times == 0)),
        "twice": float(np.count_nonzero(times > 1)),
        "foreign": float(np.count_nonzero(~right)),
    }


async def everything(folder: Path, meters: np.ndarray[Any, np.dtype[np.int64]]) -> ReadingBatch:
    """Return all readings of these meters."""
    store = DuckReadings(folder)
    try:
        if store.damage:
            raise SystemExit(f"files were damaged: {store.damage}")
        return await store.history(np.flatnonzero(meters >= 0).astype(np.uint32), 0, 2**62)
    finally:
        await store.close()
