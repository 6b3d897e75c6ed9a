import math
import struct

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from collectors.decode import make_decoder
from collectors.decode_block import make_block_decoder
from gateway.model.profile import NUMBER_TYPES, PointSpec, RegisterTable, default_order, width
from gateway.model.quantity import Quantity

KINDS = sorted(set(NUMBER_TYPES) - {"bool"})
START = 100


@st.composite
def points(draw: st.DrawFn, at: int) -> PointSpec:
    kind = draw(st.sampled_from(KINDS))
    order = "".join(draw(st.permutations(default_order(kind)))) if kind != "bit" else ""
    missing = draw(st.lists(st.sampled_from((0, 0xFF, 0xFFFF, 0xFFFFFFFF, 2**64 - 1)), max_size=2))
    return PointSpec(
        Quantity.FLAGS,
        RegisterTable.HOLDING,
        at,
        kind,
        order=order,
        scale=draw(st.sampled_from((1.0, 0.1, 0.001, 3.7, -1.0, 1e300))),
        offset=draw(st.sampled_from((0.0, 1.0, -273.15))),
        missing=tuple(missing),
        bit=draw(st.integers(0, 15)),
    )


WORDS = st.one_of(
    st.integers(0, 0xFFFF),
    st.sampled_from((0, 1, 0x0020, 0x7FFF, 0x8000, 0xFFFF, 0x1234, 0x9999, 0x7F80, 0xFF80, 0x7C00, 0x00FF)),
)


@settings(max_examples=60, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
@given(st.data(), st.integers(12, 30))
def test_a_block_decodes_as_its_points_do_one_by_one(data: st.DataObject, count: int) -> None:
    specs, at = [], START
    for _ in range(count):
        specs.append(data.draw(points(at)))
        at = specs[-1].end + data.draw(st.integers(0, 1))
    cells = data.draw(st.lists(WORDS, min_size=at - START, max_size=at - START))
    values, marks = make_block_decoder(specs, START, len(cells))(struct.pack(f">{len(cells)}H", *cells))
    for spec, value, mark in zip(specs, values, marks, strict=True):
        wanted, wanted_mark = make_decoder(spec)(cells[spec.address - START : spec.end - START])
        assert (mark, math.isnan(value)) == (wanted_mark, math.isnan(wanted)), spec
        assert math.isnan(wanted) or value == wanted, spec


@pytest.mark.parametrize("count", [3, 20])
def test_known_values_come_out_of_few_and_of_many(count: int) -> None:
    kinds = [("uint16", 1000), ("int32", -5), ("bcd8", 12345678)] * count
    cells: list[int] = []
    specs = []
    for kind, value in kinds[:count]:
        specs.append(PointSpec(Quantity.FLAGS, RegisterTable.HOLDING, START + len(cells), kind, scale=0.1))
        size = 2 * width(kind)
        raw = int(str(value), 16) if kind == "bcd8" else value % 2 ** (8 * size)
        cells += struct.unpack(f">{size // 2}H", raw.to_bytes(size, "big"))
    values, marks = make_block_decoder(specs, START, len(cells))(struct.pack(f">{len(cells)}H", *cells))
    assert list(values) == [value / 10 for _, value in kinds[:count]]
    assert not marks.any()


def test_coils_are_decoded_one_by_one() -> None:
    specs = [PointSpec(Quantity.VALVE, RegisterTable.COIL, START + at, "bool") for at in range(20)]
    values, _ = make_block_decoder(specs, START, 20)(b"\xaa\xaa\x0a")
    assert list(values) == [0.0, 1.0] * 10
