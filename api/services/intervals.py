"""What an auditor sees of a meter: raw readings, verdicts, and the gas days with their estimates and reasons."""

from __future__ import annotations

import asyncio
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby

import numpy as np

from api.deps import Parts
from gateway.errors import RefusedError
from gateway.meterdata.rules import RULES
from gateway.meterdata.series import DAY_US
from gateway.model.network import Meter
from gateway.model.reading import ReadingBatch, Reason, Severity, from_us, point_id, to_us
from gateway.store import edit_rows, vee_rows, view_rows
from gateway.store.edit_rows import Choice
from gateway.store.interval_rows import IntervalRow
from gateway.store.vee_rows import VerdictRow

MOST_DAYS = 62
MOST_READINGS = 20_000
REACH = timedelta(days=35)
"""readings outside the days asked for are shown this far, if a day rests on them"""
METHODS = {
    "register": "read at both ends",
    "interpolation": "straight line across a short run without readings",
    "like_days": "as meters of its class used gas on these days",
    "flat_share": "the register's step shared evenly",
    "class_profile": "a usual day of the meter or of its class",
    "none": "nothing is known",
    "manual": "set by hand",
}


@dataclass(frozen=True, slots=True)
class RawReading:
    """A reading as it came."""

    source_time: datetime
    received_time: datetime
    value_m3: float | None
    severity: str
    reason: str
    judged: str
    """what is known of it beyond how it came: clock_suspect, before_installation, chosen, not_chosen, late or
    empty
    """


@dataclass(frozen=True, slots=True)
class Day:
    """A gas day at one revision; what is not known is None."""

    gas_day: str
    begins: datetime
    ends: datetime
    volume_m3: float | None
    status: str
    method: str
    reason: str
    rules: tuple[str, ...]
    left_at: datetime | None
    right_at: datetime | None
    step_m3: float | None
    who: str
    """who set it by hand; else empty"""
    note: str
    revision: int
    computed_at: datetime
    earlier: tuple[Day, ...] = ()
    """revisions before, newest first"""


@dataclass(frozen=True, slots=True)
class Said:
    """A verdict at one revision."""

    rule: str
    name: str
    version: int
    result: str
    holds: bool
    source_time: datetime
    since: datetime
    until: datetime
    evidence: dict[str, float | None]
    revision: int
    written_at: datetime


@dataclass(frozen=True, slots=True)
class MeterDays:
    """The answer."""

    meter: str
    point: str
    days: tuple[Day, ...]
    verdicts: tuple[Said, ...]
    raw: tuple[RawReading, ...]
    raw_sha256: str


async def meter_days(parts: Parts, meter: str, first: date, last: date) -> MeterDays:
    """Return a meter's gas days from `first` to `last`, with all that they rest on.

    Raises RefusedError 404 for an unknown meter, 422 for a bad span or too many readings; TransientError.
    """
    known = parts.network.meters.get(meter)
    if known is None:
        raise RefusedError(404, "unknown_meter")
    if not first <= last < first + timedelta(days=MOST_DAYS):
        raise RefusedError(422, "bad_span", f"first not after last, at most {MOST_DAYS} gas days")
    begin, end = parts.site.gas_day.begins(first), parts.site.gas_day.ends(last)
    point = point_id(meter, known.register)

    def rows() -> tuple[list[VerdictRow], int | None, Mapping[int, Choice]]:
        with parts.state.read() as connection:
            chosen = {time: one for (_, time), one in edit_rows.choices(connection, [meter]).items()}
            verdicts = vee_rows.verdicts_of(connection, meter, to_us(begin), to_us(end))
            return verdicts, view_rows.point_indices(connection, [point]).get(point), chosen

    intervals = await asyncio.to_thread(parts.intervals.of_meter, meter, first, last)
    verdicts, index, chosen = await asyncio.to_thread(rows)
    raw = ReadingBatch.empty()
    if index is not None:
        low = min([to_us(begin), *(row.left_at for row in intervals if row.left_at is not None)])
        high = max([to_us(end), *(row.right_at + 1 for row in intervals if row.right_at is not None)])
        low, high = max(low, to_us(begin - REACH)), min(high, to_us(end + REACH))
        raw = await parts.store.history(np.array([index], dtype=np.uint32), low, high)
    if len(raw) > MOST_READINGS:
        raise RefusedError(422, "too_many_readings", f"{len(raw)} readings; ask for fewer gas days")
    return MeterDays(
        meter=meter,
        point=point,
        days=tuple(_day(list(revisions)) for _, revisions in groupby(intervals, lambda row: row.gas_day)),
        verdicts=tuple(_said(row) for row in verdicts),
        raw=tuple(_readings(raw, Judge(parts, known, chosen, verdicts))),
        raw_sha256=hashlib.sha256(raw.to_bytes()).hexdigest(),
    )


