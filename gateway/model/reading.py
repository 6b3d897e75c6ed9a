"""A reading and a batch of readings: the one thing that travels from the devices to everything else."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import IntEnum
from typing import NewType

import numpy as np
from numpy.typing import NDArray

from gateway.model.quantity import Quantity

PointId = NewType("PointId", str)
"""`<asset>/<quantity>`, for people; arrays hold the point's permanent uint32 index instead."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
_QUANTITIES = {quantity.value: quantity for quantity in Quantity}
"""looked up for every point of a city: a third of the time that the enumeration itself takes"""


def to_us(moment: datetime) -> int:
    """Return an aware datetime as whole microseconds since 1970 UTC. Raises ValueError if it is naive."""
    if moment.tzinfo is None:
        raise ValueError(f"{moment!r} has no time zone")
    return (moment - EPOCH) // MICROSECOND


def from_us(us: int) -> datetime:
    """Return microseconds since 1970 UTC as an aware datetime."""
    return EPOCH + timedelta(microseconds=int(us))


def point_id(asset: str, quantity: Quantity) -> PointId:
    """Name the point that measures `quantity` at `asset`."""
    return PointId(f"{asset}/{quantity.value}")


def split_point(point: PointId) -> tuple[str, Quantity]:
    """Return asset and quantity of a point. Raises ValueError for a name of another form."""
    asset, _, name = point.rpartition("/")
    return asset, _QUANTITIES.get(name) or Quantity(name)


class Severity(IntEnum):
    """How far a value may be trusted (OPC UA)."""

    GOOD = 0
    UNCERTAIN = 1
    BAD = 2


class Reason(IntEnum):
    """Why a value is not simply good; 63 at most, since severity and reason share one byte."""

    NONE = 0
    NO_REPLY = 1
    ILLEGAL_ADDRESS = 2
    DEVICE_FAULT = 3
    DEVICE_BUSY = 4
    WRONG_REPLY = 5
    IDENTITY = 6
    NOT_A_NUMBER = 7
    BAD_DIGIT = 8
    MISSING_VALUE = 9
    OUT_OF_RANGE = 10
    CLOCK_SUSPECT = 11
    CLOCK_AHEAD = 12
    NO_SOURCE_TIME = 13
    CONFLICT = 14


def quality(severity: Severity, reason: Reason = Reason.NONE) -> int:
    """Pack severity and reason into the one quality byte."""
    return int(severity) << 6 | int(reason)


GOOD = quality(Severity.GOOD)


