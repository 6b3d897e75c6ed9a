"""Which readings reach the company, stamped how and when: late, doubled, out of order, or never."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from simulators.meters.battery import battery_v, low_battery
from simulators.meters.habits import Habits, Way
from simulators.meters.sheets import Sheet, daily_sheet, hourly_sheet, single_sheet, visits_sheet
from simulators.meters.troubles import (
    DEATH_BLOCK_H,
    LONGEST_OUTAGE_H,
    OUTAGE_BLOCK_H,
    RESET_BLOCK_H,
    clock_error_s,
    deaths,
    outages,
    resets,
    touching,
)

FLAG_LOW_BATTERY, FLAG_CLOCK_RESET = 8, 16
CLOCK_ORIGIN_S = 946_684_800
"""2000-01-01 UTC: where a clock starts that has lost its power"""

HOUR_MS = 3_600_000
LONGEST_DELAY_H = 24 * 8 + LONGEST_OUTAGE_H + 24 * 5
"""no reading that arrives at all takes longer"""

_AT_ONCE = 200_000
_FLAGGED_AFTER_H = 24
_BURST_MS = 2_700_000
_COPIES_WITHIN_H = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Arrivals:
    """Columns of readings as they arrived, in no particular order."""

    meter: NDArray[np.int32]
    """column of the meter"""
    hour: NDArray[np.int64]
    """whole hour since 1970 UTC at whose begin the register was read"""
    stamped_us: NDArray[np.int64]
    """what the device's clock said then"""
    received_us: NDArray[np.int64]
    copy: NDArray[np.uint8]
    """0 for the first arrival, 1 and 2 for repetitions"""
    flags: NDArray[np.uint32]
    """8 low battery, 16 clock reset"""
    battery_v: NDArray[np.float32]

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.meter)

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Self:
        """Return some of the rows."""
        return type(self)(*(getattr(self, field.name)[chosen] for field in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return all rows of several; of no part, no row."""
        if not parts:
            none = np.empty(0, np.int64)
            return cls(none.astype(np.int32), none, none, none, none.astype(np.uint8), none.astype(np.uint32),
                       none.astype(np.float32))  # fmt: skip
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


Silence = tuple[int, int, int]
"""(column, first hour, end hour): in between the meter reads nothing and nothing arrives"""
Presented = tuple[NDArray[np.intp], NDArray[np.int64]]
"""(columns, whole hours) at which customers brought their cards"""


def arrivals(
    habits: Habits,
    first_hour: int,
    count: int,
    silences: Sequence[Silence] = (),
    presented: Presented | None = None,
) -> Arrivals:
    """Return what arrives, perhaps days later, of the readings taken in `count` hours.

    Which hours and which other meters are asked for in the same call changes no row. `presented` replaces the days
    on which this module lets customers bring their cards.
    """
    return Arrivals.joined(list(iter_arrivals(habits, first_hour, count, silences, presented)))


def iter_arrivals(
    habits: Habits,
    first_hour: int,
    count: int,
    silences: Sequence[Silence] = (),
    presented: Presented | None = None,
) -> Iterator[Arrivals]:
    """Yield `arrivals` in pieces of some 200,000 readings, by the hour of reading."""
    if count <= 0 or not len(habits):
        return
    groups = [_group(habits, ways, silences, presented) for ways in _TOGETHER]
    step = max(24, _AT_ONCE // len(habits))
    for first in range(first_hour, first_hour + count, step):
        rows = min(step, first_hour + count - first)
        for group in groups:
            if len(group.columns):
                sheet = _sheet(group, first, rows)
                if sheet.received_ms.size:
                    yield _finish(group, sheet)


_TOGETHER = ((Way.HOURLY,), (Way.DAILY_24,), (Way.DAILY_1,), (Way.WALK, Way.CARD))
"""ways that share a table"""


@dataclass(frozen=True, slots=True, eq=False)
class _Group:
    way: Way
    columns: NDArray[np.intp]
    habits: Habits
    silences: list[Silence]
    """with columns of the group, as has `presented`"""
    presented: Presented | None


def _group(habits: Habits, ways: Sequence[Way], silences: Sequence[Silence], presented: Presented | None) -> _Group:
    columns = np.flatnonzero(np.isin(habits.way, ways))
    if presented is not None:
        mine = np.isin(presented[0], columns)
        presented = np.searchsorted(columns, presented[0][mine]), presented[1][mine]
    return _Group(ways[0], columns, habits.part(columns), _own_silences(silences, columns), presented)


def _sheet(group: _Group, first_hour: int, count: int) -> Sheet:
    if group.way is Way.HOURLY:
        return hourly_sheet(group.habits, first_hour, count)
    if group.way is Way.DAILY_24:
        return daily_sheet(group.habits, first_hour, count)
    if group.way is Way.DAILY_1:
        return single_sheet(group.habits, first_hour, count)
    return visits_sheet(group.habits, first_hour, count, group.presented)


def _own_silences(silences: Sequence[Silence], columns: NDArray[np.intp]) -> list[Silence]:
    place = {int(column): number for number, column in enumerate(columns)} if silences else {}
    return [(place[column], first, end) for column, first, end in silences if column in place]


def _finish(group: _Group, sheet: Sheet) -> Arrivals:
    """Let the troubles act on a sheet of readings, then list its rows."""
    habits, columns = group.habits, group.columns
    if sheet.by_itself:
        _hold_back(habits, sheet)
        _die(habits, sheet)
    for silent, first, end in group.silences:
        _drop_within(sheet, np.array([silent]), np.array([float(first)]), np.array([float(end)]))
    stamped_ms, clock_flag = _stamps(habits, sheet.hour)
    voltage = battery_v(habits, sheet.hour)
    flags = (clock_flag * np.uint32(FLAG_CLOCK_RESET)) | (
        low_battery(habits, voltage) * np.uint32(FLAG_LOW_BATTERY)
    ).astype(np.uint32)
    shape, parts = sheet.received_ms.shape, []
    hour, stamped_ms = np.broadcast_to(sheet.hour, shape), np.broadcast_to(stamped_ms, shape)
    flags, voltage = np.broadcast_to(flags, shape), np.broadcast_to(voltage, shape)
    for copy in range(3):
        row, column = np.nonzero(sheet.kept & (sheet.copies >= copy) if copy else sheet.kept)
        received_ms = sheet.received_ms[row, column]
        if copy:
            received_ms += sheet.repeat_ms[row, column] * copy
        parts.append(
            Arrivals(
                columns[column].astype(np.int32),
                hour[row, column],
                stamped_ms[row, column] * 1000,
                received_ms * 1000,
                np.full(len(row), copy, dtype=np.uint8),
                flags[row, column],
                voltage[row, column],
            )
        )
    return Arrivals.joined(parts)


def _hold_back(habits: Habits, sheet: Sheet) -> None:
    """Let uploads wait for their concentrator, which then sends them in any order, or lose them with it."""
    first = float(sheet.hour.min())
    last = float(sheet.received_ms.max()) / HOUR_MS + 2.0 * (LONGEST_OUTAGE_H + 1.0)  # one may lead into another
    for spells in touching(outages, OUTAGE_BLOCK_H, habits, first, last):
        at = spells.columns(first, last)
        received = sheet.received_ms[:, at]
        end_ms = np.ceil(spells.end_hour[at] * HOUR_MS).astype(np.int64)
        within = (received >= spells.first_hour[at] * HOUR_MS) & (received < end_ms)
        late = end_ms + (sheet.draw[:, at] * 4099.0 % 1.0 * _BURST_MS).astype(np.int64)
        sheet.received_ms[:, at] = np.where(within & ~spells.lost[at], late, received)
        sheet.kept[:, at] &= ~(within & spells.lost[at])


def _die(habits: Habits, sheet: Sheet) -> None:
    first, last = float(sheet.hour.min()), float(sheet.received_ms.max()) / HOUR_MS + _COPIES_WITHIN_H
    for spells in touching(deaths, DEATH_BLOCK_H, habits, first, last):
        at = spells.columns(first, last)
        _drop_within(sheet, at, spells.first_hour[at], spells.end_hour[at])


def _drop_within(
    sheet: Sheet, at: NDArray[np.intp], first_hour: NDArray[np.float64], end_hour: NDArray[np.float64]
) -> None:
    """Drop what is read or would arrive within a span of each of some columns, copies too."""
    hour = sheet.hour if sheet.hour.shape[1] == 1 else sheet.hour[:, at]
    arrives = sheet.received_ms[:, at] / HOUR_MS
    reads = (hour >= first_hour) & (hour < end_hour)
    sheet.kept[:, at] &= ~(reads | ((arrives >= first_hour) & (arrives < end_hour)))
    sheet.copies[:, at] = np.where(
        (hour < first_hour) & (arrives + _COPIES_WITHIN_H >= first_hour), 0, sheet.copies[:, at]
    )


def _stamps(habits: Habits, hour: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    """Return (what the meters' clocks say at hours, ms; 1 where they were reset), shape (rows, meters)."""
    stamped = hour * HOUR_MS + np.round(1000.0 * clock_error_s(habits, hour)).astype(np.int64)
    flag = np.zeros(stamped.shape, dtype=np.uint32)
    first, last = float(hour.min()), float(hour.max()) + 1.0
    for spells in touching(resets, RESET_BLOCK_H, habits, first - _FLAGGED_AFTER_H, last):
        at = spells.columns(first - _FLAGGED_AFTER_H, last)
        mine = hour if hour.shape[1] == 1 else hour[:, at]
        begun, since_ms = spells.first_hour[at], (mine - spells.first_hour[at]) * HOUR_MS
        within = (mine >= begun) & (mine < spells.end_hour[at])
        stamped[:, at] = np.where(within, CLOCK_ORIGIN_S * 1000 + since_ms.astype(np.int64), stamped[:, at])
        flag[:, at] |= (mine >= begun) & (mine < spells.end_hour[at] + _FLAGGED_AFTER_H)
    return stamped, flag
