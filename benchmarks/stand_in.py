"""A stand-in for a broker, on one socket: sends messages at a rate and notes when each was acknowledged.

It speaks just enough MQTT 5 for one subscriber. With it the time of an acknowledgement is that of the gateway alone.
"""

from __future__ import annotations

import select
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

CONNECT, PUBACK, SUBSCRIBE, PING, DISCONNECT = 1, 4, 8, 12, 14
_CONNACK = b"\x20\x03\x00\x00\x00"
_PINGRESP = b"\xd0\x00"
_MOST_IDS = 65_535
_PATIENCE_S = 30.0


@dataclass
class Sent:
    """What became of the messages of one run."""

    delays_s: list[float] = field(default_factory=list)
    """from the send of each message to its acknowledgement"""
    out_of_order: int = 0
    seconds: float = 0.0
    late_sends: int = 0
    """messages that went out over 5 ms after their time: the stand-in itself had no processor"""


class StandIn:
    """Listens on a free port of this machine for one gateway."""

    def __init__(self) -> None:
        """Listen; `accept` waits for the gateway."""
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._peer: socket.socket | None = None
        self._buffer = b""
        self._next_id = 0

    def accept(self) -> None:
        """Wait until the gateway has connected and subscribed. Raises TimeoutError."""
        self._server.settimeout(_PATIENCE_S)
        self.drop()
        self._peer, _ = self._server.accept()
        self._peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self._next_id = 0
        while True:
            select.select([self._peer], [], [], _PATIENCE_S)
            for kind, body in self._received():
                if kind == CONNECT:
                    self._peer.sendall(_CONNACK)
                elif kind == SUBSCRIBE:
                    self._peer.sendall(b"\x90\x04" + body[:2] + b"\x00\x01")
                    self._peer.setblocking(False)
                    return

    def drop(self) -> None:
        """End the connection without a word."""
        if self._peer is not None:
            self._peer.close()
            self._peer = None

    def close(self) -> None:
        """Close."""
        self.drop()
        self._server.close()

    def send(self, message: Callable[[int], tuple[bytes, bytes]], count: int, *, rate: float, window: int) -> Sent:
        """Send `count` messages (topic, payload), `rate` a second (0: as they go), at most `window` unacknowledged.

        Returns when all are acknowledged. Raises TimeoutError if nothing is acknowledged for long.
        """
        assert self._peer is not None
        waiting: deque[tuple[int, float]] = deque()
        out, sent, done = bytearray(), 0, Sent()
        began = heard = time.perf_counter()
        while sent < count or waiting:
            now = time.perf_counter()
            due = count if not rate else min(count, int((now - began) * rate) + 1)
            for place in range(sent, min(due, sent + window - len(waiting))):
                identifier = self._new_id()
                out += publish_packet(*message(place), identifier)
                waiting.append((identifier, now))
                done.late_sends += bool(rate) and now - began - place / rate > 0.005
                sent += 1
            if out:
                del out[: self._put(out)]
            wait_s = 0.001 if sent < count else 0.05
            ready, _, _ = select.select([self._peer], [self._peer] if out else [], [], wait_s)
            if ready:
                heard = time.perf_counter()
                self._take(waiting, done, heard)
            elif now - heard > _PATIENCE_S:
                raise TimeoutError(f"{len(waiting)} messages are not acknowledged")
        done.seconds = time.perf_counter() - began
        return done

    def push(self, messages: Sequence[tuple[bytes, bytes]]) -> None:
        """Send messages and wait for nothing."""
        assert self._peer is not None
        self._peer.setblocking(True)
        self._peer.sendall(b"".join(publish_packet(*one, self._new_id()) for one in messages))

    def listen(self, seconds: float) -> int:
        """Return how many acknowledgements come although nothing was sent on this connection."""
        assert self._peer is not None
        end, count = time.monotonic() + seconds, 0
        while (left := end - time.monotonic()) > 0:
            ready, _, _ = select.select([self._peer], [], [], left)
            count += sum(kind == PUBACK for kind, _ in self._received()) if ready else 0
        return count

    def _new_id(self) -> int:
        self._next_id = self._next_id % _MOST_IDS + 1
        return self._next_id

    def _put(self, out: bytearray) -> int:
        assert self._peer is not None
        try:
            return self._peer.send(out)
        except BlockingIOError:
            return 0

    def _take(self, waiting: deque[tuple[int, float]], done: Sent, now: float) -> None:
        for kind, body in self._received():
            if kind == PUBACK:
                identifier = int.from_bytes(body[:2], "big")
                if not waiting or waiting[0][0] != identifier:
                    done.out_of_order += 1
                    continue
                done.delays_s.append(now - waiting.popleft()[1])
            elif kind == PING:
                assert self._peer is not None
                self._peer.send(_PINGRESP)

    def _received(self) -> list[tuple[int, bytes]]:
        """Return the whole packets that have come: kind and body. Raises ConnectionError at the end."""
        assert self._peer is not None
        data = self._peer.recv(1 << 18)
        if not data:
            raise ConnectionError("the gateway has closed the connection")
        self._buffer += data
        packets: list[tuple[int, bytes]] = []
        at = 0
        while at + 2 <= len(self._buffer):
            length, start = _length(self._buffer, at + 1)
            if start == 0 or start + length > len(self._buffer):
                break
            packets.append((self._buffer[at] >> 4, self._buffer[start : start + length]))
            at = start + length
        self._buffer = self._buffer[at:]
        return packets


def publish_packet(topic: bytes, payload: bytes, identifier: int) -> bytes:
    """Return a PUBLISH of QoS 1 without properties."""
    head = len(topic).to_bytes(2, "big") + topic + identifier.to_bytes(2, "big") + b"\x00"
    length, text = len(head) + len(payload), bytearray()
    while length > 127:
        text.append(length % 128 | 128)
        length //= 128
    text.append(length)
    return b"".join((b"\x32", bytes(text), head, payload))


def _length(data: bytes, at: int) -> tuple[int, int]:
    """Return a variable length and where it ends; 0 as the end if it is cut short."""
    length = 0
    for place in range(4):
        if at + place >= len(data):
            return 0, 0
        length |= (data[at + place] & 127) << 7 * place
        if data[at + place] < 128:
            return length, at + place + 1
    raise ConnectionError("a length of more than four bytes")
