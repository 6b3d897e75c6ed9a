import asyncio
import json
from typing import Any

import pytest

from collectors.impostors import MOST, ImpostorWatch
from gateway.errors import TransientError
from gateway.ports import Delivery
from gateway.runtime.clock import ManualClock
from gateway.runtime.runner import PushRunner
from tests.collectors.mqtt_peers import (
    NOW_US,
    PREFIX,
    Publisher,
    message,
    opened,
    registers,
    take,
    until,
)
from tests.services import Server


async def test_silence_is_noticed_said_and_ended(mosquitto: Server, source: Any) -> None:
    collector = source(mosquitto.port, silence_s=0.4)
    peer = Publisher(mosquitto.port)

    async def put(delivery: Delivery) -> None:
        assert delivery.ack is not None
        await delivery.ack()

    runner = PushRunner(collector, put, ManualClock(NOW_US))
    task = asyncio.create_task(runner.run())
    await until(lambda: "subscribed again" in runner.link_states()[0].error)
    assert runner.link_states()[0].up is True
    await asyncio.to_thread(peer.send, message("M-000001", 1))
    await until(lambda: not runner.link_states()[0].error)
    await until(lambda: runner.link_states()[0].up is False)
    assert "connected again" in runner.link_states()[0].error
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    peer.close()


async def test_after_a_silence_everything_that_waited_comes(mosquitto: Server, source: Any) -> None:
    collector = source(mosquitto.port, silence_s=0.2)
    peer = Publisher(mosquitto.port)
    async with opened(collector) as deliveries:
        with pytest.raises(TransientError, match=r"no message for 0\.4 s"):
            await asyncio.wait_for(anext(deliveries), 60)
        await asyncio.to_thread(peer.send, message("M-000001", 7))
        await collector.open()
        assert registers(await take(collector.deliveries(), 1)) == [7]
    peer.close()


async def test_what_a_message_says_of_strangers_is_a_dead_letter_beside_the_readings(
    mosquitto: Server, source: Any
) -> None:
    topic = {"filter": f"{PREFIX}/many", "each": "$.m[*]", "meter": "id", "values": {"battery_v": "b"}}
    body = {"m": [{"id": "M-000001", "b": 3.6}, {"id": "stranger", "b": 1}, {"id": "M-000002", "b": 3.5}]}
    peer = Publisher(mosquitto.port)
    async with opened(source(mosquitto.port, topic=[topic])) as deliveries:
        await asyncio.to_thread(peer.send, (f"{PREFIX}/many", json.dumps(body).encode()))
        (delivery,) = await take(deliveries, 1)
    peer.close()
    assert list(delivery.batch.value) == [3.6, 3.5]
    assert [letter.reason for letter in delivery.dead] == ["unknown meter in the message: stranger"]
    assert json.loads(delivery.dead[0].payload) == body


async def test_many_messages_for_other_meters_are_complained_of_once_a_source(mosquitto: Server, source: Any) -> None:
    collector = source(mosquitto.port)
    peer = Publisher(mosquitto.port)
    async with opened(collector) as deliveries:
        wrong = (f"{PREFIX}/M-000001/up", message("M-000002", 1)[1])
        await asyncio.to_thread(peer.send, *[wrong] * (MOST - 1))
        await take(deliveries, MOST - 1)
        assert collector.complaint == ""
        await asyncio.to_thread(peer.send, wrong)
        await take(deliveries, 1)
        assert "speak for meters of other topics, the last one on collect/M-000001/up" in collector.complaint
    peer.close()


def test_faults_of_long_ago_are_forgiven() -> None:
    watch = ImpostorWatch()
    for second in range(MOST):
        watch.note("t", float(second * 100))
    assert not watch.complaint(900.1)
    for second in range(MOST):
        watch.note("t", 1000.0 + second)
    assert watch.complaint(1500.0)
    assert not watch.complaint(1700.0)
