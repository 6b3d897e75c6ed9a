"""Writes a site's readings as Parquet files, from the running gateway or, when it is stopped, from its files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import date
from fnmatch import translate
from pathlib import Path
from re import compile as compile_pattern

import numpy as np

from gateway.config import Config
from gateway.errors import GatewayError, PermanentError, RefusedError, TransientError
from gateway.roles.common import open_state, remote_store
from gateway.store.exporting import ExportSource, Points, export
from gateway.store.readings import DuckReadings
from gateway.store.registry import StateRegistry

Progress = Callable[[int, int, int], None]
"""days done, days altogether, rows so far"""


async def export_site(
    config: Config,
    out: Path,
    days: tuple[date | None, date | None],
    patterns: Sequence[str],
    progress: Progress,
) -> int:
    """Export the received days, both ends included and open where None; return the number of rows.

    Raises GatewayError if nothing fits, TransientError if the gateway is away or the disk is full.
    """
    state = await asyncio.to_thread(open_state, config)
    try:
        registry = await asyncio.to_thread(StateRegistry, state)
        points = _points(registry, patterns) if patterns else None
        async with _source(config, registry) as source:
            kept = await source.days()
            if kept is None:
                raise GatewayError("the readings store is empty")
            first, last = max(days[0] or kept[0], kept[0]), min(days[1] or kept[1], kept[1])
            if first > last:
                raise GatewayError(f"there are no such days: readings were received from {kept[0]} to {kept[1]}")
            return await export(source, out, (first, last), points, progress)
    finally:
        state.close()


@asynccontextmanager
async def _source(config: Config, registry: StateRegistry) -> AsyncIterator[ExportSource]:
    """Give the store itself where nobody runs, else the store service of who does."""
    try:
        store = await asyncio.to_thread(lambda: DuckReadings(config.data.folder / "readings", names=registry.names))
    except PermanentError:
        remote = remote_store(config)
        try:
            yield remote
        except RefusedError as error:
            raise TransientError(f"the running gateway refused: {error}") from error
        finally:
            await remote.close()
        return
    try:
        yield store
    finally:
        await store.close()


def _points(registry: StateRegistry, patterns: Sequence[str]) -> Points:
    fits = [compile_pattern(translate(pattern)).match for pattern in patterns]
    found = sorted(index for index, name in registry.known().items() if any(fit(name) for fit in fits))
    if not found:
        raise GatewayError(f"no point fits {', '.join(patterns)}; a point is ASSET/QUANTITY, * stands for anything")
    return np.array(found, dtype=np.uint32)
