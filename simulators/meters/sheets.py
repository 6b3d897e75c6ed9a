"""The readings that meters take and send if nothing special happens, one table for each way of reading."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators import noise
from simulators.meters.habits import Habits, Way
from simulators.weather import UTC_OFFSET_H

_STREAM = 490
HOUR_MS, DAY_MS = 3_600_000, 86_400_000
_LATEST_HOURLY, _LATEST_DAILY = 48, 7
"""uploads that are made up for later wait so many hours or days at most, then they are lost"""
_NOBODY_HOME = 0.12


@dataclass(frozen=True, slots=True, eq=False)
class Sheet:
    """Readings of m meters in r rows, to be changed in place until they are listed."""

    hour: NDArray[np.int64]
    """when they are read, shape (r, 1) or (r, m)"""
    received_ms: NDArray[np.int64]
    """shape (r, m), as are the others"""
    kept: NDArray[np.bool_]
    copies: NDArray[np.int8]
    """how many times more they arrive"""
    repeat_ms: NDArray[np.int64]
    """time from one copy to the next"""
    draw: NDArray[np.float64]
    """a number in (0, 1) that belongs to the upload"""
    by_itself: bool
    """the meters send; nobody visits them"""


@dataclass(frozen=True, slots=True, eq=False)
class _Uploads:
    late: NDArray[np.int64]
    """at which later time of uploading it succeeds"""
    kept: NDArray[np.bool_]
    delay_ms: NDArray[np.int64]
    copies: NDArray[np.int8]
    repeat_ms: NDArray[np.int64]
    draw: NDArray[np.float64]


def hourly_sheet(habits: Habits, first_hour: int, count: int) -> Sheet:
    """Send each hour's reading some seconds or minutes after it."""
    hour = np.arange(first_hour, first_hour + count, dtype=np.int64)[:, None]
    sent = _uploads(habits, hour, _LATEST_HOURLY)
    received = (hour + sent.late) * HOUR_MS + habits.upload_s * 1000 + sent.delay_ms
    return Sheet(hour, received, sent.kept, sent.copies, sent.repeat_ms, sent.draw, by_itself=True)


