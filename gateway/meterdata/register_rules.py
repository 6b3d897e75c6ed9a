"""Rules about single readings and the steps between them. Each takes a case and says where it fires. Pure."""

from __future__ import annotations

import numpy as np

from gateway.meterdata.case import Case, Fired
from gateway.meterdata.intervals import Status
from gateway.meterdata.series import HOUR_US, Ints
from gateway.meterdata.steps import Step, first_of


def gap(case: Case) -> Fired:
    """V01: where a gas day needs a reading, or for longer than a straight line may cross, none came when one was due.

    One that is missing in the middle of a day is no loss: the register tells the day without it. A meter without any
    reading has no habit; its intervals are missing, and V18 tells.
    """
    rows, near, run = case.built.unrolled, case.built.cadence.near, case.built.cadence.run
    following = np.append(rows.time[1:], 0)
    last = np.append(first_of(rows.column)[1:], True)[: len(rows.time)]
    until = np.where(last, np.maximum(case.bounds[-1], rows.time), following[: len(rows.time)])
    needed = last | (np.searchsorted(case.bounds, until) > np.searchsorted(case.bounds, rows.time, side="right"))
    wide = (until - rows.time > near[rows.column]) & (needed | (until - rows.time > run[rows.column]))
    column, time, end = rows.column[wide], rows.time[wide], until[wide]
    numbers = {"gap_h": (end - time) / HOUR_US, "allowed_h": near[column] / HOUR_US}
    return Fired(column, time, time, end, numbers)


def conflict(case: Case) -> Fired:
    """V02: one device time, several values."""
    column, time, low, high = case.series.conflicts()
    return Fired.at(column, time, {"lowest_m3": low, "highest_m3": high})


def rollover(case: Case) -> Fired:
    """V03: from near the register's end to near zero, and the step over the end is possible."""
    return _steps(case, Step.ROLLOVER)


def exchange(case: Case) -> Fired:
    """V04: the company exchanged the meter; without written registers the step across is unknown."""
    known = case.exchanges
    inside = (known.time >= case.bounds[0]) & (known.time <= case.bounds[-1])
    column, time = known.column[inside], known.time[inside]
    return Fired.at(column, time, {"old_m3": known.old_m3[inside], "new_m3": known.new_m3[inside]})


def reset(case: Case) -> Fired:
    """V05: fell to near zero without an event, too far from the end to have rolled over."""
    return _steps(case, Step.RESET)


def backwards(case: Case) -> Fired:
    """V06: fell by more than the smallest step, and neither rolled over nor began anew."""
    return _steps(case, Step.BACKWARDS)


def too_fast(case: Case) -> Fired:
    """V07: grew by more than 1.2 times the meter's largest flow, and twice that flow more for an hour."""
    return _steps(case, Step.FAST)


def spike(case: Case) -> Fired:
    """V08: one reading is off while its neighbours fit each other."""
    steps = case.built.steps
    return Fired.at(steps.spike_column, steps.spike_time, {"value_m3": steps.spike_value})


def repeated(case: Case) -> Fired:
    """V11: the same register with the same device time came again, and not as a quick redelivery."""
    raw = case.raw
    same = np.zeros(len(raw.time), dtype=np.bool_)
    same[1:] = (raw.column[1:] == raw.column[:-1]) & (raw.time[1:] == raw.time[:-1])
    same[1:] &= raw.value[1:] == raw.value[:-1]
    start = np.maximum.accumulate(np.where(same, 0, np.arange(len(raw.time))))
    late = same & (raw.received - raw.received[start] > case.limits.repeat_us)
    copies = np.bincount(start[late], minlength=len(raw.time))
    row = np.flatnonzero(copies)
    return Fired.at(raw.column[row], raw.time[row], {"copies": copies[row].astype(np.float64)})


def sum_check(case: Case) -> Fired:
    """V12: earlier estimates between two registers do not add up to the step that is known now."""
    now, before = case.built.intervals, case.before_units
    known = (before >= 0) & (now.status != Status.MISSING) & (now.step_units >= 0)
    began = known.copy()
    began[1:] &= ~known[:-1]
    column, day = np.nonzero(known.T)
    starts = np.flatnonzero(began[day, column])
    if len(starts) == 0:
        return Fired.at(np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64), {})
    told = np.add.reduceat(before[day, column], starts)
    true = np.add.reduceat(now.units[day, column], starts)
    off = told != true
    first, last = starts[off], np.append(starts[1:], len(day))[off] - 1
    unit = case.registers.resolution_m3[column[first]]
    numbers = {"estimated_m3": told[off] * unit, "register_m3": true[off] * unit}
    since, until = case.bounds[day[first]], case.bounds[day[last] + 1]
    return Fired(column[first].astype(np.int32), since, since, until, numbers)


def _steps(case: Case, kind: Step) -> Fired:
    steps = case.built.steps
    row = np.flatnonzero(steps.kind == kind)
    before: Ints = steps.time[row - 1]
    numbers = {
        "before_m3": steps.value[row - 1],
        "after_m3": steps.value[row],
        "hours": (steps.time[row] - before) / HOUR_US,
    }
    return Fired.at(steps.column[row], steps.time[row], numbers, since=before)
