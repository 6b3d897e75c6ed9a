"""Takes waiting messages with aiomqtt, which acknowledges each on receipt, before anybody has stored it."""

from __future__ import annotations

import asyncio
import sys
import time

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

_MOST_UNACKED = 65_535


def main() -> None:
    """Print messages a second; arguments: port, client id, filter, messages."""
    port, client_id, topic_filter, messages = sys.argv[1:]
    print(asyncio.run(take(int(port), client_id, topic_filter, int(messages))), flush=True)


async def take(port: int, client_id: str, topic_filter: str, messages: int) -> float:
    """Receive all messages and do nothing else; return messages a second."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = 3600
    properties.ReceiveMaximum = _MOST_UNACKED
    client = aiomqtt.Client(
        "127.0.0.1",
        port,
        identifier=client_id,
        protocol=aiomqtt.ProtocolVersion.V5,
        clean_start=False,
        properties=properties,
    )
    count = 0
    async with client:
        # its reader runs far ahead of its iterator: only the whole time says how fast it is
        began = time.perf_counter()
        await client.subscribe(topic_filter, qos=1)
        async for _ in client.messages:
            count += 1
            if count == messages:
                break
        return messages / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
