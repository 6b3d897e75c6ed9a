"""Readings of a point for charts and programs: bounded, thinned without losing peaks."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from api.deps import Parts
from gateway.errors import RefusedError
from gateway.model.quantity import UNITS, Quantity
from gateway.model.reading import PointId, ReadingBatch, split_point, to_us
from gateway.store import view_rows

LONGEST = timedelta(days=400)


@dataclass(frozen=True, slots=True)
class Series:
    """Readings of one point, oldest first."""

    point: str
    unit: str
    times_ms: list[int]
    """ms since 1970 UTC, as browsers count"""
    values: list[float | None]
    """None where the reading is bad: a gap"""
    quality: list[int]
    thinned: bool
    """True if only the lowest and highest of each stretch are here"""


async def series(parts: Parts, point: str, start: datetime, end: datetime, most: int) -> Series:
    """Return at most about `most` readings with start <= source time < end.

    Raises RefusedError 404 for an unknown point, 422 for a bad span; TransientError if the store does not answer.
    """
    if not start < end or end - start > LONGEST:
        raise RefusedError(422, "bad_span", f"start before end, at most {LONGEST.days} days apart")
    index = await asyncio.to_thread(index_of, parts, point)
    if index is None:
        raise RefusedError(404, "unknown_point")
    batch = await parts.store.history(np.array([index], dtype=np.uint32), to_us(start), to_us(end))
    rows = thin(batch, most)
    times = (batch.source_time[rows] // 1000).tolist()
    values = [None if np.isnan(value) else float(value) for value in batch.value[rows]]
    return Series(point, _unit(point), times, values, batch.quality[rows].tolist(), thinned=len(rows) < len(batch))


def thin(batch: ReadingBatch, most: int) -> NDArray[np.intp]:
    """Return the rows to show: all, or first, lowest, highest and last of each of most/4 stretches."""
    count = len(batch)
    if count <= most:
        return np.arange(count, dtype=np.intp)
    edges = np.linspace(0, count, max(1, most // 4) + 1).astype(int)
    kept: set[int] = set()
    for low, high in pairwise(edges):
        part = batch.value[low:high]
        kept.update((int(low), int(high) - 1))
        if not np.isnan(part).all():
            kept.update((int(low + np.nanargmin(part)), int(low + np.nanargmax(part))))
    return np.array(sorted(kept), dtype=np.intp)


def index_of(parts: Parts, point: str) -> int | None:
    """Return the index of a point in the store; None if nothing was ever read of it."""
    with parts.state.read() as connection:
        return view_rows.point_indices(connection, [point]).get(point)


def _unit(point: str) -> str:
    try:
        return UNITS[split_point(PointId(point))[1]]
    except ValueError:
        return ""


def point_of(asset: str, quantity: str) -> str:
    """Name the point that an alarm's definition judges; empty if it judges none."""
    return f"{asset}/{quantity}" if quantity in set(Quantity) else ""
