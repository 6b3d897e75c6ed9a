"""Receives meters' messages over MQTT. The only file that knows mqttium."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar, Literal
from urllib.parse import urlsplit

import numpy as np
from mqttium import MQTTError, MQTTProtocolVersion
from mqttium.api import AsyncClient
from mqttium.errors import BrokerDisconnectError
from mqttium.types import Message, Properties
from numpy.typing import NDArray
from pydantic import ConfigDict, Field, field_validator

from collectors.payload import MAX_PAYLOAD_BYTES, DeadMessageError, Mapper, Rows, TopicMapping, subscription
from gateway.errors import ConfigError, PermanentError, TransientError
from gateway.model.network import Network
from gateway.model.quantity import Quantity
from gateway.model.reading import ReadingBatch, point_id
from gateway.ports import Clock, DeadLetter, Delivery, PointRegistry
from gateway.settings import ConfigPath, Secret, Settings

_WINDOW = 2000
"""Messages that may be on their way to disk; the rate is this divided by the time that a commit takes."""
_QUEUE_BYTES = 300 * 1024 * 1024
"""More than the largest MQTT packet: a single message over the bound would end the connection again and again."""
_SESSION_S = 7 * 86_400
_BACKLOG_TIMEOUT_S = 600.0
_TAKEN_OVER = 0x8E
_DEAD_PAYLOAD_BYTES = 16 * 1024
"""How much of a message that is too large is kept."""


class MqttConfig(Settings):
    """A source of kind "mqtt"."""

    model_config = ConfigDict(populate_by_name=True)

    kind: Literal["mqtt"] = "mqtt"
    """always "mqtt" here"""
    name: str = Field(min_length=1, max_length=60, pattern=r"^[^/\s]+$")
    """name of the source"""
    url: str
    """mqtt://host:port, or mqtts://host:port for TLS"""
    version: Literal["3.1.1", 5] = 5
    """protocol version; with "3.1.1" set the broker's max_inflight_messages to 0"""
    client_id: str = Field(min_length=1, max_length=200)
    """fixed id: the broker keeps the session under it; no other client may use it"""
    topics: tuple[TopicMapping, ...] = Field(alias="topic", min_length=1)
    """topic filters and what their messages mean"""
    username: str | None = None
    """user of the broker"""
    password: Secret | None = None
    """password of the user"""
    ca: ConfigPath | None = None
    """file with the certificate authority of the broker; empty = those of the system"""
    certificate: ConfigPath | None = None
    """client certificate file"""
    key: ConfigPath | None = None
    """key file of the client certificate"""
    keepalive_s: int = Field(default=30, ge=5, le=3600)
    """real seconds of silence after which the connection is tested"""
    timeout_s: float = Field(default=10.0, gt=0, le=120)
    """real seconds to wait for the broker's answers"""

    @field_validator("url")
    @classmethod
    def _a_url(cls, url: str) -> str:
        broker_address(url)
        return url


def broker_address(url: str) -> tuple[str, int, bool]:
    """Return host, port and whether TLS is used. Raises ValueError."""
    parts = urlsplit(url)
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or parts.path or parts.query or parts.username:
        raise ValueError(f"{url!r} is no broker: write mqtt://host:port or mqtts://host:port")
    is_tls = parts.scheme == "mqtts"
    return parts.hostname, parts.port or (8883 if is_tls else 1883), is_tls


