from pathlib import Path

import pytest

from gateway.errors import ConfigError
from gateway.model.profile import RegisterTable, Span
from gateway.model.quantity import Quantity
from gateway.profiles import load_profile, parse_profile, profile_names

GOOD_PROFILE = """
name = "x"
description = "one register"
every_s = 30
never_read = ["holding:900-905"]
point = [{ quantity = "flow_base_m3h", at = "holding:7", type = "uint16" }]
golden = [{ ask = "03 0007 0001", reply = "03 02 0005", gives = { flow_base_m3h = 5 } }]
"""


def test_the_shipped_profiles() -> None:
    assert profile_names() == ("diaphragm_rs485", "ic_card_concentrator", "station_rtu", "volume_corrector")
    assert load_profile("volume_corrector").never_read == (Span(RegisterTable.HOLDING, 900, 905),)


def test_members_repeat_with_their_stride() -> None:
    profile = load_profile("ic_card_concentrator")
    register, balance, *_ = profile.member_points(199)
    assert (register.quantity, register.address, register.end) == (Quantity.REGISTER_MEASURED_M3, 2990, 2992)
    assert balance.together == register.together == "199/account"
    with pytest.raises(IndexError):
        profile.member_points(200)


def test_a_site_may_bring_its_own_profile(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text(GOOD_PROFILE, encoding="utf-8")
    (point,) = load_profile(path).points
    assert (point.table, point.address, point.every_s) == (RegisterTable.HOLDING, 7, 30)


def test_classic_numbers_begin_at_one() -> None:
    profile = parse_profile(GOOD_PROFILE.replace("holding:7", "40101"), "x.toml")
    assert (profile.points[0].table, profile.points[0].address) == (RegisterTable.HOLDING, 100)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("flow_base_m3h", "flow", "x.toml: point.0.quantity: .*'register_measured_m3'"),
        ("holding:7", "memory:7", "x.toml: point.0.at: .*write table:address"),
        ("holding:7", "holding:70000", "not between 0 and 65535"),
        ('"uint16"', '"u16"', "x.toml: point.0.type: 'u16' is no type of a point: allowed are"),
        ('"uint16"', '"uint16", order = "ABCD"', "allowed is a permutation of AB"),
        ('"uint16"', '"bit"', "type bit needs the key bit"),
        ('"uint16"', '"bool"', "bool stands in coil or discrete, no other does"),
        ('"uint16"', '"uint16", scale = 0', "scale 0"),
        ("holding:7", "holding:903", "never_read forbids"),
        ('"uint16"', '"uint16", color = 1', "x.toml: point.0.color: Extra inputs"),
        ("every_s = 30", "every_s = 0", "x.toml: every_s"),
        ("holding:900-905", "holding:905-900", "ends before it begins"),
        (
            '"uint16" }',
            '"uint16", together = "a" }, { quantity = "valve", at = "input:7", type = "int16", together = "a" }',
            "must stand in one table",
        ),
        ("point = [", "point = [{ quantity = 'flow_base_m3h', at = 'holding:1', type = 'int16' }, ", "appears twice"),
    ],
)
def test_a_wrong_profile_is_named_with_its_key(old: str, new: str, problem: str) -> None:
    text = GOOD_PROFILE.replace(old, new)
    with pytest.raises(ConfigError, match=problem):
        parse_profile(text, "x.toml")


def test_a_profile_without_a_golden_frame_is_refused() -> None:
    text = "\n".join(line for line in GOOD_PROFILE.splitlines() if not line.startswith("golden"))
    with pytest.raises(ConfigError, match=r"x\.toml: golden: Field required"):
        parse_profile(text, "x.toml")


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="use one of diaphragm_rs485, ic_card_concentrator"):
        load_profile("nothing")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.toml: cannot read the profile"):
        load_profile(tmp_path / "gone.toml")


def test_members_must_fit_their_stride() -> None:
    text = """
    name = "m"
    description = "members"
    golden = [{ ask = "03 0000 0001", reply = "03 02 0000", gives = { "0/valve" = 0 } }]
    [members]
    count = 2
    base = 0
    stride = 1
    point = [{ quantity = "register_measured_m3", at = "holding:0", type = "uint32" }]
    """
    with pytest.raises(ConfigError, match="more than the stride of 1"):
        parse_profile(text, "m.toml")
