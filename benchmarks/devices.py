"""Modbus TCP devices on one port, in a process of their own: registers that change with every read."""

from __future__ import annotations

import asyncio
import struct
import sys
from typing import Any

HEAD = 12
"""bytes of a request to read registers, with its header"""


class Device(asyncio.Protocol):
    """Answers every read of registers; the low word of each pair counts the reads."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin to count."""
        self._transport: Any = transport
        self._reads = 0

    def data_received(self, data: bytes) -> None:
        """Answer whole requests; the gateway sends each in one piece."""
        for at in range(0, len(data) - HEAD + 1, HEAD):
            transaction, _, _, unit, function, _, count = struct.unpack_from(">HHHBBHH", data, at)
            self._reads += 1
            words = [0, self._reads % 50_000] * (count // 2 + 1)
            head = struct.pack(">HHHBBB", transaction, 0, 3 + 2 * count, unit, function, 2 * count)
            self._transport.write(head + struct.pack(f">{count}H", *words[:count]))


async def serve(port: int) -> None:
    """Serve until the process ends."""
    server = await asyncio.get_running_loop().create_server(Device, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
