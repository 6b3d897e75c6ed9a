"""What a message becomes: columns of readings, or a stated reason why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.model.quantity import Quantity
from gateway.model.reading import PointId, split_point

IDENTITY = "identity: "
"""With this begins the reason of a message that speaks for a meter it may not speak for, or for none."""


class DeadMessageError(Exception):
    """The whole message cannot become readings; the text is the reason that is kept with it."""


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """What a message said, or several; the columns have equal length."""

    points: Sequence[PointId]
    """the points that the message is about"""
    which: NDArray[np.intp]
    """for each row its place in `points`"""
    source_time: NDArray[np.int64]
    """us UTC"""
    value: NDArray[np.float64]
    """in the quantity's unit; NaN where BAD"""
    quality: NDArray[np.uint8]
    timed: bool
    """False if any row had to take the time of arrival"""
    dead: str = ""
    """why a part of the message was refused, although these rows are good"""
    reply: tuple[str, bytes] | None = None
    """topic and payload of a request to whoever sent the message"""

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.which)

    @property
    def meters(self) -> list[str]:
        """The asset of each row."""
        return [split_point(self.points[place])[0] for place in self.which]

    @property
    def quantities(self) -> list[Quantity]:
        """The quantity of each row."""
        return [split_point(self.points[place])[1] for place in self.which]


class RowBuilder:
    """Collects rows one by one."""

    def __init__(self) -> None:
        """Begin with none."""
        self._places: dict[PointId, int] = {}
        self._which: list[int] = []
        self._times: list[int] = []
        self._values: list[float] = []
        self._marks: list[int] = []
        self.timed = True

    def __len__(self) -> int:
        """Return the number of rows so far."""
        return len(self._which)

    def add(self, point: PointId, time_us: int, value: float, mark: int) -> None:
        """Add one row."""
        self._which.append(self._places.setdefault(point, len(self._places)))
        self._times.append(time_us)
        self._values.append(value)
        self._marks.append(mark)

    def extend(self, point: PointId, times_us: Sequence[int], values: Sequence[float], marks: Sequence[int]) -> None:
        """Add rows of one point."""
        place = self._places.setdefault(point, len(self._places))
        self._which += [place] * len(times_us)
        self._times += times_us
        self._values += values
        self._marks += marks

    def build(self, *, dead: str = "", reply: tuple[str, bytes] | None = None) -> Rows:
        """Return the rows."""
        return Rows(
            list(self._places),
            np.asarray(self._which, np.intp),
            np.asarray(self._times, np.int64),
            np.asarray(self._values, np.float64),
            np.asarray(self._marks, np.uint8),
            self.timed,
            dead,
            reply,
        )
