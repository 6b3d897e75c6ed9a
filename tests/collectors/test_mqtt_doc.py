"""The examples of docs/mqtt.md: each mapping reads its message into the rows that the table beside it shows."""

import re
import threading
import time
import tomllib
from datetime import datetime
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from collectors.mappers import make_mappers, read_message
from collectors.payload import TopicMapping
from gateway.model.reading import Reason, to_us
from tests.collectors.sites import network
from tests.services import ROOT, Server, need, pick_free_port

NOW_US = 1_768_440_000_000_000
TEXT = (ROOT / "docs" / "mqtt.md").read_text(encoding="utf-8")
SECTIONS = {section.splitlines()[0]: section for section in TEXT.split("\n## ")[1:] if "[[source.topic]]\n" in section}
FENCE = re.compile(r"```(\w+)\n(.*?)\n```", re.DOTALL)


def mappings(section: str) -> list[TopicMapping]:
    (toml,) = (body for kind, body in FENCE.findall(section) if kind == "toml")
    return [TopicMapping.model_validate(topic) for topic in tomllib.loads(toml)["source"]["topic"]]


@pytest.mark.parametrize("title", sorted(title for title in SECTIONS if "\nTopic `" in SECTIONS[title]))
def test_an_example_gives_its_table(title: str) -> None:
    section = SECTIONS[title]
    found_topic = re.search(r"^Topic `(.+)`:$", section, re.MULTILINE)
    assert found_topic is not None
    payload = FENCE.findall(section)[1][1]
    table = section[section.index("| meter | quantity |") :]
    wanted = [tuple(cell.strip() for cell in line.split("|")[1:-1]) for line in table.splitlines()[2:] if "|" in line]
    rows = read_message(make_mappers(mappings(section), network()), found_topic[1], payload.encode(), NOW_US)
    shown = [
        (meter, quantity.value, int(at), f"bad: {Reason(int(mark) & 63).name.lower()}" if mark >> 6 else float(value))
        for meter, quantity, at, value, mark in zip(
            rows.meters, rows.quantities, rows.source_time, rows.value, rows.quality, strict=True
        )
    ]
    assert shown == [
        (meter, quantity, to_us(datetime.fromisoformat(at)), value if value.startswith("bad") else float(value))
        for meter, quantity, at, value in wanted
    ]


def test_every_kind_of_payload_has_an_example() -> None:
    shown = [mapping for section in SECTIONS.values() for mapping in mappings(section)]
    assert {mapping.format for mapping in shown} == {"json", "csv", "sparkplug"}
    assert {mapping.frame.protocol for mapping in shown if mapping.frame} == {"cjt188", "registers"}
    assert {"modbus_rtu", "silence_s"} <= set(re.findall(r"`(\w+)`", TEXT))


def test_the_access_rules_let_a_meter_speak_for_itself_only(tmp_path: Path) -> None:
    section = TEXT[TEXT.index("\n## The broker") :]
    rules = FENCE.findall(section)[1][1]
    (tmp_path / "acl").write_text(rules + "\n", encoding="utf-8")
    port = pick_free_port()
    config = tmp_path / "mosquitto.conf"
    # names without certificates, which another test checks: here only the rules count
    config.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nuser root\nacl_file {tmp_path}/acl\n")
    broker = Server([need("mosquitto"), "-c", str(config)], port, tmp_path)
    broker.start()
    got: list[str] = []
    names = ("gasgate", "M-000001")
    gateway, meter = (paho.Client(CallbackAPIVersion.VERSION2, client_id=f"acl-{name}") for name in names)
    ready = threading.Event()
    gateway.on_subscribe = lambda *_: ready.set()

    def subscribe(*_: object) -> None:
        gateway.subscribe("gas/#", qos=1)

    gateway.on_connect = subscribe
    gateway.on_message = lambda _client, _data, message: got.append(message.topic)
    for client, name in zip((gateway, meter), names, strict=True):
        client.username_pw_set(name)
        client.connect("127.0.0.1", port)
        client.loop_start()
    assert ready.wait(60)
    for topic in ("gas/R-001/M-000002/up", "gas/R-001/M-000001/up"):
        meter.publish(topic, b"{}", qos=1).wait_for_publish(5)
    end = time.monotonic() + 60
    while not got and time.monotonic() < end:
        time.sleep(0.02)
    for client in (gateway, meter):
        client.disconnect()
        client.loop_stop()
    broker.stop()
    assert got == ["gas/R-001/M-000001/up"]
