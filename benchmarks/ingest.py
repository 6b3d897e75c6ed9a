"""How fast meters' messages become durable, against a bare loop that only acknowledges.

Messages of 24 readings wait at Mosquitto in the persistent sessions of both, QoS 1 and MQTT 5 with the same window. The
bare loop takes them with the same client and acknowledges each at once; the role `keep` acknowledges after the commit
to disk, and stores them. The bare loop runs before and after, and the mean counts. The same loop with aiomqtt, which
acknowledges on receipt, is shown beside them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from collectors.mqtt_client import connect, make_client
from collectors.mqtt_config import MqttConfig
from collectors.payload import subscription
from gateway.config import load as load_config
from gateway.roles.common import service_token
from tests.end_to_end.small_site import SmallSite
from tests.services import mosquitto_server

READINGS = 24
METERS = 2000
PUBLISH_S = {True: 4.0, False: 15.0}
LOOK_S = 0.2
FROM, UPTO = 0.1, 0.9
"""shares of all messages between which the rate is taken: neither the start nor the last batch counts"""
LIMIT_S = 300.0


def run(*, quick: bool) -> dict[str, float]:
    """Let messages of 4 s (quick) or 15 s of publishing wait, and take them three times."""
    with tempfile.TemporaryDirectory(prefix="gasgate-ingest-") as name, mosquitto(Path(name)) as port:
        site = SmallSite(Path(name) / "site", port, meters=METERS)
        text = site.config.read_text(encoding="utf-8")
        site.config.write_text(text.replace(', flags = "f"', ""), encoding="utf-8")
        config: MqttConfig = load_config(site.config).source[0]
        clients = ["bare-before", config.client_id, "bare-after", "aiomqtt"]
        for client_id in clients:
            asyncio.run(open_session(config, client_id))
        messages = publish(site, PUBLISH_S[quick])
        before = bare(site, messages)
        received, stored = kept(site, messages)
        after = bare(site, messages, clients[2])
        other = with_aiomqtt(site, config, clients[3], messages)
        alone = (before + after) / 2
        return {
            "messages": float(messages),
            "bare_messages_per_s": alone,
            "messages_per_s": received,
            "readings_per_s": received * READINGS,
            "stored_readings_per_s": stored * READINGS,
            "aiomqtt_messages_per_s": other,
            "aiomqtt_ratio": received / other,
            "bare_ratio": received / alone,
        }


@contextmanager
def mosquitto(folder: Path) -> Iterator[int]:
    """Run Mosquitto on a free port and give the port."""
    server = mosquitto_server(folder)
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


async def open_session(config: MqttConfig, client_id: str) -> None:
    """Leave a session behind in which messages wait."""
    client = make_client(config, client_id, clean=False)
    await connect(client, config)
    await client.subscribe([(subscription(topic.filter), 1) for topic in config.topics])
    await client.disconnect()


def publish(site: SmallSite, seconds: float) -> int:
    """Publish as fast as the broker takes it; return how many messages wait."""
    options = {"port": site.broker_port, "prefix": site.folder.name, "meters": METERS, "first": 0, "rate": 0.0}
    arguments = [f"--{name}={value}" for name, value in {**options, "seconds": seconds}.items()]
    command = [sys.executable, "-m", "benchmarks.load", *arguments]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return int(json.loads(done.stdout)["messages"])


def bare(site: SmallSite, messages: int, client_id: str = "bare-before") -> float:
    """Take all messages in a process of its own; return messages a second."""
    command = [sys.executable, "-m", "benchmarks.ingest", str(site.config), client_id, str(messages)]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


def with_aiomqtt(site: SmallSite, config: MqttConfig, client_id: str, messages: int) -> float:
    """Take all messages with aiomqtt in a process of its own; return messages a second."""
    arguments = [str(site.broker_port), client_id, subscription(config.topics[0].filter), str(messages)]
    command = [sys.executable, "-m", "benchmarks.aiomqtt_loop", *arguments]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)


async def take(config: MqttConfig, client_id: str, messages: int) -> float:
    """Acknowledge all messages and do nothing else; return messages a second between the two shares."""
    client = make_client(config, client_id, clean=False)
    await connect(client, config)
    count, first, last = 0, int(messages * FROM), int(messages * UPTO)
    began = ended = 0.0
    async for message in client.messages():
        await client.ack(message)
        count += 1
        if count == first:
            began = time.perf_counter()
        elif count == last:
            ended = time.perf_counter()
        if count == messages:
            break
    await client.disconnect()
    return (last - first) / (ended - began)


def kept(site: SmallSite, messages: int) -> tuple[float, float]:
    """Let the role keep take all messages; return messages a second that were received, and that were stored."""
    site.start("keep")
    config = load_config(site.config)
    headers = {"Authorization": f"Bearer {service_token(config)}"}
    seen: list[tuple[float, float, float]] = []
    with httpx.Client(base_url=f"http://{config.keep.listen}", headers=headers, timeout=30) as http:
        end = time.monotonic() + LIMIT_S
        while not seen or seen[-1][2] < messages:
            if time.monotonic() > end:
                raise SystemExit(f"after {LIMIT_S:g} s only {seen[-1:]} of {messages} messages were stored")
            time.sleep(LOOK_S)
            with contextlib.suppress(httpx.TransportError):
                accounts = http.get("/status").json()["accounting"].values()
                figures = [sum(account[name] for account in accounts) / READINGS for name in ("received", "stored")]
                seen.append((time.perf_counter(), *figures))
    site.stop()
    return rate([(at, received) for at, received, _ in seen], messages), rate([(at, s) for at, _, s in seen], messages)


def rate(seen: Sequence[tuple[float, float]], messages: int) -> float:
    """Return the slope between the looks next to the two shares."""
    began = next(one for one in seen if one[1] >= messages * FROM)
    ended = next(one for one in seen if one[1] >= messages * UPTO)
    return (ended[1] - began[1]) / (ended[0] - began[0]) if ended != began else float("nan")


if __name__ == "__main__":
    source: MqttConfig = load_config(Path(sys.argv[1])).source[0]
    print(asyncio.run(take(source, sys.argv[2], int(sys.argv[3]))), flush=True)
