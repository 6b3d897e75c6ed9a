"""Messages of QoS 0: stored, told once and counted where no loss is allowed; where it is, the broker keeps none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from collectors.mqtt import MqttCollector
from collectors.mqtt_config import MqttConfig
from gateway.model.network import Network
from gateway.runtime.clock import ManualClock
from tests.collectors.mqtt_peers import NOW_US, opened, registers, take
from tests.collectors.sites import MemoryRegistry, network
from tests.services import Server


def topic(branch: str, **more: Any) -> dict[str, Any]:
    return {"filter": f"{branch}/{{meter}}", "values": {"register_measured_m3": {"path": "v", "scale": 0.001}}, **more}


def config_of(port: int, client: str, *topics: dict[str, Any]) -> MqttConfig:
    table = {"name": "m", "url": f"mqtt://127.0.0.1:{port}", "client_id": client, "topic": topics}
    return MqttConfig.model_validate(table)


def collector_of(config: MqttConfig, assets: Network) -> MqttCollector:
    return MqttCollector(config, MemoryRegistry(), assets, ManualClock(NOW_US))


def publish(port: int, *messages: tuple[str, int, int]) -> None:
    """Publish (branch, value, QoS) and wait until all are out; the broker takes them in order."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="qos")
    client.connect("127.0.0.1", port)
    client.loop_start()
    for branch, value, qos in [*messages, ("other", 0, 1)]:
        client.publish(f"{branch}/M-000001", b'{"v": %d}' % value, qos=qos).wait_for_publish(5)
    client.disconnect()
    client.loop_stop()


async def test_a_message_of_qos_0_is_stored_told_once_and_counted(
    mosquitto: Server, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    config = config_of(mosquitto.port, tmp_path.name, topic("safe"), topic("any", loss_allowed=True))
    collector = collector_of(config, network())
    async with opened(collector) as deliveries:
        publish(mosquitto.port, ("safe", 1, 1), ("safe", 2, 0), ("any", 3, 0), ("safe", 4, 0), ("any", 5, 1))
        assert registers(await take(deliveries, 5)) == [1, 2, 3, 4, 5]
    assert collector.counts() == {"unsafe": 2}
    (told,) = [record.getMessage() for record in caplog.records if "QoS 0" in record.getMessage()]
    assert "safe/M-000001" in told
    assert "loss_allowed" in told


async def test_while_it_is_away_the_broker_keeps_only_what_must_not_be_lost(mosquitto: Server, tmp_path: Path) -> None:
    config = config_of(mosquitto.port, tmp_path.name, topic("safe"), topic("any", loss_allowed=True))
    async with opened(collector_of(config, network())):
        pass
    publish(mosquitto.port, ("any", 1, 1), ("safe", 2, 1), ("any", 3, 1), ("safe", 4, 1))
    async with opened(collector_of(config, network())) as deliveries:
        assert registers(await take(deliveries, 2)) == [2, 4]
        publish(mosquitto.port, ("any", 5, 1))
        assert registers(await take(deliveries, 1)) == [5]


async def test_a_reload_takes_another_answer_to_whether_loss_is_allowed(mosquitto: Server, tmp_path: Path) -> None:
    before, after = (
        config_of(mosquitto.port, tmp_path.name, topic("any", loss_allowed=loss_allowed))
        for loss_allowed in (True, False)
    )
    collector = collector_of(before, network())
    async with opened(collector):
        change = collector.reconfigure(after, network())
        assert change is not None
        await change.apply()
    publish(mosquitto.port, ("any", 1, 1))
    async with opened(collector) as deliveries:
        assert registers(await take(deliveries, 1)) == [1]


async def test_sparkplug_data_have_qos_0_by_definition(caplog: pytest.LogCaptureFixture) -> None:
    mapping = {"filter": "spBv1.0/Gas/#", "format": "sparkplug", "values": {"battery_v": "Battery"}}
    collector = collector_of(config_of(1, "sparkplug", mapping), network())
    collector._note_unsafe(["spBv1.0/Gas/DDATA/E/M-000001"])
    assert collector.counts() == {"unsafe": 0}
    assert not caplog.records
