"""Every protocol between the parts, on one page. Implementations run the contract suites in `tests/contracts`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gateway.model.command import CommandOffer
from gateway.model.reading import PointId, ReadingBatch
from gateway.model.ticket import Attempt, Capabilities, Command, ExternalChange, ExternalTicket, Outcome


class Clock(Protocol):
    """The only source of `now`; a simulated city's clock may run faster than real time."""

    def now(self) -> datetime:
        """Return the current UTC moment."""
        ...

    def now_us(self) -> int:
        """Return the current moment in us UTC."""
        ...

    async def sleep_until(self, when: datetime) -> None:
        """Return when the clock has reached `when`, at once if it has passed."""
        ...

    def real_seconds(self, clock_seconds: float) -> float:
        """Return how many real seconds pass while the clock advances by `clock_seconds`."""
        ...


class PointRegistry(Protocol):
    """Gives each point its permanent index; an index is never reused."""

    def indices(self, points: Sequence[PointId]) -> NDArray[np.uint32]:
        """Return the index of each point, assigning new ones durably where needed."""
        ...

    def names(self, indices: NDArray[np.uint32]) -> list[PointId]:
        """Return the name of each index. Raises KeyError for one that was never assigned."""
        ...

    def find(self, points: Sequence[PointId]) -> NDArray[np.int64]:
        """Return the index of each point, -1 for one that is not known here; asks nobody and never waits."""
        ...


