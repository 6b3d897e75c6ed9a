from typing import Any

import pytest

from collectors.modbus_config import Address, LinkConfig, ModbusConfig, SerialConfig, parse_url
from gateway.config_keys import describe

UNIT = {"unit": 1, "profile": "station_rtu", "asset": "S-01"}


def link(url: str, **more: Any) -> dict[str, Any]:
    return {"name": "a", "url": url, "unit": [UNIT], **more}


@pytest.mark.parametrize(
    ("url", "address", "shown"),
    [
        ("tcp://host", Address("socket", "tcp", "host", 502), "host:502"),
        ("tls://host", Address("socket", "tcp", "host", 802, tls=True), "host:802"),
        ("tcp://[::1]:1502", Address("socket", "tcp", "::1", 1502), "::1:1502"),
        ("rtu+tcp://10.0.0.1:4001", Address("socket", "rtu", "10.0.0.1", 4001), "10.0.0.1:4001"),
        ("ascii+tcp://h:4001", Address("socket", "ascii", "h", 4001), "h:4001"),
        ("rtu:///dev/ttyUSB0", Address("serial", "rtu", device="/dev/ttyUSB0"), "/dev/ttyUSB0"),
        (
            "ascii:///dev/serial/by-id/x",
            Address("serial", "ascii", device="/dev/serial/by-id/x"),
            "/dev/serial/by-id/x",
        ),
    ],
)
def test_an_address_is_understood(url: str, address: Address, shown: str) -> None:
    assert parse_url(url) == address
    assert str(address) == shown


@pytest.mark.parametrize(
    "url", ["rtu://dev/ttyS0", "rtu:ttyS0", "rtu+tcp:///dev/ttyS0", "serial:///dev/ttyS0", "tcp://h:99999"]
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"is no Modbus address|Port out of range"):
        LinkConfig.model_validate(link(url))


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        (link("tcp://h", ca="x"), "are for tls://"),
        (link("tcp://h", server_name="x"), "are for tls://"),
        (link("tls://h", certificate="x"), "give both"),
        (link("tcp://h", serial={"baud": 9600}), "serial is for"),
        (link("rtu:///dev/ttyS0", connections=2), "one connection"),
        (link("rtu:///dev/ttyS0", serial={"data_bits": 7}), "data_bits = 8"),
        (link("rtu:///dev/ttyS0", serial={"baud": 9601}), "Input should be"),
        (link("rtu:///dev/ttyS0", unit=[{**UNIT, "unit": 0}]), "1 to 247"),
        (link("tcp://h", connections=17), "less than or equal to 16"),
        (link("tcp://h", name="a#2"), "should match pattern"),
    ],
)
def test_a_link_that_cannot_work_is_refused(table: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        LinkConfig.model_validate(table)


def test_a_serial_line_has_one_owner() -> None:
    links = [link("rtu:///dev/ttyS0"), {**link("ascii:///dev/ttyS0"), "name": "b"}]
    with pytest.raises(ValueError, match="one owner"):
        ModbusConfig.model_validate({"name": "s", "link": links})


def test_a_character_takes_its_bits() -> None:
    assert SerialConfig(baud=9600).character_s == pytest.approx(11 / 9600)
    assert SerialConfig(baud=1200, parity="none", data_bits=7).character_s == pytest.approx(9 / 1200)


def test_every_key_of_a_link_is_described() -> None:
    keys = {key: text for key, text in describe() if key.startswith("source[modbus].link[]")}
    assert len(keys) >= 20
    assert all(keys.values())
