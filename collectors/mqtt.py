"""Receives meters' messages over MQTT. With `mqtt_client` the only file that knows mqttium."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import math
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar

from mqttium import MQTTError
from mqttium.api import AsyncClient
from mqttium.errors import BrokerDisconnectError, ProtocolError
from mqttium.types import Message

from collectors.impostors import ImpostorWatch
from collectors.mappers import Assets, make_mappers, read_message, reread_message, runs
from collectors.mqtt_client import connect, groups, make_client, publish_and_listen
from collectors.mqtt_command import MqttCommander
from collectors.mqtt_config import MqttConfig
from collectors.payload import IDENTITY, MAX_PAYLOAD_BYTES, DeadMessageError, Rows, subscription
from collectors.point_index import PointIndex
from collectors.session_filters import SessionFilters
from collectors.silence import SilenceWatch
from collectors.takeover import Stillness, TakeoverGuard
from collectors.tls_files import ExpiryWatch
from collectors.unsafe_messages import UnsafeMessages
from gateway.errors import ConfigError, PermanentError, TransientError
from gateway.model.network import Network
from gateway.model.reading import ReadingBatch
from gateway.ports import Change, Clock, DeadLetter, Delivery, Memory, PointRegistry

_LOG = logging.getLogger(__name__)
_BACKLOG_TIMEOUT_S = 600.0
STAND_BACK_S = 300.0
"""how long a source leaves a session alone that another gateway seems to have"""
_TAKEN_OVER = 0x8E
_ASK_EVERY_S = 10.0
_DEAD_PAYLOAD_BYTES = 16 * 1024
"""How much of a message that is too large is kept."""


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
        try:
            self._mappers = make_mappers(config.topics, network)
        except ValueError as error:
            raise ConfigError([f"source {config.name}: {error}"]) from error
        self._points = PointIndex(registry, Assets(network))
        self.commander = MqttCommander(config, network, clock, publish_and_listen)
        """gives commands to the meters"""
        self._client: AsyncClient | None = None
        self._subscribing: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._silence = SilenceWatch(config.silence_s)
        self._guard = TakeoverGuard()
        self._expiry = ExpiryWatch()
        self._impostors = ImpostorWatch()
        self._unsafe = UnsafeMessages()
        self._stillness: Stillness | None = None
        self._ticking: asyncio.Task[None] | None = None
        self._connected_s = 0.0
        self._asked_s: dict[str, float] = {}
        self._lost: asyncio.Future[BaseException | None] | None = None
        self._session = SessionFilters(config.name)

    def remember_in(self, memory: Memory) -> None:
        """Use a memory for the filters that the session holds, so that a restart with others ends the old ones."""
        self._session.memory = memory

    @property
    def complaint(self) -> str:
        """What is wrong although the source is connected; empty if nothing is."""
        impostors = self._impostors.complaint(time.monotonic())
        return self._silence.complaint or impostors or self._expiry.complaint

    def keys_of(self, asset: str) -> Sequence[str]:
        """Return this source if anything of an asset came since the start; before that nobody knows."""
        return [self.name] if self._points.heard(asset) else []

    def counts(self) -> Mapping[str, int]:
        """Return how many messages were published with QoS 0 although their topic allows no loss."""
        return {"unsafe": self._unsafe.count}

    async def open(self) -> None:
        """Connect and subscribe. Raises TransientError if that fails."""
        await self.close()
        self._lost = lost = asyncio.get_running_loop().create_future()
        self._client = client = make_client(self._config, self._config.client_id, clean=False)
        client.on_disconnect = lambda cause: None if lost.done() else lost.set_result(cause)
        try:
            had_session = await connect(client, self._config)
            self._connected_s = asyncio.get_running_loop().time()
            self._stillness = Stillness(self._connected_s)
            await asyncio.to_thread(self._expiry.read, self._config)
            self._ticking = asyncio.create_task(self._tick(self._stillness), name=f"{self.name}: tick")
            self._subscribing = asyncio.create_task(
                self._subscribe(client, had_session), name=f"{self.name}: subscribe"
            )
            # a session brings its backlog at once, and the broker's answer comes behind it
            if not had_session:
                await self._subscribing
            self._watching = asyncio.create_task(self._watch(client), name=f"{self.name}: silence")
        except BaseException:
            await self.close()
            raise

    @property
    def queued(self) -> int:
        """How many messages have come that nobody has taken yet."""
        return 0 if self._client is None else self._client.stats().delivery.iterator_queued

    def reconfigure(self, config: MqttConfig, network: Network) -> Change | None:
        """Return how to take other topics and another network while connected; None if anything else is different.

        Blocks; call it in a thread. Raises ConfigError.
        """
        if self._config.model_copy(update={"topics": config.topics}) != config:
            return None
        fresh, assets = MqttCollector(config, self._registry, network, self._clock), Assets(network)

        async def apply() -> None:
            is_news = set(_subscriptions(config)) != set(_subscriptions(self._config))
            self._config, self._mappers = config, fresh._mappers
            self._points.use(assets)
            self.commander = fresh.commander
            client = self._client
            if client is not None and is_news:
                # where this fails the connection ends, and the next one subscribes
                with contextlib.suppress(TransientError):
                    await self._subscribe(client, had_session=False)

        return Change(frozenset(), apply)

    async def _subscribe(self, client: AsyncClient, had_session: bool) -> None:
        config = self._config
        timeout_s = _BACKLOG_TIMEOUT_S if had_session else self._config.timeout_s
        try:
            unwanted = await asyncio.to_thread(self._session.begin, config)
            if unwanted:
                # one that the client finds wrong was never subscribed
                with contextlib.suppress(ProtocolError):
                    await client.unsubscribe(unwanted, timeout=timeout_s)
            await client.subscribe(_subscriptions(config), timeout=timeout_s)
            await asyncio.to_thread(self._session.done, config)
        except MQTTError as error:
            await client.disconnect()
            raise TransientError(f"{self._config.url}: cannot subscribe: {error}") from error

    async def _watch(self, client: AsyncClient) -> None:
        # an error ends the connection, and with it the deliveries
        with contextlib.suppress(TransientError):
            await self._silence.run(lambda: self._subscribe(client, had_session=True), client.disconnect)

    async def _tick(self, stillness: Stillness) -> None:
        while True:
            if news := self._expiry.look(datetime.now(UTC)):
                _LOG.warning("%s: %s", self.name, news)
            await asyncio.sleep(stillness.EVERY_S)
            stillness.tick(asyncio.get_running_loop().time())

    async def deliveries(self) -> AsyncIterator[Delivery]:
        """Yield messages as they come. Raises TransientError when the connection is lost.

        Raises PermanentError when the broker says that another client has taken the session: two gateways must not
        fight for it. Where it only looks so, the TransientError asks to stand back for some minutes: a broker that
        restarted twice looks the same, and its readings must not be lost for ever.
        """
        client = self._client
        if client is None:
            raise TransientError(f"{self._config.url}: not connected")
        async for messages in groups(client):
            if not all(message.retain for message in messages):
                self._silence.heard()
            if unsafe := [message.topic for message in messages if not message.qos]:
                self._note_unsafe(unsafe)
            for delivery in await self._deliver(client, messages):
                yield delivery
        if self._subscribing is not None and self._subscribing.done() and not self._subscribing.cancelled():
            self._subscribing.result()
        if self._silence.ended:
            raise TransientError(f"{self._config.url}: {self.complaint}")
        cause = await self._cause()
        if isinstance(cause, BrokerDisconnectError) and cause.reason_code == _TAKEN_OVER:
            raise PermanentError(
                f"{self._config.url}: another client has taken over {self._config.client_id}; this source stays "
                "stopped until gasgate is started again"
            )
        if self._looks_taken_over(cause):
            raise TransientError(
                f"{self._config.url}: it seems that another client has taken over {self._config.client_id}: "
                f"connected twice, closed twice without a word; trying again in {STAND_BACK_S / 60:.0f} minutes",
                retry_after_s=STAND_BACK_S,
            )
        raise TransientError(f"{self._config.url}: connection lost: {cause or 'closed'}")

    def _note_unsafe(self, topics: Sequence[str]) -> None:
        if news := self._unsafe.note(topics, self._may_be_lost):
            _LOG.warning("%s: %s", self.name, news)

    def _may_be_lost(self, topic: str) -> bool:
        fitting = (one for one, mapper in zip(self._config.topics, self._mappers, strict=True) if mapper.matches(topic))
        mapping = next(fitting, None)
        # most Sparkplug messages have QoS 0 by definition
        return mapping is None or mapping.loss_allowed or mapping.format == "sparkplug"

    def _looks_taken_over(self, cause: BaseException | None) -> bool:
        if isinstance(cause, ProtocolError):
            return False  # it was us who ended it
        now_s = asyncio.get_running_loop().time()
        frozen_s = 0.0 if self._stillness is None else self._stillness.just_now(now_s)
        return self._guard.closed(
            self._connected_s, now_s, frozen_s=frozen_s, keepalive_s=float(self._config.keepalive_s)
        )

    async def _cause(self) -> BaseException | None:
        """Return why the connection ended; the client tells it shortly after its messages have ended."""
        if self._lost is None:
            return None
        await asyncio.wait([self._lost], timeout=1.0)
        return self._lost.result() if self._lost.done() else None

    async def _deliver(self, client: AsyncClient, messages: Sequence[Message]) -> list[Delivery]:
        """Return a delivery for each message, or for several in a row that are read at once."""
        if len(messages) == 1:
            return [await self._delivery(client, messages[0])]
        received_us = self._clock.now_us()
        out: list[Delivery] = []
        for places, rows in runs(self._mappers, [(message.topic, message.payload) for message in messages]):
            part = messages[places.start : places.stop]
            if rows is None:
                out += [await self._delivery(client, message) for message in part]
            else:
                out.append(
                    Delivery(self.name, await self._points.batch(rows, received_us), ack=partial(_ack, client, part))
                )
        return out

    async def _delivery(self, client: AsyncClient, message: Message) -> Delivery:
        received_us = self._clock.now_us()
        acknowledge = partial(_ack, client, (message,))
        try:
            rows = read_message(self._mappers, message.topic, message.payload, received_us)
        except DeadMessageError as error:
            if str(error).startswith(IDENTITY):
                self._impostors.note(message.topic[:500], time.monotonic())
            dead = self._letter(message, str(error), received_us)
            return Delivery(self.name, ReadingBatch.empty(), dead=(dead,), ack=acknowledge)
        if rows.reply is not None:
            self._ask(client, *rows.reply)
        if message.retain and not rows.timed:
            # nobody knows how old it is
            return Delivery(self.name, ReadingBatch.empty(), ack=acknowledge)
        letters = (self._letter(message, rows.dead, received_us),) if rows.dead else ()
        return Delivery(
            self.name, await self._points.batch(rows, received_us), letters, _digest(message, rows), acknowledge
        )

    async def reread(self, letter: DeadLetter) -> Delivery | None:
        """Return the readings of a dead letter with the mappings of today, None if it still is one."""
        try:
            rows = reread_message(self._mappers, letter.topic, letter.payload, letter.received_time)
        except DeadMessageError:
            return None
        return Delivery(self.name, await self._points.batch(rows, letter.received_time))

    def _letter(self, message: Message, reason: str, received_us: int) -> DeadLetter:
        payload = message.payload[: _kept(message.payload)]
        return DeadLetter(self.name, message.topic[:500], payload, reason, received_us)

    def _ask(self, client: AsyncClient, topic: str, payload: bytes) -> None:
        """Publish a request, at most one in some seconds for each topic."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._asked_s.get(topic, -math.inf) >= _ASK_EVERY_S:
            self._asked_s[topic] = now_s
            # a request that is lost is made again with the next message
            with contextlib.suppress(MQTTError):
                client.publish_nowait(topic, payload)

    async def close(self) -> None:
        """Disconnect; the broker keeps the session. May be called twice."""
        client, self._client = self._client, None
        tasks = [task for task in (self._subscribing, self._watching, self._ticking) if task is not None]
        self._subscribing = self._watching = self._ticking = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if client is not None:
            with contextlib.suppress(MQTTError):
                await client.disconnect()


def _subscriptions(config: MqttConfig) -> list[tuple[str, int]]:
    """Return topic filters and the QoS they are subscribed with."""
    return [(subscription(topic.filter), 0 if topic.loss_allowed else 1) for topic in config.topics]


async def _ack(client: AsyncClient, messages: Sequence[Message]) -> None:
    left = iter(messages)
    done = False
    while not done:
        # of a lost connection, or already retired with it: the broker sends the message again
        with contextlib.suppress(MQTTError):
            for message in left:
                await client.ack(message)
            done = True


def _kept(payload: bytes) -> int:
    return len(payload) if len(payload) <= MAX_PAYLOAD_BYTES else _DEAD_PAYLOAD_BYTES


def _digest(message: Message, rows: Rows) -> bytes:
    if rows.timed:
        return b""
    return hashlib.blake2b(message.topic.encode() + b"\0" + message.payload, digest_size=16).digest()
