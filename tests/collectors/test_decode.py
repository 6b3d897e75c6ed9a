import math
import struct
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.decode import check_golden, decode_identity, make_decoder
from collectors.scaling import MAX_EXACT
from gateway.errors import ConfigError
from gateway.model.profile import (
    NUMBER_TYPES,
    TYPE_WIDTHS,
    Golden,
    Identity,
    PointSpec,
    RegisterTable,
    default_order,
)
from gateway.model.quantity import Quantity
from gateway.model.reading import GOOD, Reason, Severity, quality
from gateway.profiles import load_profile, parse_profile, profile_names

HOLDING = RegisterTable.HOLDING
FLOATS = {"float16": "e", "float32": "f", "float64": "d"}


def spec(kind: str, order: str = "", **more: object) -> PointSpec:
    return replace(PointSpec(Quantity.FLAGS, HOLDING, 0, kind, order), **more)  # type: ignore[arg-type]


def encode(value: float, kind: str, order: str) -> list[int]:
    """Write a raw number as the profile model says, letter by letter, sharing nothing with the decoder."""
    size = 2 * TYPE_WIDTHS[kind]
    if kind in FLOATS:
        straight = struct.pack(">" + FLOATS[kind], value)
    elif kind.startswith("bcd"):
        straight = bytes.fromhex(str(int(value)).rjust(2 * size, "0"))
    else:
        straight = (int(value) % 256**size).to_bytes(size, "big")
    by_letter = dict(zip("ABCDEFGH", straight, strict=False))
    wire = [by_letter[letter] for letter in order or sorted(by_letter)]
    return [256 * high + low for high, low in zip(wire[::2], wire[1::2], strict=True)]


def raw_range(kind: str) -> st.SearchStrategy[float]:
    if kind in FLOATS:
        return st.floats(allow_nan=False, allow_infinity=False, width=int(kind[5:]))  # type: ignore[arg-type]
    if kind.startswith("bcd"):
        return st.integers(0, min(10 ** int(kind[3:]) - 1, MAX_EXACT))
    bits = int(kind.removeprefix("u").removeprefix("int"))
    low, high = (0, 2**bits - 1) if kind.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return st.integers(max(low, -MAX_EXACT), min(high, MAX_EXACT))


@st.composite
def encoded_values(draw: st.DrawFn) -> tuple[str, str, float]:
    kind = draw(st.sampled_from([kind for kind in NUMBER_TYPES if kind not in ("bool", "bit", "int8", "uint8")]))
    order = "".join(draw(st.permutations(default_order(kind))))
    return kind, order, draw(raw_range(kind))


@settings(max_examples=600, deadline=None)
@given(encoded_values())
def test_every_type_in_every_order_comes_back(case: tuple[str, str, float]) -> None:
    kind, order, raw = case
    assert make_decoder(spec(kind, order))(encode(raw, kind, order)) == (raw, GOOD)


@pytest.mark.parametrize(("kind", "word", "value"), [("int8", 0xFFFE, -2), ("uint8", 0x12FE, 254), ("int8", 0x0005, 5)])
def test_eight_bits_stand_in_the_lower_byte(kind: str, word: int, value: float) -> None:
    assert make_decoder(spec(kind))([word]) == (value, GOOD)


def test_a_bit_is_one_bit_of_its_register() -> None:
    assert make_decoder(spec("bit", bit=3))([0b1000]) == (1.0, GOOD)
    assert make_decoder(spec("bit", bit=3))([0b0111]) == (0.0, GOOD)
    assert make_decoder(spec("bit", bit=0, scale=-1.0, offset=1.0))([1]) == (0.0, GOOD)


