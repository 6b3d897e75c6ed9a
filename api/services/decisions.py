"""What an auditor decides: which of two values counts, and what a gas day comes to by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

import numpy as np

from api.auth import User
from api.deps import Parts
from api.roles import Act
from gateway.errors import RefusedError
from gateway.model.network import Meter
from gateway.model.reading import ReadingBatch, Severity, point_id, to_us
from gateway.store import edit_rows, view_rows
from gateway.store.edit_rows import Choice, Edit
from gateway.store.state import Transaction

BAD = int(Severity.BAD) << 6


@dataclass(frozen=True, slots=True)
class Decided:
    """What was written down; the gas days follow with the next audit, which begins soon."""

    meter: str
    who: str
    reason: str
    at: datetime


Also = Callable[[Transaction], object]
"""what is to be written together with a decision, or to refuse it"""


def _nothing_else(_connection: Transaction) -> None:
    pass


async def choose(
    parts: Parts,
    user: User,
    meter: str,
    source_time: datetime,
    value_m3: float | None,
    *,
    reason: str,
    also: Also = _nothing_else,
) -> Decided:
    """Let one of several values of a device time count; None takes a choice back.

    Raises RefusedError 401, 403, 404 for an unknown meter, 409 where no two values stand, 422 for another value or a
    day that is no longer audited; TransientError.
    """
    parts.auth.permit(user, Act.READING_DECIDE)
    known, time, now = _meter(parts, meter), to_us(source_time), parts.clock.now()
    gas_day = parts.site.gas_day
    if (gas_day.of(now) - gas_day.of(source_time)).days > parts.audit_days:
        raise RefusedError(422, "too_old", f"readings are audited for {parts.audit_days} gas days; set the day by hand")
    values = await _values(parts, meter, known, time)
    if len(values) < 2:
        raise RefusedError(409, "no_conflict", "this moment does not have several values")
    if value_m3 is not None and value_m3 not in values:
        raise RefusedError(422, "not_a_value", f"choose one of {', '.join(map(str, values))}")

    def write() -> None:
        with parts.state.write() as connection:
            also(connection)
            edit_rows.add_choice(connection, Choice(meter, time, value_m3, user.name, reason, to_us(now)))

    await asyncio.to_thread(write)
    return Decided(meter, user.name, reason, now)


async def set_day(
    parts: Parts,
    user: User,
    meter: str,
    day: date,
    volume_m3: float | None,
    *,
    reason: str,
    also: Also = _nothing_else,
) -> Decided:
    """Set a gas day by hand; None takes that back.

    Raises RefusedError 401, 403, 404 for an unknown meter or a day that was never audited, 422 for a day that has not
    ended or a volume that is no whole number of the register's steps; TransientError.
    """
    parts.auth.permit(user, Act.READING_DECIDE)
    known, now = _meter(parts, meter), parts.clock.now()
    if day >= parts.site.gas_day.of(now) or day < known.installed_on:
        raise RefusedError(422, "bad_day", "a gas day that has ended, not before the meter was installed")
    units = None
    if volume_m3 is not None:
        units = round(volume_m3 * 10**known.decimals)
        if abs(units - volume_m3 * 10**known.decimals) > 1e-6 * max(1, units):
            raise RefusedError(422, "bad_volume", f"this register counts in steps of {10.0**-known.decimals} m3")
    if not await asyncio.to_thread(parts.intervals.of_meter, meter, day, day):
        raise RefusedError(404, "unknown_day", "the audit has not written this day yet")

    def write() -> None:
        with parts.state.write() as connection:
            also(connection)
            edit_rows.add_edit(connection, Edit(meter, day.isoformat(), units, user.name, reason, to_us(now)))

    await asyncio.to_thread(write)
    return Decided(meter, user.name, reason, now)


def _meter(parts: Parts, meter: str) -> Meter:
    known = parts.network.meters.get(meter)
    if known is None:
        raise RefusedError(404, "unknown_meter")
    return known


async def _values(parts: Parts, meter: str, known: Meter, time: int) -> list[float]:
    point = point_id(meter, known.register)

    def find() -> int | None:
        with parts.state.read() as connection:
            return view_rows.point_indices(connection, [point]).get(point)

    index = await asyncio.to_thread(find)
    if index is None:
        return []
    rows: ReadingBatch = await parts.store.history(np.array([index], dtype=np.uint32), time, time + 1)
    return sorted(set(rows.value[rows.quality < BAD].tolist()))
