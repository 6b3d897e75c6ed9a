"""Reads from a certificate file until when it is good."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


def good_until(file: Path) -> datetime | None:
    """Return when the first certificate of a PEM file to expire does; None if it holds none that can be read."""
    try:
        text = file.read_text(encoding="ascii", errors="replace")
        ends = [_not_after(ssl.PEM_cert_to_DER_cert(f"{_BEGIN}{part}{_END}\n")) for part in _bodies(text)]
    except (OSError, ValueError, IndexError):
        return None
    return min(ends, default=None)


def _bodies(text: str) -> Iterator[str]:
    for part in text.split(_BEGIN)[1:]:
        yield part.split(_END)[0]


def _not_after(der: bytes) -> datetime:
    """Return the end of the validity (RFC 5280, section 4.1): the fifth field of the signed part, its second time."""
    signed = _children(_children(der)[0][1])[0][1]
    fields = _children(signed)
    if fields[0][0] == _VERSION:
        fields = fields[1:]
    kind, value = _children(fields[3][1])[1]
    if kind not in {_UTC_TIME, _GENERALIZED_TIME}:
        raise ValueError("no time")
    form = "%y%m%d%H%M%SZ" if kind == _UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.strptime(value.decode("ascii"), form).replace(tzinfo=UTC)


def _children(data: bytes) -> list[tuple[int, bytes]]:
    """Return tag and content of each value in a row of DER values."""
    found = []
    at = 0
    while at < len(data):
        tag, length, begin = data[at], data[at + 1], at + 2
        if length & 0x80:
            begin += length & 0x7F
            length = int.from_bytes(data[at + 2 : begin], "big")
        found.append((tag, data[begin : begin + length]))
        at = begin + length
    return found
