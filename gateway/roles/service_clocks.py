"""Runs the clocks of tickets in the alarm role, each evening the draw of call-backs, each morning that of checks."""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import datetime, timedelta
from functools import partial

from alarms.service.call_backs import CallBacks
from alarms.service.desk import ServiceDesk
from alarms.service.release import Checks
from alarms.service.upkeep import Upkeep
from gateway.errors import TransientError
from gateway.store import promise_rows
from gateway.store.change_watch import ChangeWatch

log = logging.getLogger(__name__)

LOOK_S = 0.25
"""real seconds between looks at whether somebody wrote, or something is due"""
SET_BACK = timedelta(seconds=1)
"""by which time goes back at the least before all clocks are read again"""
DRAW_S = 60.0
"""real seconds between looks at whether it is evening, or morning"""


class ServiceClocks:
    """Sweeps until cancelled. One process runs one."""

    def __init__(self, desk: ServiceDesk, checks: Checks | None = None) -> None:
        """Remember the desks; nothing is read yet. Without `checks` no finding becomes a ticket by itself."""
        self._desk = desk
        self._checks = checks
        self._changes = ChangeWatch(desk.state)
        self._call_backs = CallBacks(desk.state, desk.network, desk.calendar, desk.clock)
        self._upkeep = Upkeep(desk.state, desk.network, desk.calendar, desk.clock)
        self._drawn_at = float("-inf")
        self._next: datetime | None = None
        self._seen = desk.clock.now()
        self._problem = ""

    async def run(self) -> None:
        """Sweep whenever somebody wrote to the state, or a clock is due."""
        fresh = True
        while True:
            try:
                if fresh:
                    await asyncio.to_thread(self._desk.anew)
                    fresh = False
                now = self._desk.clock.now()
                if now < self._seen - SET_BACK:
                    log.warning("time went back from %s to %s: all clocks of tickets are read again", self._seen, now)
                    await asyncio.to_thread(self._desk.set_back)
                self._seen = now
                if self._changes.changed() or self._is_due():
                    self._next = await asyncio.to_thread(self._settle)
                if time.monotonic() - self._drawn_at >= DRAW_S:
                    await asyncio.to_thread(self._call_backs.evening)
                    await asyncio.to_thread(self._upkeep.morning)
                    if self._checks is not None:
                        await asyncio.to_thread(partial(self._checks.morning, wall_s=time.time()))
                    self._drawn_at = time.monotonic()
                self._problem = ""
            except TransientError as error:
                if str(error) != self._problem:
                    log.warning("clocks of tickets are held up: %s", error)
                self._problem = str(error)
                self._changes.again()
            await asyncio.sleep(LOOK_S)

    def _is_due(self) -> bool:
        return self._next is not None and self._next <= self._desk.clock.now()

    def _settle(self) -> datetime | None:
        """Sweep until nothing is left; return when the next clock is due."""
        while self._desk.sweep():
            pass
        with self._desk.state.read() as connection:
            return promise_rows.next_moment(connection)
