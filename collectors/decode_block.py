"""All points of one reply at once: the same values and qualities as `collectors.decode`, many times as fast. Pure."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from collectors.decode import make_decoder
from collectors.scaling import MAX_EXACT, divisor_of
from gateway.model.profile import PointSpec, RegisterTable, default_order
from gateway.model.reading import Reason, Severity, quality

BlockDecoder = Callable[[bytes], tuple[NDArray[np.float64], NDArray[np.uint8]]]
"""The data of one reply to a value and a quality byte for each point, in the points' order."""

_FEWEST = 12
"""Fewer points than this are decoded faster one by one."""
_BYTES = 8
_MOST_EXACT_BITS = 53
_EXACT_DIGITS = 15
_LARGE_SCALE = 1e200
_NIBBLE = np.uint64(0x1111_1111_1111_1111)
_BAD = quality(Severity.BAD, Reason.NONE)


def cells_of(table: RegisterTable, count: int, data: bytes) -> tuple[int, ...]:
    """Return the registers, or the bits, in the data of a reply."""
    if table.of_bits:
        bits = int.from_bytes(data, "little")
        return tuple(bits >> place & 1 for place in range(count))
    return struct.unpack(f">{count}H", data)


def make_block_decoder(specs: Sequence[PointSpec], start: int, count: int) -> BlockDecoder:
    """Return the function that decodes these points out of a reply of `count` addresses from `start` on."""
    if len(specs) < _FEWEST or any(spec.type == "bool" or spec.exponent is not None for spec in specs):
        return _one_by_one(specs, start, count)
    return _Columns(specs, start).decode


def _one_by_one(specs: Sequence[PointSpec], start: int, count: int) -> BlockDecoder:
    table = specs[0].table
    parts = [(spec.first - start, spec.past - start, make_decoder(spec)) for spec in specs]

    def decode(data: bytes) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        cells = cells_of(table, count, data)
        pairs = [one(cells[first:end]) for first, end, one in parts]
        return np.array([value for value, _ in pairs]), np.array([mark for _, mark in pairs], np.uint8)

    return decode


