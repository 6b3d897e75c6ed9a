"""Modbus devices on sockets and pseudo terminals that share no code with gasgate, and can misbehave."""

import asyncio
import os
import struct
import tty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from pymodbus import FramerType
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

Send = Callable[[bytes], None]


def crc_bytes(data: bytes) -> bytes:
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            carry, value = value & 1, value >> 1
            if carry:
                value ^= 0xA001
    return struct.pack("<H", value)


@dataclass(frozen=True)
class Asked:
    """A read, and how a reply to it is packed."""

    framing: str
    transaction: int
    unit: int
    function: int
    start: int
    count: int

    def reply(self, pdu: bytes, *, unit: int | None = None, transaction: int | None = None) -> bytes:
        body = bytes([self.unit if unit is None else unit]) + pdu
        if self.framing == "rtu":
            return body + crc_bytes(body)
        if self.framing == "ascii":
            return b":%s%02X\r\n" % (body.hex().upper().encode(), -sum(body) % 256)
        number = self.transaction if transaction is None else transaction
        return struct.pack(">HHH", number, 0, len(body)) + body

    def words(self, words: list[int]) -> bytes:
        return self.reply(struct.pack(f">BB{len(words)}H", self.function, 2 * len(words), *words))

    def honest(self) -> bytes:
        return self.words([truth(self.unit, self.start + place) for place in range(self.count)])


def truth(unit: int, address: int) -> int:
    """What a register really holds; another one for each place of each unit."""
    return (unit * 4099 + address * 7 + 1) & 0xFFFF


Answer = Callable[[Asked, Send], None]


def honestly(asked: Asked, send: Send) -> None:
    send(asked.honest())


def silently(_asked: Asked, _send: Send) -> None:
    """Say nothing."""


@dataclass
class Peer:
    """Cuts what comes into questions and lets `answer` deal with each."""

    framing: str
    answer: Answer = honestly
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    path: str = ""
    send: Send = silently  # type: ignore[assignment]
    """to whoever is connected now"""

    def feed(self, buffer: bytearray, send: Send) -> None:
        while (question := self._cut(buffer)) is not None:
            self.asked.append(question)
            self.answer(question, send)

    def _cut(self, buffer: bytearray) -> Asked | None:
        if self.framing == "tcp":
            if len(buffer) < 12:
                return None
            transaction, _, _, unit, function, start, count = struct.unpack(">HHHBBHH", buffer[:12])
            del buffer[:12]
            return Asked("tcp", transaction, unit, function, start, count)
        if self.framing == "ascii":
            end = buffer.find(b"\r\n")
            if end < 0:
                return None
            body = bytes.fromhex(buffer[1:end].decode())
            assert buffer[:1] == b":"
            assert sum(body) % 256 == 0
            del buffer[: end + 2]
        else:
            if len(buffer) < 8:
                return None
            body = bytes(buffer[:8])
            assert crc_bytes(body[:6]) == body[6:]
            del buffer[:8]
        return Asked(self.framing, 0, *struct.unpack(">BBHH", body[:6]))


class _OnSocket(asyncio.Protocol):
    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._peer.connections += 1
        self._peer.send = self._send

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._peer.feed(self._buffer, self._send)

    def _send(self, data: bytes) -> None:
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.write(data)


@asynccontextmanager
async def on_socket(framing: str, answer: Answer = honestly) -> AsyncIterator[Peer]:
    peer = Peer(framing, answer)
    server = await asyncio.get_running_loop().create_server(lambda: _OnSocket(peer), "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()


@asynccontextmanager
async def on_line(framing: str, answer: Answer = honestly) -> AsyncIterator[Peer]:
    """A device at the far end of a serial line (a pseudo terminal)."""
    far, near = os.openpty()
    tty.setraw(far)
    tty.setraw(near)
    peer = Peer(framing, answer, path=os.ttyname(near))
    buffer = bytearray()
    peer.send = lambda data: void(os.write(far, data))
    loop = asyncio.get_running_loop()

    def come() -> None:
        buffer.extend(os.read(far, 4096))
        peer.feed(buffer, peer.send)

    loop.add_reader(far, come)
    try:
        yield peer
    finally:
        loop.remove_reader(far)
        os.close(far)
        os.close(near)


@asynccontextmanager
async def cable(port: int) -> AsyncIterator[str]:
    """A serial line whose far end is a TCP port; give its path."""
    far, near = os.openpty()
    tty.setraw(near)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    loop = asyncio.get_running_loop()
    loop.add_reader(far, lambda: writer.write(os.read(far, 4096)))

    async def back() -> None:
        while data := await reader.read(4096):
            os.write(far, data)

    task = asyncio.create_task(back())
    try:
        yield os.ttyname(near)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        loop.remove_reader(far)
        writer.close()
        os.close(far)
        os.close(near)


@asynccontextmanager
async def pymodbus_server(port: int, framer: FramerType, units: tuple[int, ...] = (1,)) -> AsyncIterator[None]:
    """Serve the true registers 0 to 199 of these units."""
    devices = [
        SimDevice(
            unit,
            simdata=[SimData(0, values=[truth(unit, at) for at in range(200)], datatype=DataType.REGISTERS)],
        )
        for unit in units
    ]
    server = ModbusTcpServer(devices, framer=framer, address=("127.0.0.1", port))
    await server.serve_forever(background=True)
    try:
        yield
    finally:
        await server.shutdown()  # type: ignore[no-untyped-call]


def void(_result: object) -> None:
    """Throw a result away."""
