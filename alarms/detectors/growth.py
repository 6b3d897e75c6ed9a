"""What registers counted from reading to reading, for detectors that read rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from alarms.detectors.meter_rows import MeterRows
from gateway.meterdata.series import Floats, Ints
from gateway.meterdata.steps import largest_growth_m3
from gateway.model.reading import from_us

POINTS = 60
"""readings that a finding carries"""
NEW_M3 = 3.0
"""a new meter begins below this: it was tried on a bench"""
SLACK_M3 = 2.0
"""a register counts this in no time at most: the largest step of one that shows whole m3, and a late pulse"""


def growth_m3(rows: MeterRows) -> tuple[Floats, Floats]:
    """Return what each reading's register counted since the one before, and the time between, us; 0 at the first.

    A rollover is undone, an exchange and a jump faster than the meter are nothing. What a wrong figure or gas that
    flows back adds and takes away again cancels: growth counts only beyond the highest register so far.
    """
    same = np.zeros(len(rows.time), dtype=np.bool_)
    same[1:] = rows.column[1:] == rows.column[:-1]
    gap = np.where(same, np.diff(rows.time, prepend=rows.time[:1]), 0)
    step = np.where(same, np.diff(rows.register_m3, prepend=rows.register_m3[:1]), 0.0)
    allowed = largest_growth_m3(rows.max_flow_m3h[rows.column], gap) + SLACK_M3
    rolled = step + rows.modulus_m3[rows.column]
    rolls = (step < 0) & np.isfinite(allowed) & (rolled >= 0) & (rolled <= allowed)
    step = np.where(rolls, rolled, step)
    before = rows.register_m3 - step
    fresh = (step < 0) & (rows.register_m3 < NEW_M3) & (before > 2.0 * NEW_M3)
    step = np.where(fresh | (step > allowed), 0.0, step)
    return _beyond_highest(step, same), gap.astype(np.float64)


def _beyond_highest(step: Floats, same: np.ndarray[Any, np.dtype[np.bool_]]) -> Floats:
    """Return how far each row rises above all rows of its meter before."""
    if not len(step):
        return step
    starts = np.flatnonzero(~same)
    total = np.cumsum(step)
    level = total - np.repeat(total[starts], np.diff(np.append(starts, len(step))))
    # meters are lifted above each other, so that one running maximum serves all
    lift = np.repeat(np.arange(len(starts)) * (2.0 * np.abs(level).max() + 1.0), np.diff(np.append(starts, len(step))))
    highest = np.maximum.accumulate(level + lift) - lift
    rise = np.diff(highest, prepend=highest[:1])
    return np.where(same, np.maximum(rise, 0.0), 0.0)


def course(rows: MeterRows) -> dict[str, Any]:
    """Return the last readings of one meter as evidence."""
    return readings_shown(rows.time, rows.register_m3)


def readings_shown(time: Ints, register_m3: Floats, **beside: Floats) -> dict[str, Any]:
    """Return readings of one register as evidence, thinned out to a curve that a person can check.

    What stands `beside` them, by name, is of the same readings.
    """
    at = np.unique(np.linspace(0, len(time) - 1, min(POINTS, len(time))).round().astype(np.int64))
    lines = {"register_m3": register_m3, **beside}
    return {
        "read_at": [from_us(int(moment)).isoformat(timespec="seconds") for moment in time[at]],
        **{name: [round(float(value), 3) for value in values[at]] for name, values in lines.items()},
    }
