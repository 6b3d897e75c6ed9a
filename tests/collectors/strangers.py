"""Modbus devices made by others, in threads: uModbus over TCP and RTU, pyModbusTCP; and the cables between."""

import asyncio
import os
import ssl
import threading
import tty
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from socketserver import TCPServer, ThreadingMixIn
from typing import Any

import serial
from pyModbusTCP.server import DataBank, ModbusServer
from umodbus.server.serial import get_server as get_serial_server
from umodbus.server.serial.rtu import RTUServer
from umodbus.server.tcp import RequestHandler
from umodbus.server.tcp import get_server as get_tcp_server

from tests.collectors.peers import truth

REGISTERS = 200
BITS = 40


def bit(unit: int, address: int) -> int:
    """What a coil or discrete input really holds."""
    return truth(unit, address) >> 2 & 1


class _TcpServer(ThreadingMixIn, TCPServer):
    allow_reuse_address = True
    daemon_threads = True


@contextmanager
def umodbus_tcp(port: int, *units: int, context: ssl.SSLContext | None = None) -> Iterator[None]:
    """Serve all four tables of these units over Modbus TCP, with a context inside TLS."""
    server = get_tcp_server(_TcpServer, ("127.0.0.1", port), RequestHandler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    _add_routes(server, units)
    with _in_thread(lambda: server.serve_forever(0.05)):
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()


@contextmanager
def umodbus_rtu(path: str, *units: int) -> Iterator[None]:
    """Serve all four tables of these units on a serial line."""
    with serial.Serial(path, baudrate=38400, timeout=0.05) as port:
        server = get_serial_server(RTUServer, port)
        _add_routes(server, units)
        with _in_thread(lambda: server.serve_forever(0.05)):
            try:
                yield
            finally:
                server.shutdown()


def _add_routes(server: Any, units: tuple[int, ...]) -> None:
    def read_bit(slave_id: int, address: int, **_: int) -> int:
        return bit(slave_id, address)

    def read_register(slave_id: int, address: int, **_: int) -> int:
        return truth(slave_id, address)

    server.route(slave_ids=units, function_codes=[1, 2], addresses=range(BITS))(read_bit)
    server.route(slave_ids=units, function_codes=[3, 4], addresses=range(REGISTERS))(read_register)


@contextmanager
def _in_thread(serve: Callable[[], object]) -> Iterator[None]:
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join(5.0)


@contextmanager
def pymodbustcp(port: int) -> Iterator[None]:
    """Serve the true registers and bits of unit 1, whatever unit is asked."""
    bank = DataBank(coils_size=BITS, d_inputs_size=BITS, h_regs_size=REGISTERS, i_regs_size=REGISTERS)
    words, bits = [truth(1, at) for at in range(REGISTERS)], [bool(bit(1, at)) for at in range(BITS)]
    bank.set_holding_registers(0, words)
    bank.set_input_registers(0, words)
    bank.set_coils(0, bits)
    bank.set_discrete_inputs(0, bits)
    server = ModbusServer("127.0.0.1", port, no_block=True, data_bank=bank)
    server.start()
    try:
        yield
    finally:
        server.stop()


@asynccontextmanager
async def line() -> AsyncIterator[tuple[str, str]]:
    """A serial line with two ends; give their paths."""
    loop = asyncio.get_running_loop()
    left, left_end = os.openpty()
    right, right_end = os.openpty()
    tty.setraw(left_end)
    tty.setraw(right_end)
    loop.add_reader(left, lambda: os.write(right, os.read(left, 4096)))
    loop.add_reader(right, lambda: os.write(left, os.read(right, 4096)))
    try:
        yield os.ttyname(left_end), os.ttyname(right_end)
    finally:
        for descriptor in (left, right):
            loop.remove_reader(descriptor)
        for descriptor in (left, right, left_end, right_end):
            os.close(descriptor)


class _Passing(asyncio.Protocol):
    """One TCP connection of a converter."""

    def __init__(self, line: int, connections: list[asyncio.Transport]) -> None:
        self._line = line
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._connections.append(transport)

    def data_received(self, data: bytes) -> None:
        os.write(self._line, data)


@asynccontextmanager
async def converter() -> AsyncIterator[tuple[int, str]]:
    """A converter that passes all bytes of its last TCP connection to a serial line and back; give port and path."""
    loop = asyncio.get_running_loop()
    near, far = os.openpty()
    tty.setraw(far)
    connections: list[asyncio.Transport] = []

    def back() -> None:
        data = os.read(near, 4096)
        if connections:
            connections[-1].write(data)

    server = await loop.create_server(lambda: _Passing(near, connections), "127.0.0.1", 0)
    loop.add_reader(near, back)
    try:
        yield server.sockets[0].getsockname()[1], os.ttyname(far)
    finally:
        server.close()
        for connection in connections:
            connection.close()
        loop.remove_reader(near)
        os.close(near)
        os.close(far)
