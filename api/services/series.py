"""Readings of points for charts and programs: read in bounded parts, thinned to what the width shows."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from api.deps import Parts
from api.services.thinning import Rows, drawn, rates
from gateway.errors import RefusedError
from gateway.model.quantity import UNITS, Quantity
from gateway.model.reading import PointId, split_point, to_us
from gateway.store import view_rows

LONGEST = timedelta(days=400)
MOST_WIDTH = 4000
MOST_POINTS = 6
_PART_US = 32 * 86_400_000_000
_LEAST_PART_US = 3_600_000_000
_TOO_MANY = 413
_REGISTERS = frozenset({Quantity.REGISTER_MEASURED_M3, Quantity.REGISTER_BASE_M3})


@dataclass(frozen=True, slots=True)
class Series:
    """Readings of one point, oldest first."""

    point: str
    unit: str
    times_ms: list[int]
    """ms since 1970 UTC, as browsers count"""
    values: list[float | None]
    """None breaks the line: a bad reading, or none"""
    quality: list[int]
    rows: int
    """readings of the span, bad ones too"""
    thinned: bool
    """True if only the first, lowest, highest and last of each column of pixels are here"""


async def series(parts: Parts, point: str, start: datetime, end: datetime, width: int, *, use: bool = False) -> Series:
    """Return what a chart of `width` pixels shows of the readings with start <= source time < end.

    `use` gives what a register counted in each hour instead, m3/h. The store is read in parts, so that neither side
    holds more than one of them. Raises RefusedError 404 for an unknown point, 422 for a bad span or a use of what is
    no register; TransientError if the store does not answer.
    """
    if not start < end or end - start > LONGEST:
        raise RefusedError(422, "bad_span", f"start before end, at most {LONGEST.days} days apart")
    if use and _quantity(point) not in _REGISTERS:
        raise RefusedError(422, "no_register", "only a register has a use")
    index = await asyncio.to_thread(index_of, parts, point)
    if index is None:
        raise RefusedError(404, "unknown_point")
    span = to_us(start), to_us(end)
    count, kept, before = 0, list[Rows](), Rows.concat([])
    async for part in _parts(parts, index, *span):
        count += len(part)
        rows = Rows.concat([before, part])
        # the last reading goes into the next part too, so that a step or a gap between the parts is seen
        before = rows.take(_tail(rows))
        kept.append(drawn(rates(rows) if use else rows, *span, width))
    shown = _joined(kept)
    thinned = int(np.count_nonzero(~np.isnan(shown.value))) < count
    return _series(point, "m³/h" if use else unit_of(point), shown, count, thinned=thinned)


async def history(parts: Parts, point: str, start: datetime, end: datetime, most: int) -> Series:
    """Return all readings with start <= source time < end as they came; of more than `most` what that many show.

    Raises what `series` raises, and RefusedError 413 for more than the store answers at once.
    """
    if not start < end or end - start > LONGEST:
        raise RefusedError(422, "bad_span", f"start before end, at most {LONGEST.days} days apart")
    index = await asyncio.to_thread(index_of, parts, point)
    if index is None:
        raise RefusedError(404, "unknown_point")
    span = to_us(start), to_us(end)
    batch = await parts.store.history(np.array([index], dtype=np.uint32), *span)
    rows = Rows(batch.source_time, batch.value, batch.quality)
    shown = rows if len(rows) <= most else drawn(rows, *span, max(1, most // 4))
    return _series(point, unit_of(point), shown, len(rows), thinned=len(rows) > most)


async def several(
    parts: Parts, points: Sequence[str], start: datetime, end: datetime, width: int, *, use: bool = False
) -> list[Series]:
    """Return `series` of some points, one after the other. Raises what `series` raises, 422 for too many points."""
    if not 0 < len(points) <= MOST_POINTS:
        raise RefusedError(422, "too_many_points", f"1 to {MOST_POINTS} points")
    return [await series(parts, point, start, end, width, use=use) for point in points]


async def _parts(parts: Parts, index: int, start_us: int, end_us: int) -> AsyncIterator[Rows]:
    """Yield the readings of a point in spans that the store can answer at once."""
    points, step, at = np.array([index], dtype=np.uint32), _PART_US, start_us
    while at < end_us:
        upto = min(at + step, end_us)
        try:
            batch = await parts.store.history(points, at, upto)
        except RefusedError as error:
            if error.status != _TOO_MANY or step <= _LEAST_PART_US:
                raise
            step //= 2
            continue
        yield Rows(batch.source_time, batch.value, batch.quality)
        at = upto


def _tail(rows: Rows) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Return the last good row and what is behind it."""
    seen = np.flatnonzero(~np.isnan(rows.value))
    return np.arange(seen[-1] if len(seen) else len(rows), len(rows), dtype=np.intp)


def _joined(kept: list[Rows]) -> Rows:
    """Return the rows of all parts; one that stands in two of them comes once."""
    rows = Rows.concat(kept)
    return rows.take(np.flatnonzero(np.append(True, np.diff(rows.time_us) > 0))) if len(rows) else rows


def _series(point: str, unit: str, rows: Rows, count: int, *, thinned: bool) -> Series:
    values = [None if value != value else value for value in rows.value.tolist()]  # noqa: PLR0124 - NaN
    times = (rows.time_us // 1000).tolist()
    return Series(point, unit, times, values, rows.quality.tolist(), count, thinned=thinned)


def index_of(parts: Parts, point: str) -> int | None:
    """Return the index of a point in the store; None if nothing was ever read of it."""
    with parts.state.read() as connection:
        return view_rows.point_indices(connection, [point]).get(point)


def _quantity(point: str) -> Quantity | None:
    try:
        return split_point(PointId(point))[1]
    except ValueError:
        return None


def unit_of(point: str) -> str:
    """Return the unit of a point's values, empty for what has none."""
    quantity = _quantity(point)
    return "" if quantity is None else UNITS[quantity]


def point_of(asset: str, quantity: str) -> str:
    """Name the point that an alarm's definition judges; empty if it judges none."""
    return f"{asset}/{quantity}" if quantity in set(Quantity) else ""