def gas_days(parts: Parts, meter: str, first: date, last: date) -> list[Day]:
    """Return a meter's gas days alone, with their revisions. Blocks; raises TransientError."""
    rows = parts.intervals.of_meter(meter, first, last)
    return [_day(list(revisions)) for _, revisions in groupby(rows, lambda row: row.gas_day)]


def _day(revisions: list[IntervalRow]) -> Day:
    *earlier, row = revisions
    unit = 10.0**row.decimals
    codes = tuple(row.rules.split())
    return Day(
        gas_day=row.gas_day,
        begins=from_us(row.begins),
        ends=from_us(row.ends),
        volume_m3=None if row.units is None else row.units / unit,
        status=row.status,
        method=row.method,
        reason=_why(row, codes),
        rules=codes,
        left_at=_moment(row.left_at),
        right_at=_moment(row.right_at),
        step_m3=None if row.step_units is None else row.step_units / unit,
        who=row.who,
        note=row.note,
        revision=row.revision,
        computed_at=from_us(row.computed_at),
        earlier=tuple(_day([one]) for one in reversed(earlier)),
    )


def _why(row: IntervalRow, codes: tuple[str, ...]) -> str:
    """Return in a few words where a volume comes from and which rules spoke."""
    names = ", ".join(f"{code} {RULES[code].name}" for code in codes if code in RULES)
    how = METHODS.get(row.method, row.method)
    return f"{how}; {names}" if names else how


def _said(row: VerdictRow) -> Said:
    return Said(
        rule=row.rule,
        name=RULES[row.rule].name if row.rule in RULES else "",
        version=row.version,
        result=row.result,
        holds=row.holds,
        source_time=from_us(row.source_time),
        since=from_us(row.since),
        until=from_us(row.until),
        evidence=dict(row.evidence),
        revision=row.revision,
        written_at=from_us(row.written_at),
    )


class Judge:
    """Says of single readings what was concluded of them; the readings stay as they came."""

    def __init__(
        self, parts: Parts, meter: Meter, chosen: Mapping[int, Choice], verdicts: Sequence[VerdictRow]
    ) -> None:
        self._installed_us, self._chosen = parts.site.gas_day.begins_us(meter.installed_on), chosen
        self._late_us = parts.audit_days * DAY_US
        told = [row for row in verdicts if row.rule == "V14" and row.holds and row.evidence.get("suspect")]
        self._suspect = [(row.since, row.until) for row in told]

    def of(self, time: int, received: int, value: float) -> str:
        """Return a word, empty for nothing."""
        choice = self._chosen.get(time)
        if choice is not None:
            return "chosen" if value == choice.value else "not_chosen"
        if time < self._installed_us - DAY_US:
            return "before_installation"
        if any(since <= received <= until for since, until in self._suspect):
            return "clock_suspect"
        return "late" if received - time > self._late_us else ""


def _readings(batch: ReadingBatch, judge: Judge) -> Iterator[RawReading]:
    for time, received, value, quality in zip(
        batch.source_time.tolist(),
        batch.received_time.tolist(),
        batch.value.tolist(),
        batch.quality.tolist(),
        strict=True,
    ):
        yield RawReading(
            from_us(time),
            from_us(received),
            None if math.isnan(value) else value,
            Severity(quality >> 6).name.lower(),
            Reason(quality & 63).name.lower(),
            judge.of(time, received, value),
        )


def _moment(us: int | None) -> datetime | None:
    return None if us is None else from_us(us)
