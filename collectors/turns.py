"""Who may use a link next: one at a time, and a command before every poll that waits."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque


class Turns:
    """A lock with two queues. An urgent one waits for the one turn under way, and for urgent ones before it."""

    def __init__(self) -> None:
        """Make one that is free."""
        self._taken = False
        self._urgent: deque[asyncio.Future[None]] = deque()
        self._usual: deque[asyncio.Future[None]] = deque()

    async def take(self, *, urgent: bool = False) -> None:
        """Return when it is our turn; whoever took a turn must give it back."""
        if not self._taken:
            self._taken = True
            return
        queue = self._urgent if urgent else self._usual
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                # the turn came in the same moment: the next one gets it
                self.give()
            else:
                with contextlib.suppress(ValueError):
                    queue.remove(turn)
            raise

    def give(self) -> None:
        """End a turn; the first urgent one goes next, else the first usual one."""
        for queue in (self._urgent, self._usual):
            while queue:
                turn = queue.popleft()
                if not turn.done():
                    turn.set_result(None)
                    return
        self._taken = False