def daily_sheet(habits: Habits, first_hour: int, count: int) -> Sheet:
    """Send each hour's reading with the day's next upload, 24 together."""
    hour = np.arange(first_hour, first_hour + count, dtype=np.int64)[:, None]
    day = -((habits.upload_s - (hour + UTC_OFFSET_H) * 3600) // 86_400)
    first_day = int(day.min())
    days = np.arange(first_day, int(day.max()) + 1, dtype=np.int64)[:, None]
    sent = _uploads(habits, days, _LATEST_DAILY)
    received = _daily_ms(habits, days, sent)
    row, column = day - first_day, np.arange(len(habits))
    return Sheet(hour, received[row, column], sent.kept[row, column], sent.copies[row, column],
                 sent.repeat_ms[row, column], sent.draw[row, column], by_itself=True)  # fmt: skip


def single_sheet(habits: Habits, first_hour: int, count: int) -> Sheet:
    """Send one reading a day, at the hour before the upload."""
    begin, end = (first_hour + UTC_OFFSET_H) // 24, (first_hour + count - 1 + UTC_OFFSET_H) // 24
    days = np.arange(begin, end + 1, dtype=np.int64)[:, None]
    hour = 24 * days + habits.upload_s // 3600 - UTC_OFFSET_H
    sent = _uploads(habits, days, _LATEST_DAILY)
    inside = (hour >= first_hour) & (hour < first_hour + count)
    return Sheet(hour, _daily_ms(habits, days, sent), sent.kept & inside, sent.copies, sent.repeat_ms, sent.draw,
                 by_itself=True)  # fmt: skip


def visits_sheet(
    habits: Habits,
    first_hour: int,
    count: int,
    presented: tuple[NDArray[np.intp], NDArray[np.int64]] | None = None,
) -> Sheet:
    """List what people read on their rounds, and the cards that customers bring."""
    every, first_day = habits.every_d, habits.upload_s // 86_400
    wobble = np.minimum(4, every // 4)
    day = (first_hour + UTC_OFFSET_H) // 24
    last_day = (first_hour + count - 1 + UTC_OFFSET_H) // 24
    earliest = (day - 4 - first_day) // every
    visits = int(((last_day + 4 - first_day) // every - earliest).max()) + 1
    visit = earliest + np.arange(visits, dtype=np.int64)[:, None]
    draw = noise.uniform(habits.seed, _STREAM, habits.key, visit)
    shift = np.floor((2 * wobble + 1) * draw).astype(np.int64) - wobble
    hour_draw = noise.uniform(habits.seed, _STREAM + 1, habits.key, visit)
    walk = habits.way == Way.WALK
    at_local = np.where(walk, 8 + np.floor(10 * hour_draw), 7 + np.floor(14 * hour_draw)).astype(np.int64)
    hour = 24 * (first_day + visit * every + shift) + at_local - UTC_OFFSET_H
    kept = (hour >= first_hour) & (hour < first_hour + count)
    kept &= ~(walk & (noise.uniform(habits.seed, _STREAM + 2, habits.key, visit) < _NOBODY_HOME))
    if presented is not None:
        hour, kept = _brought(hour, kept & walk, presented, range(first_hour, first_hour + count))
        draw = noise.uniform(habits.seed, _STREAM + 3, habits.key, hour)
    handed_in_h = np.where(draw * 97.0 % 1.0 < 0.7, 1.0 + 9.0 * draw, 24.0 + 60.0 * draw)
    received = hour * HOUR_MS + (np.where(walk, handed_in_h * HOUR_MS, 2000.0 + 58_000.0 * draw)).astype(np.int64)
    nothing = np.zeros(hour.shape, dtype=np.int8)
    copies = (noise.uniform(habits.seed, _STREAM + 4, habits.key, hour) < habits.doubled).astype(np.int8)
    return Sheet(hour, received, kept, copies, nothing.astype(np.int64) + 3_000, draw, by_itself=False)


def _brought(
    hour: NDArray[np.int64],
    kept: NDArray[np.bool_],
    presented: tuple[NDArray[np.intp], NDArray[np.int64]],
    span: range,
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Add a row for each time a card was brought: its column is kept there."""
    inside = (presented[1] >= span.start) & (presented[1] < span.stop)
    columns, hours = presented[0][inside], presented[1][inside]
    more_kept = np.zeros((len(hours), kept.shape[1]), dtype=np.bool_)
    more_kept[np.arange(len(hours)), columns] = True
    more = np.broadcast_to(hours[:, None], more_kept.shape)
    return np.concatenate([hour, more]), np.concatenate([kept, more_kept])


def _daily_ms(habits: Habits, days: NDArray[np.int64], sent: _Uploads) -> NDArray[np.int64]:
    begin_ms = (days + sent.late) * DAY_MS - UTC_OFFSET_H * HOUR_MS
    return np.asarray(begin_ms + habits.upload_s * 1000 + sent.delay_ms, dtype=np.int64)


def _uploads(habits: Habits, slot: NDArray[np.int64], latest: int) -> _Uploads:
    """Draw the fate of uploads; slow ones are the likeliest to come twice, since their sender hears nothing."""
    fate = noise.uniform(habits.seed, _STREAM + 5, habits.key, slot)
    draw = noise.uniform(habits.seed, _STREAM + 6, habits.key, slot)
    late = np.zeros(fate.shape, dtype=np.int64)
    lost = habits.lost
    failed = lost + (1.0 - lost) * habits.failed
    row, column = np.nonzero((fate >= lost) & (fate < failed))
    chance = habits.failed[column]
    within = (fate[row, column] - lost[column]) / (failed - lost)[column]
    tries = np.log(np.maximum(within, 1e-300)) / np.log(chance)
    late[row, column] = 1 + np.minimum(tries, latest).astype(np.int64)
    delay_ms = (1500.0 - 4000.0 * np.log(draw)).astype(np.int64)
    copies = (draw < habits.doubled).astype(np.int8) + (draw < 0.1 * habits.doubled).astype(np.int8)
    repeat_ms = (5000.0 + 600_000.0 * (draw * 8191.0 % 1.0) ** 2).astype(np.int64)
    return _Uploads(late, (fate >= lost) & (late <= latest), delay_ms, copies, repeat_ms, draw)
