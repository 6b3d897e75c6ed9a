"""A publisher that shares no code with the collector, and a source of it, for the tests over real brokers."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from collectors.mqtt import MqttCollector
from collectors.mqtt_config import MqttConfig
from gateway.ports import Delivery
from gateway.runtime.clock import ManualClock
from tests.collectors.sites import MemoryRegistry, network

NOW_US = 1_768_435_200_000_000


T_MS = 1_768_435_100_000


PREFIX = "collect"


class Publisher:
    """An independent peer: paho, QoS 1, each message confirmed by the broker before `send` returns."""

    def __init__(self, port: int) -> None:
        self.client = paho.Client(CallbackAPIVersion.VERSION2)
        self.client.max_inflight_messages_set(1000)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def send(self, *messages: tuple[str, bytes], retain: bool = False) -> None:
        sent = [self.client.publish(topic, payload, qos=1, retain=retain) for topic, payload in messages]
        for one in sent:
            one.wait_for_publish(10)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def message(meter: str, number: int, **more: Any) -> tuple[str, bytes]:
    body = {"id": meter, "readings": [{"t": T_MS + number, "v": number}], **more}
    return f"{PREFIX}/{meter}/up", json.dumps(body).encode()


@asynccontextmanager
async def opened(collector: MqttCollector) -> AsyncIterator[AsyncIterator[Delivery]]:
    await collector.open()
    try:
        yield collector.deliveries()
    finally:
        await collector.close()


async def take(deliveries: AsyncIterator[Delivery], count: int, *, ack: bool = True) -> list[Delivery]:
    got: list[Delivery] = []
    taken = 0
    async with asyncio.timeout(40):
        # a delivery brings several messages where many wait; each message of these tests is one reading
        while taken < count:
            got.append(await anext(deliveries))
            taken += max(1, len(got[-1].batch))
            if ack and (acknowledge := got[-1].ack):
                await acknowledge()
    return got


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(40):
        while not condition():  # noqa: ASYNC110 - tests watch from outside
            await asyncio.sleep(0.02)


def registers(deliveries: list[Delivery]) -> list[float]:
    return [round(float(value) * 1000) for delivery in deliveries for value in delivery.batch.value]


def make_source(name: str, port: int, **changes: Any) -> MqttCollector:
    table = {
        "name": "meters",
        "url": f"mqtt://127.0.0.1:{port}",
        "version": "3.1.1",
        "client_id": f"gasgate-{name}"[:60].replace("[", "-").replace("]", ""),
        "timeout_s": 5.0,
        "topic": [
            {
                "filter": f"{PREFIX}/{{meter}}/up",
                "identity": "$.id",
                "each": "$.readings[*]",
                "time": {"path": "t", "as": "epoch_ms"},
                "values": {"register_measured_m3": {"path": "v", "scale": 0.001}},
            }
        ],
        **changes,
    }
    return MqttCollector(MqttConfig.model_validate(table), MemoryRegistry(), network(), ManualClock(NOW_US))
