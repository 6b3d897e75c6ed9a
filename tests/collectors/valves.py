"""Modbus TCP devices with a valve each, that count what is written to them and can misbehave; no code of gasgate."""

import asyncio
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

PROFILE = """
name = "valve_box"
description = "a valve, its serial number, and a few registers"
every_s = 1
max_registers = 60
identity = {{ at = "holding:50", type = "text8" }}
point = [
  {{ quantity = "valve", at = "input:8", type = "bit", bit = 0 }},
  {{ quantity = "pressure_gauge_kpa", at = "holding:0", type = "uint16" }},
]

[[command]]
name = "valve_close"
at = "coil:0"
value = 1
confirm = "valve"
expect = 0
settle_s = {settle_s}
golden = "05 0000 FF00"

[[command]]
name = "valve_close_checked"
at = "holding:60"
value = [0x5A5A, 1]
confirm = "valve"
expect = 0
settle_s = {settle_s}
second_person = true
golden = "10 003C 0002 04 5A5A 0001"

[[golden]]
ask = "04 0008 0001"
reply = "04 02 0001"
gives = {{ valve = 1 }}
"""
SERIAL = b"AB123456"
SOURCE = """
[[source]]
kind = "modbus"
name = "boxes"

[[source.link]]
name = "a"
url = "tcp://127.0.0.1:{port}"

[[source.link.unit]]
unit = 1
profile = "{profile}"
asset = "REG-001"
"""


def write_profile(folder: Path, *, settle_s: float = 0.05) -> str:
    path = folder / "valve_box.toml"
    path.write_text(PROFILE.format(settle_s=settle_s), encoding="utf-8")
    return str(path)


def source_of(folder: Path, port: int) -> str:
    """Return the configuration of a source that reads one such device as REG-001."""
    return SOURCE.format(port=port, profile=write_profile(folder))


@dataclass(frozen=True)
class Asked:
    at: float
    unit: int
    pdu: bytes

    @property
    def is_write(self) -> bool:
        return self.pdu[0] in (5, 6, 15, 16)


Manner = Callable[[Asked], str | int]
"""What becomes of a write: "done", "silent" (nothing happens), "lost" (done, no answer), or an exception code."""


@dataclass
class Valves:
    """The units of one port."""

    dead: frozenset[int] = frozenset()
    answer_s: float = 0.0
    moves_s: float = 0.0
    jammed: bool = False
    manner: Manner = lambda _asked: "done"
    port: int = 0
    log: list[Asked] = field(default_factory=list)
    closing: dict[int, float] = field(default_factory=dict)
    """unit -> when it was told"""

    @property
    def writes(self) -> list[Asked]:
        return [one for one in self.log if one.is_write]

    def is_open(self, unit: int) -> bool:
        return self.jammed or time.monotonic() < self.closing.get(unit, float("inf")) + self.moves_s

    def _word(self, unit: int, function: int, address: int) -> int:
        if function == 4 and address == 8:
            return int(self.is_open(unit))
        if function == 3 and 50 <= address < 54:
            return int.from_bytes(SERIAL[2 * (address - 50) : 2 * (address - 49)], "big")
        return 7

    def answer(self, asked: Asked) -> bytes | None:
        unit, pdu = asked.unit, asked.pdu
        if unit in self.dead:
            return None
        if not asked.is_write:
            function, start, count = struct.unpack(">BHH", pdu)
            words = [self._word(unit, function, start + n) for n in range(count)]
            return struct.pack(f">BB{count}H", function, 2 * count, *words)
        manner = self.manner(asked)
        if isinstance(manner, int):
            if manner == 5:
                self.closing[unit] = time.monotonic()
            return bytes([pdu[0] | 0x80, manner])
        if manner != "silent":
            self.closing[unit] = time.monotonic()
        return pdu[:5] if manner == "done" else None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readexactly(6)
                body = await reader.readexactly(int.from_bytes(head[4:], "big"))
                asked = Asked(time.monotonic(), body[0], body[1:])
                self.log.append(asked)
                reply = self.answer(asked)
                if self.answer_s:
                    await asyncio.sleep(self.answer_s)
                if reply is not None:
                    writer.write(head[:4] + struct.pack(">HB", len(reply) + 1, asked.unit) + reply)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(valves: Valves) -> AsyncIterator[Valves]:
    server = await asyncio.start_server(valves.serve, "127.0.0.1", valves.port)
    valves.port = server.sockets[0].getsockname()[1]
    try:
        yield valves
    finally:
        server.close()
