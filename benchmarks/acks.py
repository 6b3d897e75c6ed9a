"""How long a message waits for its acknowledgement, which comes after the commit to disk, and how the window counts.

A stand-in takes the broker's place in front of the role `keep` and measures from the send of each message to the
gateway's PUBACK: what a real broker adds is not in it. 5,000 messages a second of 1 reading and of 24 readings, then as
many as go with 20 and with 1,000 unacknowledged; then the connection is cut with messages on their way. Before, a bare
loop of the same client that acknowledges each message at once shows what the machine itself adds.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.measure import p99
from benchmarks.stand_in import Sent, StandIn
from collectors.mqtt_client import connect, make_client
from collectors.mqtt_config import MqttConfig
from collectors.payload import subscription
from gateway.config import load as load_config
from tests.end_to_end.small_site import SmallSite, meter

METERS = 2000
READINGS = 24
RATE = 5000.0
MOST = 60_000
SECONDS = {True: 6.0, False: 30.0}
WARM_UP_S = 3.0
WINDOWS = {20: 400.0, 1000: 10_000.0}
STEP_MS = 1000


def run(*, quick: bool) -> dict[str, float]:
    """Measure for 6 s (quick) or 30 s at each size."""
    with tempfile.TemporaryDirectory(prefix="gasgate-acks-") as name:
        broker = StandIn()
        site = SmallSite(Path(name) / "site", broker.port, meters=METERS)
        messages = Messages(site.folder.name)
        try:
            bare_ms = bare(site, messages, broker, SECONDS[quick] / 2)
            site.start("keep")
            broker.accept()
            return {"p99_ms_24_readings_bare_loop": bare_ms, **measure(messages, broker, SECONDS[quick])}
        finally:
            site.stop()
            broker.close()


class Messages:
    """Makes messages that were never there before."""

    def __init__(self, prefix: str) -> None:
        """Begin 40 days ago."""
        self._prefix = prefix
        self._at_ms = int(time.time() * 1000) - 40 * 86_400_000

    def of(self, readings: int) -> list[tuple[bytes, bytes]]:
        """Return one round of all meters, topic and payload."""
        times = [self._at_ms + place * STEP_MS for place in range(readings)]
        self._at_ms += readings * STEP_MS
        rows = ",".join(f'{{"t":{at},"v":{at // 1000 % 1_000_000},"f":0}}' for at in times)
        names = [meter(number) for number in range(METERS)]
        return [
            (f"{self._prefix}/{name}/up".encode(), f'{{"id":"{name}","readings":[{rows}]}}'.encode()) for name in names
        ]

    def send(self, broker: StandIn, readings: int, seconds: float, *, rate: float, window: int) -> Sent:
        """Send for about `seconds`, or a share of that as fast as it goes; the payloads are made before."""
        count = int(seconds * (rate or WINDOWS[window]))
        rounds = [self.of(readings) for _ in range(-(-count // METERS))]
        return broker.send(lambda place: rounds[place // METERS][place % METERS], count, rate=rate, window=window)


def bare(site: SmallSite, messages: Messages, broker: StandIn, seconds: float) -> float:
    """Return the p99 in ms of a loop that only acknowledges."""
    command = [sys.executable, "-m", "benchmarks.acks", str(site.config)]
    with subprocess.Popen(command) as process:
        try:
            broker.accept()
            messages.send(broker, 1, 1.0, rate=RATE, window=MOST)
            return 1e3 * p99(messages.send(broker, READINGS, seconds, rate=RATE, window=MOST).delays_s)
        finally:
            process.kill()


async def acknowledge(config: MqttConfig) -> None:
    """Acknowledge every message and do nothing else."""
    client = make_client(config, config.client_id, clean=False)
    await connect(client, config)
    await client.subscribe([(subscription(topic.filter), 1) for topic in config.topics])
    async for message in client.messages():
        await client.ack(message)


def measure(messages: Messages, broker: StandIn, seconds: float) -> dict[str, float]:
    """Return all figures; delays in ms."""
    messages.send(broker, 1, WARM_UP_S, rate=RATE, window=MOST)
    figures: dict[str, float] = {}
    wrong = 0
    for readings in (1, READINGS):
        sent = messages.send(broker, readings, seconds, rate=RATE, window=MOST)
        wrong += sent.out_of_order
        figures[f"p50_ms_{readings}_readings"] = 1e3 * sorted(sent.delays_s)[len(sent.delays_s) // 2]
        figures[f"p99_ms_{readings}_readings"] = 1e3 * p99(sent.delays_s)
        figures[f"longest_ms_{readings}_readings"] = 1e3 * max(sent.delays_s)
        figures[f"late_sends_{readings}_readings"] = float(sent.late_sends)
    for window in WINDOWS:
        sent = messages.send(broker, 1, seconds / 2, rate=0.0, window=window)
        wrong += sent.out_of_order
        figures[f"messages_per_s_window_{window}"] = len(sent.delays_s) / sent.seconds
    figures["out_of_order"] = float(wrong)
    figures["across_a_reconnect"] = float(cut(messages, broker))
    return figures


def cut(messages: Messages, broker: StandIn) -> int:
    """End the connection with messages on their way; return how many acknowledgements come on the next one."""
    unacknowledged = messages.of(1)
    broker.push(unacknowledged)
    broker.drop()
    broker.accept()
    return broker.listen(1.0)


if __name__ == "__main__":
    asyncio.run(acknowledge(load_config(Path(sys.argv[1])).source[0]))
