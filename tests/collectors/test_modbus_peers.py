"""The collector against Modbus servers that share no code with it and that others made."""

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from collectors.modbus_config import LinkConfig
from collectors.modbus_link import Link
from collectors.modbus_reply import RefusedByDeviceError
from collectors.plan import Request
from gateway.errors import TransientError
from gateway.model.profile import RegisterTable
from gateway.model.reading import Reason
from gateway.runtime.clock import SystemClock
from tests.collectors.peers import truth
from tests.collectors.sites import MemoryRegistry, modbus
from tests.collectors.strangers import BITS, REGISTERS, bit, converter, line, pymodbustcp, umodbus_rtu, umodbus_tcp
from tests.collectors.test_modbus_link import make_certificate

PLACES = ("uModbus tcp", "uModbus tls", "uModbus rtu", "uModbus rtu+tcp", "pyModbusTCP tcp")
PROFILE = """
name = "stranger"
description = "registers, bits and an address that the device does not have"
max_gap = 10
point = [
  { quantity = "register_measured_m3", at = "holding:10", type = "uint32", scale = 0.001 },
  { quantity = "flow_measured_m3h", at = "input:20", type = "uint16", scale = 0.1 },
  { quantity = "valve", at = "coil:7", type = "bool" },
  { quantity = "battery_v", at = "holding:198", type = "uint16" },
  { quantity = "balance_m3", at = "holding:200", type = "uint16" },
]
golden = [{ ask = "04 0014 0001", reply = "04 02 0005", gives = { flow_measured_m3h = 0.5 } }]
"""


@asynccontextmanager
async def at(place: str, free_port: Callable[[], int], *units: int) -> AsyncIterator[dict[str, Any]]:
    """Run a server; give the keys of a link to it."""
    maker, way = place.split()
    with ExitStack() as stack:
        if way == "tcp":
            port = free_port()
            stack.enter_context(umodbus_tcp(port, *units) if maker == "uModbus" else pymodbustcp(port))
            yield {"url": f"tcp://127.0.0.1:{port}"}
        elif way == "tls":
            port, folder = free_port(), Path(stack.enter_context(TemporaryDirectory()))
            certificate, key = make_certificate(folder, "device")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            stack.enter_context(umodbus_tcp(port, *units, context=context))
            yield {"url": f"tls://127.0.0.1:{port}", "ca": certificate, "server_name": "device"}
        elif way == "rtu":
            async with line() as (ours, theirs):
                stack.enter_context(umodbus_rtu(theirs, *units))
                yield {"url": f"rtu://{ours}", "serial": {"baud": 38400, "parity": "none"}}
                stack.close()
        else:
            async with converter() as (port, path):
                stack.enter_context(umodbus_rtu(path, *units))
                yield {"url": f"rtu+tcp://127.0.0.1:{port}"}
                stack.close()


def table(keys: dict[str, Any], *units: int) -> dict[str, Any]:
    unit = {"profile": "station_rtu", "asset": "S-01"}
    return {"name": "a", "timeout_s": 0.5, "unit": [{"unit": number, **unit} for number in units], **keys}


@pytest.mark.parametrize("place", PLACES)
async def test_all_four_tables_are_read(place: str, free_port: Callable[[], int]) -> None:
    async with at(place, free_port, 1) as keys:
        link = Link(LinkConfig.model_validate(table(keys, 1)), SystemClock())
        for start, count in ((0, 1), (3, 125), (199, 1)):
            for kind in (RegisterTable.HOLDING, RegisterTable.INPUT):
                reply = await link.read(1, Request(kind, start, count, ()))
                assert list(reply.cells) == [truth(1, start + place) for place in range(count)]
        for start, count in ((0, 1), (3, 17), (0, BITS)):
            for kind in (RegisterTable.COIL, RegisterTable.DISCRETE):
                reply = await link.read(1, Request(kind, start, count, ()))
                assert list(reply.cells) == [bit(1, start + place) for place in range(count)]
        with pytest.raises(RefusedByDeviceError, match="exception code 2"):
            await link.read(1, Request(RegisterTable.HOLDING, REGISTERS - 1, 2, ()))
        assert (await link.read(1, Request(RegisterTable.HOLDING, 5, 1, ()))).cells == (truth(1, 5),)
        link.drop()


@pytest.mark.parametrize("place", [place for place in PLACES if "uModbus" in place])
async def test_several_units_and_a_stranger_share_a_link(place: str, free_port: Callable[[], int]) -> None:
    async with at(place, free_port, 1, 2, 17) as keys:
        link = Link(LinkConfig.model_validate(table(keys, 1, 2, 3, 17)), SystemClock())
        for unit in (1, 17, 2, 1):
            reply = await link.read(unit, Request(RegisterTable.HOLDING, unit, 8, ()))
            assert list(reply.cells) == [truth(unit, unit + place) for place in range(8)]
        with pytest.raises((TransientError, RefusedByDeviceError)):
            await link.read(3, Request(RegisterTable.HOLDING, 0, 8, ()))
        assert (await link.read(2, Request(RegisterTable.HOLDING, 9, 1, ()))).cells == (truth(2, 9),)
        link.drop()


@pytest.mark.parametrize("place", PLACES)
async def test_a_unit_is_polled_and_its_missing_address_found(
    place: str, free_port: Callable[[], int], tmp_path: Path
) -> None:
    profile = tmp_path / "stranger.toml"
    profile.write_text(PROFILE, encoding="utf-8")
    registry = MemoryRegistry()
    async with at(place, free_port, 1) as keys:
        keys |= {"name": "a", "timeout_s": 0.5, "unit": [{"unit": 1, "profile": str(profile), "asset": "M-000001"}]}
        collector = modbus(registry, keys)
        await collector.open()
        found = registry.table(await collector.collect(collector.jobs()[0]))
        await collector.close()
    assert found == {
        "M-000001/register_measured_m3": (truth(1, 10) * 65536 + truth(1, 11)) / 1000,
        "M-000001/flow_measured_m3h": truth(1, 20) / 10,
        "M-000001/valve": float(bit(1, 7)),
        "M-000001/battery_v": float(truth(1, 198)),
        "M-000001/balance_m3": Reason.ILLEGAL_ADDRESS,
    }