@pytest.mark.parametrize(
    ("point", "words", "reason"),
    [
        (spec("bcd8"), [0x1234, 0x567A], Reason.BAD_DIGIT),
        (spec("bcd2"), [0x0112], Reason.BAD_DIGIT),
        (spec("bcd16"), [0x9999, 0x9999, 0x9999, 0x9999], Reason.OUT_OF_RANGE),
        (spec("float32"), [0x7FC0, 0x0000], Reason.NOT_A_NUMBER),
        (spec("float32"), [0xFF80, 0x0000], Reason.NOT_A_NUMBER),
        (spec("float16"), [0x7E00], Reason.NOT_A_NUMBER),
        (spec("uint64"), [0x0020, 0x0000, 0x0000, 0x0001], Reason.OUT_OF_RANGE),
        (spec("float64", scale=1e10), [0x7FEF, 0xFFFF, 0xFFFF, 0xFFFF], Reason.OUT_OF_RANGE),
        (spec("uint32", missing=(0xFFFFFFFF,)), [0xFFFF, 0xFFFF], Reason.MISSING_VALUE),
        (spec("int16", missing=(0x8000,)), [0x8000], Reason.MISSING_VALUE),
        (spec("uint8", missing=(0xFF,)), [0x00FF], Reason.MISSING_VALUE),
        (spec("int32", "CDAB", missing=(0x80000000,)), [0x0000, 0x8000], Reason.MISSING_VALUE),
        (spec("bcd8", missing=(0xFFFFFFFF,)), [0xFFFF, 0xFFFF], Reason.MISSING_VALUE),
    ],
)
def test_what_holds_no_value_is_bad_and_says_why(point: PointSpec, words: list[int], reason: Reason) -> None:
    value, mark = make_decoder(point)(words)
    assert math.isnan(value)
    assert mark == quality(Severity.BAD, reason)


@given(st.sampled_from(NUMBER_TYPES), st.lists(st.integers(0, 65535), min_size=4, max_size=4))
def test_any_registers_give_a_number_or_bad(kind: str, words: list[int]) -> None:
    value, mark = make_decoder(spec(kind))(words[: TYPE_WIDTHS[kind]])
    assert math.isfinite(value) == (mark == GOOD)
    assert math.isnan(value) == (mark != GOOD)


def test_scaling_keeps_the_digits_that_the_meter_shows() -> None:
    assert make_decoder(spec("uint16", scale=0.1))([42]) == (4.2, GOOD)
    assert make_decoder(spec("uint32", scale=0.001))([0x0012, 0xD687]) == (1234.567, GOOD)
    assert make_decoder(spec("int16", scale=0.25, offset=-10.0))([0xFFFC]) == (-11.0, GOOD)


def test_the_example_of_the_manual() -> None:
    point = spec("bcd8", "CDAB", scale=0.001)
    assert make_decoder(point)([0x5678, 0x1234]) == (12345.678, GOOD)


def test_identity_is_read_as_people_write_it() -> None:
    assert decode_identity(Identity(HOLDING, 0, "text8"), [0x4142, 0x3132, 0x2000, 0x0000]) == "AB12"
    assert decode_identity(Identity(HOLDING, 0, "bcd12"), [0x0012, 0x3456, 0x7890]) == "001234567890"
    assert decode_identity(Identity(HOLDING, 0, "uint32", "CDAB"), [0x0002, 0x0001]) == "65538"


@pytest.mark.parametrize("name", profile_names())
def test_shipped_profiles_decode_their_golden_frames(name: str) -> None:
    check_golden(load_profile(name))


def test_golden_frames_find_a_wrong_order_and_a_wrong_key() -> None:
    profile = load_profile("station_rtu")
    turned = replace(profile, points=tuple(replace(point, order="") for point in profile.points))
    with pytest.raises(ConfigError, match="inlet_pressure_gauge_kpa is"):
        check_golden(turned)
    golden = Golden(bytes.fromhex("0400080001"), bytes.fromhex("04020002"), {"battery_v": 1.0})
    with pytest.raises(ConfigError, match="battery_v does not stand in this reply; there stand valve"):
        check_golden(replace(profile, golden=(golden,)))


@pytest.mark.parametrize(
    ("ask", "reply", "problem"),
    [
        ("0500080001", "05020002", "reads nothing"),
        ("04000800", "04020002", "five bytes"),
        ("0400080001", "0402000200", "must be function 4"),
        ("0400080001", "03020002", "must be function 4"),
    ],
)
def test_golden_frames_that_are_no_frames(ask: str, reply: str, problem: str) -> None:
    golden = Golden(bytes.fromhex(ask), bytes.fromhex(reply), {"valve": 0.0})
    with pytest.raises(ConfigError, match=problem):
        check_golden(replace(load_profile("station_rtu"), golden=(golden,)))


def test_golden_frames_of_coils() -> None:
    text = """
    name = "coils"
    description = "two coils"
    point = [{ quantity = "valve", at = "coil:9", type = "bool" }]
    golden = [{ ask = "01 0000 000A", reply = "01 02 00 02", gives = { valve = 1 } }]
    """
    check_golden(parse_profile(text, "coils.toml"))
