"""Commands in profiles: what may be written, how it is packed, and what is refused."""

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.command_frames import check_commands, write_pdu
from collectors.modbus_config import UnitConfig
from gateway.errors import ConfigError
from gateway.model.profile import CommandSpec, RegisterTable
from gateway.model.quantity import Quantity
from gateway.profiles import load_profile, parse_profile, profile_names

CLOSE = (
    'name = "valve_close", at = "coil:3", value = 1, confirm = "valve", expect = 0, settle_s = 5, '
    'golden = "05 0003 FF00"'
)
PROFILE = """
name = "test_device"
description = "a valve"
{top}
point = [{{ quantity = "valve", at = "holding:1", type = "bit", bit = 0 }}]
command = [{{ {command} }}]
golden = [{{ ask = "03 0001 0001", reply = "03 02 0001", gives = {{ valve = 1 }} }}]
"""


def spec(table: RegisterTable, address: int, *values: int, several: bool = False) -> CommandSpec:
    return CommandSpec("x", table, address, values, several, Quantity.VALVE, 0, 0, 5, second_person=False, golden=b"")


@pytest.mark.parametrize(
    ("written", "pdu"),
    [
        (spec(RegisterTable.COIL, 172, 1), "05 00AC FF00"),
        (spec(RegisterTable.COIL, 172, 0), "05 00AC 0000"),
        (spec(RegisterTable.HOLDING, 1, 3), "06 0001 0003"),
        # the examples of the Modbus application protocol for codes 15 and 16
        (spec(RegisterTable.COIL, 19, 1, 0, 1, 1, 0, 0, 1, 1, 1, 0, several=True), "0F 0013 000A 02 CD01"),
        (spec(RegisterTable.HOLDING, 1, 0x000A, 0x0102, several=True), "10 0001 0002 04 000A 0102"),
        (spec(RegisterTable.HOLDING, 7, 9, several=True), "10 0007 0001 02 0009"),
    ],
)
def test_each_code_is_packed_as_the_standard_says(written: CommandSpec, pdu: str) -> None:
    assert write_pdu(written) == bytes.fromhex(pdu)


@given(st.lists(st.integers(0, 1), min_size=1, max_size=123), st.integers(0, 60_000))
def test_bits_come_back_from_a_code_15_frame(bits: list[int], address: int) -> None:
    pdu = write_pdu(spec(RegisterTable.COIL, address, *bits, several=True))
    function, start, count, size = struct.unpack_from(">BHHB", pdu)
    assert (function, start, count, size) == (15, address, len(bits), len(pdu) - 6)
    assert [pdu[6 + place // 8] >> place % 8 & 1 for place in range(count)] == bits


@pytest.mark.parametrize(
    ("top", "old", "new", "words"),
    [
        ("", 'confirm = "valve"', 'confirm = "flags"', ["no read-back", "flags", "valve"]),
        ("", 'confirm = "valve", ', "", ["confirm"]),
        ("", "expect = 0", "expect = 1", ["allow_open"]),
        ("allow_open = true", "expect = 0", "expect = 1", ["second_person"]),
        ("", "coil:3", "input:3", ["cannot be written"]),
        ("", "value = 1", "value = 2", ["0 to 1"]),
        ("", "value = 1", "value = []", ["1 to 123"]),
        ("", "05 0003 FF00", "05 0003", []),
        ("", ', golden = "05 0003 FF00"', "", ["golden"]),
        ("", "coil:3", "coil:65536", ["65536"]),
    ],
)
def test_a_command_that_must_not_be_is_refused(tmp_path: Path, top: str, old: str, new: str, words: list[str]) -> None:
    assert old in CLOSE
    file = tmp_path / "test_device.toml"
    file.write_text(PROFILE.format(top=top, command=CLOSE.replace(old, new)), encoding="utf-8")
    with pytest.raises((ConfigError, ValueError)) as refused:
        UnitConfig(unit=1, profile=str(file), asset="S-01")
    for word in words:
        assert word in str(refused.value)


def test_opening_needs_both_the_flag_and_a_second_person() -> None:
    command = CLOSE.replace("expect = 0", "expect = 1, second_person = true").replace("close", "open")
    profile = parse_profile(PROFILE.format(top="allow_open = true", command=command), "x.toml")
    (one,) = profile.commands
    assert (one.opens, one.closes, one.second_person) == (True, False, True)


def test_one_name_stands_for_one_command() -> None:
    with pytest.raises(ConfigError, match="appears twice"):
        parse_profile(PROFILE.format(top="", command=CLOSE + " }, { " + CLOSE), "x.toml")


def test_a_member_is_told_at_its_own_address() -> None:
    profile = load_profile("ic_card_concentrator")
    assert [write_pdu(one).hex() for one in profile.member_commands(0)] == ["0603f100c5"]
    assert [write_pdu(one).hex() for one in profile.member_commands(199)] == ["060bb700c5"]
    assert profile.member_commands(200) == ()


@pytest.mark.parametrize("name", profile_names())
def test_shipped_profiles_send_what_their_golden_frames_say_and_open_nothing(name: str) -> None:
    profile = load_profile(name)
    check_commands(profile)
    assert all(one.closes for one in (*profile.commands, *profile.member_commands(0)))
