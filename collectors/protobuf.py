"""The wire format of Protocol Buffers, as far as Sparkplug needs it. Pure and bounded: never more than the input."""

from __future__ import annotations

from collections.abc import Iterator

Field = tuple[int, int, int | bytes]
"""Number, wire type, and the value: an int for varint and fixed-width fields, bytes for the others."""

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_WIDTHS = {FIXED64: 8, FIXED32: 4}
_MOST_VARINT_BYTES = 10


class WireError(Exception):
    """The bytes are no message."""


def fields(data: bytes) -> Iterator[Field]:
    """Yield the fields of one message in their order. Raises WireError at the first that is wrong."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        number, wire = key >> 3, key & 7
        if not number:
            raise WireError("a field without a number")
        if wire == VARINT:
            value, at = _varint(data, at)
            yield number, wire, value
            continue
        if wire == BYTES:
            width, at = _varint(data, at)
        elif wire in _WIDTHS:
            width = _WIDTHS[wire]
        else:
            raise WireError(f"wire type {wire} is not known")
        if at + width > len(data):
            raise WireError("it ends inside a field")
        part = data[at : at + width]
        at += width
        yield number, wire, part if wire == BYTES else int.from_bytes(part, "little")


def varint(value: int) -> bytes:
    """Encode a number from 0 on."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place, byte in enumerate(data[at : at + _MOST_VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value & (1 << 64) - 1, at + place + 1
    raise WireError("a number without an end")
