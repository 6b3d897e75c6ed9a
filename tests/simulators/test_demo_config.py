from __future__ import annotations

import tomllib
from pathlib import Path

from collectors.modbus_config import ModbusConfig
from collectors.mqtt_config import MqttConfig
from simulators.demo_config import DemoPorts, write_config

PORTS = DemoPorts(web=1, keep=2, broker=3, desk=4, modbus=5000)


def test_the_sources_are_what_the_collectors_accept(own_city: Path) -> None:
    path = write_config(own_city, PORTS)
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    assert path == own_city / "gasgate.toml"
    modbus = ModbusConfig.model_validate(data["source"][0])
    assert [link.url for link in modbus.links] == [f"tcp://127.0.0.1:{5000 + n}" for n in range(7)]
    members = [member for unit in modbus.links[6].units for member in unit.members]
    assert len(members) == len(set(members)) > 80
    assert MqttConfig.model_validate(data["source"][1]).url == "mqtt://127.0.0.1:3"
    assert "output" not in data


def test_a_server_given_becomes_an_output(own_city: Path) -> None:
    text = write_config(own_city, PORTS, "http://127.0.0.1:9").read_text(encoding="utf-8")
    assert tomllib.loads(text)["output"][0]["url"] == "http://127.0.0.1:9"
