"""Asks a time server how far this machine's clock is off: one SNTP exchange (RFC 4330), nothing is set."""

from __future__ import annotations

import secrets
import socket
import struct
import time

from gateway.errors import TransientError

PORT = 123
TIMEOUT_S = 2.0
LONGEST_S = 0.5
"""round trip beyond which an answer tells nothing: what it says may be wrong by half of it"""
_PACKET = struct.Struct("!BBbbIIIQQQQ")
_SINCE_1900_S = 2_208_988_800
_FRACTION = 2**32
_CLIENT = 0b00_100_011
"""no leap warning, version 4, client"""
_SERVER_MODES = (4, 5)


def offset_s(server: str, *, timeout_s: float = TIMEOUT_S) -> float:
    """Return how many seconds the server's clock is ahead of ours; blocks for at most about the time-out.

    `server` is `HOST` or `HOST:PORT`. Raises TransientError without a usable answer: a server that is not itself
    synchronised, that answers something else than was asked, or whose answer took longer than `LONGEST_S`, is not
    believed.
    """
    host, _, port = server.partition(":")
    # only who saw the question can repeat its number
    asked = secrets.randbits(64)
    packet = _PACKET.pack(_CLIENT, 0, 0, 0, 0, 0, 0, 0, 0, 0, asked)
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, int(port or PORT), type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as channel:
            channel.settimeout(timeout_s)
            channel.connect(address)
            sent_s, begun_s = time.time(), time.monotonic()
            channel.send(packet)
            answer = channel.recv(512)
            took_s, received_s = time.monotonic() - begun_s, time.time()
    except (OSError, ValueError) as error:
        raise TransientError(f"{server}: no answer about the time: {error}") from error
    if len(answer) < _PACKET.size:
        raise TransientError(f"{server}: answered {len(answer)} bytes about the time")
    first, stratum, *_, originate, came, went = _PACKET.unpack(answer[: _PACKET.size])
    unsynchronised = first >> 6 == 3 or not 1 <= stratum <= 15 or not came or not went
    if first & 7 not in _SERVER_MODES or originate != asked or unsynchronised:
        raise TransientError(f"{server}: is not synchronised, or answered something else")
    if took_s > LONGEST_S:
        raise TransientError(f"{server}: its answer about the time took {took_s:.2f} s")
    return ((_seconds(came) - sent_s) + (_seconds(went) - received_s)) / 2.0


def _seconds(stamp: int) -> float:
    """Return an NTP time stamp as seconds since 1970; its era ends in 2036, and zero begins the next one."""
    seconds, fraction = divmod(stamp, _FRACTION)
    era = 0 if seconds >> 31 else _FRACTION
    return seconds + era - _SINCE_1900_S + fraction / _FRACTION
