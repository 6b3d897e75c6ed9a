"""Commands over a real Mosquitto to a meter that is played by paho."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from pydantic import ValidationError

from collectors.mqtt import MqttCollector
from collectors.mqtt_config import MqttConfig
from gateway.model.command import CommandState
from gateway.ports import Delivery, SpoolRecord
from gateway.runtime.clock import SystemClock
from gateway.runtime.runner import PushRunner
from tests.collectors.command_site import CommandSite, running
from tests.collectors.sites import MemoryRegistry, network
from tests.services import Server

METER = "M-000003"
COMMAND: dict[str, Any] = {
    "name": "valve_close",
    "topic": "orders/{zone}/{meter}/down",
    "payload": {"id": "$id", "do": {"valve": 0}, "for": "$meter", "until": "$until_ms", "list": ["$time_ms", 7]},
    "answer": {"topic": "orders/+/{meter}/answer", "id": "$.id", "result": "$.code", "good": [0], "within_s": 0.5},
    "confirm": "valve",
    "expect": 0,
    "settle_s": 0.05,
    "look_for_s": 1.0,
}
_number = count(1)


def config(port: int, version: Any = 5, **changes: Any) -> MqttConfig:
    number = next(_number)
    return MqttConfig.model_validate({
        "name": "meters",
        "url": f"mqtt://127.0.0.1:{port}",
        "version": version,
        "client_id": f"gasgate-orders-{number}",
        "timeout_s": 3.0,
        "topic": [{
            "filter": "orders/+/{meter}/up",
            "time": {"path": "t", "as": "epoch_ms"},
            "values": {"valve": "k"},
        }],
        "command": [{**COMMAND, **changes}],
    })  # fmt: skip


class Meter:
    """Takes orders, answers as `answers` says, and reports its valve when told to."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.orders: list[dict[str, Any]] = []
        self.answers: Callable[[dict[str, Any]], list[Any]] = lambda order: [{"id": order["id"], "code": 0}]
        self.reports: Callable[[], list[tuple[float, int]]] = lambda: [(0.2, 0)]
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"meter-{next(_number)}")
        self._client.on_message = self._ordered
        self.listening = threading.Event()
        self._client.on_subscribe = lambda *_: self.listening.set()
        self._client.connect("127.0.0.1", port)
        self._client.subscribe(f"orders/CITY/{METER}/down", qos=1)
        self._client.loop_start()

    def _ordered(self, _client: Any, _user: Any, message: paho.MQTTMessage) -> None:
        order = json.loads(message.payload)
        self.orders.append(order)
        for answer in self.answers(order):
            body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
            self._client.publish(f"orders/CITY/{METER}/answer", body, qos=1)
        for after_s, valve in self.reports():
            reading = {"t": int((time.time() + after_s) * 1000), "k": valve}
            self._client.publish(f"orders/CITY/{METER}/up", json.dumps(reading).encode(), qos=1)

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def meter(mosquitto: Server) -> Any:
    played = Meter(mosquitto.port)
    assert played.listening.wait(60)
    yield played
    played.close()


@asynccontextmanager
async def site_with(folder: Path, settings: MqttConfig) -> AsyncIterator[CommandSite]:
    registry = MemoryRegistry()
    collector = MqttCollector(settings, registry, network(), SystemClock())
    site = CommandSite(folder, [collector.commander], registry)
    numbers = count(1)

    async def put(delivery: Delivery) -> None:
        site.watch.on_record(SpoolRecord(next(numbers), delivery.batch))
        site.latest.update({int(point): delivery.batch for point in delivery.batch.point})
        if delivery.ack is not None:
            await delivery.ack()

    runner = asyncio.create_task(PushRunner(collector, put, site.clock).run())
    async with running(site):
        await asyncio.sleep(0.3)
        yield site
    runner.cancel()
    await asyncio.gather(runner, return_exceptions=True)


