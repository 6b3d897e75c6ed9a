"""A publisher in a process of its own: messages of 24 readings at a rate, or as fast as the broker takes them."""

from __future__ import annotations

import argparse
import json
import signal
import threading
import time

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.end_to_end.small_site import meter

READINGS = 24
WINDOW = 500
STEP_MS = 1000
DAYS = 40.0
TOLD = threading.Event()
"""set when it shall end before its time"""


def main() -> None:
    """Publish until the time is over or SIGTERM comes; print how many messages the broker took, and the seconds."""
    parser = argparse.ArgumentParser()
    for name in ("port", "meters", "first"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("rate", "seconds"):
        parser.add_argument(f"--{name}", type=float, required=True)
    parser.add_argument("--days", type=float, default=DAYS)
    parser.add_argument("--readings", type=int, default=READINGS)
    parser.add_argument("--prefix", required=True)
    signal.signal(signal.SIGTERM, lambda *_: TOLD.set())
    print(json.dumps(publish(**vars(parser.parse_args()))), flush=True)


def publish(
    *,
    port: int,
    prefix: str,
    meters: int,
    first: int,
    rate: float,
    seconds: float,
    days: float = DAYS,
    readings: int = READINGS,
) -> dict[str, float]:
    """Publish `rate` messages a second (0: as many as go) of the meters from `first` on; each has new readings.

    The readings begin so many days ago, at `base_ms`. Returns when the broker has acknowledged every message.
    """
    window = threading.Semaphore(WINDOW)
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"load-{first}")
    client.max_inflight_messages_set(WINDOW)
    client.on_publish = lambda *_: window.release()
    client.connect("127.0.0.1", port)
    client.loop_start()
    base_ms = int((time.time() - days * 86_400) * 1000)
    began = time.monotonic()
    count = 0
    while time.monotonic() - began < seconds and not TOLD.is_set():
        ahead_s = count / rate - (time.monotonic() - began) if rate else 0.0
        if ahead_s > 0.002:
            time.sleep(ahead_s)
        number, turn = first + count % meters, count // meters
        start = base_ms + turn * readings * STEP_MS
        name = meter(number)
        rows = ",".join(f'{{"t":{start + i * STEP_MS},"v":{turn * readings + i},"f":0}}' for i in range(readings))
        window.acquire()
        client.publish(f"{prefix}/{name}/up", f'{{"id":"{name}","readings":[{rows}]}}', qos=1)
        count += 1
    for _ in range(WINDOW):
        window.acquire()
    took = time.monotonic() - began
    client.disconnect()
    client.loop_stop()
    return {"messages": float(count), "seconds": took, "base_ms": float(base_ms)}


if __name__ == "__main__":
    main()
