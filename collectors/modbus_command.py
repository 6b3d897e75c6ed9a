"""Commands to Modbus devices: one write each, before all polls of its link, and the read-back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from collectors.command_frames import write_pdu
from collectors.decode import decode_identity, make_decoder
from collectors.modbus_config import UnitConfig
from collectors.modbus_frames import Question, WrongReplyError
from collectors.modbus_link import Link
from collectors.modbus_reply import RefusedByDeviceError, Reply
from collectors.modbus_unit import Unit
from collectors.plan import Request
from gateway.errors import ConfigError, NotSentError, PermanentError, TransientError
from gateway.model.command import CommandOffer
from gateway.model.profile import CommandSpec, width
from gateway.model.reading import ReadingBatch, point_id
from gateway.ports import Observed, Packet

_NOT_DONE = (1, 2, 3, 6)
"""Exception codes that say that nothing was done: not such a function, address or value; or busy."""
_ACCEPTED = 5
"""Exception code of a device that has begun and needs long."""


class OnLink(Protocol):
    """A unit and how it is reached."""

    @property
    def link(self) -> Link:
        """Its connection."""
        ...

    @property
    def unit(self) -> Unit:
        """Its points and profile."""
        ...

    @property
    def config(self) -> UnitConfig:
        """Its number on the link and its assets."""
        ...


@dataclass(frozen=True, slots=True)
class _Write:
    place: OnLink
    question: Question


class ModbusCommander:
    """Tells the devices of one source what their profiles allow."""

    def __init__(self, name: str, units: Callable[[], Iterable[OnLink]]) -> None:
        """Remember where the units are found; `units` is asked each time, for they may change."""
        self.name = name
        self.units = units

    def offers(self, asset: str) -> Sequence[CommandOffer]:
        """Return what this asset can be told; looks through all units, so call it in a thread."""
        return [offer for offer, _, _ in self._offers(asset)]

    def pack(self, offer: CommandOffer, correlation: str) -> Packet:
        """Lay out the write. Raises ConfigError if the profile does not offer this command in this way any more."""
        del correlation
        for known, place, spec in self._offers(offer.asset):
            if known == offer:
                question = Question(place.config.unit, write_pdu(spec))
                return Packet(offer, _hex(place, question.pdu), _Write(place, question))
        raise ConfigError([f"{offer.asset} does not take {offer.name} any more"])

    async def send(self, packet: Packet, not_after: float) -> str:
        """Write once, and only to the device with the right serial number where one is configured."""
        write = packet.content
        assert isinstance(write, _Write)
        place = write.place
        if not any(one.link is place.link and one.config.unit == place.config.unit for one in self.units()):
            raise PermanentError("the device was taken out of the configuration; nothing was sent")
        await _check_identity(place)
        pause_s = place.unit.profile.pause_ms / 1000
        try:
            reply, _ = await place.link.ask(write.question, pause_s, urgent=True, not_after=not_after)
        except RefusedByDeviceError as error:
            if error.code in _NOT_DONE:
                raise PermanentError(f"the device answered with {error}") from error
            if error.code == _ACCEPTED:
                return _hex(place, bytes([write.question.pdu[0] | 0x80, error.code]))
            raise TransientError(f"the device answered with {error}") from error
        except WrongReplyError as error:
            raise TransientError(str(error)) from error
        return _hex(place, reply)

    async def observe(self, offer: CommandOffer) -> Observed:
        """Read the point that shows the result."""
        place, row = self._shown_at(offer)
        spec = place.unit.specs[row]
        request = Request(spec.table, spec.address, spec.width, (row,))
        try:
            reply = await _read(place, request)
        except (RefusedByDeviceError, WrongReplyError) as error:
            raise TransientError(f"it could not be read back: {error}") from error
        value, mark = make_decoder(spec)(reply.cells)
        if not np.isfinite(value):
            raise TransientError("it could not be read back: the device has no value")
        index = place.unit.indices[row : row + 1]
        batch = ReadingBatch.build(index, [reply.arrived_us], reply.arrived_us, [value], mark)
        asked = Question.read(place.config.unit, spec.table.read_function, request.start, request.count).pdu
        answered = bytes([asked[0], len(reply.data)]) + reply.data
        return Observed(value, reply.arrived_us, f"{_hex(place, asked)} {_hex(place, answered)}", batch)

    def _offers(self, asset: str) -> Iterator[tuple[CommandOffer, OnLink, CommandSpec]]:
        for place in self.units():
            for spec in _commands(place, asset):
                yield (
                    CommandOffer(
                        asset=asset,
                        name=spec.name,
                        source=self.name,
                        confirm=spec.confirm,
                        expect=spec.expect,
                        tolerance=spec.tolerance,
                        settle_s=spec.settle_s,
                        second_person=spec.second_person,
                        closes=spec.closes,
                    ),
                    place,
                    spec,
                )

    def _shown_at(self, offer: CommandOffer) -> tuple[OnLink, int]:
        wanted = point_id(offer.asset, offer.confirm)
        for _, place, _ in self._offers(offer.asset):
            if wanted in place.unit.points:
                return place, place.unit.points.index(wanted)
        raise TransientError(f"{wanted} is not read any more")


def _commands(place: OnLink, asset: str) -> Sequence[CommandSpec]:
    profile, config = place.unit.profile, place.config
    if not asset:
        return ()
    if profile.commands and config.asset == asset:
        return profile.commands
    if profile.members and profile.members.commands and asset in config.members:
        return profile.member_commands(config.members.index(asset))
    return ()


async def _check_identity(place: OnLink) -> None:
    """Raise PermanentError if another device answers, NotSentError if that cannot be known."""
    identity, wanted = place.unit.profile.identity, place.unit.wanted_identity
    if identity is None or not wanted:
        return
    try:
        reply = await _read(place, Request(identity.table, identity.address, width(identity.type), ()))
    except (RefusedByDeviceError, WrongReplyError, TransientError) as error:
        raise NotSentError(f"the serial number could not be read: {error}") from error
    found = decode_identity(identity, reply.cells)
    if found != wanted:
        raise PermanentError(f"the device shows the serial number {found!r}, not {wanted!r}")


async def _read(place: OnLink, request: Request) -> Reply:
    return await place.link.read(place.config.unit, request, place.unit.profile.pause_ms / 1000, urgent=True)


def _hex(place: OnLink, pdu: bytes) -> str:
    return f"{place.config.unit:02X}{pdu.hex().upper()}"
