"""Registers into values with quality, as `gateway.model.profile` describes their form. Pure."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import chain
from zoneinfo import ZoneInfo

from collectors.scaling import MAX_EXACT, scaler
from gateway.errors import ConfigError
from gateway.model.profile import ClockRegister, Golden, Identity, PointSpec, Profile, RegisterTable, default_order
from gateway.model.reading import GOOD, Reason, Severity, quality

Decoder = Callable[[Sequence[int]], tuple[float, int]]
"""Registers (or bits) of one point, from `first` to `past`, to its value in the canonical unit and its quality byte;
NaN where BAD."""
ClockDecoder = Callable[[Sequence[int]], int | None]
"""Registers of a clock to us UTC, None where they show no time."""

_MOST_POWER = 18
_LATEST_S = 4_102_444_800
"""The year 2100 in seconds since 1970: no clock of a device is there yet."""
_FLOAT_FORMATS = {"float16": ">e", "float32": ">f", "float64": ">d"}


class _BadValueError(Exception):
    """The registers hold no value; the argument is the Reason."""


def bad(reason: Reason) -> tuple[float, int]:
    """Return what a failed read looks like: NaN and BAD with its reason."""
    return math.nan, quality(Severity.BAD, reason)


def make_decoder(spec: PointSpec) -> Decoder:
    """Return the function that decodes the registers of this point."""
    raw = _raw_number(spec)
    scale = scaler(spec.scale, spec.offset)

    def decode(words: Sequence[int]) -> tuple[float, int]:
        try:
            value = scale(raw(words))
        except _BadValueError as error:
            return bad(error.args[0])
        return (value, GOOD) if math.isfinite(value) else bad(Reason.OUT_OF_RANGE)

    return decode


def _raw_number(spec: PointSpec) -> Callable[[Sequence[int]], float]:
    """Return the function that finds a point's own registers among all that belong to it, with its power of ten."""
    raw = _raw_decoder(spec)
    if (spec.first, spec.past) == (spec.address, spec.end):
        return raw
    own = slice(spec.address - spec.first, spec.end - spec.first)
    if spec.exponent is None:
        return lambda words: raw(words[own])
    place = spec.exponent - spec.first

    def with_power(words: Sequence[int]) -> float:
        power = (words[place] ^ 0x8000) - 0x8000
        if abs(power) > _MOST_POWER:
            raise _BadValueError(Reason.OUT_OF_RANGE)
        number = raw(words[own])
        # dividing keeps the digits that the meter shows, multiplying by a fraction does not
        return number * 10.0**power if power >= 0 else number / 10.0**-power

    return with_power


def _raw_decoder(spec: PointSpec) -> Callable[[Sequence[int]], float]:
    if spec.type == "bool":
        return lambda words: float(bool(words[0]))
    if spec.type == "bit":
        return lambda words: float(words[0] >> spec.bit & (1 << spec.bits) - 1)
    arrange = _arranger(spec.order, spec.type)
    number = _number_of(spec.type)
    missing = frozenset(spec.missing)
    mask = 0xFF if spec.type.endswith("int8") else -1

    def raw(words: Sequence[int]) -> float:
        data = arrange(words)
        if int.from_bytes(data, "big") & mask in missing:
            raise _BadValueError(Reason.MISSING_VALUE)
        return number(data)

    return raw


def _arranger(order: str, kind: str) -> Callable[[Sequence[int]], bytes]:
    """Return the function that puts the bytes of registers back, most significant first."""
    straight = default_order(kind)
    if order in ("", straight):
        return _wire_bytes
    places = [order.index(letter) for letter in straight]

    def arrange(words: Sequence[int]) -> bytes:
        wire = _wire_bytes(words)
        return bytes(wire[place] for place in places)

    return arrange


def _wire_bytes(words: Sequence[int]) -> bytes:
    return struct.pack(f">{len(words)}H", *words)


def _number_of(kind: str) -> Callable[[bytes], float]:
    if kind in _FLOAT_FORMATS:
        form = _FLOAT_FORMATS[kind]
        return lambda data: _finite(struct.unpack(form, data)[0])
    if kind.startswith("bcd"):
        digits = int(kind[3:])
        return lambda data: _bcd(data, digits)
    signed = not kind.startswith("u")
    skip = 1 if kind.endswith("int8") else 0
    return lambda data: _exact(int.from_bytes(data[skip:], "big", signed=signed))


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise _BadValueError(Reason.NOT_A_NUMBER)
    return value


def _exact(value: int) -> float:
    if abs(value) > MAX_EXACT:
        raise _BadValueError(Reason.OUT_OF_RANGE)
    return float(value)


