"""One spool record as bytes: how it lies on disk and how it travels to other processes.

Frame: header (magic, body length, sequence, CRC of the body, CRC of the header), then the body: length of the batch,
the batch as `ReadingBatch.to_bytes`, then dead letters and message digests as msgpack. All numbers little-endian.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from gateway.model.reading import ReadingBatch
from gateway.ports import DeadLetter, SpoolRecord

MAGIC = b"GSR1"
_HEAD = struct.Struct("<4sIQI")
_CRC = struct.Struct("<I")
_LENGTH = struct.Struct("<I")
HEADER_BYTES = _HEAD.size + _CRC.size
LONGEST_BODY = 1 << 30
"""A header that announces more is damage."""

_Letter = tuple[str, str, bytes, str, int]
_decode_extra = msgspec.msgpack.Decoder(tuple[list[_Letter], list[tuple[bytes, int]]]).decode


@dataclass(frozen=True, slots=True)
class Header:
    """The checked start of a frame."""

    seq: int
    length: int
    """bytes of the body"""
    body_crc: int


@dataclass(frozen=True, slots=True)
class Frame:
    """A good frame found in a buffer: its place there and its content."""

    start: int
    end: int
    seq: int
    body: memoryview


def encode(record: SpoolRecord, digests: Sequence[tuple[bytes, int]] = ()) -> bytes:
    """Return the frame of a record; `digests` are message digests with the us UTC at which they came."""
    batch = record.batch.to_bytes()
    letters = [(one.source, one.topic, one.payload, one.reason, one.received_time) for one in record.dead]
    body = b"".join((_LENGTH.pack(len(batch)), batch, msgspec.msgpack.encode((letters, digests))))
    if len(body) > LONGEST_BODY:
        raise ValueError(f"a record of {len(body)} bytes is too long")
    head = _HEAD.pack(MAGIC, len(body), record.seq, zlib.crc32(body))
    return b"".join((head, _CRC.pack(zlib.crc32(head)), body))


def read_header(data: bytes | memoryview, at: int = 0) -> Header | None:
    """Return the header at a place of a buffer, None if there is no undamaged one."""
    if len(data) - at < HEADER_BYTES:
        return None
    magic, length, seq, body_crc = _HEAD.unpack_from(data, at)
    (head_crc,) = _CRC.unpack_from(data, at + _HEAD.size)
    if magic != MAGIC or zlib.crc32(data[at : at + _HEAD.size]) != head_crc:
        return None
    return Header(seq, length, body_crc)


def read_frame(data: memoryview, at: int = 0) -> Frame | None:
    """Return the frame at a place of a buffer, None if it is damaged or cut short."""
    header = read_header(data, at)
    if header is None:
        return None
    start = at + HEADER_BYTES
    body = data[start : start + header.length]
    if len(body) != header.length or zlib.crc32(body) != header.body_crc:
        return None
    return Frame(at, start + header.length, header.seq, body)


def decode(seq: int, body: bytes | memoryview) -> SpoolRecord:
    """Return the record of a checked body. Raises ValueError if it does not hold one."""
    batch_end = _end_of_batch(body)
    try:
        letters, _ = _decode_extra(body[batch_end:])
    except msgspec.MsgspecError as error:
        raise ValueError(f"record {seq}: {error}") from error
    return SpoolRecord(seq, ReadingBatch.from_bytes(body[4:batch_end]), tuple(DeadLetter(*one) for one in letters))


def digests_of(body: bytes | memoryview) -> list[tuple[bytes, int]]:
    """Return the message digests of a checked body, with the us UTC at which each came."""
    return _decode_extra(body[_end_of_batch(body) :])[1]


def decode_all(data: bytes) -> Iterator[SpoolRecord]:
    """Yield the records of frames that follow each other. Raises ValueError where one is damaged."""
    view = memoryview(data)
    at = 0
    while at < len(view):
        frame = read_frame(view, at)
        if frame is None:
            raise ValueError(f"no good record at byte {at} of {len(view)}")
        yield decode(frame.seq, frame.body)
        at = frame.end


def _end_of_batch(body: bytes | memoryview) -> int:
    if len(body) < _LENGTH.size:
        raise ValueError("a record's body is too short")
    (length,) = _LENGTH.unpack_from(body)
    end: int = _LENGTH.size + length
    if end > len(body):
        raise ValueError("a record's batch is cut short")
    return end
