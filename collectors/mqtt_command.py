"""Commands to meters over MQTT: one message each with the command's id, and the meter's answer to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from collectors.mqtt_command_config import MqttCommand
from collectors.mqtt_config import MqttConfig
from collectors.payload import compile_path, find
from gateway.errors import ConfigError, PermanentError, TransientError
from gateway.model.command import SEND_WITHIN_S, CommandOffer
from gateway.model.network import Network
from gateway.ports import Clock, Observed, Packet

Ask = Callable[[MqttConfig, str, bytes, str, Callable[[], bool]], AsyncIterator[tuple[str, bytes]]]
"""Publishes to a topic if it still may, and yields what comes to another; see `mqtt_client.publish_and_listen`."""


@dataclass(frozen=True, slots=True)
class _Message:
    command: MqttCommand
    topic: str
    payload: bytes
    answers: str
    correlation: str


class MqttCommander:
    """Publishes commands over a connection of their own, which no reading has to wait for.

    The connection is made for one command and thrown away: nothing that was published can go out again with it.
    """

    def __init__(self, config: MqttConfig, network: Network, clock: Clock, ask: Ask) -> None:
        """Remember source and network; nothing is connected."""
        self._ask = ask
        self.name = config.name
        self._config = config
        self._network = network
        self._clock = clock

    def offers(self, asset: str) -> Sequence[CommandOffer]:
        """Return what a meter can be told."""
        meter = self._network.meters.get(asset)
        if meter is None:
            return []
        return [self._offer(asset, one) for one in self._config.commands if meter.kind in one.kinds]

    def pack(self, offer: CommandOffer, correlation: str) -> Packet:
        """Fill topic and payload. Raises ConfigError if this command is not offered in this way any more."""
        if offer not in self.offers(offer.asset):
            raise ConfigError([f"{offer.asset} does not take {offer.name} any more"])
        command = next(one for one in self._config.commands if one.name == offer.name)
        now_ms = self._clock.now_us() // 1000
        words = {
            "$id": correlation,
            "$meter": offer.asset,
            "$zone": self._network.zone_of(offer.asset),
            "$time_ms": now_ms,
            "$until_ms": now_ms + round(SEND_WITHIN_S * 1000 / self._clock.real_seconds(1.0)),
        }
        payload = msgspec.json.encode(_filled(command.payload, words))
        topic, answers = (_topic(one, words) for one in (command.topic, command.answer.topic))
        message = _Message(command, topic, payload, answers, correlation)
        return Packet(offer, f"{topic} {payload.hex().upper()}", message)

    async def send(self, packet: Packet, not_after: float) -> str:
        """Publish once and wait for the meter's answer."""
        message = packet.content
        assert isinstance(message, _Message)
        loop, answer = asyncio.get_running_loop(), message.command.answer
        try:
            # connecting has limits of its own
            async with asyncio.timeout(3 * self._config.timeout_s + answer.within_s) as limit:

                def may_publish() -> bool:
                    limit.reschedule(loop.time() + answer.within_s)
                    return time.monotonic() <= not_after

                return await self._answer(message, may_publish)
        except TimeoutError as error:
            raise TransientError("the meter did not answer") from error

    async def observe(self, offer: CommandOffer) -> Observed:
        """Raise TransientError: a meter reports by itself."""
        raise TransientError(f"{offer.asset} cannot be asked")

    async def _answer(self, message: _Message, may_publish: Callable[[], bool]) -> str:
        answer = message.command.answer
        id_path, result_path = compile_path(answer.id), compile_path(answer.result)
        heard = self._ask(self._config, message.topic, message.payload, message.answers, may_publish)
        async with aclosing(cast("AsyncGenerator[tuple[str, bytes]]", heard)):
            async for topic, payload in heard:
                body = _decoded(payload)
                if find(body, id_path) != message.correlation:
                    continue
                result = find(body, result_path) if answer.result else None
                if answer.result and not _is_one_of(result, answer.good):
                    raise PermanentError(f"the meter answered {_short(result)}")
                return f"{topic} {payload.hex().upper()}"
        raise TransientError("the connection was lost before the meter answered")

    def _offer(self, asset: str, command: MqttCommand) -> CommandOffer:
        return CommandOffer(
            asset=asset,
            name=command.name,
            source=self.name,
            confirm=command.confirm,
            expect=command.expect,
            tolerance=command.tolerance,
            settle_s=command.settle_s,
            second_person=command.second_person,
            closes=command.closes,
            look_for_s=command.look_for_s,
            by_reading=True,
        )


def _filled(node: Any, words: dict[str, Any]) -> Any:
    if isinstance(node, dict):
        return {name: _filled(value, words) for name, value in node.items()}
    if isinstance(node, list):
        return [_filled(value, words) for value in node]
    return words.get(node, node) if isinstance(node, str) else node


def _topic(template: str, words: dict[str, Any]) -> str:
    places = {"{meter}": words["$meter"], "{zone}": words["$zone"]}
    for name in places.values():
        if not name or set(name) & set("+#/"):
            raise ConfigError([f"{name!r} cannot stand in a topic"])
    return "/".join(str(places.get(level, level)) for level in template.split("/"))


def _decoded(payload: bytes) -> Any:
    try:
        return msgspec.json.decode(payload)
    except (msgspec.MsgspecError, RecursionError):
        return None


def _is_one_of(result: Any, good: Sequence[bool | int | str]) -> bool:
    """Tell whether a result is one of those; `true` is not 1."""
    return any(type(result) is type(one) and result == one for one in good)


def _short(result: Any) -> str:
    return "nothing that is a result" if result is msgspec.UNSET else repr(result)[:100]