class _Columns:
    """What each point needs, in columns; every value is first the whole number that its bytes spell.

    A column that no point needs is empty, and its step is left out.
    """

    def __init__(self, specs: Sequence[PointSpec], start: int) -> None:
        kinds = [re.fullmatch(r"(u?int|float|bcd|bit)(\d*)", spec.type) for spec in specs]
        assert all(kinds)
        names = [(kind[1], int(kind[2] or 1)) for kind in kinds if kind is not None]
        self._places = np.array([_places(spec, start) for spec in specs])
        self._shift = np.array([spec.bit if spec.type == "bit" else 0 for spec in specs], np.uint64)
        self._mask = np.array([2**spec.bits - 1 if spec.type == "bit" else 2**64 - 1 for spec in specs], np.uint64)
        self._has_bits = any(spec.type == "bit" for spec in specs)
        self._half = np.array([1 << bits - 1 if name == "int" else 0 for name, bits in names], np.uint64)
        self._has_signs = bool(self._half.any())
        self._floats = [(rows, bits) for bits in (16, 32, 64) if len(rows := _rows(names, "float", bits))]
        self._bcd = _rows(names, "bcd")
        self._digits = np.array([digits for name, digits in names if name == "bcd"], np.uint64)
        wide = [
            (name.endswith("int") and bits > _MOST_EXACT_BITS) or (name == "bcd" and bits > _EXACT_DIGITS)
            for name, bits in names
        ]
        self._wide = np.flatnonzero(wide)
        missing = [(row, raw) for row, spec in enumerate(specs) if spec.type != "bit" for raw in spec.missing]
        self._missing_rows = np.array([row for row, _ in missing], np.intp)
        self._missing_raws = np.array([raw for _, raw in missing], np.uint64)
        divisors = [divisor_of(spec.scale) for spec in specs]
        self._divisor = np.array([divisor or 1 for divisor in divisors], np.float64)
        self._factor = np.array(
            [1.0 if divisor else spec.scale for divisor, spec in zip(divisors, specs, strict=True)], np.float64
        )
        self._offset = np.array([spec.offset for spec in specs], np.float64)
        self._may_overflow = bool(self._floats) or max(abs(spec.scale) for spec in specs) > _LARGE_SCALE
        self._has_factors, self._has_offsets = bool((self._factor != 1).any()), bool(self._offset.any())

    def decode(self, data: bytes) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        """Decode the data of a whole reply."""
        if not self._may_overflow:
            return self._decode(data)
        with np.errstate(all="ignore"):
            return self._decode(data)

    def _decode(self, data: bytes) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
        raw = np.frombuffer(data + b"\0", np.uint8)[self._places].view(">u8").ravel().astype(np.uint64)
        if self._has_bits:
            raw = raw >> self._shift & self._mask
        reason = np.zeros(len(raw), np.uint8)
        value = self._numbers(raw, reason) / self._divisor
        if self._has_factors:
            value *= self._factor
        if self._has_offsets:
            value += self._offset
        if self._may_overflow:
            reason[~np.isfinite(value) & (reason == 0)] = Reason.OUT_OF_RANGE
        if len(self._missing_rows):
            # the pattern for "no value" outweighs what it would be as a number
            reason[self._missing_rows[raw[self._missing_rows] == self._missing_raws]] = Reason.MISSING_VALUE
        if reason.any():
            value[reason != 0] = np.nan
            reason[reason != 0] |= np.uint8(_BAD)
        return value, reason

    def _numbers(self, raw: NDArray[np.uint64], reason: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return the numbers that the raw ones stand for; set the reason of those that stand for none."""
        whole = raw
        if self._has_signs:
            # for a sign bit h, (x ^ h) - h is the two's complement in 64 bits
            whole = (raw ^ self._half) - self._half
        if len(self._bcd):
            whole = whole.copy()
            whole[self._bcd] = self._decimal(raw[self._bcd], reason)
        signed = whole.view(np.int64)
        number = signed.astype(np.float64)
        if len(self._wide):
            part = signed[self._wide]
            # an unsigned number with its highest bit set looks negative, and is too large as well
            too_large = (part > MAX_EXACT) | (part < -MAX_EXACT) | ((part < 0) & (self._half[self._wide] == 0))
            reason[self._wide[too_large & (reason[self._wide] == 0)]] = Reason.OUT_OF_RANGE
        for rows, bits in self._floats:
            number[rows] = raw[rows].astype(f"u{bits // 8}").view(f"f{bits // 8}")
            reason[rows[~np.isfinite(number[rows])]] = Reason.NOT_A_NUMBER
        return number

    def _decimal(self, raw: NDArray[np.uint64], reason: NDArray[np.uint8]) -> NDArray[np.uint64]:
        over_nine = raw >> np.uint64(3) & (raw >> np.uint64(2) | raw >> np.uint64(1)) & _NIBBLE
        # two shifts: one by all 64 bits would do nothing
        beyond = raw >> np.uint64(2) * self._digits >> np.uint64(2) * self._digits
        reason[self._bcd[(over_nine | beyond) != 0]] = Reason.BAD_DIGIT
        value = np.zeros_like(raw)
        for place in range(4 * (int(self._digits.max()) - 1), -4, -4):
            value = value * np.uint64(10) + (raw >> np.uint64(place) & np.uint64(15))
        return value


def _places(spec: PointSpec, start: int) -> list[int]:
    """Return where the eight bytes of a value stand, most significant first; -1 is a zero byte."""
    first = 2 * (spec.address - start)
    straight = default_order(spec.type)
    order = spec.order or straight
    places = [first + order.index(letter) for letter in straight]
    if spec.type.endswith("int8"):
        places = places[-1:]
    return [-1] * (_BYTES - len(places)) + places


def _rows(names: Sequence[tuple[str, int]], name: str, bits: int = 0) -> NDArray[np.intp]:
    return np.array([row for row, one in enumerate(names) if one[0] == name and bits in (0, one[1])], np.intp)
