"""Somebody is signed in, and the clock is right: judged against a real state and a time server on a real socket."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.errors import TransientError
from gateway.roles.standing_watch import ASK_EVERY_S, EMPTY_DESK, EMPTY_FOR_S, WRONG_CLOCK, StandingWatch
from gateway.runtime.time_server import offset_s
from gateway.store import tables
from gateway.store.state import State

PACKET = struct.Struct("!BBbbIIIQQQQ")
HOUR_US = 3_600_000_000


class TimeServer:
    """Answers with its own clock, `ahead_s` ahead; `spoil` changes an answer before it goes out."""

    def __init__(self) -> None:
        self.ahead_s, self.stratum, self.leap, self.forget = 0.0, 2, 0, False
        self.slow_s = 0.0
        self.channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.channel.bind(("127.0.0.1", 0))
        self.name = f"127.0.0.1:{self.channel.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            try:
                question, sender = self.channel.recvfrom(512)
            except OSError:
                return
            if not question:
                return
            asked = PACKET.unpack(question)[-1]
            stamp = int((time.time() + self.ahead_s + 2_208_988_800) * 2**32) % 2**64
            first = self.leap << 6 | 0b00_100_100
            answer = PACKET.pack(first, self.stratum, 0, 0, 0, 0, 0, 0, 0 if self.forget else asked, stamp, stamp)
            time.sleep(self.slow_s)
            self.channel.sendto(answer, sender)


@contextmanager
def time_server() -> Iterator[TimeServer]:
    server = TimeServer()
    thread = threading.Thread(target=server.serve)
    thread.start()
    try:
        yield server
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ender:
            ender.sendto(b"", server.channel.getsockname())
        thread.join(30)
        server.channel.close()


class Times:
    def __init__(self) -> None:
        self.s = 1_000.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def times() -> Times:
    return Times()


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    made = State.in_folder(tmp_path)
    yield made
    made.close()


def add_person(state: State, name: str, role: str) -> None:
    values = {"name": name, "password_hash": "x", "role": role, "language": "zh", "disabled": False, "created_at": 1}
    with state.write() as connection:
        connection.execute(tables.user.insert().values(**values))


def sign_in(state: State, name: str, *, until_us: int, used_us: int | None = None) -> None:
    values = {"id": name, "owner": name, "hash": "x", "created_at": 1, "expires_at": until_us, "used_at": used_us}
    with state.write() as connection:
        connection.execute(tables.session.insert().values(**values))


def test_the_offset_of_a_time_server_is_read() -> None:
    with time_server() as server:
        for ahead_s in (0.0, 4.0, -3600.0):
            server.ahead_s = ahead_s
            assert offset_s(server.name) == pytest.approx(ahead_s, abs=0.2)


@pytest.mark.parametrize("fault", ["unsynchronised", "no stratum", "another question", "nobody", "slow"])
def test_an_answer_that_cannot_be_believed_is_none(fault: str) -> None:
    with time_server() as server:
        server.leap = 3 if fault == "unsynchronised" else 0
        server.stratum = 0 if fault == "no stratum" else 2
        server.forget = fault == "another question"
        server.slow_s = 0.6 if fault == "slow" else 0.0
        name = "127.0.0.1:9" if fault == "nobody" else server.name
        with pytest.raises(TransientError, match="took" if fault == "slow" else "about the time|synchronised"):
            offset_s(name, timeout_s=2.0 if fault == "slow" else 0.3)


def test_a_wrong_clock_is_told_after_two_answers_and_silence_ends_nothing(state: State, times: Times) -> None:
    with time_server() as server:
        watch = StandingWatch(state, server.name, monotonic=times)
        server.ahead_s = 2.5
        assert watch.look() == {}
        assert watch.look() == {}
        times.s += ASK_EVERY_S
        holds, value = watch.look()[WRONG_CLOCK]
        assert holds
        assert value == pytest.approx(2.5, abs=0.2)
        server.forget = True
        times.s += ASK_EVERY_S
        assert watch.look() == {}
        server.forget, server.ahead_s = False, 0.0
        times.s += ASK_EVERY_S
        assert watch.look() == {}
        times.s += ASK_EVERY_S
        assert watch.look()[WRONG_CLOCK][0] is False


def test_an_empty_desk_is_told_after_five_minutes_and_ends_when_somebody_signs_in(state: State, times: Times) -> None:
    watch = StandingWatch(state, "", monotonic=times, wall=lambda: 1.0)
    assert watch.look() == {}
    add_person(state, "li", "operator")
    add_person(state, "wang", "viewer")
    sign_in(state, "wang", until_us=HOUR_US)
    assert watch.look() == {}
    times.s += EMPTY_FOR_S - 1
    assert watch.look() == {}
    times.s += 1
    assert watch.look() == {EMPTY_DESK: (True, None)}
    sign_in(state, "li", until_us=HOUR_US)
    assert watch.look() == {EMPTY_DESK: (False, None)}


@pytest.mark.parametrize(("role", "counts"), [("operator", True), ("manager", False)])
def test_only_an_operators_page_may_stand_open_unused(state: State, times: Times, role: str, counts: bool) -> None:
    add_person(state, "li", role)
    sign_in(state, "li", until_us=24 * HOUR_US, used_us=1)
    watch = StandingWatch(state, "", monotonic=times, wall=lambda: 2 * 3600.0)
    assert (watch.look() == {EMPTY_DESK: (False, None)}) is counts
