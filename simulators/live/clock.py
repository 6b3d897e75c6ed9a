"""The clock of a live city: the simulator decides on its pace, all other processes follow its file."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from gateway.errors import ConfigError
from gateway.runtime.clock import ANNOUNCED_S, CityClock, Pace
from simulators.files import replace_file
from simulators.live.saved import Saved

SLOWEST, FASTEST = 0.1, 3600.0
"""city seconds in a real second"""
STANDS = 1e-6
"""pace of a city that stands still: a second in eleven days, for nothing divides by zero then"""
LONGEST_CRASH_S = 600.0
"""a city that is started again so soon after a crash has never stopped: who follows its clock sees no step"""
_UNSAVED_S = 1.5
"""after a crash the city goes on from later rather than earlier, so that its clock never steps back"""


class LiveClock:
    """Knows what time it is in the city, and changes its pace for everybody at once."""

    def __init__(self, path: Path, clock: CityClock, speed: float) -> None:
        """Write the clock into its file; `speed` is the pace at which it goes on when it stands now."""
        self._path = path
        self._changing = asyncio.Lock()
        self._speed = speed
        self._set(clock)

    @classmethod
    def resume(cls, path: Path, saved: Saved, speed: float, *, alone: bool) -> LiveClock:
        """Stand where the city stood, until it goes on.

        After a crash it runs at once, from where all others believe it to be unless they ended with it (`alone`).
        """
        wall_us = time.time_ns() // 1000
        if saved.clean:
            return cls(path, CityClock(saved.city_us, wall_us, STANDS), speed)
        city_us = saved.city_us + round(_UNSAVED_S * 1e6 * speed)
        if not alone and wall_us - saved.wall_us < LONGEST_CRASH_S * 1e6:
            city_us = max(city_us, _believed_us(path, wall_us))
        return cls(path, CityClock(city_us, wall_us, speed), speed)

    def go(self) -> None:
        """Let a city that stands go on from where it stood."""
        stood = self._clock.paces[0]
        if stood.factor <= STANDS:
            self._set(CityClock(stood.city_us, time.time_ns() // 1000, self._speed))

    def now_us(self) -> int:
        """Return the city's moment, us UTC."""
        return self._clock.now_us()

    @property
    def speed(self) -> float:
        """City seconds in a real second, 0 while it stands."""
        factor = self._clock.factor
        return 0.0 if factor <= STANDS else factor

    async def run_at(self, speed: float) -> None:
        """Change the pace, 0 lets the city stand; returns when it has changed. The clock makes no step."""
        async with self._changing:
            begin = self._begin_of_change(speed or STANDS)
            await self._announce([begin])

    async def forward(self, until_us: int, speed: float) -> None:
        """Let the city hurry to a later moment at a pace, then go on at the present one; returns when it hurries."""
        async with self._changing:
            now = self._clock.pace(time.time_ns() // 1000)
            begin = self._begin_of_change(speed)
            wall_us = begin.wall_us + max(0, round((until_us - begin.city_us) / speed))
            await self._announce([begin, Pace(max(until_us, begin.city_us), wall_us, now.factor)])

    def stand(self) -> int:
        """Announce that the city stands, and return where (us UTC)."""
        begin = self._begin_of_change(STANDS)
        self._set(CityClock(*_numbers(self._clock.pace(time.time_ns() // 1000)), [begin]))
        return begin.city_us

    def _begin_of_change(self, factor: float) -> Pace:
        wall_us = time.time_ns() // 1000 + round(ANNOUNCED_S * 1e6)
        # the pace that holds now, not one that would have begun by then: this change takes its place
        return Pace(self._clock.pace(time.time_ns() // 1000).at(wall_us), wall_us, factor)

    async def _announce(self, paces: Sequence[Pace]) -> None:
        now = self._clock.pace(time.time_ns() // 1000)
        self._set(CityClock(*_numbers(now), paces))
        while time.time_ns() // 1000 < paces[0].wall_us:  # noqa: ASYNC110  (nobody can signal that time has passed)
            await asyncio.sleep(0.02)

    def _set(self, clock: CityClock) -> None:
        self._clock = clock
        first, *later = (asdict(pace) for pace in clock.paces)
        replace_file(self._path, json.dumps({**first, "later": later}))


def _numbers(pace: Pace) -> tuple[int, int, float]:
    return pace.city_us, pace.wall_us, pace.factor


def _believed_us(path: Path, wall_us: int) -> int:
    """Return what those show who follow the file, 0 if nobody can."""
    try:
        return CityClock.from_file(path).pace(wall_us).at(wall_us)
    except ConfigError:
        return 0
