from __future__ import annotations

import pytest

from gateway.model.profile import PointSpec, RegisterTable
from gateway.model.quantity import Quantity
from gateway.profiles import load_profile, profile_names
from simulators.live.encoder import RegisterImage, encode_number, from_mapping


@pytest.mark.parametrize("name", profile_names())
def test_golden_values_become_the_golden_reply(name: str) -> None:
    profile = load_profile(name)
    seen = 0
    for golden in profile.golden:
        address = int.from_bytes(golden.ask[1:3], "big")
        words = golden.reply[2:]
        for key, value in golden.gives.items():
            slot, _, quantity = key.rpartition("/")
            specs = profile.member_points(int(slot)) if slot else profile.points
            spec = next(s for s in specs if s.quantity == quantity)
            if spec.type != "bit":
                at = 2 * (spec.address - address)
                assert encode_number(value, spec) == words[at : at + 2 * spec.width], key
                seen += 1
    assert seen >= 3


def _spec(kind: str, order: str = "", **more: float) -> PointSpec:
    return PointSpec(Quantity.REGISTER_MEASURED_M3, RegisterTable.HOLDING, 5, kind, order, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "spec", "wire"),
    [
        (1234.567, _spec("uint32", scale=0.001), "0012 d687"),
        (1234.567, _spec("uint32", "CDAB", scale=0.001), "d687 0012"),
        (1234.567, _spec("uint32", "DCBA", scale=0.001), "87d6 1200"),
        (98765432.0, _spec("bcd8"), "9876 5432"),
        (-1.0, _spec("int32"), "ffff ffff"),
        (-5.3, _spec("int16", scale=0.1), "ffcb"),
        (-3.0, _spec("int8"), "fffd"),
        (1.5, _spec("float64"), "3ff8 0000 0000 0000"),
        (2.5, _spec("float32", "BADC"), "2040 0000"),
        (20.0, _spec("uint16", scale=0.5, offset=10.0), "0014"),
    ],
)
def test_values_worked_out_by_hand(value: float, spec: PointSpec, wire: str) -> None:
    assert encode_number(value, spec) == bytes.fromhex(wire)


@pytest.mark.parametrize(("value", "kind"), [(70000.0, "uint16"), (-1.0, "uint32"), (1e8, "bcd8"), (-1.0, "bcd4")])
def test_what_does_not_fit_is_refused(value: float, kind: str) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        encode_number(value, _spec(kind))


def test_an_image_answers_only_what_the_device_has() -> None:
    image = RegisterImage(load_profile("volume_corrector"), serial="V-001")
    values = from_mapping({(-1, Quantity.REGISTER_BASE_M3): 1234567.89})
    assert image.read(RegisterTable.HOLDING, 100, 2, values) == [0xCD15, 0x075B]
    assert image.read(RegisterTable.HOLDING, 40, 4, values) == [0x562D, 0x3030, 0x3100, 0]
    assert image.read(RegisterTable.HOLDING, 102, 2, values) == [0xFFFF, 0xFFFF]  # no value: the missing pattern
    assert image.read(RegisterTable.HOLDING, 900, 1, values) is None
    assert image.read(RegisterTable.INPUT, 100, 2, values) is None
    assert image.read(RegisterTable.HOLDING, 119, 2, values) is None


def test_unused_slots_of_a_concentrator_say_no_value() -> None:
    image = RegisterImage(load_profile("ic_card_concentrator"), members=1)
    values = from_mapping({(0, Quantity.REGISTER_MEASURED_M3): 0.001, (1, Quantity.REGISTER_MEASURED_M3): 7.0})
    assert image.read(RegisterTable.HOLDING, 1000, 2, values) == [0, 1]
    assert image.read(RegisterTable.HOLDING, 1010, 2, values) == [0xFFFF, 0xFFFF]