@pytest.mark.parametrize("version", ["3.1.1", 5])
async def test_a_meter_answers_closes_and_reports(
    tmp_path: Path, mosquitto: Server, meter: Meter, version: Any
) -> None:
    async with site_with(tmp_path, config(mosquitto.port, version)) as site:
        command = await site.ask(METER)
        over = await site.until_over(command)
        assert (over.state, over.read_value) == (CommandState.CONFIRMED, 0.0)
        assert site.acts() == ["requested", "sent", "answered", "confirmed"]
        (order,) = meter.orders
        assert (order["id"], order["for"], order["do"], order["list"][1]) == (
            command.correlation, METER, {"valve": 0}, 7,
        )  # fmt: skip
        assert order["until"] - order["list"][0] == 60_000
        topic, payload = over.request_frame.split(" ")
        assert (topic, json.loads(bytes.fromhex(payload))) == (f"orders/CITY/{METER}/down", order)


def only_others(_order: dict[str, Any]) -> list[Any]:
    return [{"id": "somebody-else", "code": 0}, b"{", {"code": 0}]


@pytest.mark.parametrize(
    ("answers", "reports", "state_and_acts"),
    [
        (lambda o: [{"id": o["id"], "code": 7}], list, (CommandState.REFUSED, ["refused"])),
        (lambda o: [{"id": o["id"], "code": False}], list, (CommandState.REFUSED, ["refused"])),
        (only_others, lambda: [(1.0, 0)], (CommandState.CONFIRMED, ["unknown", "confirmed"])),
        (only_others, list, (CommandState.UNKNOWN, ["unknown", "unknown"])),
        (lambda o: [{"id": o["id"], "code": 0}], lambda: [(-60, 0), (0.2, 1)],
         (CommandState.MISMATCH, ["answered", "mismatch"])),
    ],
)  # fmt: skip
async def test_whatever_the_meter_says_it_is_told_once(
    tmp_path: Path, meter: Meter, answers: Any, reports: Any, state_and_acts: tuple[CommandState, list[str]]
) -> None:
    meter.answers, meter.reports = answers, reports
    state, acts = state_and_acts
    async with site_with(tmp_path, config(meter.port)) as site:
        over = await site.until_over(await site.ask(METER))
        assert over.state is state
        assert site.acts() == ["requested", "sent", *acts]
        assert len(meter.orders) == 1


async def test_without_a_broker_nothing_is_sent_and_it_is_said_so(tmp_path: Path, free_port: Callable[[], int]) -> None:
    async with site_with(tmp_path, config(free_port())) as site:
        over = await site.until_over(await site.ask(METER, age_s=59.5))
        assert (over.state, over.detail[:10]) == (CommandState.EXPIRED, "never sent")


async def test_a_second_start_waits_for_the_reading_and_sends_nothing(
    tmp_path: Path, mosquitto: Server, meter: Meter
) -> None:
    settings = config(mosquitto.port, look_for_s=30)
    meter.reports = list
    async with site_with(tmp_path, settings) as site:
        command = await site.ask(METER)
        for _ in range(200):
            await asyncio.sleep(0.02)
            if site.acts()[-1] == "answered":
                break
    async with site_with(tmp_path, settings) as site:
        await asyncio.sleep(0.3)
        assert site.now(command).state is CommandState.UNKNOWN
        body = json.dumps({"t": int(time.time() * 1000), "k": 0}).encode()
        meter._client.publish(f"orders/CITY/{METER}/up", body, qos=1)
        assert (await site.until_over(command)).state is CommandState.CONFIRMED
        assert len(meter.orders) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"confirm": "flags", "second_person": True}, "no read-back"),
        ({"expect": 1}, "allow_open"),
        ({"expect": 1, "allow_open": True}, "second_person"),
        ({"payload": {"do": 1}}, r"\$id"),
        ({"payload": {"id": "$id", "x": "$secret"}}, "secret"),
        ({"topic": "orders/{zone}/down"}, "{meter}"),
        ({"topic": "orders/+/{meter}"}, "no level"),
        ({"answer": {"topic": "orders/#", "id": "$.id"}}, "no level"),
        ({"answer": {"topic": "a/{meter}", "id": "$.a[*]"}}, "path"),
    ],
)
def test_a_command_that_must_not_be_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        config(1883, **changes)


def test_only_meters_of_the_right_kind_are_offered_it() -> None:
    for kinds, offered in ((("remote",), 1), (("ic_card",), 0)):
        collector = MqttCollector(config(1883, kinds=kinds), MemoryRegistry(), network(), SystemClock())
        assert len(collector.commander.offers(METER)) == offered
        assert collector.commander.offers("S-01") == []
