"""How far a device's clock is off, from when its messages came. Pure.

A message arrives after it was sent, never before: the lower envelope of (arrival - stamp) is the clock's offset plus
the fastest way of a message. Waiting can only add to it, so a fall of the envelope is always a clock that went
ahead; a rise is one that went back only if the stamp is the moment of sending.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.meterdata.series import AHEAD_US, DAY_US, HOUR_US, Columns, Flags, Floats, Ints

WINDOW_US = 7 * DAY_US
BLOCK_US = 6 * HOUR_US
BLOCKS = WINDOW_US // BLOCK_US + 1
"""of a window that begins anywhere in a block: blocks lie fixed in time, so that an epoch begins where it did"""
SUSPECT_US = 300_000_000
"""a clock this far off is a finding"""
FAR_US = 2 * DAY_US
"""a stamp further ahead than this comes from a clock that was never set, or is garbled"""
JUMP_US = 60_000_000
DRIFT_PPM = 50.0
DRIFT_US = 10_000_000
"""a drift shows only once it has moved the clock by this much: the ways of messages differ by seconds"""


@dataclass(frozen=True, slots=True, eq=False)
class Clocks:
    """What is known of n clocks at one moment."""

    offset_us: Floats
    """device clock less ours, positive = ahead; NaN without messages"""
    spread_us: Floats
    """how much the envelope itself varied"""
    drift_ppm: Floats
    """0 unless it is plain"""
    jumped_at: Ints
    """us: beginning of the six hours in which a new epoch of the clock began, -1 = none seen"""
    only_bound: Flags
    """True: there was no time of sending, so a device may only be known to be ahead, never to be behind"""

    @property
    def suspect(self) -> Flags:
        """True where the clock is too far off."""
        behind = ~self.only_bound & (self.offset_us < -SUSPECT_US)
        return np.asarray((self.offset_us > SUSPECT_US) | behind)

    def or_else(self, other: Clocks, mine: Flags) -> Clocks:
        """Return what is known here where `mine` is True, and of the other elsewhere."""
        return Clocks(
            np.where(mine, self.offset_us, other.offset_us),
            np.where(mine, self.spread_us, other.spread_us),
            np.where(mine, self.drift_ppm, other.drift_ppm),
            np.where(mine, self.jumped_at, other.jumped_at),
            np.where(mine, self.only_bound, other.only_bound),
        )


def clock_offsets(
    assets: int, column: Columns, stamp: Ints, received: Ints, until_us: int, *, sent: bool = False
) -> Clocks:
    """Return the offsets from the messages of the seven days before `until_us`.

    `stamp` is the device's moment of sending if `sent`, else the source time of a reading; then only the newest
    reading of each message counts.
    """
    rows = (received > until_us - WINDOW_US) & (received <= until_us)
    column, stamp, received = column[rows], stamp[rows], received[rows]
    if not sent:
        column, stamp, received = _newest_of_each_message(column, stamp, received)
    low, at = _block_minima(assets, column, received - stamp, received, until_us)
    jumped = _jumps(low, sent=sent)
    epoch = np.where(np.arange(BLOCKS)[:, None] >= jumped[None, :], low, np.nan)
    drift, level = _drift(epoch, at, until_us)
    floor = _nanmin(epoch)
    spread = _nanmedian(epoch) - floor
    began = np.where(jumped > 0, _first_block(until_us) + jumped * BLOCK_US, -1)
    return Clocks(-np.where(drift != 0, level, floor), spread, drift, began.astype(np.int64), np.full(assets, not sent))


def taken(column: Columns, stamp: Ints, received: Ints, value: Floats) -> Ints:
    """Return when readings were taken, us UTC: stamps of clocks that run ahead are set back until they fit.

    No reading is taken after it came, so a message whose newest stamp lies ahead of its arrival comes from a clock
    that is ahead by that much at least, and all its stamps are. What lies further ahead than `FAR_US` is no drift, and
    stays as it is. A message is judged by itself, and one that was sent twice by its first arrival: what comes later
    changes nothing.
    """
    ahead = stamp - received
    drifts = ahead <= FAR_US
    found = drifts & (ahead > AHEAD_US)
    if not found.any():
        return stamp
    often = np.bincount(column[found], minlength=int(column.max()) + 1) > 0
    rows = np.flatnonzero(often[column] & drifts)
    rows = rows[np.lexsort((received[rows], column[rows]))]
    message = _begins(column[rows], received[rows])
    most = np.maximum.reduceat(ahead[rows], message)
    back = np.where(most > AHEAD_US, most, 0)
    time = stamp[rows] - np.repeat(back, np.diff(np.append(message, len(rows))))
    again = np.lexsort((received[rows], value[rows], stamp[rows], column[rows]))
    rows, time = rows[again], time[again]
    reading = _begins(column[rows], stamp[rows], value[rows])
    result = stamp.copy()
    result[rows] = np.repeat(time[reading], np.diff(np.append(reading, len(rows))))
    return result


def _begins(*keys: Columns | Ints | Floats) -> NDArray[np.intp]:
    """Return the rows at which sorted keys change, the first one included."""
    change = np.ones(len(keys[0]), dtype=np.bool_)
    change[1:] = np.logical_or.reduce([key[1:] != key[:-1] for key in keys])
    return np.flatnonzero(change)


def _newest_of_each_message(column: Columns, stamp: Ints, received: Ints) -> tuple[Columns, Ints, Ints]:
    order = np.lexsort((stamp, received, column))
    column, stamp, received = column[order], stamp[order], received[order]
    last = np.ones(len(column), dtype=np.bool_)
    last[:-1] = (column[1:] != column[:-1]) | (received[1:] != received[:-1])
    return column[last], stamp[last], received[last]


def _block_minima(assets: int, column: Columns, delay: Ints, received: Ints, until_us: int) -> tuple[Floats, Floats]:
    """Return the smallest delay of each six hours, shape (block, asset), and when that message came."""
    block = (received - _first_block(until_us)) // BLOCK_US
    order = np.lexsort((-received, -delay))
    low, at = np.full((BLOCKS, assets), np.nan), np.full((BLOCKS, assets), np.nan)
    # the last of several writes to one place stays: the smallest delay
    low[block[order], column[order]] = delay[order]
    at[block[order], column[order]] = received[order]
    return low, at


def _first_block(until_us: int) -> int:
    return (until_us - WINDOW_US) // BLOCK_US * BLOCK_US


def _jumps(low: Floats, *, sent: bool) -> Ints:
    """Return the block in which each clock's newest epoch begins, 0 if it never jumped."""
    began = np.zeros(low.shape[1], dtype=np.int64)
    before = np.full(low.shape[1], np.nan)
    floor_after = np.full((BLOCKS + 1, low.shape[1]), np.inf)
    for block in range(BLOCKS - 1, -1, -1):
        floor_after[block] = np.fmin(floor_after[block + 1], low[block])
    # a single late stretch at the end may still be a slow way of the messages
    lasting = np.cumsum(np.isfinite(low)[::-1], axis=0)[::-1] >= 2
    for block in range(BLOCKS):
        here = low[block]
        with np.errstate(invalid="ignore"):
            ahead = before - here > JUMP_US
            back = (floor_after[block] - before > JUMP_US) & lasting[block] & np.isfinite(here)
        jump = ahead | (back & sent)
        began[jump] = block
        before = np.where(np.isnan(here), before, np.where(jump, here, np.fmin(before, here)))
    return began


