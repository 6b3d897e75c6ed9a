from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from simulators.city import LIVE_START, City, demo_plan
from simulators.live.broker import BrokerProcess
from simulators.live.mqtt_publisher import Publisher
from simulators.live.reports import HALF_HOUR_US, HalfHourly, bad_messages
from simulators.story import past_faults

LIVE_US = int(LIVE_START.timestamp()) * 1_000_000


@pytest.fixture
def city() -> City:
    plan = demo_plan(5, 8)
    return City(plan, past_faults(plan))


@pytest.fixture
def broker(free_port: Callable[[], int]) -> Iterator[BrokerProcess]:
    process = BrokerProcess(free_port())
    process.start()
    yield process
    process.stop()


class Listener:
    """Subscribes like a gateway and keeps everything that arrives."""

    def __init__(self, port: int) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self.subscribed = threading.Event()
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="listener", clean_session=False)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda client, *_: client.subscribe("gas/+/+/up", qos=1)
        self._client.on_subscribe = lambda *_: self.subscribed.set()
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port, keepalive=20)
        self._client.loop_start()
        assert self.subscribed.wait(60.0)

    def _on_message(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        self.messages.append((message.topic, bytes(message.payload)))

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def listener(broker: BrokerProcess) -> Iterator[Listener]:
    made = Listener(broker.port)
    yield made
    made.close()


def _wait(done: Callable[[], bool], limit_s: float = 60.0) -> None:
    end = time.monotonic() + limit_s
    while not done():
        assert time.monotonic() < end
        time.sleep(0.02)


def _registers(messages: list[tuple[str, bytes]]) -> dict[tuple[str, int], int]:
    return {
        (report["id"], reading["t"]): reading["v"]
        for report in (json.loads(payload) for _, payload in messages)
        for reading in report["readings"]
    }


def test_each_remote_meter_reports_each_half_hour(city: City) -> None:
    reporter = HalfHourly(city, LIVE_US)
    remote = [
        m.meter_id for m, ic in zip(city.plan.customers.meters, city.plan.customers.ic_card, strict=True) if not ic
    ]
    reports = [r for minute in range(1, 61) for r in reporter.due(LIVE_US + minute * 60_000_000)]
    assert sorted(topic.split("/")[2] for topic, _ in reports) == sorted(remote * 2)
    sent = [json.loads(payload)["sent"] for _, payload in reports]
    assert max(sent.count(moment) for moment in sent) < 8  # staggered
    registers = _registers(reports)
    column = {meter.meter_id: n for n, meter in enumerate(city.plan.customers.meters)}
    for (meter, t_ms), litres in registers.items():
        shown = city.shown(city.registers(t_ms * 1000))
        assert litres == round(shown[column[meter]] * 1000)
    for meter in remote:
        assert [t for name, t in sorted(registers) if name == meter] == [
            (LIVE_US + n * HALF_HOUR_US) // 1000 for n in range(-2, 2)
        ]


def test_a_pause_is_caught_up_without_a_flood(city: City) -> None:
    reporter = HalfHourly(city, LIVE_US)
    remote = int((~city.plan.customers.ic_card).sum())
    assert len(reporter.due(LIVE_US + 24 * 2 * HALF_HOUR_US)) == 8 * remote
    assert reporter.due(LIVE_US + 24 * 2 * HALF_HOUR_US) == []


def test_reports_arrive_over_the_embedded_broker(city: City, broker: BrokerProcess, listener: Listener) -> None:
    publisher = Publisher(broker.port)
    publisher.start()
    reports = HalfHourly(city, LIVE_US).due(LIVE_US + HALF_HOUR_US)
    for topic, payload in reports:
        publisher.publish(topic, payload)
    _wait(lambda: publisher.counts().waiting == 0)
    _wait(lambda: len(listener.messages) == len(reports))
    assert sorted(listener.messages) == sorted(reports)
    publisher.stop()


def test_a_broker_restart_loses_no_register(city: City, broker: BrokerProcess, listener: Listener) -> None:
    publisher = Publisher(broker.port)
    publisher.start()
    reporter = HalfHourly(city, LIVE_US)
    _wait(lambda: publisher.counts().connections == 1)

    def report(until_us: int) -> list[tuple[str, bytes]]:
        due = reporter.due(until_us)
        for topic, payload in due:
            publisher.publish(topic, payload)
        return due

    sent = report(LIVE_US + HALF_HOUR_US)
    _wait(lambda: len(listener.messages) == len(sent))
    listener.subscribed.clear()
    broker.stop()
    sent += report(LIVE_US + 2 * HALF_HOUR_US)
    assert publisher.counts().waiting > 0
    broker.start()
    _wait(listener.subscribed.is_set)
    _wait(lambda: publisher.counts().waiting == 0)
    assert publisher.counts().connections == 2
    # a report that the broker took before the listener was back is gone; the next one repeats its readings
    sent += report(LIVE_US + 3 * HALF_HOUR_US)
    _wait(lambda: publisher.counts().waiting == 0)
    _wait(lambda: _registers(listener.messages) == _registers(sent))
    publisher.stop()


def test_bad_messages_are_bad_each_in_its_own_way(city: City) -> None:
    messages = bad_messages(city, LIVE_US)
    readable = []
    for topic, payload in messages:
        try:
            readable.append((topic.split("/")[2], json.loads(payload)))
        except ValueError:
            continue
    assert len(messages) - len(readable) == 2
    assert any(data["id"] != meter for meter, data in readable)
    assert "M-999999" not in {meter.meter_id for meter in city.plan.customers.meters}


def test_a_broker_that_cannot_listen_says_so(broker: BrokerProcess) -> None:
    second = BrokerProcess(broker.port)
    second.launch()
    time.sleep(0.5)
    with pytest.raises(RuntimeError, match="ended with code"):
        _wait(lambda: second.running() and False)