class Memory(Protocol):
    """Small facts that a part wants back after a restart; none that a person would miss."""

    def recall(self, owner: str) -> Mapping[str, object]:
        """Return every fact of an owner by its name. Raises TransientError."""
        ...

    def remember(self, owner: str, name: str, fact: Mapping[str, object]) -> None:
        """Keep a fact, which JSON can hold, in the place of an older one. Raises TransientError."""
        ...


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """What could not become a reading, kept with its reason."""

    source: str
    topic: str
    payload: bytes
    reason: str
    received_time: int
    """us UTC"""


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """What one message or one poll brought; `ack` is awaited only after it is on disk."""

    source: str
    batch: ReadingBatch
    dead: tuple[DeadLetter, ...] = ()
    digest: bytes = b""
    """digest of a message without source time, to recognise a redelivery; else empty"""
    ack: Callable[[], Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A poll that the runner schedules on a fixed grid; periods and phases are seconds of the clock."""

    key: str
    """`<source>/<link>/<unit>`; breaker and backoff belong to it"""
    link: str
    period_s: float
    phase_s: float


@dataclass(frozen=True, slots=True)
class Change:
    """A new configuration that a running collector can take; nothing has changed before `apply`.

    A collector may offer `reconfigure(config, network) -> Change | None`, called in a thread. None means that it must
    be replaced. Raises ConfigError or TransientError.
    """

    links: frozenset[str]
    """links of jobs that change or end; they must rest while `apply` runs"""
    apply: Callable[[], Awaitable[None]]


class PolledCollector(Protocol):
    """A collector that is asked (Modbus). It has no loop, no retry and no log of failure; the runner has."""

    name: str

    def jobs(self) -> Sequence[Job]:
        """Return what is to be polled."""
        ...

    async def open(self) -> None:
        """Prepare; devices need not answer yet."""
        ...

    async def collect(self, job: Job) -> ReadingBatch:
        """Poll once. A point that failed alone is a BAD row. Raises TransientError if the unit did not answer.

        Jobs of different links may run at once, those of one link never.
        """
        ...

    def silent(self, job: Job, now_us: int) -> ReadingBatch:
        """Return one BAD `no_reply` row per point of the job, for the runner to store on silence."""
        ...

    async def close(self) -> None:
        """Let go of all links; may be called twice."""
        ...


class PushedCollector(Protocol):
    """A collector that is told (MQTT)."""

    name: str

    async def open(self) -> None:
        """Connect and subscribe. Raises TransientError if that fails."""
        ...

    def deliveries(self) -> AsyncIterator[Delivery]:
        """Yield what arrives, in order. Every delivery must be acked in the end, dead ones too."""
        ...

    async def close(self) -> None:
        """Disconnect without losing the session; may be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class Packet:
    """A command as it will go to the device."""

    offer: CommandOffer
    frame: str
    """hexadecimal, for the audit trail"""
    content: object
    """what the collector that made it needs to send it"""


@dataclass(frozen=True, slots=True, eq=False)
class Observed:
    """What a device showed after a command."""

    value: float
    at_us: int
    """us UTC, when that was so"""
    frames: str = ""
    """question and answer, hexadecimal"""
    batch: ReadingBatch | None = None
    """the same as a reading, if nobody else stores it"""


class Commander(Protocol):
    """A collector that can also tell its devices something. It never repeats and never decides; the runner does."""

    name: str

    def offers(self, asset: str) -> Sequence[CommandOffer]:
        """Return what this asset can be told. May take long; call it in a thread."""
        ...

    def pack(self, offer: CommandOffer, correlation: str) -> Packet:
        """Lay out a command that was offered. Raises ConfigError if it is not offered any more."""
        ...

    async def send(self, packet: Packet, not_after: float) -> str:
        """Send once; return the device's answer in hexadecimal. `not_after` is in monotonic seconds.

        Raises NotSentError if nothing left, PermanentError if the device refused and did nothing, TransientError if
        nobody knows what became of it.
        """
        ...

    async def observe(self, offer: CommandOffer) -> Observed:
        """Ask the device what it shows now. Raises TransientError if that cannot be known.

        Not called for an offer whose device reports by itself.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class SpoolRecord:
    """One committed group: everything that was made durable by one fsync."""

    seq: int
    batch: ReadingBatch
    dead: tuple[DeadLetter, ...] = ()
    redelivered: tuple[int, ...] = ()
    """which deliveries of the group were seen before and left out; known only to the one who appended"""


class Spool(Protocol):
    """Append-only log in front of the store; what `append` returned for is on disk."""

    def append(self, deliveries: Sequence[Delivery]) -> SpoolRecord:
        """Write one group with one fdatasync. Raises TransientError when the disk is full: nothing was kept.

        Blocks; call it from one thread. The record returned is what readers of the log will see.
        """
        ...

    def read(self, after: int, limit: int) -> list[SpoolRecord]:
        """Return up to `limit` records with seq > after, oldest first."""
        ...

    def last_seq(self) -> int:
        """Return the sequence of the newest record, 0 if there never was one."""
        ...

    def first_seq(self) -> int:
        """Return the sequence of the oldest record still kept, `last_seq() + 1` if none is."""
        ...

    def release(self, upto: int) -> None:
        """Allow segments whose records are all <= upto to be deleted within the caps."""
        ...

    def close(self) -> None:
        """Flush and close; may be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did with each row: their sum is the number of rows given."""

    stored: int
    duplicate: int
    conflict: int
    duplicate_rows: tuple[int, ...] = ()
    """which rows of the batch were duplicates"""


class ReadingStore(Protocol):
    """Readings for good. A (point, source_time, value) shows once, however often it was loaded."""

    async def load(self, seq: int, batch: ReadingBatch) -> Loaded:
        """Store rows and "loaded up to seq" in one transaction; a seq already loaded is skipped."""
        ...

    async def loaded(self) -> int:
        """Return the newest seq that was loaded."""
        ...

    async def since(self, seq: int, limit: int) -> tuple[int, ReadingBatch]:
        """Return stored rows with a load seq > `seq`, whole seqs only, at least one if any, about `limit` rows.

        The int is the seq of the last row returned, or `seq` if there is none.
        """
        ...

    async def history(
        self, points: NDArray[np.uint32], start_us: int, end_us: int, *, most_rows: int | None = None
    ) -> ReadingBatch:
        """Return rows with start <= source_time < end of these points, sorted by point and source time.

        Raises RefusedError (413) instead of gathering more than `most_rows`.
        """
        ...

    async def latest(self, points: NDArray[np.uint32]) -> ReadingBatch:
        """Return the row with the newest source time of each point that has one."""
        ...

    async def close(self) -> None:
        """Close; may be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class Written:
    """Outcome of a write: every line ends accepted, or rejected with its reason."""

    accepted: int
    rejected: tuple[tuple[int, str], ...] = ()
    """row of the batch, reason"""


class Output(Protocol):
    """A time-series server that readings stream to."""

    name: str

    async def write(self, batch: ReadingBatch) -> Written:
        """Write a batch. Raises TransientError (keep all, try later) or PermanentError (keep all, alarm)."""
        ...

    async def probe(self) -> str:
        """Write one test line and return what answered. Raises GatewayError."""
        ...

    async def close(self) -> None:
        """Close; may be called twice."""
        ...


class TicketSink(Protocol):
    """A ticketing system."""

    name: str

    @property
    def capabilities(self) -> Capabilities:
        """Return what the receiver can do; one without create_once or lookup takes no EMERGENCY."""
        ...

    async def deliver(self, command: Command, attempt: Attempt) -> Outcome:
        """Send one command, idempotent on the dedup key. Never raises for what the receiver did."""
        ...

    async def lookup(self, dedup_key: str) -> ExternalTicket | None:
        """Return the receiver's ticket, None if it surely has none. Raises TransientError if unreachable."""
        ...

    def changed_since(self, cursor: str) -> AsyncIterator[ExternalChange]:
        """Yield what changed behind a cursor, oldest change first; an empty cursor yields every ticket.

        A ticket may come again although it did not change. Only for sinks that can `pull`; raises TransientError.
        """
        ...

    async def probe(self) -> str:
        """Return what answered, without creating anything. Raises GatewayError."""
        ...

    async def close(self) -> None:
        """Close; may be called twice."""
        ...
