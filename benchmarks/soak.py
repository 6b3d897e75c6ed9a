"""Hours in minutes: readings at half of the peak while links, broker and server go away and come back.

Meters publish messages of 24 readings over Mosquitto, 20 Modbus links are polled every second, and everything goes to
an InfluxDB. Modbus devices, the broker and InfluxDB are stopped in turn. The anonymous memory of each role is looked
at every 5 s; the slope is a least-squares line through what is seen after the warm-up, the first third. The peak is
the rate at which the gateway stores what waits at the broker, measured first; `--rate` gives another rate instead of
its half.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.city import ROLES, CitySite, running, slope, write_network
from benchmarks.ingest import READINGS
from gateway.store.state import State
from tests.end_to_end.small_site import meter
from tests.services import Server, influxd_server, mosquitto_server, pick_free_port, spawn

METERS, LINKS, MEMBERS = 2000, 20, 25
LOOK_S = 5.0
SAID_EVERY = 12
"""looks of which one is said on the way"""
AWAY_S, TURN_S = 5.0, 15.0
"""how long something stays away, and how often the next one goes"""
PEAK_S = 60.0
STORE_MIB = 64
"""small, so that the readings store has filled its memory before the warm-up is over"""
WARM_UP = 1 / 3
MIB = 1 << 20
QUEUES = ("loader_lag", "output_lag")
_DEVICE = """
name = "block"
description = "25 meters in 125 registers"
every_s = 1.0
[members]
count = 25
base = 0
stride = 5
point = [
  { quantity = "balance_m3", at = "holding:2", type = "int32", scale = 0.01 },
  { quantity = "valve", at = "holding:4", type = "bit", bit = 0 },
]
[[golden]]
ask = "03 0002 0002"
reply = "03 04 0000 03E8"
gives = { "0/balance_m3" = 10.0 }
"""


@dataclass
class _Seen:
    """What the looks saw: seconds, anonymous bytes of each role, and how long the queues were."""

    at_s: list[float] = field(default_factory=list)
    held: dict[str, list[float]] = field(default_factory=dict)
    queues: dict[str, list[float]] = field(default_factory=dict)


def run(*, quick: bool, minutes: float | None = None, rate: float | None = None) -> dict[str, float]:
    """Soak for 30 minutes, or so many; the quick form takes 2. `rate` is in messages of 24 readings a second."""
    lasts_s = 60.0 * (minutes or (2.0 if quick else 30.0))
    with tempfile.TemporaryDirectory(prefix="gasgate-soak-") as name, _servers(Path(name)) as servers:
        broker, influx, devices = servers
        site = _site(Path(name), broker, influx, devices)
        with running(site):
            peak = _peak(site, PEAK_S if lasts_s > PEAK_S * 4 else PEAK_S / 6)
            rate = rate or peak / 2
            seen = _soak(site, servers, lasts_s, rate)
            accounts = site.status()["accounting"].values()
    figures = {"minutes": lasts_s / 60, "peak_messages_per_s": peak, "soak_messages_per_s": rate}
    figures["readings_stored"] = float(sum(account["stored"] for account in accounts))
    first = int(len(seen.at_s) * WARM_UP)
    for role in ROLES:
        own, error = slope(seen.at_s[first:], seen.held[role][first:])
        figures[f"{role}_mib"] = seen.held[role][-1] / MIB
        figures[f"{role}_mib_per_h"] = own * 3600 / MIB
        figures[f"{role}_mib_per_h_error"] = error * 3600 / MIB
    return figures | {f"{queue}_most": max(seen.queues[queue]) for queue in QUEUES}


@contextlib.contextmanager
def _servers(folder: Path) -> Iterator[tuple[Server, Server, Server]]:
    made = []
    for make, name in ((mosquitto_server, "broker"), (influxd_server, "influx"), (_devices, "devices")):
        (folder / name).mkdir()
        made.append(make(folder / name))
    try:
        for server in made:
            server.start()
        yield made[0], made[1], made[2]
    finally:
        for server in made:
            server.stop()


def _devices(folder: Path) -> Server:
    port = pick_free_port()
    modules = f"PYTHONPATH={Path(__file__).parents[1]}"
    return Server(["env", modules, sys.executable, "-m", "benchmarks.devices", str(port)], port, folder)


def _site(folder: Path, broker: Server, influx: Server, devices: Server) -> CitySite:
    httpx.post(f"{influx.url}/query", params={"q": 'CREATE DATABASE "soak"'}).raise_for_status()
    site = CitySite(folder, broker.port)
    write_network(folder / "network", METERS)
    (folder / "block.toml").write_text(_DEVICE, encoding="utf-8")
    site.keep = f"store_memory_mib = {STORE_MIB}"
    site.extra = f'[[output]]\nkind = "influx_v1"\nname = "influx"\nurl = "{influx.url}"\ndatabase = "soak"\n'
    site.extra += '[[source]]\nkind = "modbus"\nname = "devices"\n'
    for link in range(LINKS):
        members = ", ".join(f'"{meter(link * MEMBERS + number)}"' for number in range(MEMBERS))
        site.extra += f'[[source.link]]\nname = "link-{link}"\nurl = "tcp://127.0.0.1:{devices.port}"\n'
        site.extra += f'[[source.link.unit]]\nunit = 1\nprofile = "block.toml"\nmembers = [{members}]\n'
    site.write_config()
    State.in_folder(folder / "data").close()
    return site


def _publisher(site: CitySite, rate: float, seconds: float, days: float) -> subprocess.Popen[bytes]:
    options = {"port": site.broker_port, "meters": METERS, "first": 0, "rate": rate, "seconds": seconds, "days": days}
    words = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "benchmarks.load", *words, "--prefix=city"]
    return spawn(command, site.folder / "publisher.log", Path.cwd())


def _peak(site: CitySite, lasts_s: float) -> float:
    """Publish as fast as the broker takes it; return messages a second that are stored meanwhile."""
    process = _publisher(site, 0.0, lasts_s, days=80)
    time.sleep(lasts_s * 0.2)
    before, began = site.stored("meters"), time.monotonic()
    time.sleep(lasts_s * 0.7)
    found = (site.stored("meters") - before) / READINGS / (time.monotonic() - began)
    process.wait(60)
    return found


def _soak(site: CitySite, servers: tuple[Server, Server, Server], lasts_s: float, rate: float) -> _Seen:
    publisher = _publisher(site, rate, lasts_s + 60, days=40)
    seen, began, over = _Seen(), time.monotonic(), threading.Event()
    flaps = threading.Thread(target=_flap, args=(servers, over), name="flaps")
    flaps.start()
    try:
        while (now := time.monotonic() - began) < lasts_s:
            _look(site, seen, now)
            if len(seen.at_s) % SAID_EVERY == 1:
                print(f"{now:6.0f} s", *(f"{role} {seen.held[role][-1] / MIB:.1f}" for role in ROLES), file=sys.stderr)
            time.sleep(max(0.0, LOOK_S - (time.monotonic() - began - now)))
    finally:
        over.set()
        flaps.join()
        publisher.kill()  # the broker ended with the thread that started it last: nothing can be drained
        publisher.wait()
    return seen


def _flap(servers: tuple[Server, Server, Server], over: threading.Event) -> None:
    turn = 0
    while not over.wait(TURN_S):
        server = servers[turn % len(servers)]
        turn += 1
        server.stop()
        over.wait(AWAY_S)
        server.start()


def _look(site: CitySite, seen: _Seen, now_s: float) -> None:
    use, status = site.use(), site.status()
    with contextlib.suppress(httpx.HTTPError):
        httpx.get(f"http://127.0.0.1:{site.web_port}/login", timeout=10)
    seen.at_s.append(now_s)
    for role in ROLES:
        seen.held.setdefault(role, []).append(float(use.anonymous[role]))
    for queue, value in zip(QUEUES, _queues(status), strict=True):
        seen.queues.setdefault(queue, []).append(value)


def _queues(status: dict[str, Any]) -> tuple[float, float]:
    return float(status["loader_lag"]), float(max(output["lag"] for output in status["outputs"]))
