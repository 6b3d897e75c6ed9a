"""Frames of CJ/T 188, the Chinese standard for household meters, into fields. Pure.

A frame is FE (none to eight, to wake the line), 68H, the meter type, the address (7 bytes BCD, lowest first), the
control code, the length of the data, the data, the sum of all bytes from 68H modulo 256, 16H. A reply's data begin
with the data identifier (2 bytes, seen in both orders) and a serial number. Amounts are 4 bytes of BCD, lowest
first, with two decimals, and a unit code; times are BCD `ss mm hh DD MM YY CC`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gateway.model.quantity import FLAG_LOW_BATTERY
from gateway.model.reading import Reason

FIELDS = ("address", "meter_type", "total", "settled", "time", "valve", "flags", "month")
"""What `decode` may give."""

_START, _END, _WAKE = 0x68, 0x16, 0xFE
_MOST_WAKE = 8
_HEAD = 11
"""Bytes from 68H to the length, both included."""
_REPLY, _FAULT = 0x80, 0x40
_READ, _WRITE = 0x81, 0x84
_MEASURED, _VALVE = 0x901F, 0xA017
_FIRST_MONTH, _LAST_MONTH = 0xD120, 0xD12B
_KNOWN = {_MEASURED, _VALVE, *range(_FIRST_MONTH, _LAST_MONTH + 1)}
_PARTS_PER_M3 = {0x2C: 100, 0x29: 100_000}
"""What a last digit is worth: m3 and litres, both with two decimals."""
_LENGTHS = {_MEASURED: 22, _VALVE: 5}
_MONTH_LENGTH = 8
_WATER, _GAS = range(0x10, 0x1A), range(0x30, 0x3A)
_LOW_BATTERY = 0x04


class FrameError(Exception):
    """The bytes are no frame, or one that tells no reading; the text says why."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame whose sum is right."""

    meter_type: int
    address: str
    """14 digits, highest first: two of the maker's code, then the meter's number"""
    control: int
    data: bytes


def parse(message: bytes) -> Frame:
    """Return the one frame that a message consists of. Raises FrameError."""
    frame = message.lstrip(bytes([_WAKE]))
    if len(message) - len(frame) > _MOST_WAKE:
        raise FrameError(f"more than {_MOST_WAKE} bytes FE before the frame")
    if len(frame) < _HEAD + 2 or frame[0] != _START:
        raise FrameError("no frame: it begins with 68H and has 13 bytes at least")
    if len(frame) != _HEAD + frame[_HEAD - 1] + 2 or frame[-1] != _END:
        raise FrameError("the length does not fit, or 16H is missing at its end")
    if sum(frame[:-2]) % 256 != frame[-2]:
        raise FrameError("the checksum is wrong")
    return Frame(frame[1], frame[8:1:-1].hex().upper(), frame[9], frame[_HEAD:-2])


def decode(frame: Frame) -> dict[str, Any]:
    """Return the fields of a reply: volumes in m3, valve (1 open, 0 closed), flags as in the model, time as ISO text.

    A single field that cannot be right is the `Reason` why. Fields depend on the data identifier: all of 901FH; valve
    and flags of A017H; settled and month (1 = the newest) of D120H to D12BH. Raises FrameError for everything else.
    """
    if not frame.control & _REPLY:
        raise FrameError("a request, not a meter's reply")
    if frame.control & _FAULT:
        raise FrameError(f"the meter reports an error: {frame.data.hex(' ') or 'without a code'}")
    if frame.meter_type not in _GAS and frame.meter_type not in _WATER:
        raise FrameError(f"meter type {frame.meter_type:02X}H measures neither gas nor water")
    identifier = _identifier(frame.data)
    wanted = _LENGTHS.get(identifier, _MONTH_LENGTH)
    if frame.control != (_WRITE if identifier == _VALVE else _READ) or len(frame.data) != wanted:
        raise FrameError(f"control code {frame.control:02X}H or length {len(frame.data)} do not fit {identifier:04X}H")
    fields: dict[str, Any] = {"address": frame.address, "meter_type": frame.meter_type}
    body = frame.data[3:]
    if identifier == _MEASURED:
        fields |= {"total": _volume(body[:5]), "settled": _volume(body[5:10]), "time": _time(body[10:17])}
        return fields | _status(body[17])
    if identifier == _VALVE:
        return fields | _status(body[0])
    return fields | {"settled": _volume(body), "month": identifier - _FIRST_MONTH + 1}


def _identifier(data: bytes) -> int:
    for pair in (data[:2], data[1::-1]):
        identifier = int.from_bytes(pair, "big")
        if len(data) > 2 and identifier in _KNOWN:
            return identifier
    raise FrameError(f"data identifier {data[:2].hex(' ') or 'missing'} tells no reading")


def _volume(amount: bytes) -> float | Reason:
    digits, unit = amount[3::-1].hex(), amount[4]
    if digits == "f" * 8:
        return Reason.MISSING_VALUE
    if not digits.isdecimal():
        return Reason.BAD_DIGIT
    return int(digits) / _PARTS_PER_M3[unit] if unit in _PARTS_PER_M3 else Reason.OUT_OF_RANGE


def _time(clock: bytes) -> str | None:
    """Return ISO text without zone, None if the meter has no clock; the text of a wrong time cannot be read."""
    digits = clock[::-1].hex()
    if digits.strip("0") == "" or digits.strip("f") == "":
        return None
    date, time = digits[:8], digits[8:]
    return f"{date[:4]}-{date[4:6]}-{date[6:]}T{time[:2]}:{time[2:4]}:{time[4:]}"


def _status(status: int) -> dict[str, int | Reason]:
    valve = {0: 1, 1: 0}.get(status & 3, Reason.DEVICE_FAULT)
    return {"valve": valve, "flags": int(FLAG_LOW_BATTERY) if status & _LOW_BATTERY else 0}