@dataclass(frozen=True, slots=True, eq=False)
class ReadingBatch:
    """Columns of readings, all of length n. Nobody writes to the arrays once the batch is made.

    `value` is NaN exactly where the severity is BAD: a failed read is a row, so that a gap is data.
    """

    point: NDArray[np.uint32]
    source_time: NDArray[np.int64]
    """us UTC, the device's clock"""
    received_time: NDArray[np.int64]
    """us UTC, ours"""
    value: NDArray[np.float64]
    """in the point's canonical unit"""
    quality: NDArray[np.uint8]
    """severity << 6 | reason"""

    def __post_init__(self) -> None:
        """Refuse columns of unequal length: a shifted column would give one meter another's register."""
        if len({len(column) for column in self.columns()}) != 1:
            raise ValueError(f"columns differ in length: {[len(column) for column in self.columns()]}")

    def __len__(self) -> int:
        """Return the number of readings."""
        return len(self.point)

    def columns(self) -> tuple[NDArray[np.generic], ...]:
        """Return the five columns in their fixed order."""
        return (self.point, self.source_time, self.received_time, self.value, self.quality)

    @property
    def severity(self) -> NDArray[np.uint8]:
        """Severity of each row."""
        return (self.quality >> 6).astype(np.uint8)

    @property
    def good(self) -> NDArray[np.bool_]:
        """True where the value is good."""
        return np.asarray(self.quality < (1 << 6), dtype=np.bool_)

    def take(self, rows: NDArray[np.bool_] | NDArray[np.intp] | slice) -> ReadingBatch:
        """Return the chosen rows as a new batch."""
        return ReadingBatch(
            self.point[rows], self.source_time[rows], self.received_time[rows], self.value[rows], self.quality[rows]
        )

    @staticmethod
    def build(
        point: Sequence[int] | NDArray[np.uint32],
        source_time: Sequence[int] | NDArray[np.int64],
        received_time: Sequence[int] | NDArray[np.int64] | int,
        value: Sequence[float] | NDArray[np.float64],
        quality: Sequence[int] | NDArray[np.uint8] | int = GOOD,
    ) -> ReadingBatch:
        """Make a batch from plain sequences; a single `received_time` or `quality` is repeated."""
        count = len(point)
        received = np.full(count, received_time) if isinstance(received_time, int) else np.asarray(received_time)
        marks = np.full(count, quality) if isinstance(quality, int) else np.asarray(quality)
        return ReadingBatch(
            np.asarray(point, dtype=np.uint32),
            np.asarray(source_time, dtype=np.int64),
            received.astype(np.int64),
            np.asarray(value, dtype=np.float64),
            marks.astype(np.uint8),
        )

    @staticmethod
    def empty() -> ReadingBatch:
        """Return a batch without rows."""
        return ReadingBatch.build([], [], 0, [])

    @staticmethod
    def concat(batches: Iterable[ReadingBatch]) -> ReadingBatch:
        """Join batches in their order."""
        parts = [batch for batch in batches if len(batch)]
        if not parts:
            return ReadingBatch.empty()
        if len(parts) == 1:
            return parts[0]
        return ReadingBatch(
            np.concatenate([part.point for part in parts]),
            np.concatenate([part.source_time for part in parts]),
            np.concatenate([part.received_time for part in parts]),
            np.concatenate([part.value for part in parts]),
            np.concatenate([part.quality for part in parts]),
        )

    def to_bytes(self) -> bytes:
        """Return the batch as bytes: row count (uint32), then the five columns, little-endian."""
        kinds = ("<u4", "<i8", "<i8", "<f8", "u1")
        return struct.pack("<I", len(self)) + b"".join(
            np.asarray(column, dtype=kind).tobytes() for column, kind in zip(self.columns(), kinds, strict=True)
        )

    @staticmethod
    def from_bytes(data: bytes | memoryview) -> ReadingBatch:
        """Read what `to_bytes` wrote. Raises ValueError if the length does not fit."""
        if len(data) < 4:
            raise ValueError("a batch needs at least its row count")
        (count,) = struct.unpack_from("<I", data)
        if len(data) != 4 + count * 29:
            raise ValueError(f"a batch of {count} rows takes {4 + count * 29} bytes, not {len(data)}")
        at = 4
        columns: list[NDArray[np.generic]] = []
        for kind, width in (("<u4", 4), ("<i8", 8), ("<i8", 8), ("<f8", 8), ("u1", 1)):
            columns.append(np.frombuffer(data, dtype=kind, count=count, offset=at))
            at += count * width
        return ReadingBatch(*columns)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Reading:
    """One row with names and datetimes, for tests, logs and people; never in the hot path."""

    point: PointId
    source_time: datetime
    received_time: datetime
    value: float
    severity: Severity
    reason: Reason


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """What detectors see: one quantity on a grid, time x points."""

    quantity: Quantity
    times: NDArray[np.int64]
    """us UTC, shape (t,), increasing"""
    assets: tuple[str, ...]
    """n assets, one for each column"""
    value: NDArray[np.float64]
    """shape (t, n); NaN where unknown"""
    variance: NDArray[np.float64]
    """shape (t, n); added by bringing readings to the grid, in the unit squared"""


@dataclass(frozen=True, slots=True)
class Need:
    """What a detector wants to see of one quantity."""

    quantity: Quantity
    lookback: timedelta
    step: timedelta
