"""The clocks: real time, a simulated city's time, and one that tests move by hand. Only this file reads the time."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Self

from gateway.errors import ConfigError
from gateway.model.reading import from_us, to_us
from gateway.ports import Clock

_LONGEST_SLEEP_S = 60.0
"""A step of the machine's clock is noticed after at most this long."""


class _RunningClock:
    """What the clocks that run by themselves share; `factor` is clock seconds per real second."""

    factor: float

    def now_us(self) -> int:
        raise NotImplementedError

    def now(self) -> datetime:
        return from_us(self.now_us())

    def real_seconds(self, clock_seconds: float) -> float:
        return clock_seconds / self.factor

    async def sleep_until(self, when: datetime) -> None:
        target_us = to_us(when)
        while (left_us := target_us - self.now_us()) > 0:  # noqa: ASYNC110 - nobody can signal that time has passed
            await asyncio.sleep(min(self.real_seconds(left_us / 1e6), _LONGEST_SLEEP_S))


class SystemClock(_RunningClock):
    """Real time."""

    factor = 1.0

    def now_us(self) -> int:
        """Return the current moment in us UTC."""
        return time.time_ns() // 1000


class CityClock(_RunningClock):
    """A simulated city's time: it read `city_us` when the machine's clock read `wall_us`, and runs `factor` times fast.

    Every process that was given the same three numbers shows the same time.
    """

    def __init__(self, city_us: int, wall_us: int, factor: float) -> None:
        """Make a clock from one moment on both clocks (us UTC). Raises ValueError unless the factor is positive."""
        if not factor > 0:
            raise ValueError(f"a clock runs forward, not {factor} times")
        self.city_us = city_us
        self.wall_us = wall_us
        self.factor = factor

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read the JSON object `{"city_us", "wall_us", "factor"}`. Raises ConfigError if that is not there."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return cls(int(data["city_us"]), int(data["wall_us"]), float(data["factor"]))
        except OSError as error:
            raise ConfigError([f"{path}: cannot read the city's clock: {error.strerror}"]) from error
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError([f"{path}: not a city's clock (city_us, wall_us, factor): {error!r}"]) from error

    def now_us(self) -> int:
        """Return the city's moment in us UTC."""
        return self.city_us + int((time.time_ns() // 1000 - self.wall_us) * self.factor)


@dataclass
class ManualClock:
    """A clock for tests: it stands until it is told to move, and wakes those who sleep when it does."""

    us: int
    _moved: asyncio.Event | None = None

    def now_us(self) -> int:
        """Return the moment that was set, us UTC."""
        return self.us

    def now(self) -> datetime:
        """Return the moment that was set."""
        return from_us(self.us)

    def set(self, moment: datetime) -> None:
        """Move to a moment."""
        self.us = to_us(moment)
        if self._moved is not None:
            self._moved.set()
            self._moved = None

    def advance(self, seconds: float) -> None:
        """Move forward by seconds."""
        self.set(from_us(self.us + round(seconds * 1e6)))

    def real_seconds(self, clock_seconds: float) -> float:
        """Return the same number: one second is one second."""
        return clock_seconds

    async def sleep_until(self, when: datetime) -> None:
        """Return when the clock was moved to `when` or past it."""
        target_us = to_us(when)
        while self.us < target_us:
            if self._moved is None:
                self._moved = asyncio.Event()
            await self._moved.wait()


def make_clock(path: Path | None) -> Clock:
    """Return the clock of the city whose file this is, real time if there is none. Raises ConfigError."""
    return SystemClock() if path is None else CityClock.from_file(path)
