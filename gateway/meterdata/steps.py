"""What a register did between two readings: grew, rolled over, was exchanged, or did what no meter does. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from gateway.meterdata.series import HOUR_US, Columns, Exchanges, Flags, Floats, Ints, Registers, Series

NEAR_END = 0.1
"""share of the register's range that counts as near its end, or near zero, where the meter's size is not known"""
NEAR_ZERO = 0.01
"""share of the register's range below which a fallen register may have started anew"""


GRAINS = 2.0**18
"""parts of a cubic metre that are told apart"""
NOT_READ = (0.0, 65_535.0, 4_294_967_295.0)
"""what devices send in the place of a register that they could not read: no bit, or all bits of one or two words"""
MOST_LASTING, MORE_FOR_AN_HOUR = 1.2, 2.0
"""times its largest flow that a meter counts for long, and how many more for an hour: a burner too many is no error"""
MOST_M3 = 2.0**31
"""more than any register shows"""


class Step(IntEnum):
    """How a register came from one reading to the next."""

    FIRST = 0
    PLAIN = 1
    ROLLOVER = 2
    EXCHANGE = 3
    """the new meter's first register, as written down"""
    UNKNOWN = 4
    """an exchange without written registers lies between"""
    RESET = 5
    """fell to near zero, too far below the register's end to have rolled over"""
    BACKWARDS = 6
    FAST = 7
    """more than the meter can count in the time"""


LAST_FINE = Step.EXCHANGE
"""steps up to this one are what a meter makes; the others break the register"""


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """Readings and exchanged registers in order, each with the step that led to it; lone spikes stand apart."""

    column: Columns
    time: Ints
    value: Floats
    """as read; NaN = a register that nobody wrote down at an exchange"""
    growth: Floats
    """m3 since the row before, rollovers undone; 0 where there is no step or its size is unknown"""
    kind: Ints
    """a `Step`"""
    spike_column: Columns
    spike_time: Ints
    spike_value: Floats

    @property
    def fine(self) -> Flags:
        """True where the step is one that a meter makes."""
        return np.asarray(self.kind <= LAST_FINE)


@dataclass(frozen=True, slots=True, eq=False)
class Unrolled:
    """Registers as if they never rolled over and never were exchanged."""

    column: Columns
    time: Ints
    value: Floats
    breaks: Ints
    """number of steps so far that no meter makes; steps across one are unknown"""


def unroll(series: Series, registers: Registers, exchanges: Exchanges) -> Unrolled:
    """Join the pieces of each register: rollovers and recorded exchanges are undone, lone spikes left out.

    A step back that is no rollover, and one faster than the meter can count, is a break.
    """
    return join(classify(series, registers, exchanges))


def join(steps: Steps) -> Unrolled:
    """Add up the steps of each register, beginning with its first known value.

    What the registers' own steps and the growth differ by is added up in whole grains, so that the result of one
    register depends on no other, and the growth between two rows on no row before them.
    """
    breaks = np.cumsum(~steps.fine, dtype=np.int64)
    known = np.isfinite(steps.value)
    column, time, value = steps.column[known], steps.time[known], in_grains(steps.value[known])
    step = np.diff(value, prepend=value[:1])
    first = first_of(column)
    moved = np.flatnonzero(~first & ((steps.kind[known] != Step.PLAIN) | (step < 0.0)))
    lifted = np.zeros(len(step), dtype=np.int64)
    lifted[moved] = ((in_grains(steps.growth[known][moved]) - step[moved]) * GRAINS).astype(np.int64)
    total = np.cumsum(lifted)
    starts = np.flatnonzero(first)
    base = np.repeat(total[starts], np.diff(np.append(starts, len(column))))
    return Unrolled(column, time, value + (total - base) / GRAINS, breaks[known])


def in_grains(value: Floats) -> Floats:
    """Round volumes to some millilitres, in whole powers of two, so that their sums and differences are exact."""
    return np.asarray(np.rint(np.clip(value, -MOST_M3, MOST_M3) * GRAINS) / GRAINS)


def classify(series: Series, registers: Registers, exchanges: Exchanges) -> Steps:
    """Say of each step what it is. `series` is settled: each device time once."""
    column, time, value, fresh = _with_exchanges(series, exchanges)
    spike = _not_read(column, time, value, fresh, registers)
    # lone rows are found among the others, so that a good one between two of these is none
    rest = ~spike if spike.any() else slice(None)
    growth, kind = _steps(column[rest], time[rest], value[rest], fresh[rest], registers)
    spike[rest] = _spikes(column[rest], time[rest], value[rest], kind <= LAST_FINE, registers)
    spikes = column[spike], time[spike], value[spike]
    if spike.any():
        keep = ~spike
        column, time, value, fresh = column[keep], time[keep], value[keep], fresh[keep]
        growth, kind = _steps(column, time, value, fresh, registers)
    return Steps(column, time, value, growth, kind, *spikes)


def first_of(column: Columns) -> Flags:
    """Mark the first row of each asset; the rows are sorted by asset."""
    first = np.ones(len(column), dtype=np.bool_)
    first[1:] = column[1:] != column[:-1]
    return first


