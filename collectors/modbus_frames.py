"""Modbus questions and replies as bytes, in the three framings of the standard. Pure.

A reply is taken only if it answers the question that waits for it: transaction id (where the framing has one), unit,
function code, written address and number of registers must be those asked for. Sources: MODBUS Application Protocol
Specification V1.1b3, MODBUS over Serial Line V1.02, MODBUS Messaging on TCP/IP V1.0b.
"""

from __future__ import annotations

import binascii
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Protocol

_READS_OF_BITS = (1, 2)
_READS_OF_REGISTERS = (3, 4)
_WRITES = (5, 6, 15, 16)
_REFUSED = 0x80
_MOST_PDU = 253
_WRITE_REPLY = 5


class WrongReplyError(Exception):
    """Something answered that is no reply to what was asked; the text says what is wrong with it."""


@dataclass(frozen=True)
class Question:
    """One request: the unit, and the PDU (function code and data) without any framing."""

    unit: int
    pdu: bytes

    @staticmethod
    @lru_cache(maxsize=65_536)
    def read(unit: int, function: int, start: int, count: int) -> Question:
        """Return the question that reads `count` registers or bits; `function` is 1 to 4."""
        return Question(unit, struct.pack(">BHH", function, start, count))

    @property
    def is_read(self) -> bool:
        """True if asking twice does no harm."""
        return self.pdu[0] in (*_READS_OF_BITS, *_READS_OF_REGISTERS)

    @cached_property
    def reply_length(self) -> int:
        """Return the bytes of a good reply's PDU. Raises ValueError for a function that gasgate does not use."""
        function = self.pdu[0]
        if function in _WRITES:
            return _WRITE_REPLY
        count = int.from_bytes(self.pdu[3:5], "big")
        if function in _READS_OF_BITS:
            return 2 + -(-count // 8)
        if function in _READS_OF_REGISTERS:
            return 2 + 2 * count
        raise ValueError(f"function code {function} is not used")

    def is_twin_of(self, other: Question | None) -> bool:
        """Say whether a second copy of the reply to `other` would pass for the reply to this question."""
        return (
            other is not None
            and (self.unit, self.pdu[0], self.reply_length) == (other.unit, other.pdu[0], other.reply_length)
            and self.pdu != other.pdu
        )

    def problem(self, reply: bytes) -> str:
        """Say why the PDU `reply` does not answer this question; empty if it does, also with a refusal."""
        function = self.pdu[0]
        if reply[0] == function | _REFUSED and len(reply) == 2:
            return ""
        if reply[0] != function:
            return f"a reply to function {reply[0]} instead of {function}"
        if len(reply) != self.reply_length:
            return f"a reply of {len(reply)} bytes instead of {self.reply_length}"
        if function in _WRITES:
            return "" if reply == self.pdu[:_WRITE_REPLY] else "a reply to a write of something else"
        return "" if reply[1] == len(reply) - 2 else "a reply whose length is not what it says"


class Framing(Protocol):
    """How a PDU is packed for the wire."""

    @property
    def has_ids(self) -> bool:
        """True if a reply names the request that it answers."""
        ...

    def pack(self, question: Question, transaction: int) -> bytes:
        """Return the bytes to send."""
        ...

    def find(self, data: bytes | bytearray, question: Question, transaction: int) -> tuple[bytes | None, int]:
        """Look for the reply among the received bytes; return its PDU, or None if it has not come whole yet.

        The number is how many bytes are done with. Raises WrongReplyError as soon as it is sure that what came is
        not the reply.
        """
        ...

    def size(self, question: Question) -> int:
        """Return how many bytes go over the wire, there and back."""
        ...


class SocketFraming:
    """Modbus TCP: a header of seven bytes with a transaction id, and no checksum."""

    def __init__(self, *, zero: bool = False) -> None:
        """Make one; with `zero` a reply may have the transaction id 0, and then says no more what it answers."""
        self._zero = zero
        self.has_ids = not zero

    def pack(self, question: Question, transaction: int) -> bytes:
        """Return the bytes to send."""
        return struct.pack(">HHHB", transaction, 0, len(question.pdu) + 1, question.unit) + question.pdu

    def find(self, data: bytes | bytearray, question: Question, transaction: int) -> tuple[bytes | None, int]:
        """Look for the reply; a frame with another transaction id answers an earlier question and is stepped over."""
        at = 0
        while len(data) >= at + 8:
            got_transaction, protocol, length, unit = struct.unpack_from(">HHHB", data, at)
            if protocol != 0 or not 3 <= length <= _MOST_PDU + 1:
                raise WrongReplyError("a frame that is not Modbus")
            if got_transaction == 0 and not self._zero:
                raise WrongReplyError("a reply without transaction id")
            end = at + 6 + length
            if len(data) < end:
                break
            if got_transaction in (transaction, 0):
                if unit != question.unit:
                    raise WrongReplyError(f"a reply of unit {unit} instead of {question.unit}")
                return _checked(question, bytes(data[at + 7 : end])), end
            at = end
        return None, at

    def size(self, question: Question) -> int:
        """Return how many bytes go over the wire, there and back."""
        return 14 + len(question.pdu) + question.reply_length


class RtuFraming:
    """Modbus RTU: unit, PDU, CRC. Where a reply ends follows from the question, not from pauses on the line."""

    has_ids = False

    def pack(self, question: Question, transaction: int) -> bytes:
        """Return the bytes to send."""
        del transaction
        body = bytes([question.unit]) + question.pdu
        return body + crc(body).to_bytes(2, "little")

    def find(self, data: bytes | bytearray, question: Question, transaction: int) -> tuple[bytes | None, int]:
        """Look for the reply, which must begin with the first byte."""
        del transaction
        if data and data[0] != question.unit:
            raise WrongReplyError(f"a reply of unit {data[0]} instead of {question.unit}")
        if len(data) < 2:
            return None, 0
        function = question.pdu[0]
        if data[1] not in (function, function | _REFUSED):
            raise WrongReplyError(f"a reply to function {data[1]} instead of {function}")
        if data[1] == function and function not in _WRITES and len(data) > 2 and data[2] != question.reply_length - 2:
            raise WrongReplyError(f"a reply of {data[2]} bytes of data instead of {question.reply_length - 2}")
        end = 3 + (question.reply_length if data[1] == function else 2)
        if len(data) < end:
            return None, 0
        if crc(data[: end - 2]) != int.from_bytes(data[end - 2 : end], "little"):
            raise WrongReplyError("a reply with a wrong checksum")
        return _checked(question, bytes(data[1 : end - 2])), end

    def size(self, question: Question) -> int:
        """Return how many bytes go over the wire, there and back."""
        return 6 + len(question.pdu) + question.reply_length


class AsciiFraming:
    """Modbus ASCII: a colon, everything as hexadecimal digits, LRC, carriage return and line feed."""

    has_ids = False
    _longest = 1 + 2 * (1 + _MOST_PDU + 1) + 2

    def pack(self, question: Question, transaction: int) -> bytes:
        """Return the bytes to send."""
        del transaction
        body = bytes([question.unit]) + question.pdu
        return b":" + binascii.hexlify(body + bytes([lrc(body)])).upper() + b"\r\n"

    def find(self, data: bytes | bytearray, question: Question, transaction: int) -> tuple[bytes | None, int]:
        """Look for the reply, which must begin with the first byte."""
        del transaction
        if data and data[0] != ord(":"):
            raise WrongReplyError("a frame that is not Modbus ASCII")
        end = data.find(b"\r\n") + 2
        if end < 2:
            if len(data) >= self._longest:
                raise WrongReplyError("a frame without an end")
            return None, 0
        try:
            body = binascii.unhexlify(bytes(data[1 : end - 2]))
        except ValueError as error:
            raise WrongReplyError("a frame that is not Modbus ASCII") from error
        if len(body) < 4 or sum(body) & 0xFF:
            raise WrongReplyError("a reply with a wrong checksum")
        if body[0] != question.unit:
            raise WrongReplyError(f"a reply of unit {body[0]} instead of {question.unit}")
        return _checked(question, body[1:-1]), end

    def size(self, question: Question) -> int:
        """Return how many bytes go over the wire, there and back."""
        return 2 * (len(question.pdu) + question.reply_length) + 14


FRAMINGS: dict[str, Callable[[], Framing]] = {"tcp": SocketFraming, "rtu": RtuFraming, "ascii": AsciiFraming}


def _checked(question: Question, reply: bytes) -> bytes:
    if problem := question.problem(reply):
        raise WrongReplyError(problem)
    return reply


def crc(data: bytes | bytearray) -> int:
    """Return the CRC-16 of Modbus RTU; it is sent low byte first."""
    value = 0xFFFF
    for byte in data:
        value = value >> 8 ^ _CRC_TABLE[(value ^ byte) & 0xFF]
    return value


def lrc(data: bytes) -> int:
    """Return the checksum of Modbus ASCII: with it, all bytes add up to 0 modulo 256."""
    return -sum(data) & 0xFF


def _crc_of_byte(value: int) -> int:
    for _ in range(8):
        value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
    return value


_CRC_TABLE = tuple(_crc_of_byte(byte) for byte in range(256))
