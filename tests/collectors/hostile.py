"""Devices that answer late, short, foreign or doubled: counts the values that end up under the wrong point.

`python -m tests.collectors.hostile 1000000` sends so many hostile replies over all ways to a device; a second number is
the seed.

A late reply comes after its question was given up and less than two timeouts after it was asked: on framings without
transaction ids a later one is as good as the right one for anybody. A process that shares a machine may be held up
between two lines of code, and a serial line's bytes may lie in the system for a while, so the time counts from when
the link asked, and what cannot be sent in time any more is not sent: neither a late reply, nor any to a question that
reaches the device only after the link has asked the next.
"""

import asyncio
import random
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack

from collectors.modbus_config import LinkConfig
from collectors.modbus_frames import FRAMINGS, Framing, Question, WrongReplyError
from collectors.modbus_link import Link
from collectors.modbus_reply import RefusedByDeviceError
from collectors.plan import Request
from gateway.errors import TransientError
from gateway.model.profile import RegisterTable
from gateway.runtime.clock import SystemClock
from tests.collectors.peers import Asked, Peer, Send, on_line, on_socket, truth

TIMEOUT_S = 0.02
LATEST = 1.4
"""Timeouts after its question at which a late reply may still be sent; the rest is for the way through the system."""
KINDS = ("late", "short", "long", "foreign unit", "foreign function", "doubled", "cut", "noise", "earlier")
WAYS = ("tcp", "rtu+tcp", "ascii+tcp", "rtu", "ascii")


class Hostile:
    """Sends every reply in a wrong way, but one in four honestly."""

    def __init__(self, rng: random.Random, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.peer: Peer | None = None
        self.asked_at = 0.0
        """when the link asked last, in monotonic seconds"""
        self.question: Question | None = None
        """what it asked then"""
        self.sent: Counter[str] = Counter()
        self.lately: list[str] = []
        """the last kinds, newest last"""
        self._rng = rng
        self._before: Asked | None = None

    def answer(self, asked: Asked, send: Send) -> None:
        if asked.framing != "tcp" and _question(asked) != self.question:
            self.sent["behind"] += 1
            return
        kind = self._rng.choice(KINDS) if self._rng.random() < 0.75 else "honest"
        self.sent[kind] += 1
        self.lately = [*self.lately[-3:], kind]
        before, self._before = self._before or asked, asked
        honest = asked.honest()
        if kind == "late":
            # too late for its question; a converter may send it to whoever is connected then
            to_whom = send if asked.framing == "tcp" else self._to_all
            last = self.asked_at + LATEST * self.timeout_s
            delay_s = self._rng.uniform(1.0, LATEST) * self.timeout_s
            asyncio.get_running_loop().call_later(delay_s, self._send_late, to_whom, honest, last)
        elif kind == "doubled":
            send(honest)
            send(honest)
        elif kind == "cut":
            send(honest[: self._rng.randrange(len(honest))])
        elif kind == "noise":
            send(self._rng.randbytes(self._rng.randint(1, 20)))
        else:
            send(self._altered(kind, asked, before))

    def _altered(self, kind: str, asked: Asked, before: Asked) -> bytes:
        other = (asked.transaction - 1) % 0x10000
        words = [truth(asked.unit, asked.start + place) for place in range(asked.count)]
        strange = Asked(asked.framing, asked.transaction, asked.unit % 4 + 1, asked.function, 7, asked.count)
        match kind:
            case "short":
                return asked.words(words[:-1])
            case "long":
                return asked.words([*words, 1])
            case "foreign unit":
                return strange.honest()
            case "foreign function":
                return Asked(asked.framing, asked.transaction, asked.unit, 7 - asked.function, 0, asked.count).honest()
            case "earlier":
                # a reply to the question before, where the framing can tell; else of another size
                count = before.count if asked.framing == "tcp" else asked.count + 1
                return Asked(asked.framing, other, asked.unit, asked.function, before.start, count).honest()
        return asked.honest()

    def _send_late(self, send: Send, frame: bytes, last: float) -> None:
        if time.monotonic() <= last:
            self.sent["late and sent"] += 1
            send(frame)

    def _to_all(self, frame: bytes) -> None:
        assert self.peer is not None
        self.peer.send(frame)


def _question(asked: Asked) -> Question:
    return Question.read(asked.unit, asked.function, asked.start, asked.count)


class _Watched:
    """A framing that tells when a question is packed."""

    def __init__(self, framing: Framing, hostile: Hostile) -> None:
        self.has_ids, self.find, self.size = framing.has_ids, framing.find, framing.size
        self._framing, self._hostile = framing, hostile

    def pack(self, question: Question, transaction: int) -> bytes:
        self._hostile.asked_at, self._hostile.question = time.monotonic(), question
        return self._framing.pack(question, transaction)


async def count_wrong(
    replies: int, ways: tuple[str, ...] = WAYS, links: int = 10, timeout_s: float = TIMEOUT_S, seed: int = 0
) -> tuple[Counter[str], Counter[str]]:
    """Return how often each kind was sent, and what became of the questions."""
    sent: Counter[str] = Counter()
    outcome: Counter[str] = Counter()
    async with AsyncExitStack() as stack:
        workers = []
        for number in range(links * len(ways)):
            way, rng = ways[number % len(ways)], random.Random(f"{seed} {number}")
            hostile = Hostile(rng, timeout_s)
            framing = way.split("+", maxsplit=1)[0]
            serve = on_line if way in ("rtu", "ascii") else on_socket
            hostile.peer = peer = await stack.enter_async_context(serve(framing, hostile.answer))
            url = f"{way}://{peer.path}" if peer.path else f"{way}://127.0.0.1:{peer.port}"
            workers.append(
                _ask(
                    _link(url, timeout_s, _Watched(FRAMINGS[framing](), hostile)),
                    hostile,
                    rng,
                    replies // (links * len(ways)),
                    outcome,
                )
            )
            stack.callback(sent.update, hostile.sent)
        await asyncio.gather(*workers)
    return sent, outcome


def _link(url: str, timeout_s: float, framing: Framing) -> Link:
    unit = {"profile": "station_rtu", "asset": "S-01"}
    table = {"name": "a", "url": url, "timeout_s": timeout_s, "unit": [{"unit": n, **unit} for n in range(1, 5)]}
    if url.startswith(("rtu:", "ascii:")):
        table["serial"] = {"baud": 115200}
    return Link(LinkConfig.model_validate(table), SystemClock(), framing=framing)


async def _ask(link: Link, hostile: Hostile, rng: random.Random, replies: int, outcome: Counter[str]) -> None:
    while sum(hostile.sent[kind] for kind in KINDS) < replies:
        unit, start, count = rng.randint(1, 4), rng.randint(0, 150), rng.randint(1, 10)
        table = rng.choice((RegisterTable.HOLDING, RegisterTable.INPUT))
        try:
            reply = await link.read(unit, Request(table, start, count, ()))
        except (TransientError, WrongReplyError, RefusedByDeviceError) as error:
            outcome[type(error).__name__] += 1
            continue
        right = tuple(truth(unit, start + place) for place in range(count))
        outcome["right" if reply.cells == right else "WRONG"] += 1
        if reply.cells != right:
            outcome[f"{link.address} after {hostile.lately}"] += 1
    link.drop()


if __name__ == "__main__":
    total, start = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    for counted in asyncio.run(count_wrong(total, links=32, timeout_s=0.1, seed=start)):
        sys.stdout.write(f"{dict(counted)}\n")