def _bcd(data: bytes, digits: int) -> float:
    text = data.hex()
    if not text.isdecimal() or text[:-digits].strip("0"):
        raise _BadValueError(Reason.BAD_DIGIT)
    return _exact(int(text))


def make_clock_decoder(clock: ClockRegister) -> ClockDecoder:
    """Return the function that decodes the registers of a device's clock."""
    arrange = _arranger(clock.order, clock.type)
    if clock.type.startswith("bcd"):
        zone = ZoneInfo(clock.zone)
        return lambda words: _local_time_us(arrange(words).hex(), zone)
    return lambda words: _unix_time_us(arrange(words))


def _local_time_us(digits: str, zone: ZoneInfo) -> int | None:
    if not digits.isdecimal():
        return None
    year, month, day, hour, minute, second = (int(digits[at : at + 2]) for at in range(0, 12, 2))
    try:
        moment = datetime(2000 + year, month, day, hour, minute, second, tzinfo=zone)
        return int(moment.timestamp()) * 1_000_000
    except ValueError:
        return None


def _unix_time_us(data: bytes) -> int | None:
    seconds = int.from_bytes(data, "big")
    # all zeros or all ones is how devices write that their clock was never set
    return seconds * 1_000_000 if 0 < seconds < min(256 ** len(data) - 1, _LATEST_S) else None


def decode_identity(identity: Identity, words: Sequence[int]) -> str:
    """Return a serial number as text: digits of a number, or ASCII up to the first zero byte, without blanks."""
    data = _arranger(identity.order, identity.type)(words)
    if identity.type.startswith("text"):
        return data.split(b"\0", 1)[0].decode("ascii", errors="replace").strip()
    if identity.type.startswith("bcd"):
        return data.hex()[-int(identity.type[3:]) :]
    return str(int.from_bytes(data, "big", signed=identity.type.startswith("int")))


def check_golden(profile: Profile) -> None:
    """Decode every golden frame of a profile. Raises ConfigError that lists each value that came out wrong."""
    problems = list(chain.from_iterable(_golden_problems(profile, golden) for golden in profile.golden))
    if problems:
        raise ConfigError([f"profile {profile.name}: {problem}" for problem in problems])


def _golden_problems(profile: Profile, golden: Golden) -> list[str]:
    name = f"golden frame {golden.ask.hex(' ')}"
    try:
        table, start, cells = _golden_cells(golden)
    except ValueError as error:
        return [f"{name}: {error}"]
    values = _values_within(profile, table, start, cells)
    problems = []
    for key, wanted in golden.gives.items():
        value, _ = values.get(key, bad(Reason.NONE))
        if key not in values:
            problems.append(f"{name}: {key} does not stand in this reply; there stand {', '.join(values) or 'none'}")
        elif not math.isclose(value, wanted, rel_tol=1e-6, abs_tol=1e-9):
            problems.append(f"{name}: {key} is {value}, not {wanted}")
    return problems


def _golden_cells(golden: Golden) -> tuple[RegisterTable, int, list[int]]:
    """Return table, first address and the registers or bits of a golden reply. Raises ValueError."""
    if len(golden.ask) != 5:
        raise ValueError("the request takes five bytes: function, address, count")
    function, start, count = struct.unpack(">BHH", golden.ask)
    tables = {table.read_function: table for table in RegisterTable}
    if function not in tables:
        raise ValueError(f"function {function} reads nothing: allowed are {', '.join(map(str, tables))}")
    table, body = tables[function], golden.reply[2:]
    size = -(-count // 8) if table.of_bits else 2 * count
    if golden.reply[:2] != bytes([function, size]) or len(body) != size:
        raise ValueError(f"the reply must be function {function}, the byte {size} and {size} bytes")
    if table.of_bits:
        return table, start, [body[bit // 8] >> bit % 8 & 1 for bit in range(count)]
    return table, start, list(struct.unpack(f">{count}H", body))


def _values_within(
    profile: Profile, table: RegisterTable, start: int, cells: Sequence[int]
) -> Mapping[str, tuple[float, int]]:
    specs = [(spec.quantity.value, spec) for spec in profile.points]
    for slot in profile.slots():
        specs += [(f"{slot}/{spec.quantity.value}", spec) for spec in profile.member_points(slot)]
    end = start + len(cells)
    values: dict[str, tuple[float, int]] = {}
    for key, spec in specs:
        if spec.table is table and start <= spec.first and spec.past <= end:
            values[key] = make_decoder(spec)(cells[spec.first - start : spec.past - start])
            if spec.clock is not None:
                shown_us = make_clock_decoder(spec.clock)(cells[spec.clock.address - start : spec.clock.end - start])
                values[f"{key}@"] = (math.nan if shown_us is None else shown_us / 1e6, GOOD)
    return values