def _drift(low: Floats, at: Floats, until_us: int) -> tuple[Floats, Floats]:
    """Return the drift (ppm, positive = the clock gains) and the envelope at `until_us`, from its two halves."""
    known = np.isfinite(low)
    half = np.cumsum(known, axis=0) * 2 <= known.sum(axis=0)
    early, early_at = _lowest(np.where(half, low, np.nan), at)
    late, late_at = _lowest(np.where(half, np.nan, low), at)
    with np.errstate(invalid="ignore", divide="ignore"):
        slope = (late - early) / (late_at - early_at)
        plain = (np.abs(slope) * 1e6 > DRIFT_PPM) & (np.abs(late - early) > DRIFT_US)
    drift = np.where(plain, -slope * 1e6, 0.0)
    return drift, np.where(plain, late + slope * (until_us - late_at), late)


def _lowest(low: Floats, at: Floats) -> tuple[Floats, Floats]:
    row = np.argmin(np.where(np.isnan(low), np.inf, low), axis=0)
    column = np.arange(low.shape[1])
    return low[row, column], at[row, column]


def _nanmin(table: Floats) -> Floats:
    lowest = np.min(np.where(np.isnan(table), np.inf, table), axis=0, initial=np.inf)
    return np.where(np.isinf(lowest), np.nan, lowest)


def _nanmedian(table: Floats) -> Floats:
    result = np.full(table.shape[1], np.nan)
    some = np.isfinite(table).any(axis=0)
    if some.any():
        result[some] = np.nanmedian(table[:, some], axis=0)
    return result
