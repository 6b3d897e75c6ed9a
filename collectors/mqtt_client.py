"""Connections to an MQTT broker, and what is read and published over them; how a source uses one is in `mqtt`."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable

from mqttium import MQTTError, MQTTProtocolVersion
from mqttium.api import AsyncClient
from mqttium.errors import PublishRejectedError
from mqttium.types import Message, Properties

from collectors.mqtt_config import MqttConfig, broker_address
from collectors.payload import subscription
from collectors.tls_files import tls_context
from gateway.errors import ConfigError, NotSentError, PermanentError, TransientError
from gateway.model.command import SEND_WITHIN_S

_WINDOW = 2000
"""Messages that may wait here; while there are so many the socket is not read, and the broker holds the rest."""
_MOST_UNACKED = 65_535
"""The protocol's own limit. Mosquitto 2.0.11 keeps to no smaller one once it has resumed a session: with a smaller one
a backlog would end each connection as soon as it began."""
_QUEUE_BYTES = 300 * 1024 * 1024
"""More than the largest MQTT packet: a single message over the bound would end the connection again and again."""
_SESSION_S = 7 * 86_400
_GATHER_S = 0.002
_ENOUGH = 64
"""More at once are read hardly faster."""
_LARGEST_GROUP = 256


def make_client(config: MqttConfig, client_id: str, *, clean: bool) -> AsyncClient:
    """Return an unconnected client. Raises ConfigError if the password is missing."""
    is_v5 = config.version == 5
    return AsyncClient(
        client_id,
        protocol=MQTTProtocolVersion.MQTTv5 if is_v5 else MQTTProtocolVersion.MQTTv311,
        clean_start=clean,
        keepalive=config.keepalive_s,
        username=config.username,
        password=config.password.read() if config.password else None,
        connect_properties=Properties({"session_expiry_interval": _SESSION_S}) if is_v5 and not clean else None,
        max_inbound_inflight=_MOST_UNACKED,
        manual_ack=True,
        # full: the socket is not read, the broker holds
        max_iterator_messages=_WINDOW,
        max_iterator_bytes=_QUEUE_BYTES,
        connect_timeout=config.timeout_s,
        subscribe_timeout=config.timeout_s,
    )


async def connect(client: AsyncClient, config: MqttConfig) -> bool:
    """Connect; return whether the broker still had the session. Raises TransientError or ConfigError."""
    host, port, is_tls = broker_address(config.url)
    try:
        connack = await client.connect(host, port, ssl=tls_context(config) if is_tls else None)
    except (MQTTError, OSError) as error:
        raise TransientError(f"{config.url}: {error}") from error
    return bool(connack.session_present)


async def receive(client: AsyncClient, config: MqttConfig) -> AsyncIterator[tuple[str, bytes]]:
    """Subscribe a connected client with QoS 0 and yield topic and payload; nothing has to be acknowledged."""
    try:
        await client.subscribe([(subscription(topic.filter), 0) for topic in config.topics])
    except MQTTError as error:
        raise TransientError(f"{config.url}: cannot subscribe: {error}") from error
    async for message in client.messages():
        yield message.topic, message.payload


async def publish_and_listen(
    config: MqttConfig, topic: str, payload: bytes, answers: str, may_publish: Callable[[], bool]
) -> AsyncIterator[tuple[str, bytes]]:
    """Publish once with QoS 1, over a connection of its own, and yield what comes to `answers`.

    The connection is thrown away afterwards, so that nothing goes out again with it. Raises NotSentError if nothing
    was published, PermanentError if the broker refused it, TransientError if nobody knows.
    """
    client = make_client(config, f"{config.client_id[:100]}-command-{secrets.token_hex(4)}", clean=True)
    expiry = Properties({"message_expiry_interval": round(SEND_WITHIN_S)}) if config.version == 5 else None
    try:
        try:
            await connect(client, config)
            await client.subscribe([(answers, 0)])
        except (TransientError, ConfigError, MQTTError) as error:
            raise NotSentError(str(error)) from error
        if not may_publish():
            raise NotSentError("it is too late")
        try:
            receipt = await client.publish(topic, payload, qos=1, properties=expiry)
            await receipt.wait()
        except PublishRejectedError as error:
            raise PermanentError(f"the broker refused it: {error}") from error
        except MQTTError as error:
            raise TransientError(f"nobody knows whether it was published: {error}") from error
        async for message in client.messages():
            yield message.topic, message.payload
    finally:
        with contextlib.suppress(MQTTError):
            await client.disconnect()


async def groups(client: AsyncClient) -> AsyncIterator[list[Message]]:
    """Yield the messages that come within a moment of each other: many are read at once faster than one by one."""
    messages = client.messages()
    while True:
        try:
            group = [await anext(messages)]
        except StopAsyncIteration:
            return
        waiting = client.stats().delivery.iterator_queued
        # where enough are there already, only let the others of the loop have their turn
        await asyncio.sleep(0.0 if waiting >= _ENOUGH else _GATHER_S)
        waiting = client.stats().delivery.iterator_queued
        with contextlib.suppress(StopAsyncIteration):
            for _ in range(min(waiting, _LARGEST_GROUP - 1)):
                group.append(await anext(messages))  # noqa: PERF401 - what came before the end counts
        yield group
