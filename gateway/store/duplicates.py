"""Which rows of a batch are new, doubled or in conflict: pure arithmetic on columns.

A reading is the same if point, source time and value are; two BAD rows of one point and time are the same too. Two
different values at one point and time are a conflict: both stay and are marked, so that no order of arrival decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.model.reading import ReadingBatch, Reason, Severity, quality

CONFLICT = quality(Severity.UNCERTAIN, Reason.CONFLICT)
_BAD_FROM = quality(Severity.BAD)


@dataclass(frozen=True, slots=True, eq=False)
class Sorted:
    """A batch in order of point and source time, with what was found about each of its rows."""

    order: NDArray[np.intp]
    """row of the original batch"""
    duplicate: NDArray[np.bool_]
    """the same reading stands in an earlier row"""
    conflict: NDArray[np.bool_]
    """another value stands at this point and time; never set on a duplicate or a BAD row"""


def sort_out(batch: ReadingBatch) -> Sorted:
    """Find the doubles and the conflicts inside a batch; of equal rows the one that came first is kept."""
    apart = _apart(batch)
    if apart is not None:
        none = np.zeros(len(batch), dtype=np.bool_)
        return Sorted(apart, none, none)
    bad = batch.quality >= _BAD_FROM
    value = np.where(bad, 0.0, batch.value)
    order = np.lexsort((value, bad, batch.source_time, batch.point))
    point, time = batch.point[order], batch.source_time[order]
    value, bad = value[order], bad[order]
    same_key = np.zeros(len(batch), dtype=np.bool_)
    same_key[1:] = (point[1:] == point[:-1]) & (time[1:] == time[:-1])
    duplicate = same_key.copy()
    duplicate[1:] &= (bad[1:] == bad[:-1]) & ((value[1:] == value[:-1]) | (np.isnan(value[1:]) & np.isnan(value[:-1])))
    contrary = same_key & ~duplicate & ~bad
    conflict = np.zeros(len(batch), dtype=np.bool_)
    if contrary.any():
        group = np.cumsum(~same_key) - 1
        conflict = np.bincount(group, weights=contrary)[group] > 0
        conflict &= ~bad & ~duplicate
    return Sorted(order.astype(np.intp), duplicate, conflict)


def _apart(batch: ReadingBatch) -> NDArray[np.intp] | None:
    """Return the order by point and time where no two rows share both, else None; quick where rows come nearly so."""
    if not len(batch):
        return None
    origin = int(batch.source_time.min())
    width = int(batch.source_time.max()) - origin + 1
    if width * (int(batch.point.max()) + 1) >= 2**62:
        return None
    key = batch.point.astype(np.int64) * width + (batch.source_time - origin)
    if (key[1:] > key[:-1]).all():
        return np.arange(len(batch))
    order = np.argsort(key, kind="stable")
    key = key[order]
    return order if (key[1:] > key[:-1]).all() else None


def mark(batch: ReadingBatch, rows: NDArray[np.bool_]) -> ReadingBatch:
    """Return the batch with these rows UNCERTAIN for CONFLICT."""
    if not rows.any():
        return batch
    marked = np.where(rows, np.uint8(CONFLICT), batch.quality).astype(np.uint8)
    return ReadingBatch(batch.point, batch.source_time, batch.received_time, batch.value, marked)


def settled(batch: ReadingBatch) -> ReadingBatch:
    """Return a batch in order of point and source time, without doubles and with every conflict marked."""
    found = sort_out(batch)
    ordered = mark(batch.take(found.order), found.conflict)
    return ordered.take(~found.duplicate) if found.duplicate.any() else ordered


def newest_of_each(batch: ReadingBatch) -> ReadingBatch:
    """Return the row with the newest source time of each point, sorted by point; a value goes before a BAD row."""
    ordered = settled(batch)
    if not len(ordered):
        return ordered
    first_of_time = np.ones(len(ordered), dtype=np.bool_)
    first_of_time[1:] = (ordered.point[1:] != ordered.point[:-1]) | (
        ordered.source_time[1:] != ordered.source_time[:-1]
    )
    candidates = ordered.take(first_of_time)
    last_of_point = np.ones(len(candidates), dtype=np.bool_)
    last_of_point[:-1] = candidates.point[1:] != candidates.point[:-1]
    return candidates.take(last_of_point)


def fresh(
    batch: ReadingBatch,
    marks: Callable[[NDArray[np.uint32]], NDArray[np.int64]],
    same_keys: Callable[[ReadingBatch], ReadingBatch],
) -> tuple[ReadingBatch, NDArray[np.intp]]:
    """Return the rows that are not stored yet, by point and time, conflicts marked; and which rows were doubled.

    `marks` gives the newest source time of points, `same_keys` the stored rows at the points and times of others.
    """
    found = sort_out(batch)
    rows = mark(batch.take(found.order), found.conflict)
    duplicate, conflict = found.duplicate.copy(), np.zeros(len(rows), dtype=np.bool_)
    late = np.flatnonzero(~duplicate & (rows.source_time <= marks(rows.point)))
    if len(late):
        late_rows = rows.take(late)
        stored = same_keys(late_rows)
        again = sort_out(ReadingBatch.concat([stored, late_rows]))
        incoming = again.order >= len(stored)
        at = late[again.order[incoming] - len(stored)]
        duplicate[at], conflict[at] = again.duplicate[incoming], again.conflict[incoming]
    return mark(rows, conflict).take(~duplicate), found.order[duplicate]
