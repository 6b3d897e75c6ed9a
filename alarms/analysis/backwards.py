"""Registers that run backwards: a meter that was turned round counts down what its customer goes on using. Pure.

A reset, an exchange or a wrong value makes a register fall once. One that falls from reading to reading, and rises in
between never, is driven backwards by gas: a diaphragm meter does so when its pipes are changed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from gateway.meterdata.series import DAY_US, Floats, Ints, Series

LEAST_FALLS = 3
"""one after the other: a spike, a reset and an exchange are one each, and even two of them may follow each other"""
LEAST_US = DAY_US
"""from the first reading of these to the last"""
LEAST_M3 = 0.2
"""that the register loses by them: less may be how a counter jitters"""
SHOWN_US = 14 * DAY_US
"""of the time before it fell that is shown beside the fall"""
RECENT_US = 6 * DAY_US
"""a meter that has counted forwards for so long is not told any more: less than after a repair a loss is told again"""


@dataclass(frozen=True, slots=True, eq=False)
class Backwards:
    """What a register did when it last ran backwards."""

    asset: str
    since_us: int
    """the last reading before it fell"""
    until_us: int
    """the last reading that fell"""
    fallen_m3: float
    times: int
    """how often it ran backwards, this time included"""
    time: Ints
    """us, of its readings since some time before the fall, (r,)"""
    register_m3: Floats
    """what they said, (r,)"""


def may_run_backwards(parts: Iterable[Series]) -> Series | None:
    """Return the rows of all registers that fall often enough, None where none does: far fewer than there are rows."""
    found: list[Series] = []
    for part in parts:
        falls = np.zeros(len(part.value), dtype=np.bool_)
        falls[1:] = (part.column[1:] == part.column[:-1]) & (np.diff(part.value) < 0.0)
        often = np.bincount(part.column[falls], minlength=len(part.assets)) >= LEAST_FALLS
        if often.any():
            found.append(part.of_columns(np.flatnonzero(often)))
    if not found:
        return None
    shift = np.cumsum([0, *(len(part.assets) for part in found)])
    columns = [part.column + number for part, number in zip(found, shift[:-1], strict=True)]
    names = [name for part in found for name in part.assets]
    time, received, value = (
        np.concatenate([getattr(part, field) for part in found]) for field in ("time", "received", "value")
    )
    return Series.ordered(names, np.concatenate(columns).astype(np.int32), time, received, value)


def backwards(registers: Series, assets: Sequence[str], bounds: Ints) -> list[Backwards]:
    """Return which of some assets run backwards, or did lately, by readings since the first bound."""
    rows = registers.settled()
    rows = rows.take(rows.time >= bounds[0])
    runs = _runs(rows)
    if not len(runs):
        return []
    mine = frozenset(assets)
    first, last = runs.T
    newest = np.append(rows.column[first[1:]] != rows.column[first[:-1]], True)
    times = np.bincount(rows.column[first], minlength=len(rows.assets))
    result = []
    for start, end in zip(first[newest], last[newest], strict=True):
        name, until = rows.assets[rows.column[start]], int(rows.time[end])
        if name in mine and bounds[-1] - until <= RECENT_US:
            fallen = float(rows.value[start] - rows.value[end])
            since, column = int(rows.time[start]), rows.column[start]
            shown = np.flatnonzero((rows.column == column) & (rows.time >= since - SHOWN_US))
            count = int(times[column])
            result.append(Backwards(name, since, until, fallen, count, rows.time[shown], rows.value[shown]))
    return result


def _runs(rows: Series) -> Ints:
    """Return the first and the last row of each run of falls with no rise between, (r, 2)."""
    if len(rows.value) < LEAST_FALLS:
        return np.empty((0, 2), dtype=np.int64)
    goes_on = rows.column[1:] == rows.column[:-1]
    step = np.diff(rows.value)
    # a run is of steps that do not rise; where another one begins, a new number
    number = np.cumsum(~goes_on | (step > 0.0))
    falls = np.flatnonzero(goes_on & (step < 0.0))
    if not len(falls):
        return np.empty((0, 2), dtype=np.int64)
    _, start, count = np.unique(number[falls], return_index=True, return_counts=True)
    first, last = falls[start], falls[start + count - 1] + 1
    enough = (count >= LEAST_FALLS) & (rows.time[last] - rows.time[first] >= LEAST_US)
    enough &= rows.value[first] - rows.value[last] >= LEAST_M3
    return np.stack([first[enough], last[enough]], axis=1)
