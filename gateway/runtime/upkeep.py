"""Does the store's chores behind everything else, one after the other, and says when they fail."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from gateway.errors import GatewayError
from gateway.ports import Clock
from gateway.runtime.backoff import Backoff

_LOG = logging.getLogger(__name__)


class Upkeep:
    """One task runs `run`. A chore that fails is logged once and tried again for ever: it loses nothing."""

    def __init__(self, step: Callable[[int], Awaitable[bool]], clock: Clock, *, period_s: float = 10.0) -> None:
        """Make one; `step` does one chore at a moment (us UTC) and returns False if there was none."""
        self.reason = ""
        self._step, self._clock, self._period_s = step, clock, period_s
        self._backoff = Backoff(5.0, 600.0)

    async def run(self) -> None:
        """Look for chores every `period_s` real seconds."""
        while True:
            try:
                busy = await self._step(self._clock.now_us())
            except Exception as error:  # noqa: BLE001 - whatever a chore does, the others go on
                if not self.reason:
                    unknown = None if isinstance(error, GatewayError) else error
                    _LOG.error("the readings' files are not kept in order: %s", error, exc_info=unknown)
                self.reason = f"the readings' files are not kept in order: {error}"
                await asyncio.sleep(self._backoff.next())
                continue
            if self.reason:
                _LOG.warning("the readings' files are kept in order again")
            self.reason = ""
            self._backoff.reset()
            if not busy:
                await asyncio.sleep(self._period_s)
