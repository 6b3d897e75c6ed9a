"""What a large city's register takes: start, memory, and processor time while nothing comes; and a day of readings.

The network folder is written and the points are registered first; both stand outside the measured times. Then the real
gateway starts with all four roles, connected to Mosquitto: once without any of its caches of the network, and once
more. Memory is the sum over all processes of what is theirs and their share of what they share (PSS). Then meters
publish as fast as they can, each the 24 readings of its day, while broker and publisher take their part of the same
processors; the rate is extrapolated to the day of all meters.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.city import ROLES, CitySite, register, running, write_network
from benchmarks.ingest import READINGS, mosquitto
from gateway.store.state import State

METERS = 2_350_000
MIB = 1 << 20


def run(*, quick: bool, meters: int | None = None) -> dict[str, float]:
    """Measure with 2.35 million meters, or so many; the quick form takes 100,000."""
    count = meters or (100_000 if quick else METERS)
    calm_s, idle_s = (5.0, 10.0) if quick else (45.0, 60.0)
    with tempfile.TemporaryDirectory(prefix="gasgate-registry-") as name, mosquitto(Path(name)) as port:
        site = CitySite(Path(name), port)
        began = time.monotonic()
        write_network(site.folder / "network", count)
        figures = {"meters": float(count), "write_network_s": time.monotonic() - began}
        site.write_config()
        state = State.in_folder(site.folder / "data")
        figures["register_points_s"] = register(state, count)
        state.close()
        for turn in ("first", "second"):
            with running(site) as start_s:
                time.sleep(calm_s)
                use = site.use()
                figures[f"{turn}_start_s"] = start_s
                figures[f"{turn}_pss_mib"] = use.pss / MIB
                figures |= {f"{turn}_rss_{role}_mib": use.rss[role] / MIB for role in (*ROLES, "supervisor")}
                figures[f"{turn}_idle_core_pct"] = 100 * site.idle_share(idle_s)
                if turn == "second":
                    figures |= _day(site, count, publish_s=5.0 if quick else 60.0)
        return figures


def _day(site: CitySite, meters: int, publish_s: float) -> dict[str, float]:
    """Let one meter after the other publish its day; return the rate, and how long all meters would take."""
    options = {"port": site.broker_port, "meters": meters, "first": 0, "rate": 0.0, "seconds": publish_s}
    words = [f"--{name}={value}" for name, value in options.items()]
    command = [sys.executable, "-m", "benchmarks.load", *words, "--prefix=city"]
    before, began = site.stored("meters"), time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    messages = int(json.loads(done.stdout)["messages"])
    site.wait_until(lambda: site.stored("meters") - before >= messages * READINGS, 20 * publish_s)
    took = time.monotonic() - began
    return {
        "day_messages": float(messages),
        "day_messages_per_s": messages / took,
        "day_of_all_meters_minutes": meters * took / messages / 60,
        "day_pss_mib": site.use().pss / MIB,
    }