def tls_context(config: MqttConfig) -> ssl.SSLContext:
    """Return a context for TLS 1.2 or newer that checks the host's name. Raises ConfigError for unusable files."""
    try:
        context = ssl.create_default_context(cafile=config.ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if config.certificate is not None:
            context.load_cert_chain(config.certificate, config.key)
    except OSError as error:
        raise ConfigError([f"source {config.name}: certificate files cannot be used: {error}"]) from error
    return context


class MqttCollector:
    """Takes messages of one broker with QoS 1 and a persistent session; each is acknowledged when its delivery is.

    Acknowledgements go out in the order of arrival. Those of a lost connection are dropped: the broker sends the
    messages again, and the store drops the doubles.
    """

    Config: ClassVar = MqttConfig

    def __init__(self, config: MqttConfig, registry: PointRegistry, network: Network, clock: Clock) -> None:
        """Compile the mappings; nothing is connected yet. Raises ConfigError."""
        self.name = config.name
        self._config = config
        self._registry = registry
        self._clock = clock
        meters = {*network.meters, *network.stations, *(point.asset for point in network.points.values())}
        try:
            self._mappers = [Mapper(topic, meters) for topic in config.topics]
        except ValueError as error:
            raise ConfigError([f"source {config.name}: {error}"]) from error
        self._indices: dict[tuple[str, Quantity], int] = {}
        self._client: AsyncClient | None = None
        self._subscribing: asyncio.Task[None] | None = None
        self._lost: asyncio.Future[BaseException | None] | None = None

    async def open(self) -> None:
        """Connect and subscribe. Raises TransientError if that fails."""
        await self.close()
        self._lost = lost = asyncio.get_running_loop().create_future()
        self._client = client = make_client(self._config, self._config.client_id, clean=False)
        client.on_disconnect = lambda cause: None if lost.done() else lost.set_result(cause)
        try:
            had_session = await connect(client, self._config)
            self._subscribing = asyncio.create_task(
                self._subscribe(client, had_session), name=f"{self.name}: subscribe"
            )
            # a session brings its backlog at once, and the broker's answer comes behind it
            if not had_session:
                await self._subscribing
        except BaseException:
            await self.close()
            raise

    async def _subscribe(self, client: AsyncClient, had_session: bool) -> None:
        filters = [(subscription(topic.filter), 1) for topic in self._config.topics]
        try:
            await client.subscribe(filters, timeout=_BACKLOG_TIMEOUT_S if had_session else self._config.timeout_s)
        except MQTTError as error:
            await client.disconnect()
            raise TransientError(f"{self._config.url}: cannot subscribe: {error}") from error

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """Yield messages as they come. Raises TransientError when the connection is lost.

        Raises PermanentError when another client has taken the session: two gateways must not fight for it.
        """
        client = self._client
        if client is None:
            raise TransientError(f"{self._config.url}: not connected")
        async for message in client.messages():
            yield await self._delivery(client, message)
        if self._subscribing is not None and self._subscribing.done() and not self._subscribing.cancelled():
            self._subscribing.result()
        cause = await self._cause()
        if isinstance(cause, BrokerDisconnectError) and cause.reason_code == _TAKEN_OVER:
            raise PermanentError(f"{self._config.url}: another client has taken over {self._config.client_id}")
        raise TransientError(f"{self._config.url}: connection lost: {cause or 'closed'}")

    async def _cause(self) -> BaseException | None:
        """Return why the connection ended; the client tells it shortly after its messages have ended."""
        if self._lost is None:
            return None
        await asyncio.wait([self._lost], timeout=1.0)
        return self._lost.result() if self._lost.done() else None

    async def _delivery(self, client: AsyncClient, message: Message) -> Delivery:
        received_us = self._clock.now_us()

        async def acknowledge() -> None:
            # of a lost connection, or already retired with it: the broker sends the message again
            with contextlib.suppress(MQTTError):
                await client.ack(message)

        try:
            rows = read_message(self._mappers, message.topic, message.payload, received_us)
        except DeadMessageError as error:
            dead = DeadLetter(
                self.name, message.topic[:500], message.payload[: _kept(message.payload)], str(error), received_us
            )
            return Delivery(self.name, ReadingBatch.empty(), dead=(dead,), ack=acknowledge)
        if message.retain and not rows.timed:
            # nobody knows how old it is
            return Delivery(self.name, ReadingBatch.empty(), ack=acknowledge)
        digest = (
            b""
            if rows.timed
            else hashlib.blake2b(message.topic.encode() + b"\0" + message.payload, digest_size=16).digest()
        )
        batch = ReadingBatch.build(
            await self._points(rows), rows.source_time, received_us, rows.value, np.asarray(rows.quality, np.uint8)
        )
        return Delivery(self.name, batch, digest=digest, ack=acknowledge)

    async def _points(self, rows: Rows) -> NDArray[np.uint32]:
        keys = [(rows.meter, quantity) for quantity in rows.quantity]
        missing = [key for key in dict.fromkeys(keys) if key not in self._indices]
        if missing:
            names = [point_id(meter, quantity) for meter, quantity in missing]
            found = await asyncio.to_thread(self._registry.indices, names)
            self._indices.update(zip(missing, map(int, found), strict=True))
        return np.asarray([self._indices[key] for key in keys], np.uint32)

    async def close(self) -> None:
        """Disconnect; the broker keeps the session. May be called twice."""
        client, self._client = self._client, None
        subscribing, self._subscribing = self._subscribing, None
        if subscribing is not None:
            subscribing.cancel()
            await asyncio.gather(subscribing, return_exceptions=True)
        if client is not None:
            with contextlib.suppress(MQTTError):
                await client.disconnect()


def _kept(payload: bytes) -> int:
    return len(payload) if len(payload) <= MAX_PAYLOAD_BYTES else _DEAD_PAYLOAD_BYTES


def read_message(mappers: Sequence[Mapper], topic: str, payload: bytes, received_us: int) -> Rows:
    """Return the rows of a message by the first mapping whose filter fits. Raises DeadMessageError."""
    for mapper in mappers:
        if mapper.matches(topic):
            return mapper.read(topic, payload, received_us)
    raise DeadMessageError("no mapping for this topic")


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
        # a 3.1.1 broker cannot be told a window and would be disconnected for exceeding it
        max_inbound_inflight=_WINDOW if is_v5 else None,
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
