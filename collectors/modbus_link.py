"""One connection to Modbus devices: one owner, one question in flight, and no reply under the wrong question."""

from __future__ import annotations

import asyncio
import math
import ssl
import time
from collections import deque
from dataclasses import dataclass, field

from collectors.modbus_config import LinkConfig, ModbusConfig
from collectors.modbus_frames import FRAMINGS, Framing, Question, SocketFraming, WrongReplyError
from collectors.modbus_reply import BUSY_CODES, RefusedByDeviceError, Reply
from collectors.modbus_wire import Wire
from collectors.plan import Request
from collectors.serial_line import open_line
from collectors.turns import Turns
from gateway.errors import NotSentError, TransientError
from gateway.ports import Clock
from gateway.profiles import load_profile

_BUSY_PAUSE_S = 0.2
_GATEWAY_CODES = (10, 11)
"""A converter says that the device behind it does not answer."""
_REFUSED = 0x80
_LAST_TRANSACTION = 0xFFFF
_SHORTEN_AFTER = 3
"""Timeouts in a row after which a device gets less time; the runner's breaker opens at the same number."""
_SHORTEST_TIMEOUT_S = 0.2
_PATIENCE = 4.0
"""How many times as long as its slowest known reply a silent device is waited for."""
_FULL_TIMEOUT_EVERY = 5
"""Of so many shortened waits one is a full one: a device may have become slower for good."""
_FEWEST_TIMES = 10
_SILENT_LIMIT = 10
"""Timeouts after which a line that never becomes silent is given up for this request."""
_SHORTEST_GAP_S = 0.00175
_CONVERTER_GAP_S = 0.005
"""Rest behind a converter, where the line's speed is not known: a reply that is sent twice shows in it."""
_TWIN_GAP_S = 0.02
"""Rest before a question whose reply looks like the last one; USB adapters hold bytes back for up to 16 ms."""
_GAP_CHARACTERS = 3.5


@dataclass(slots=True)
class _Pulse:
    """How a device answered lately."""

    timeouts: int = 0
    """in a row"""
    times: deque[float] = field(default_factory=lambda: deque(maxlen=100))
    """seconds of its last replies; the slowest of a hundred stands for the 99th percentile"""


