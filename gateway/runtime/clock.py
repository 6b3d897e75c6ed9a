"""The clocks: real time, a simulated city's time, and one that tests move by hand. Only this file reads the time."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from gateway.errors import ConfigError
from gateway.model.reading import from_us, to_us
from gateway.ports import Clock

ANNOUNCED_S = 1.0
"""How long before a city's clock changes its pace its file says so, so that all processes do it at once."""
_LOOK_S = ANNOUNCED_S / 5


class _RunningClock:
    """What the clocks that run by themselves share; `factor` is clock seconds per real second."""

    longest_sleep_s = 60.0
    """a step of the machine's clock is noticed after at most this long"""

    @property
    def factor(self) -> float:
        raise NotImplementedError

    def now_us(self) -> int:
        raise NotImplementedError

    def now(self) -> datetime:
        return from_us(self.now_us())

    def real_seconds(self, clock_seconds: float) -> float:
        return clock_seconds / self.factor

    async def sleep_until(self, when: datetime) -> None:
        target_us = to_us(when)
        while (left_us := target_us - self.now_us()) > 0:  # noqa: ASYNC110 - nobody can signal that time has passed
            await asyncio.sleep(min(self.real_seconds(left_us / 1e6), self.longest_sleep_s))


class SystemClock(_RunningClock):
    """Real time."""

    @property
    def factor(self) -> float:
        """Return one."""
        return 1.0

    def now_us(self) -> int:
        """Return the current moment in us UTC."""
        return time.time_ns() // 1000


@dataclass(frozen=True, slots=True)
class Pace:
    """From the moment at which the machine's clock reads `wall_us` on, a city's clock runs `factor` times fast."""

    city_us: int
    """what the city's clock reads then, us UTC"""
    wall_us: int
    factor: float

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read the object `{"city_us", "wall_us", "factor"}`. Raises ValueError, KeyError or TypeError."""
        pace = cls(int(data["city_us"]), int(data["wall_us"]), float(data["factor"]))
        if not (0.0 < pace.factor < math.inf):
            raise ValueError(f"a clock runs forward, not {pace.factor} times")
        return pace

    def at(self, wall_us: int) -> int:
        """Return the city's moment at one of the machine's clock."""
        return self.city_us + int((wall_us - self.wall_us) * self.factor)


class CityClock(_RunningClock):
    """A simulated city's time: it read `city_us` when the machine's clock read `wall_us`, and runs `factor` times fast.

    Every process that was given the same numbers shows the same time. `later` are changes of pace that were announced.
    """

    longest_sleep_s = 0.5  # somebody may change the pace

    def __init__(self, city_us: int, wall_us: int, factor: float, later: Sequence[Pace] = ()) -> None:
        """Make a clock from one moment on both clocks (us UTC). Raises ValueError unless the factor is positive."""
        if not factor > 0:
            raise ValueError(f"a clock runs forward, not {factor} times")
        self.paces = (Pace(city_us, wall_us, factor), *sorted(later, key=lambda pace: pace.wall_us))

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read `{"city_us", "wall_us", "factor"}` and perhaps `"later"`, a list of such. Raises ConfigError."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            first = Pace.from_json(data)
            later = [Pace.from_json(pace) for pace in data.get("later", ())]
        except OSError as error:
            raise ConfigError([f"{path}: cannot read the city's clock: {error.strerror}"]) from error
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise ConfigError([f"{path}: not a city's clock (city_us, wall_us, factor): {error!r}"]) from error
        return cls(first.city_us, first.wall_us, first.factor, later)

    def pace(self, wall_us: int) -> Pace:
        """Return the pace at a moment of the machine's clock."""
        return next((pace for pace in reversed(self.paces[1:]) if pace.wall_us <= wall_us), self.paces[0])

    @property
    def factor(self) -> float:
        """City seconds per real second now."""
        return self.pace(time.time_ns() // 1000).factor

    def now_us(self) -> int:
        """Return the city's moment in us UTC."""
        wall_us = time.time_ns() // 1000
        return self.pace(wall_us).at(wall_us)


class FollowedClock(_RunningClock):
    """The clock of the city that keeps a file up to date: a change of its pace is seen soon after it was announced."""

    longest_sleep_s = CityClock.longest_sleep_s

    def __init__(self, path: Path) -> None:
        """Read the file. Raises ConfigError if no clock is there."""
        self._path = path
        self._clock = CityClock.from_file(path)
        self._changed = _mtime_ns(path)
        self._look_at = time.monotonic() + _LOOK_S

    @property
    def factor(self) -> float:
        """City seconds per real second now."""
        return self._look().factor

    def now_us(self) -> int:
        """Return the city's moment in us UTC."""
        return self._look().now_us()

    def _look(self) -> CityClock:
        now = time.monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_S
            changed = _mtime_ns(self._path)
            if changed != self._changed:
                # a city that was taken away or writes nonsense leaves the clock as it ran
                with suppress(ConfigError):
                    self._clock = CityClock.from_file(self._path)
                self._changed = changed
        return self._clock


def _mtime_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return -1


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
    return SystemClock() if path is None else FollowedClock(path)
