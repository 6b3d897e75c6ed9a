import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerAscii, FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU

from collectors.modbus_frames import FRAMINGS, Question, WrongReplyError, crc, lrc
from tests.collectors.peers import Asked

PYMODBUS = {"tcp": FramerSocket, "rtu": FramerRTU, "ascii": FramerAscii}
framings = st.sampled_from(sorted(FRAMINGS))
reads = st.tuples(st.integers(1, 247), st.sampled_from((3, 4)), st.integers(0, 65000), st.integers(1, 125))


def asked(framing: str, question: Question, transaction: int) -> Asked:
    function, start, count = struct.unpack(">BHH", question.pdu)
    return Asked(framing, transaction, question.unit, function, start, count)


@given(framings, reads, st.integers(1, 65535))
def test_a_question_is_understood_by_pymodbus(framing: str, read: tuple[int, int, int, int], transaction: int) -> None:
    question = Question.read(*read)
    framer: Any = PYMODBUS[framing](DecodePDU(True))
    used, pdu = framer.handleFrame(FRAMINGS[framing]().pack(question, transaction), 0, 0)
    assert used
    assert (pdu.dev_id, pdu.function_code, pdu.address, pdu.count) == read


@given(framings, reads, st.integers(1, 65535), st.data())
def test_a_reply_is_found_however_it_is_cut(
    framing: str, read: tuple[int, int, int, int], transaction: int, data: st.DataObject
) -> None:
    question = Question.read(*read)
    one = asked(framing, question, transaction)
    words = [(7 * place) & 0xFFFF for place in range(one.count)]
    frame, pdu = one.words(words), struct.pack(f">BB{one.count}H", one.function, 2 * one.count, *words)
    found = FRAMINGS[framing]().find
    cut = data.draw(st.integers(0, len(frame) - 1))
    assert found(frame[:cut], question, transaction)[0] is None
    assert found(frame, question, transaction) == (pdu, len(frame))
    assert found(frame + frame, question, transaction) == (pdu, len(frame))


@given(framings, reads, st.integers(1, 65535), st.data())
def test_a_damaged_reply_gives_nothing_or_what_was_sent(
    framing: str, read: tuple[int, int, int, int], transaction: int, data: st.DataObject
) -> None:
    question = Question.read(*read)
    one = asked(framing, question, transaction)
    frame = bytearray(one.words([0x1234] * one.count))
    # the header of Modbus TCP is checked, the rest is under the checksum of TCP
    last = 7 if framing == "tcp" else len(frame) - 1
    place = data.draw(st.integers(0, last))
    frame[place] ^= data.draw(st.integers(1, 255))
    try:
        reply, _ = FRAMINGS[framing]().find(frame, question, transaction)
    except WrongReplyError:
        return
    assert reply is None or reply[2:] == bytes([0x12, 0x34] * one.count) or reply[0] & 0x80


@given(framings, st.binary(max_size=300))
def test_noise_is_never_a_reading(framing: str, noise: bytes) -> None:
    question = Question.read(1, 3, 100, 4)
    try:
        reply, used = FRAMINGS[framing]().find(noise, question, 9)
    except WrongReplyError:
        return
    assert reply is None
    assert 0 <= used <= len(noise)


@pytest.mark.parametrize("framing", sorted(FRAMINGS))
@pytest.mark.parametrize(
    ("reply", "wrong"),
    [
        (lambda a: a.reply(b"\x04\x04\0\1\0\2"), "function 4"),
        (lambda a: a.reply(b"\x84\x02"), "function"),
        (lambda a: a.reply(b"\x03\x02\0\1"), "bytes"),
        (lambda a: a.reply(b"\x03\x06\0\1\0\2\0\3"), "bytes"),
        (lambda a: a.reply(b"\x03\x04\0\1\0\2", unit=2), "unit 2"),
    ],
)
def test_a_reply_to_something_else_is_named(framing: str, reply: Any, wrong: str) -> None:
    question = Question.read(1, 3, 100, 2)
    with pytest.raises(WrongReplyError, match=wrong):
        FRAMINGS[framing]().find(reply(asked(framing, question, 5)), question, 5)


@pytest.mark.parametrize("framing", sorted(FRAMINGS))
def test_a_refusal_is_a_reply(framing: str) -> None:
    question = Question.read(1, 3, 100, 2)
    frame = asked(framing, question, 5).reply(b"\x83\x02")
    assert FRAMINGS[framing]().find(frame, question, 5) == (b"\x83\x02", len(frame))


@pytest.mark.parametrize("framing", sorted(FRAMINGS))
@pytest.mark.parametrize("pdu", [b"\x05\x00\x07\xff\x00", b"\x06\x00\x07\x00\x01", b"\x10\x00\x07\x00\x01\x02\x00\x05"])
def test_the_reply_to_a_write_repeats_what_was_written(framing: str, pdu: bytes) -> None:
    question = Question(1, pdu)
    pack = Asked(framing, 5, 1, 0, 0, 0)
    find = FRAMINGS[framing]().find
    frame = pack.reply(pdu[:5])
    assert find(frame, question, 5) == (pdu[:5], len(frame))
    other = pack.reply(pdu[:2] + b"\x08" + pdu[3:5])
    with pytest.raises(WrongReplyError, match="something else"):
        find(other, question, 5)
    assert not question.is_read


def test_frames_that_cannot_be_ours_use_no_memory() -> None:
    tcp, text = FRAMINGS["tcp"](), FRAMINGS["ascii"]()
    question = Question.read(1, 3, 0, 1)
    earlier = asked("tcp", question, 4).words([1])
    assert tcp.find(earlier * 10 + earlier[:5], question, 5) == (None, 10 * len(earlier))
    with pytest.raises(WrongReplyError, match="without an end"):
        text.find(b":" + b"0" * 600, question, 5)
    with pytest.raises(ValueError, match="not used"):
        Question(1, b"\x2b\x0e\x01\x00\x00").reply_length  # noqa: B018


def test_checksums_of_the_standard() -> None:
    # MODBUS over Serial Line V1.02, 6.2.2: the CRC of 02 07 is 41 12 on the wire
    assert crc(b"\x02\x07") == 0x1241
    assert crc(b"123456789") == 0x4B37
    assert (lrc(b"\x01\x03\x00\x64\x00\x02") + 0x6A) & 0xFF == 0
