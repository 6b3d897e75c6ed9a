"""All about one alarm: guidance, journal, tickets and the trend around its onset."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from api.deps import Parts
from api.services.acts import one_alarm
from api.services.series import Series, index_of, point_of, series
from api.services.views import AlarmView, TicketView, ticket_views
from gateway.errors import RefusedError, TransientError
from gateway.model.reading import from_us
from gateway.store import alarm_rows, view_rows
from gateway.store.alarm_rows import JournalEntry

BEFORE = timedelta(minutes=30)
AFTER = timedelta(hours=2)
STALE = timedelta(minutes=5)
"""a reading older than this no longer tells how it is now (clock time)"""
_JOURNAL_LINES = 100
_TREND_WIDTH = 800


@dataclass(frozen=True, slots=True)
class AlarmDetail:
    """What an operator needs to act on one alarm."""

    view: AlarmView
    journal: Sequence[JournalEntry]
    """newest first"""
    tickets: Sequence[TicketView]


def alarm_detail(parts: Parts, alarm_id: str) -> AlarmDetail:
    """Return one alarm with its journal and tickets. Raises RefusedError 404."""
    view = one_alarm(parts, alarm_id)
    with parts.state.read() as connection:
        journal = alarm_rows.journal(connection, alarm_id, limit=_JOURNAL_LINES)
        tickets = ticket_views(parts, view_rows.tickets_of_alarm(connection, alarm_id), connection)
    return AlarmDetail(view, journal[::-1], tickets)


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest reading of the point that an alarm judges."""

    value: float | None
    """in the definition's unit; None where the reading is bad"""
    at: datetime


async def latest(parts: Parts, view: AlarmView) -> Latest | None:
    """Return the newest reading of the judged point; None if there is no point, no reading, or no answer."""
    point = point_of(view.alarm.asset, view.definition.quantity)
    if not point:
        return None
    index = await asyncio.to_thread(index_of, parts, point)
    if index is None:
        return None
    try:
        batch = await parts.store.latest(np.array([index], dtype=np.uint32))
    except TransientError:
        return None
    if not len(batch):
        return None
    return Latest(float(batch.value[0]) if batch.good[0] else None, from_us(int(batch.source_time[0])))


async def trend(parts: Parts, view: AlarmView) -> Series | None:
    """Return the judged point around the onset up to now; None if it judges none or nothing answers."""
    point = point_of(view.alarm.asset, view.definition.quantity)
    onset = view.alarm.source_at or view.alarm.condition_at or view.alarm.raised_at
    if not point or onset is None:
        return None
    end = min(parts.clock.now(), onset + AFTER) + timedelta(seconds=1)
    try:
        return await series(parts, point, onset - BEFORE, max(end, onset), _TREND_WIDTH)
    except (RefusedError, TransientError):
        return None


def limit_of(parts: Parts, view: AlarmView) -> float | None:
    """Return the limit in force at the asset, in the definition's unit: the point's own, else the default."""
    rule = view.definition
    point = next(
        (p for p in parts.network.points.values() if p.asset == view.alarm.asset and p.quantity == rule.quantity), None
    )
    own = None if point is None else (point.low if rule.kind == "low_limit" else point.high)
    if own is not None:
        return own
    if rule.limit is not None or rule.limit_of_set_pressure is None:
        return rule.limit
    station = parts.network.stations.get(view.alarm.asset)
    return None if station is None else rule.limit_of_set_pressure * station.set_pressure_gauge_kpa