class Link:
    """One connection, opened when it is needed. Whoever asks waits for the one request in flight, in order of asking.

    An urgent question, a command, goes before all others that wait.
    A reply without transaction id can only be told by its time: after a timeout, a cancellation or a wrong reply on
    such a framing, the connection is opened anew or kept, and nothing is asked before it was silent for one timeout.
    """

    def __init__(self, config: LinkConfig, clock: Clock, name: str = "", framing: Framing | None = None) -> None:
        """Make a link; nothing is connected yet. `framing` is given where it is not that of the address."""
        self.config = config
        self.name = name or config.name
        self.address = config.address
        self._clock = clock
        self._turns = Turns()
        self._framing = framing or _framing(config)
        self._wire: Wire | None = None
        self._transaction = self._session = 0
        self._free_at = -math.inf
        self._answered: Question | None = None
        self._answered_at = -math.inf
        self._silent_from = -math.inf
        """when the last question failed to which a reply may still come"""
        self._silent_for = config.timeout_s
        self._timeouts = _timeouts(config)
        self._pulses: dict[int, _Pulse] = {}
        self._times: deque[float] = deque(maxlen=100)
        self._gap_s = self._character_s = 0.0
        if self.address.way == "serial":
            self._character_s = config.serial.character_s
            self._gap_s = max(_GAP_CHARACTERS * self._character_s, _SHORTEST_GAP_S)
        elif self.address.framing != "tcp":
            self._gap_s = _CONVERTER_GAP_S

    def is_set_up_like(self, config: LinkConfig) -> bool:
        """Tell whether a link of this configuration could use the same connection: only its devices may differ."""
        alike = self.config.model_copy(update={"units": config.units}) == config
        return alike and self._framing.has_ids == _framing(config).has_ids

    def reconfigure(self, config: LinkConfig) -> None:
        """Take another list of devices; the connection stays."""
        self.config = config
        self._timeouts = _timeouts(config)

    async def read(self, unit: int, request: Request, pause_s: float = 0.0, *, urgent: bool = False) -> Reply:
        """Ask one request. Raises TransientError, RefusedByDeviceError or WrongReplyError."""
        question = Question.read(unit, request.table.read_function, request.start, request.count)
        reply, arrived_us = await self.ask(question, pause_s, urgent=urgent)
        return Reply(request, reply[2:], arrived_us, self._session)

    async def ask(
        self, question: Question, pause_s: float = 0.0, *, urgent: bool = False, not_after: float = math.inf
    ) -> tuple[bytes, int]:
        """Ask, once more if the device is busy with a read; return the reply's PDU and when it came, in us UTC.

        Raises TransientError if nobody answers, NotSentError if that is sure not to have been asked, also because it
        would be later than `not_after` (monotonic seconds), RefusedByDeviceError, or WrongReplyError. A write is never
        repeated. `pause_s` is how long the link rests afterwards.
        """
        reply, arrived_us = await self._turn(question, pause_s, urgent, not_after)
        if reply[0] & _REFUSED and reply[1] in BUSY_CODES and question.is_read:
            await asyncio.sleep(_BUSY_PAUSE_S)
            reply, arrived_us = await self._turn(question, pause_s, urgent, not_after)
        if not reply[0] & _REFUSED:
            return reply, arrived_us
        if reply[1] in _GATEWAY_CODES:
            raise TransientError(f"{self.name}: the converter says that unit {question.unit} does not answer")
        raise RefusedByDeviceError(reply[1])

    async def _turn(self, question: Question, pause_s: float, urgent: bool, not_after: float) -> tuple[bytes, int]:
        await self._turns.take(urgent=urgent)
        try:
            return await self._ask(question, pause_s, not_after)
        finally:
            self._turns.give()

    def drop(self) -> None:
        """Close the connection; the next question opens a new one."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    async def _ask(self, question: Question, pause_s: float, not_after: float) -> tuple[bytes, int]:
        if not self._framing.has_ids and question.is_twin_of(self._answered):
            self._free_at = max(self._free_at, self._answered_at + _TWIN_GAP_S)
        try:
            wire = await self._ready()
        except TransientError as error:
            raise NotSentError(str(error)) from error
        if time.monotonic() > not_after:
            raise NotSentError(f"{self.name}: unit {question.unit} was not asked: it is too late")
        pulse = self._pulses.get(question.unit) or self._pulses.setdefault(question.unit, _Pulse())
        wait_s = self._wait_s(question.unit, pulse)
        self._transaction = self._transaction % _LAST_TRANSACTION + 1
        began = time.monotonic()
        line_s = self._character_s * self._framing.size(question) if self._character_s else 0.0
        try:
            answer = await wire.ask(question, self._transaction, wait_s + line_s)
        except TimeoutError as error:
            self._no_reply(wire, pulse, question.unit)
            raise TransientError(f"{self.name}: unit {question.unit} does not answer") from error
        except OSError as error:
            # a converter may still hold the question, and give its reply to the next connection
            self._no_trust(question.unit, keep=False)
            self.drop()
            raise TransientError(f"{self.name}: unit {question.unit} does not answer: {error}") from error
        except WrongReplyError as error:
            self._no_trust(question.unit, keep=False)
            raise WrongReplyError(f"{self.name}: {error}") from error
        except BaseException:
            # cancelled: the reply to this question must not meet the next one
            self._no_trust(question.unit, keep=False)
            raise
        self._answered, self._answered_at = question, time.monotonic()
        ended = self._answered_at
        self._free_at = ended + max(pause_s, self.config.pause_s, self._gap_s)
        pulse.timeouts = 0
        if not answer[0][0] & _REFUSED:
            pulse.times.append(ended - began)
            self._times.append(ended - began)
        return answer

    def _wait_s(self, unit: int, pulse: _Pulse) -> float:
        """Return how long to wait for a reply: less for a device that is silent anyway, for its neighbours' sake."""
        full = self._timeouts.get(unit, self.config.timeout_s)
        silent = pulse.timeouts - _SHORTEN_AFTER
        times = pulse.times if len(pulse.times) >= _FEWEST_TIMES else self._times
        if silent < 0 or len(times) < _FEWEST_TIMES or silent % _FULL_TIMEOUT_EVERY == _FULL_TIMEOUT_EVERY - 1:
            return full
        return min(full, max(_SHORTEST_TIMEOUT_S, _PATIENCE * max(times)))

    def _no_reply(self, wire: Wire, pulse: _Pulse, unit: int) -> None:
        pulse.timeouts += 1
        # a late reply is known by its transaction id; but where nothing at all came, the connection may be dead
        self._no_trust(unit, keep=self._framing.has_ids and wire.is_clean)
        wire.heard = False

    def _no_trust(self, unit: int, *, keep: bool) -> None:
        """Make sure that what may still come does not answer the next question."""
        if not self._framing.has_ids:
            # the full timeout, also where less was waited: the device may have become slower
            self._silent_from = time.monotonic()
            self._silent_for = self._timeouts.get(unit, self.config.timeout_s)
        if not keep and self.address.way == "socket":
            self.drop()

    async def _ready(self) -> Wire:
        """Return a connection that is open, rested, and silent where late replies cannot be told from others."""
        while True:
            wire = self._wire
            if wire is None or wire.lost:
                wire = await self._connect()
            if not self._framing.has_ids:
                await self._silence(wire)
            rest_s = self._free_at - time.monotonic()
            if rest_s <= 0 and not wire.lost:
                return wire
            await asyncio.sleep(max(0.0, rest_s))

    async def _silence(self, wire: Wire) -> None:
        """Wait until nothing came for one timeout since a question failed or bytes came that nobody asked for."""
        give_up_at = time.monotonic() + _SILENT_LIMIT * self._silent_for
        while True:
            # what the system holds already reaches the wire in these turns of the loop, however late the loop is
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            now, until = time.monotonic(), max(self._silent_from, wire.stray_at) + self._silent_for
            if until <= now:
                return
            if now > give_up_at:
                raise TransientError(f"{self.name}: bytes come that nobody asked for, without end")
            await asyncio.sleep(until - now)

    async def _connect(self) -> Wire:
        self.drop()
        wire = Wire(self._framing, self._clock)
        try:
            async with asyncio.timeout(self.config.timeout_s):
                await self._open(wire)
        except (OSError, TimeoutError) as error:
            wire.close()
            reason = f": {error}" if str(error) else ""
            raise TransientError(f"{self.name}: no connection to {self.address}{reason}") from error
        except BaseException:
            wire.close()
            raise
        self._wire = wire
        self._session += 1
        if self.config.connect_pause_s:
            await asyncio.sleep(self.config.connect_pause_s)
        return wire

    async def _open(self, wire: Wire) -> None:
        address, loop = self.address, asyncio.get_running_loop()
        if address.way == "serial":
            open_line(address.device, self.config.serial, wire)
            return
        context = tls_context(self.config) if address.tls else None
        name = (self.config.server_name or address.host) if context else None
        await loop.create_connection(lambda: wire, address.host, address.port, ssl=context, server_hostname=name)


def _framing(config: LinkConfig) -> Framing:
    if config.address.framing == "tcp" and any(load_profile(one.profile).zero_transaction for one in config.units):
        return SocketFraming(zero=True)
    return FRAMINGS[config.address.framing]()


def _timeouts(config: LinkConfig) -> dict[int, float]:
    return {one.unit: one.timeout_s or config.timeout_s for one in config.units}


def unusable_certificates(config: ModbusConfig) -> list[str]:
    """Return what is wrong with the certificate files of a source's links."""
    problems = []
    for link in config.links:
        try:
            if link.address.tls:
                tls_context(link)
        except OSError as error:
            problems.append(f"source {config.name}, link {link.name}: certificate files cannot be used: {error}")
    return problems


def tls_context(config: LinkConfig) -> ssl.SSLContext:
    """Return a context for TLS 1.2 or newer that checks the host's name. Raises OSError for unusable files."""
    context = ssl.create_default_context(cafile=config.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if config.certificate is not None:
        context.load_cert_chain(config.certificate, config.key)
    return context
