"""Function codes 5, 6, 15 and 16 against pymodbus, an independent server, over each framing of a socket."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pymodbus import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from gateway.model.command import CommandState
from tests.collectors.command_site import CommandSite, running
from tests.collectors.sites import MemoryRegistry, modbus

FRAMERS = {"tcp": FramerType.SOCKET, "rtu+tcp": FramerType.RTU, "ascii+tcp": FramerType.ASCII}
PROFILE = """
name = "valve_of_code"
description = "a valve that is its own order"
point = [{{ quantity = "valve", at = "{point}", {kind} }}]
golden = [{{ ask = "{ask}", reply = "{reply}", gives = {{ valve = 1 }} }}]

[[command]]
name = "valve_close"
at = "{at}"
value = {value}
confirm = "valve"
expect = 0
settle_s = 0
golden = "{golden}"
"""
COIL = {"point": "coil:3", "kind": 'type = "bool"', "ask": "01 0003 0001", "reply": "01 01 01"}
WORD = {"point": "holding:5", "kind": 'type = "bit", bit = 0', "ask": "03 0005 0001", "reply": "03 02 0001"}
CODES = {
    5: {**COIL, "at": "coil:3", "value": "0", "golden": "05 0003 0000"},
    6: {**WORD, "at": "holding:5", "value": "0x00C4", "golden": "06 0005 00C4"},
    15: {**COIL, "at": "coil:2", "value": "[1, 0, 1]", "golden": "0F 0002 0003 01 05"},
    16: {**WORD, "at": "holding:4", "value": "[7, 0x00C4]", "golden": "10 0004 0002 04 0007 00C4"},
}


def server(port: int, framing: str) -> ModbusTcpServer:
    device = SimDevice(
        1,
        simdata=(
            [SimData(0, values=[True] * 16, datatype=DataType.BITS)],
            [SimData(0, values=[True] * 16, datatype=DataType.BITS)],
            [SimData(0, values=[1] * 10, datatype=DataType.REGISTERS)],
            [SimData(0, values=[1] * 10, datatype=DataType.REGISTERS)],
        ),
    )
    return ModbusTcpServer([device], framer=FRAMERS[framing], address=("127.0.0.1", port))


@pytest.mark.parametrize(
    ("framing", "code"), [("tcp", 5), ("tcp", 6), ("tcp", 15), ("tcp", 16), ("rtu+tcp", 16), ("ascii+tcp", 5)]
)
async def test_an_independent_server_does_what_each_code_says(
    tmp_path: Path, free_port: Callable[[], int], framing: str, code: int
) -> None:
    port = free_port()
    peer = server(port, framing)
    await peer.serve_forever(background=True)
    profile = tmp_path / "valve_of_code.toml"
    profile.write_text(PROFILE.format(**CODES[code]), encoding="utf-8")
    registry = MemoryRegistry()
    unit = {"unit": 1, "profile": str(profile), "asset": "S-01"}
    collector = modbus(registry, {"name": "a", "url": f"{framing}://127.0.0.1:{port}", "unit": [unit]})
    await collector.open()
    before = await collector.commander.observe(collector.commander.offers("S-01")[0])
    async with running(CommandSite(tmp_path, [collector.commander], registry)) as site:
        over = await site.until_over(await site.ask("S-01"))
    await collector.close()
    await peer.shutdown()  # type: ignore[no-untyped-call]
    assert before.value == 1.0
    assert over.state is CommandState.CONFIRMED, over.detail
    assert over.request_frame == f"01{CODES[code]['golden'].replace(' ', '')}"
