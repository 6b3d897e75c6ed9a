"""Reads dead letters again when a person asks for it, after a mapping was put right."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from gateway.errors import TransientError
from gateway.ports import DeadLetter
from gateway.runtime.runner import Put
from gateway.store import replay_rows
from gateway.store.change_watch import ChangeWatch
from gateway.store.state import State

log = logging.getLogger(__name__)

_LOOK_S = 1.0
_AT_ONCE = 200


class Replay:
    """Does what `replay_rows.ask` asked for, one source at a time; one task runs `run`.

    A letter that has become readings is deleted after they are on disk. A crash between the two repeats them with the
    same times, and the store drops the doubles.
    """

    def __init__(self, state: State, collectors: Callable[[], Sequence[Any]], put: Put) -> None:
        """Make one; `put` takes deliveries towards the disk."""
        self._state, self._collectors, self._put = state, collectors, put

    async def run(self) -> None:
        """Look for requests until cancelled; a database that is away is waited for."""
        lost = False
        changes = ChangeWatch(self._state)
        while True:
            try:
                for source in await asyncio.to_thread(self._waiting) if changes.changed() else ():
                    await self.replay(source)
                lost = False
            except TransientError as error:
                changes.again()
                if not lost:
                    log.warning("dead letters are not read again yet: %s", error)
                lost = True
            await asyncio.sleep(_LOOK_S)

    async def replay(self, source: str) -> None:
        """Read all letters of a source again and note how many became readings. Raises TransientError."""
        found = [one for one in self._collectors() if one.name == source and hasattr(one, "reread")]
        if not found:
            await asyncio.to_thread(replay_rows.finish, self._state, source, problem="no such source")
            return
        after, became, left = 0, 0, 0
        upto = await asyncio.to_thread(replay_rows.newest_id, self._state, source)
        while page := await asyncio.to_thread(replay_rows.letters, self._state, source, after, upto, _AT_ONCE):
            kept = await self._page(found[0], page)
            if kept:
                await asyncio.to_thread(replay_rows.forget, self._state, kept)
            after, became, left = page[-1][0], became + len(kept), left + len(page) - len(kept)
        await asyncio.to_thread(replay_rows.finish, self._state, source, read=became, left=left)
        log.info("%s: %d dead letters have become readings, %d are left", source, became, left)

    async def _page(self, collector: Any, page: Sequence[tuple[int, DeadLetter]]) -> list[int]:
        """Return the ids of the letters whose readings are on disk."""
        kept: list[int] = []
        put = 0
        safe = asyncio.Event()

        for number, letter in page:
            delivery = await collector.reread(letter)
            if delivery is None:
                continue

            async def acknowledge(number: int = number) -> None:
                kept.append(number)
                safe.set()

            await self._put(replace(delivery, ack=acknowledge))
            put += 1
        while len(kept) < put:
            safe.clear()
            await safe.wait()
        return kept

    def _waiting(self) -> list[str]:
        with self._state.read() as connection:
            asked = replay_rows.replays(connection)
        return [source for source, fact in asked.items() if fact.get("state") == "waiting"]