def _with_exchanges(series: Series, exchanges: Exchanges) -> tuple[Columns, Ints, Floats, Flags]:
    """Add the two registers of each exchange as readings; `fresh` marks where a new meter begins."""
    extra = len(exchanges.time)
    if not extra:
        return series.column, series.time, series.value, np.zeros(len(series.time), dtype=np.bool_)
    column = np.concatenate([series.column, exchanges.column, exchanges.column])
    time = np.concatenate([series.time, exchanges.time - 1, exchanges.time])
    value = np.concatenate([series.value, exchanges.old_m3, exchanges.new_m3])
    fresh = np.zeros(len(time), dtype=np.bool_)
    fresh[len(time) - extra :] = True
    order = np.lexsort((~fresh, time, column))
    return column[order], time[order], value[order], fresh[order]


def largest_growth_m3(max_flow_m3h: Floats, gap_us: Ints) -> Floats:
    """Return how much a meter of a largest flow can count in a time, m3; infinite where the flow is 0: unknown."""
    flow = np.where(max_flow_m3h > 0, max_flow_m3h, np.inf)
    # readings are stamped to the minute at best: a short gap may hold a minute more of flow than it seems
    hours = gap_us / HOUR_US + 1.0 / 60.0
    return np.asarray((MOST_LASTING * hours + MORE_FOR_AN_HOUR * np.minimum(hours, 1.0)) * flow)


def allowed_m3(column: Columns, gap_us: Ints, registers: Registers) -> Floats:
    """Return how much each register may grow in a time, m3; infinite where the meter's size is unknown."""
    return largest_growth_m3(registers.max_flow_m3h[column], gap_us) + (2.0 * registers.resolution_m3)[column]


def _steps(column: Columns, time: Ints, value: Floats, fresh: Flags, registers: Registers) -> tuple[Floats, Ints]:
    """Return the growth into each row, and what kind of step it is."""
    step = np.diff(value, prepend=value[:1])
    allowed = allowed_m3(column, np.diff(time, prepend=time[:1]), registers)
    new = first_of(column)
    # most rows are plain: what else they may be is asked of the others alone
    odd = np.flatnonzero(new | fresh | ~((step >= -registers.resolution_m3[column]) & (step <= allowed)))
    kind, growth = np.full(len(step), int(Step.PLAIN), dtype=np.int64), np.maximum(step, 0.0)
    at, value, before = column[odd], value[odd], value[np.maximum(odd - 1, 0)]
    step, allowed = step[odd], allowed[odd]
    modulus = registers.modulus[at]
    falls = step < -registers.resolution_m3[at]
    rolled = step + modulus
    near = np.isfinite(allowed) | ((before >= (1.0 - NEAR_END) * modulus) & (value <= NEAR_END * modulus))
    is_roll = falls & (rolled >= 0) & (rolled <= allowed) & near
    restarts = falls & (value <= np.minimum(allowed, NEAR_ZERO * modulus)) & (value < 0.5 * before)
    kind[odd] = np.select(
        [new[odd], np.isnan(step), fresh[odd], is_roll, restarts, falls, step > allowed],
        [Step.FIRST, Step.UNKNOWN, Step.EXCHANGE, Step.ROLLOVER, Step.RESET, Step.BACKWARDS, Step.FAST],
        Step.PLAIN,
    )
    growth[odd] = np.where(
        kind[odd] == Step.ROLLOVER, rolled, np.where(kind[odd] == Step.PLAIN, np.maximum(step, 0.0), 0.0)
    )
    return growth, kind


def _spikes(column: Columns, time: Ints, value: Floats, fine: Flags, registers: Registers) -> Flags:
    """Mark lone rows that are off while their neighbours fit each other."""
    spike = np.zeros(len(value), dtype=np.bool_)
    if len(value) < 3:
        return spike
    odd = np.flatnonzero(~(fine[1:-1] & fine[2:])) + 1
    before, after = odd - 1, odd + 1
    across, gap = value[after] - value[before], time[after] - time[before]
    fits = (across >= 0) & (across <= allowed_m3(column[after], gap, registers))
    spike[odd] = (column[after] == column[before]) & fits
    spike[1:] &= ~spike[:-1]
    return spike


def _not_read(column: Columns, time: Ints, value: Floats, fresh: Flags, registers: Registers) -> Flags:
    """Mark the rows, one or many in a row, that hold such a value while the register goes on behind them as before.

    After a rollover or an exchange it goes on lower, and a register that passes such a value goes on above it.
    """
    found = np.isin(value, NOT_READ) & ~fresh
    if not found.any():
        return found
    row = np.arange(len(value))
    before = np.maximum.accumulate(np.where(found, -1, row))
    after = np.minimum.accumulate(np.where(found, len(value), row)[::-1])[::-1]
    found &= (before >= 0) & (after < len(value))
    at = np.flatnonzero(found)
    first, then = before[at], after[at]
    old, new = value[first], value[then]
    alone = (column[first] == column[at]) & (column[then] == column[at]) & ~fresh[then]
    goes_on = (new >= old) & (new - old <= allowed_m3(column[at], time[then] - time[first], registers))
    found[at] = alone & goes_on & ((value[at] < old) | (value[at] > new))
    return found
