"""Waiting for what another task does."""

import asyncio
from collections.abc import Callable


async def until(condition: Callable[[], object], within_s: float) -> None:
    """Return when a condition holds. Raises TimeoutError if it does not in time."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - what is waited for has no event
            await asyncio.sleep(0.01)
