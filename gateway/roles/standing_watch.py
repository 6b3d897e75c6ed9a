"""What must hold at every moment besides the plant: somebody is signed in at the desk, and the clock is right."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from gateway.errors import TransientError
from gateway.runtime.time_server import offset_s
from gateway.store import staff_rows
from gateway.store.state import State

log = logging.getLogger(__name__)

EMPTY_DESK = "NO_OPERATOR@gasgate"
WRONG_CLOCK = "CLOCK_OFFSET@gasgate"
LOOK_S = 5.0
EMPTY_FOR_S = 300.0
"""real seconds for which nobody is signed in before it is told"""
ASK_EVERY_S = 64.0
OFF_BY_S = 1.0
TWICE = 2
"""so many answers in a row say the same before it is believed"""


class StandingWatch:
    """Looks every few real seconds. `look` blocks and is for one thread at a time."""

    def __init__(
        self,
        state: State,
        time_server: str,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """Remember what to ask; with an empty `time_server` nothing is said about the clock."""
        self._state, self._server = state, time_server
        self._monotonic, self._wall = monotonic, wall
        self._empty_since: float | None = None
        self._asked_at = float("-inf")
        self._off: list[bool] = []
        self._mute = False

    def look(self) -> dict[str, tuple[bool, float | None]]:
        """Return the alarms that are judged now: whether each holds, and its value. Raises TransientError."""
        found = self._desk()
        if self._server and self._monotonic() - self._asked_at >= ASK_EVERY_S:
            self._asked_at = self._monotonic()
            found |= self._clock()
        return found

    async def run(self, tell: Callable[[dict[str, tuple[bool, float | None]]], object]) -> None:
        """Look again and again; `tell` gets what was judged, in the loop's thread, and may return an awaitable."""
        while True:
            try:
                told = tell(await asyncio.to_thread(self.look))
                if asyncio.iscoroutine(told):
                    await told
            except TransientError as error:
                log.debug("not judged: %s", error)
            await asyncio.sleep(LOOK_S)

    def _desk(self) -> dict[str, tuple[bool, float | None]]:
        with self._state.read() as connection:
            staffed = staff_rows.desk_is_staffed(connection, now_us=int(self._wall() * 1e6))
        if staffed is None:
            return {}
        now = self._monotonic()
        self._empty_since = None if staffed else (now if self._empty_since is None else self._empty_since)
        empty = self._empty_since is not None and now - self._empty_since >= EMPTY_FOR_S
        return {EMPTY_DESK: (empty, None)} if staffed or empty else {}

    def _clock(self) -> dict[str, tuple[bool, float | None]]:
        """Judge the clock; without an answer nothing is said, so that silence ends no alarm."""
        try:
            off_s = offset_s(self._server)
        except TransientError as error:
            if not self._mute:
                log.warning("the clock is not judged: %s", error)
            self._mute = True
            return {}
        self._mute = False
        self._off = [*self._off, abs(off_s) >= OFF_BY_S][-TWICE:]
        certain = len(self._off) == TWICE and len(set(self._off)) == 1
        return {WRONG_CLOCK: (self._off[-1], round(off_s, 3))} if certain else {}
