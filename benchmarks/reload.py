"""Reloads of a running role keep: memory, time, and whether untouched connections stay.

Twenty links and a broker stay as they are, one link and its meter are others at each reload, and at every fifth the
network has another meter. The devices are in a process of their own.
"""

from __future__ import annotations

import asyncio
import gc
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from gateway.runtime import child
from tests.end_to_end.small_site import SmallSite, wait_until
from tests.gateway.roles.reloaded import Running, devices, link, running, write_sources
from tests.services import accepts, mosquitto_server, pick_free_port

LINKS = 20
WARM = 50
"""reloads before memory is looked at first"""


def run(*, quick: bool) -> dict[str, float]:
    """Reload 1,000 times, 150 times if quick."""
    with tempfile.TemporaryDirectory(prefix="gasgate-reload-") as name, _devices(Path(name)) as port:
        broker = mosquitto_server(Path(name))
        broker.start()
        try:
            site = SmallSite(Path(name) / "site", broker.port, meters=LINKS + 10)
            return asyncio.run(_measure(site, port, 150 if quick else 1000))
        finally:
            broker.stop()


async def _measure(site: SmallSite, port: int, reloads: int) -> dict[str, float]:
    links = [link(f"stays{number}", port, (1, f"M-{number:06d}")) for number in range(LINKS)]
    write_sources(site, *links, every_s=1.0)
    took: list[float] = []
    resident = 0.0
    meters = site.folder / "network" / "meters.csv"
    text = meters.read_text(encoding="utf-8")
    async with running(site) as role:
        await _connected(role)
        before = _local_ports(port), _local_ports(site.broker_port)
        for turn in range(reloads):
            changing = link(f"other{turn % 7}", port, (1 + turn % 5, f"M-{LINKS + turn % 10:06d}"))
            write_sources(site, *links, changing, every_s=1.0)
            if turn % 5 == 0:
                meters.write_text(text + text.splitlines()[1].replace("M-000000", f"M-9{turn:05d}") + "\n")
            began = time.perf_counter()
            await role.reload()
            took.append(time.perf_counter() - began)
            if turn == WARM:
                resident = _resident_mb()
        grown = _resident_mb() - resident
        after = _local_ports(port), _local_ports(site.broker_port)
        assert role.follower.number == reloads + 1, role.follower.problem
    return {
        "reloads": float(reloads),
        "reload_ms_median": float(np.median(took)) * 1000,
        "reload_ms_max": max(took) * 1000,
        "links_untouched": float(LINKS + 1),
        "untouched_that_kept_their_port": float(len(before[0] & after[0]) + len(before[1] & after[1])),
        "memory_growth_mb": grown,
    }


async def _connected(role: Running) -> None:
    async with asyncio.timeout(20):
        while not all(state.up for state in role.links().values()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def _local_ports(remote: int) -> set[int]:
    """Return the ports of established connections to a port of this machine."""
    table = Path("/proc/self/net/tcp").read_text(encoding="ascii")
    found = re.findall(r"\d+: [0-9A-F]{8}:([0-9A-F]{4}) [0-9A-F]{8}:([0-9A-F]{4}) 01 ", table)
    return {int(local, 16) for local, other in found if int(other, 16) == remote}


def _resident_mb() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


@contextmanager
def _devices(folder: Path) -> Iterator[int]:
    port = pick_free_port()
    process = child.start(["benchmarks.reload", str(port)], log=folder / "devices.log")
    try:
        wait_until(lambda: accepts("127.0.0.1", port), what="the devices")
        yield port
    finally:
        child.stop([process])


async def _serve(port: int) -> None:
    child.die_with_parent()
    async with devices(port=port):
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
