"""Bytes of a meter's own protocol, in a message or alone, into an object with fields."""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Callable
from typing import Any

from collectors import cjt188
from collectors.decode import make_decoder
from collectors.payload.mapping import FrameMapping
from collectors.payload.rows import DeadMessageError
from gateway.model.profile import RegisterTable
from gateway.model.reading import Reason, Severity
from gateway.profiles import load_profile

_RTU_SHELL = 5
"""Unit, function, byte count and two bytes of checksum."""

Unpack = Callable[[Any], dict[str, Any]]
"""What stands at the frame's path (or the payload) to its fields. Raises DeadMessageError."""


def make_unpack(mapping: FrameMapping) -> Unpack:
    """Return the function for one kind of frame. Raises ConfigError or ValueError."""
    decode = _cjt188 if mapping.protocol == "cjt188" else _registers(mapping)
    unwrap = {"bytes": _plain, "hex": _hex, "base64": _base64}[mapping.encoding]
    return lambda found: decode(unwrap(found))


def frame_quantities(mapping: FrameMapping) -> list[str]:
    """Return the quantities that the frame's profile knows; none without a profile."""
    return [spec.quantity.value for spec in load_profile(mapping.profile).points] if mapping.profile else []


def _plain(found: Any) -> bytes:
    if not isinstance(found, bytes):
        raise DeadMessageError("frame: there are no bytes")
    return found


def _text(found: Any) -> str:
    if isinstance(found, bytes):
        try:
            return found.decode("ascii")
        except UnicodeDecodeError as error:
            raise DeadMessageError("frame: its text is not ASCII") from error
    if not isinstance(found, str):
        raise DeadMessageError("frame: there is no text")
    return found


def _hex(found: Any) -> bytes:
    try:
        return bytes.fromhex(_text(found))
    except ValueError as error:
        raise DeadMessageError("frame: it is not hexadecimal") from error


def _base64(found: Any) -> bytes:
    try:
        return base64.b64decode("".join(_text(found).split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise DeadMessageError("frame: it is not base64") from error


def _cjt188(data: bytes) -> dict[str, Any]:
    try:
        return cjt188.decode(cjt188.parse(data))
    except cjt188.FrameError as error:
        raise DeadMessageError(f"frame: {error}") from error


def _registers(mapping: FrameMapping) -> Callable[[bytes], dict[str, Any]]:
    profile = load_profile(mapping.profile)
    table, start = mapping.start
    specs = [spec for spec in profile.points if spec.table is table and spec.first >= start]
    if not specs:
        raise ValueError(f"profile {profile.name} has no register from {mapping.at} on")
    decoders = [(spec.quantity.value, spec.first - start, spec.past - start, make_decoder(spec)) for spec in specs]
    strip = _without_shell(table) if mapping.protocol == "modbus_rtu" else _even

    def decode(data: bytes) -> dict[str, Any]:
        data = strip(data)
        words = struct.unpack(f">{len(data) // 2}H", data)
        fields: dict[str, Any] = {}
        for name, first, end, decoder in decoders:
            if end <= len(words):
                value, mark = decoder(words[first:end])
                fields[name] = value if mark >> 6 < Severity.BAD else Reason(mark & 63)
        return fields

    return decode


def _even(data: bytes) -> bytes:
    if len(data) % 2 or not data:
        raise DeadMessageError("frame: registers are two bytes each")
    return data


def _without_shell(table: RegisterTable) -> Callable[[bytes], bytes]:
    def strip(data: bytes) -> bytes:
        if len(data) < _RTU_SHELL or _crc(data[:-2]) != int.from_bytes(data[-2:], "little"):
            raise DeadMessageError("frame: the checksum is wrong")
        if data[1] & 0x80:
            raise DeadMessageError(f"frame: the device answered with exception {data[2]}")
        if data[1] != table.read_function or data[2] != len(data) - _RTU_SHELL:
            raise DeadMessageError("frame: function or byte count do not fit")
        return _even(data[3:-2])

    return strip


def _crc(data: bytes) -> int:
    """Return the CRC-16 of Modbus RTU."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0xA001 if crc & 1 else 0)
    return crc
