"""What lies around the boundaries at which registers are unknown, kept beside the registers that are known. Pure."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Self

import numpy as np

from alarms.analysis.gaps import FEW, LEVEL_DAYS, SELDOM_LEVEL_DAYS, Gaps
from gateway.meterdata.arrivals import ALWAYS_US, Indices
from gateway.meterdata.series import DAY_US, Flags, Floats, Ints
from gateway.model.reading import Window

if TYPE_CHECKING:
    from alarms.analysis.boundaries import Boundaries


@dataclass(frozen=True, slots=True, eq=False)
class Holes:
    """k pairs of readings with a boundary between them at which the register is unknown."""

    row: Ints
    """number of the boundary"""
    column: Ints
    left_us: Ints
    left_m3: Floats
    right_us: Ints
    right_m3: Floats

    @classmethod
    def none(cls) -> Self:
        """Return no hole."""
        whole, real = np.empty(0, dtype=np.int64), np.empty(0)
        return cls(whole, whole, whole, real, whole, real)

    def take(self, chosen: Flags | Indices) -> Self:
        """Return some of them."""
        return type(self)(*(getattr(self, one.name)[chosen] for one in fields(self)))

    def up_to(self, row: Ints) -> Self:
        """Return those at boundaries up to one of each column."""
        return self.take(self.row <= row[self.column])

    def joined(self, other: Self) -> Self:
        """Return these and others."""
        names = [one.name for one in fields(self)]
        return type(self)(*(np.concatenate([getattr(self, name), getattr(other, name)]) for name in names))


def gaps_of(kept: Boundaries, first: int, assets: tuple[str, ...], past: Window | None) -> Gaps:
    """Return what lies around the unknown boundaries from boundary `first` on, and the last steps of such registers."""
    columns = np.flatnonzero(np.isnan(kept.value[first:]).any(axis=0))
    number = np.full(kept.value.shape[1], -1, dtype=np.int64)
    number[columns] = np.arange(len(columns))
    holes = kept.holes.take(number[kept.holes.column] >= 0)
    holes = holes.take(np.lexsort((holes.row, holes.column)))
    from_us, recent_m3 = _recent(kept, columns, holes, number[holes.column])
    heard = kept.last_us[columns] > ALWAYS_US
    inside = holes.take(holes.row >= first)
    return Gaps(
        assets=tuple(assets[column] for column in columns),
        row=inside.row - first,
        column=number[inside.column],
        left_us=inside.left_us,
        left_m3=inside.left_m3,
        right_us=inside.right_us,
        right_m3=inside.right_m3,
        broken=kept.broken[inside.row, inside.column] & (inside.row > first),
        from_us=np.where(heard, from_us, 0),
        last_us=np.where(heard, kept.last_us[columns], 0),
        recent_m3=np.where(heard, recent_m3, 0.0),
        past=past,
    )


def _recent(kept: Boundaries, columns: Indices, holes: Holes, column: Ints) -> tuple[Ints, Floats]:
    """Return since when, and by how much, the newest readings tell each register's level.

    Not across a break. `holes` are those of the columns, in order, and `column` gives their numbers among them.
    """
    value, times, last = kept.value[:, columns], kept.times, kept.last_us[columns]
    known, row = np.isfinite(value), np.arange(len(times))[:, None]
    lately = (times[:, None] > last - LEVEL_DAYS * DAY_US) & (times[:, None] <= last)
    days = np.where((known & lately).sum(axis=0) < FEW, SELDOM_LEVEL_DAYS, LEVEL_DAYS)
    begin = np.searchsorted(times, last - days * DAY_US, side="right") - 1
    broken = np.where(kept.broken[:, columns], row, 0).max(axis=0, initial=0)
    begin = np.maximum(np.maximum(begin, broken), 0)
    at = known & (row >= begin)
    by_grid = at.argmax(axis=0) if len(times) else np.zeros(len(columns), dtype=np.int64)
    number = np.arange(len(columns))
    grid_us = np.where(at.any(axis=0), times[by_grid], 2**62)
    size = len(times) + 1
    found = np.searchsorted(column * size + holes.row, number * size + begin)
    has = found < len(column)
    has[has] = column[found[has]] == number[has]
    hole = np.where(has, found, 0)
    hole_us, hole_m3 = np.full(len(columns), 2**62, dtype=np.int64), np.zeros(len(columns))
    if has.any():
        hole_us, hole_m3 = np.where(has, holes.left_us[hole], 2**62), holes.left_m3[hole]
    from_us = np.minimum(np.minimum(grid_us, hole_us), last)
    grid_m3 = value[by_grid, number] if len(times) else np.zeros(len(columns))
    m3 = np.where(hole_us <= grid_us, hole_m3, grid_m3)
    recent = np.where(from_us < last, kept.last_m3[columns] - m3, 0.0)
    return from_us, recent
