"""Put values into Modbus registers as a device profile says; written apart from the decoder that reads them.

The rules are those of `gateway.model.profile`.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping

from gateway.model.profile import PointSpec, Profile, RegisterTable, default_order, width
from gateway.model.quantity import Quantity

Values = Callable[[int, Quantity], float | None]
"""(member slot, or -1 for the device itself; quantity) -> value, None if there is none"""

_FLOAT_CODES = {"float16": ">e", "float32": ">f", "float64": ">d"}


def encode_number(value: float, spec: PointSpec) -> bytes:
    """Return the bytes of a value in the order of the wire. Raises ValueError if it does not fit."""
    raw = (value - spec.offset) / spec.scale
    if spec.type in _FLOAT_CODES:
        plain = struct.pack(_FLOAT_CODES[spec.type], raw)
    elif spec.type.startswith("bcd"):
        plain = _bcd(round(raw), 2 * spec.width)
    else:
        plain = _integer(round(raw), spec)
    return _ordered(plain, spec.order or default_order(spec.type))


def encode_missing(spec: PointSpec) -> bytes:
    """Return the bytes that say "no value": the first pattern of the profile, else zeros."""
    pattern = spec.missing[0] if spec.missing else 0
    return _ordered(pattern.to_bytes(2 * spec.width, "big"), spec.order or default_order(spec.type))


def _bcd(number: int, size: int) -> bytes:
    if not 0 <= number < 10 ** (2 * size):
        raise ValueError(f"{number} does not fit into {2 * size} digits")
    return bytes.fromhex(f"{number:0{2 * size}d}")


def _integer(number: int, spec: PointSpec) -> bytes:
    signed, bits = spec.type.startswith("int"), int(spec.type.lstrip("uint"))
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    if not low <= number <= high:
        raise ValueError(f"{number} does not fit into {spec.type}")
    return number.to_bytes(2 * spec.width, "big", signed=signed)


def _ordered(plain: bytes, order: str) -> bytes:
    return bytes(plain["ABCDEFGH".index(letter)] for letter in order)


class RegisterImage:
    """The registers of one unit, computed from its values whenever somebody reads them."""

    def __init__(self, profile: Profile, members: int = 0, serial: str = "") -> None:
        """Lay the registers out; `members` is how many slots of a concentrator are in use."""
        self._profile = profile
        self._spec_at: dict[RegisterTable, dict[int, list[tuple[int, PointSpec]]]] = {}
        self._fixed: dict[tuple[RegisterTable, int], int] = {}
        for spec in profile.points:
            self._place(-1, spec)
        for slot in profile.slots():
            for spec in profile.member_points(slot):
                self._place(slot, spec)
        self._members = members
        if profile.identity is not None and serial:
            self._place_serial(serial)

    def _place(self, slot: int, spec: PointSpec) -> None:
        table = self._spec_at.setdefault(spec.table, {})
        for address in range(spec.address, spec.end):
            table.setdefault(address, []).append((slot, spec))

    def _place_serial(self, serial: str) -> None:
        identity = self._profile.identity
        assert identity is not None
        size = 2 * width(identity.type)
        if identity.type.startswith("text"):
            plain = serial.encode("ascii")[:size].ljust(size, b"\0")
        else:
            plain = _bcd(int(serial), size)
        for number in range(size // 2):
            word = int.from_bytes(plain[2 * number : 2 * number + 2], "big")
            self._fixed[identity.table, identity.address + number] = word

    def read(self, table: RegisterTable, address: int, count: int, values: Values) -> list[int] | None:
        """Return the registers or bits from an address on, None if one of them must not or cannot be read."""
        specs = self._spec_at.get(table, {})
        used = [*specs, *(place for kind, place in self._fixed if kind is table)]
        if not used or address < min(used) or address + count > max(used) + 1:
            return None
        if any(span.touches(table, address, address + count) for span in self._profile.never_read):
            return None
        return [self._word(table, specs.get(place, []), place, values) for place in range(address, address + count)]

    def _word(self, table: RegisterTable, specs: list[tuple[int, PointSpec]], address: int, values: Values) -> int:
        word = self._fixed.get((table, address), 0)
        for slot, spec in specs:
            value = values(slot, spec.quantity) if slot < self._members else None
            if spec.type in ("bit", "bool"):
                on = value is not None and bool(round((value - spec.offset) / spec.scale))
                word |= on << (spec.bit if spec.type == "bit" else 0)
                continue
            known = value is not None and math.isfinite(value)
            plain = encode_number(value, spec) if known and value is not None else encode_missing(spec)
            at = 2 * (address - spec.address)
            word |= int.from_bytes(plain[at : at + 2], "big")
        return word


def from_mapping(values: Mapping[tuple[int, Quantity], float]) -> Values:
    """Return the values of a mapping as a function."""
    return lambda slot, quantity: values.get((slot, quantity))
