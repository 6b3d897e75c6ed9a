"""Payloads of Sparkplug B into metrics, and the request for a rebirth. Pure."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from collectors.protobuf import BYTES, FIXED32, FIXED64, VARINT, WireError, fields, varint
from gateway.model.reading import Reason

MOST_METRICS = 10_000
Value = float | int | bool | str | Reason | None

_SIGNED_BITS = {1: 8, 2: 16, 3: 32, 4: 64}
"""Data types Int8 to Int64: the wire carries them without their sign."""
_BOOLEAN = 11
_INT, _LONG, _FLOAT, _DOUBLE, _BOOL, _STRING = range(10, 16)


class PayloadError(Exception):
    """The bytes are no Sparkplug payload; the text says why."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a payload. `name` is empty where only the alias was sent, `alias` None where there is none."""

    name: str
    alias: int | None
    time_ms: int | None
    datatype: int
    value: Value
    """None: the sender says that there is no value; a Reason: a value that is not for a reading"""


@dataclass(frozen=True, slots=True)
class Payload:
    """One payload."""

    time_ms: int | None
    seq: int | None
    metrics: tuple[Metric, ...]


def parse(data: bytes) -> Payload:
    """Decode a payload. Raises PayloadError."""
    time_ms = seq = None
    metrics: list[Metric] = []
    try:
        for number, wire, value in fields(data):
            if number == 1 and wire == VARINT and isinstance(value, int):
                time_ms = value
            elif number == 3 and wire == VARINT and isinstance(value, int):
                seq = value
            elif number == 2 and wire == BYTES and isinstance(value, bytes):
                if len(metrics) == MOST_METRICS:
                    raise PayloadError(f"more than {MOST_METRICS} metrics")
                metrics.append(_metric(value))
    except WireError as error:
        raise PayloadError(f"not a Sparkplug payload: {error}") from error
    return Payload(time_ms, seq, tuple(metrics))


def _metric(data: bytes) -> Metric:
    name, alias, time_ms, datatype, is_null = "", None, None, 0, False
    raw: tuple[int, int | bytes] | None = None
    for number, wire, value in fields(data):
        if number == 1 and isinstance(value, bytes):
            name = value.decode("utf-8", "replace")
        elif number in (2, 3, 4, 7) and wire == VARINT and isinstance(value, int):
            alias = value if number == 2 else alias
            time_ms = value if number == 3 else time_ms
            datatype = value if number == 4 else datatype
            is_null = bool(value) if number == 7 else is_null
        elif 10 <= number <= 19:
            if wire != _WIRES.get(number, BYTES):
                raise WireError("a value of another kind than its field")
            raw = number, value
    return Metric(name, alias, time_ms, datatype, None if is_null or raw is None else _value(*raw, datatype))


_WIRES = {_INT: VARINT, _LONG: VARINT, _FLOAT: FIXED32, _DOUBLE: FIXED64, _BOOL: VARINT}


def _value(number: int, raw: int | bytes, datatype: int) -> Value:
    if isinstance(raw, bytes):
        return raw.decode("utf-8", "replace") if number == _STRING else Reason.NOT_A_NUMBER
    return _NUMBERS[number](raw) if number in _NUMBERS else signed(raw, datatype)


_NUMBERS: dict[int, Callable[[int], float | bool]] = {
    _FLOAT: lambda raw: float(struct.unpack("<f", raw.to_bytes(4, "little"))[0]),
    _DOUBLE: lambda raw: float(struct.unpack("<d", raw.to_bytes(8, "little"))[0]),
    _BOOL: bool,
}


def signed(raw: int, datatype: int) -> int | bool:
    """Return an integer of the wire as its data type means it."""
    if datatype == _BOOLEAN:
        return bool(raw)
    bits = _SIGNED_BITS.get(datatype)
    if bits is None:
        return raw
    raw &= (1 << bits) - 1
    return raw - (1 << bits) if raw >> bits - 1 else raw


def rebirth_request(time_ms: int) -> bytes:
    """Return the payload of the command that asks an edge node to tell everything again."""
    name = b"Node Control/Rebirth"
    metric = b"\x0a" + varint(len(name)) + name + b"\x20" + varint(_BOOLEAN) + b"\x70\x01"
    return b"\x08" + varint(time_ms) + b"\x12" + varint(len(metric)) + metric
