"""Notices a source that is connected but brings nothing: subscribes again, then ends the connection, and says so."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

Act = Callable[[], Awaitable[None]]
_LOOKS = 4
"""How often in `silence_s` it is looked whether a message came."""


class SilenceWatch:
    """Watches one source over all its connections, in real seconds."""

    def __init__(self, silence_s: float) -> None:
        """Watch for `silence_s` seconds without a message; 0 = never."""
        self.complaint = ""
        """what is wrong, until a message comes"""
        self.ended = False
        """whether the connection was ended for its silence"""
        self._silence_s = silence_s
        self._heard = False

    def heard(self) -> None:
        """Note a live message."""
        self._heard = True

    async def run(self, subscribe: Act, disconnect: Act) -> None:
        """Watch one connection until it is ended for its silence."""
        quiet = 0
        self.ended = False
        while self._silence_s:
            await asyncio.sleep(self._silence_s / _LOOKS)
            if self._heard:
                self._heard, self.complaint, quiet = False, "", 0
                continue
            quiet += 1
            if quiet == _LOOKS:
                self.complaint = f"no message for {self._silence_s:g} s although connected: subscribed again"
                await subscribe()
            elif quiet == 2 * _LOOKS:
                self.complaint = f"no message for {2 * self._silence_s:g} s although connected: connected again"
                self.ended = True
                await disconnect()
                return
