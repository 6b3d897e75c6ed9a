"""What lies around the moments at which no register is known: the readings before and after, and a meter's last steps.

A gap is a step between two far readings. Its volume is known, though its days are not. Only moments that no near
readings tell are kept, so that densely read meters cost nothing here. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gateway.model.reading import Window

LEVEL_DAYS = 14
"""a meter's present level is taken from at least this many days before its newest reading, if there are so many"""
SELDOM_LEVEL_DAYS = 45
"""the same of one that was known at fewer than `FEW` boundaries in those: a single step may hold an absence"""
FEW = 4

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Gaps:
    """Moments without a known register that lie between two readings (k of them), and last steps of n meters."""

    assets: tuple[str, ...]
    row: Ints
    """which of the window's moments, (k,)"""
    column: Ints
    """index into `assets`, (k,)"""
    left_us: Ints
    left_m3: Floats
    right_us: Ints
    right_m3: Floats
    broken: Flags
    """True where an unknown exchange, or what no meter does, lies between the moment before and this one, (k,)"""
    from_us: Ints
    """begin of what tells a meter's present level, (n,)"""
    last_us: Ints
    """its newest reading; not after `from_us` where nothing is told, (n,)"""
    recent_m3: Floats
    """what the register counted from `from_us` to `last_us`, (n,)"""
    past: Window | None = None
    """registers of some well-read meters at gas-day boundaries before the window's first, and at that"""

    def of(self, columns: Ints) -> Gaps:
        """Return those of some meters, numbered as these; `columns` increase."""
        at = np.minimum(np.searchsorted(columns, self.column), len(columns) - 1)
        mine = columns[at] == self.column
        cells = {name: getattr(self, name)[mine] for name in _OF_CELLS}
        each = {name: getattr(self, name)[columns] for name in ("from_us", "last_us", "recent_m3")}
        return replace(self, assets=tuple(self.assets[n] for n in columns), column=at[mine], **cells, **each)


_OF_CELLS = ("row", "left_us", "left_m3", "right_us", "right_m3", "broken")
