import asyncio
import json
from typing import Any

import pytest

from collectors.modbus_config import ModbusConfig
from collectors.mqtt_config import MqttConfig
from collectors.probe import probe_modbus, probe_mqtt
from gateway.errors import ConfigError, TransientError
from gateway.model.reading import Reason, Severity
from tests.collectors.devices import Question, running
from tests.collectors.mqtt_peers import Publisher
from tests.collectors.sites import link, network
from tests.services import Server

STATION = [0x4020, 0x0000, 0x0000, 0x437A, 0x449A, 0x5000, 0xFFCB, 0x002A, 0x0003]


def station(port: int, **more: Any) -> ModbusConfig:
    unit = {"unit": 3, "profile": "station_rtu", "asset": "S-01"}
    return ModbusConfig.model_validate({"name": "site", "link": [link(port, unit, **more)]})


async def test_a_probe_shows_plan_words_and_values() -> None:
    def answer(question: Question) -> bytes:
        return question.registers(STATION[question.start : question.start + question.count])

    async with running(answer) as device:
        probe = await probe_modbus(station(device.port), "a", 3)
    (request,) = probe.requests
    assert (request.request.start, request.request.count, list(request.cells)) == (0, 9, STATION)
    assert 0 < request.seconds < 1
    assert ("S-01/gas_lel_pct", 4.2) in [(reading.point, reading.value) for reading in probe.readings]
    assert (probe.key, probe.error) == ("site/a/3", "")
    assert {question.function for question in device.asked} == {4}


async def test_a_probe_shows_a_hole_and_a_silence() -> None:
    def answer(question: Question) -> bytes:
        cells = range(question.start, question.start + question.count)
        return question.refusal(2) if 7 in cells else question.registers([STATION[address] for address in cells])

    async with running(answer) as device:
        probe = await probe_modbus(station(device.port), "a", 3)
    bad = [(reading.point, reading.severity, reading.reason) for reading in probe.readings if reading.reason]
    assert bad == [("S-01/gas_lel_pct", Severity.BAD, Reason.ILLEGAL_ADDRESS)]
    assert probe.requests[0].error == "exception code 2 (illegal data address)"
    async with running(lambda _: None) as device:
        probe = await probe_modbus(station(device.port, timeout_s=0.1), "a", 3)
    assert "does not answer" in probe.error
    assert probe.readings == ()


async def test_a_probe_of_something_that_is_not_configured_says_what_is() -> None:
    with pytest.raises(ConfigError, match="there are a"):
        await probe_modbus(station(1), "b", 3)
    with pytest.raises(ConfigError, match="there are 3"):
        await probe_modbus(station(1), "a", 4)


def broker(port: int) -> MqttConfig:
    topic = {"filter": "probe/{meter}/up", "values": {"battery_v": "b"}}
    table = {"name": "m", "url": f"mqtt://127.0.0.1:{port}", "client_id": "probe-test", "topic": [topic]}
    return MqttConfig.model_validate(table)


async def test_a_probe_of_a_broker_shows_messages_and_why_some_would_be_dead(mosquitto: Server) -> None:
    peer = Publisher(mosquitto.port)
    watching = asyncio.create_task(probe_mqtt(broker(mosquitto.port), network(), 60, limit=2))
    good, stranger = ("probe/M-000001/up", json.dumps({"b": 3.6}).encode()), ("probe/M-9/up", b"{}")
    while not watching.done():  # nothing tells when it has subscribed
        await asyncio.to_thread(peer.send, good, stranger)
        await asyncio.wait([watching], timeout=0.5)
    probe = await watching
    peer.close()
    first, second = sorted(probe.messages, key=lambda message: message.topic)
    assert (first.topic, first.payload, first.reason) == (*good, "")
    assert [(reading.point, reading.value) for reading in first.readings] == [("M-000001/battery_v", 3.6)]
    assert (second.readings, second.reason) == ((), "unknown meter in the topic")
    assert probe.seconds < 60


async def test_a_probe_ends_when_nothing_comes(mosquitto: Server) -> None:
    probe = await probe_mqtt(broker(mosquitto.port), network(), 0.3)
    assert probe.messages == ()
    with pytest.raises(TransientError):
        await probe_mqtt(broker(1), network(), 0.3)
