"""Unreadable messages in a row, good ones between them: nothing stops, and dead letters stay within their caps.

A stand-in takes the broker's place. One message in 500 is good; the others are torn JSON, long noise, foreign and
unknown meters, wrong shapes. Counted is how soon good messages are acknowledged and stored, and what the store keeps.
"""

from __future__ import annotations

import contextlib
import json
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from benchmarks.measure import p99
from benchmarks.stand_in import StandIn
from gateway.config import load as load_config
from gateway.roles.common import service_token
from gateway.store.dead_rows import Caps, dead_totals
from gateway.store.state import State
from tests.end_to_end.small_site import SmallSite, meter

METERS = 100
RATE = 3000.0
GOOD_EVERY = 500
MESSAGES = {True: 20_000, False: 100_000}
LONG_BYTES = 16_000
"""one in five is that long: 100,000 messages are more than the caps allow"""
LIMIT_S = 120.0


def run(*, quick: bool) -> dict[str, float]:
    """Send 100,000 messages (quick: 20,000), 3,000 a second."""
    count = MESSAGES[quick]
    with tempfile.TemporaryDirectory(prefix="gasgate-garbage-") as name:
        broker = StandIn()
        site = SmallSite(Path(name) / "site", broker.port, meters=METERS)
        try:
            site.start("keep")
            broker.accept()
            message = messages(site.folder.name, random.Random(7))
            sent = broker.send(message, count, rate=RATE, window=60_000)
            ended = time.perf_counter()
            good = -(-count // GOOD_EVERY)
            accounts = settled(site, good, count - good)
            stored_s = time.perf_counter() - ended
        finally:
            site.stop()
            broker.close()
        state = State.in_folder(site.folder / "data")
        totals = dead_totals(state)
        state.close()
        return {
            "messages": float(count),
            "good_stored": float(accounts["stored"]),
            "dead_lettered": float(accounts["dead_lettered"]),
            "in_flight": float(accounts["in_flight"]),
            "p99_ms_acknowledged": 1e3 * p99(sent.delays_s),
            "p99_ms_good_acknowledged": 1e3 * p99(sent.delays_s[::GOOD_EVERY]),
            "s_until_all_stored": stored_s,
            "out_of_order": float(sent.out_of_order),
            "dead_kept": float(totals.rows),
            "dead_kept_mib": totals.payload_bytes / (1 << 20),
            "dead_cap_mib": Caps().payload_bytes / (1 << 20),
            "dead_dropped": float(totals.dropped),
        }


def messages(prefix: str, rng: random.Random) -> Callable[[int], tuple[bytes, bytes]]:
    """Return a maker of messages: topic and payload by their number."""
    noise = rng.randbytes(LONG_BYTES)
    base_ms = int(time.time() * 1000)

    def good(place: int, name: str) -> bytes:
        return json.dumps({"id": name, "readings": [{"t": base_ms + place, "v": place, "f": 0}]}).encode()

    def make(place: int) -> tuple[bytes, bytes]:
        name = meter(place // GOOD_EVERY % METERS)
        topic = f"{prefix}/{name}/up".encode()
        whole = good(place, name)
        if place % GOOD_EVERY == 0:
            return topic, whole
        kinds = (
            (topic, whole[: 1 + place % (len(whole) - 2)]),
            (topic, noise[place % 100 :]),
            (topic, good(place, "M-999999")),
            (f"{prefix}/M-999999/up".encode(), whole),
            (topic, b'{"id": "%s", "readings": {"t": 1}}' % name.encode()),
        )
        return kinds[place % len(kinds)]

    return make


def settled(site: SmallSite, good: int, bad: int) -> dict[str, int]:
    """Wait until every message is accounted for; return the source's account."""
    config = load_config(site.config)
    headers = {"Authorization": f"Bearer {service_token(config)}"}
    end = time.monotonic() + LIMIT_S
    with httpx.Client(base_url=f"http://{config.keep.listen}", headers=headers, timeout=30) as http:
        while time.monotonic() < end:
            with contextlib.suppress(httpx.TransportError):
                account: dict[str, int] = http.get("/status").json()["accounting"].get("meters", {})
                if account.get("dead_lettered") == bad and account.get("stored") == 2 * good:
                    return account
            time.sleep(0.05)
    raise SystemExit(f"after {LIMIT_S:g} s not every message was settled")
