"""Copies the state database every hour, and says when that does not work."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

from gateway.errors import TransientError
from gateway.store.state import State
from gateway.store.state_copies import copied_at, copies_of, copy_state

log = logging.getLogger(__name__)

EVERY_S = 3600.0
"""real seconds"""
FIRST_AFTER_S = 15.0
AGAIN_S = 300.0
LATE_S = 3 * EVERY_S


class StateCare:
    """Keeps copies of a site's state database."""

    def __init__(self, state: State, folder: Path, keep: int) -> None:
        """Remember where; nothing is copied yet."""
        self._state, self._folder, self._keep = state, folder, keep
        self._began = time.time()
        self._problem = ""

    async def run(self) -> None:
        """Copy now and then until cancelled."""
        await asyncio.sleep(FIRST_AFTER_S)
        while True:
            wait_s = EVERY_S - self._age_s()
            if wait_s <= 0:
                wait_s = await self._copy()
            await asyncio.sleep(max(1.0, min(wait_s, EVERY_S)))

    def problems(self) -> list[str]:
        """Return what people must know."""
        age = min(self._age_s(), time.time() - self._began)
        late = f"the state database was not copied for {age / 3600:.0f} h: {self._problem}"
        return [late] if age > LATE_S else []

    async def _copy(self) -> float:
        try:
            copy = await asyncio.to_thread(copy_state, self._folder, self._keep)
        except TransientError as error:
            if str(error) != self._problem:
                log.warning("%s", error)
            self._problem = str(error)
            return AGAIN_S
        self._state.keep_reserve()
        log.info("state database copied to %s", copy.name)
        self._problem = ""
        return EVERY_S

    def _age_s(self) -> float:
        copies = copies_of(self._folder)
        return time.time() - copied_at(copies[0]) / 1e6 if copies else float("inf")
