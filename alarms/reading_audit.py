"""The audit of the readings: what the rules say of every meter's register, and what each gas day comes to.

What is concluded is pure; `record` writes only what is new. An estimate is for the bill and the auditor: no detector
reads these rows, so it cannot become a suspicion.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from alarms.audit_case import CONTEXT_DAYS, gas_days, make_case, raw_registers
from alarms.passes import CityData
from gateway.meterdata.case import Case, Fired
from gateway.meterdata.estimate import Method
from gateway.meterdata.intervals import Status
from gateway.meterdata.rules import RULES, codes_of, doubts, judge
from gateway.meterdata.series import Flags, Ints
from gateway.model.reading import PointId, ReadingBatch, from_us, point_id
from gateway.store import vee_rows
from gateway.store.state import State
from gateway.store.vee_rows import IntervalRow, VerdictRow

PART = 1000
"""meters whose gas day is written in one transaction: a writer must not make an alarm wait"""
KEPT = frozenset(code for code, rule in RULES.items() if rule.of_arrival)


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """What the audit concluded; tables are (day, meter)."""

    until_us: int
    meters: tuple[str, ...]
    points: tuple[PointId, ...]
    """each meter's register"""
    days: tuple[date, ...]
    decimals: tuple[int, ...]
    written: Flags
    """which of the days are to be written"""
    case: Case
    fired: Mapping[str, Fired]
    doubts: Ints


def run(
    state: State,
    city: CityData,
    batch: ReadingBatch,
    names: Mapping[int, PointId],
    until_us: int,
    *,
    days: int = 35,
) -> tuple[int, int]:
    """Audit the gas days that have ended and write what is new, as `audit` and `record` say."""
    first = city.model.gas_day.of(from_us(until_us)) - timedelta(days=days + CONTEXT_DAYS)
    result = audit(city, batch, names, until_us, days=days, before=earlier_estimates(state, first))
    return (0, 0) if result is None else record(state, result)


def audit(
    city: CityData,
    batch: ReadingBatch,
    names: Mapping[int, PointId],
    until_us: int,
    *,
    days: int = 35,
    before: Mapping[tuple[str, str], int] | None = None,
) -> Audit | None:
    """Judge the gas days that have ended by `until_us`, from rows received by then; None if there is none.

    `names` gives the point of each index in `batch`; `before` the units of estimates that were written, by meter and
    gas day. Nothing is changed.
    """
    network = city.model.network
    meters = tuple(network.meters)
    raw = raw_registers(batch, names, network, until_us)
    found = gas_days(city.model.gas_day, raw, until_us, days)
    if found is None:
        return None
    day, bounds = found
    case = make_case(city, batch, names, raw, days=day, bounds=bounds, until_us=until_us, before=before or {})
    fired = judge(case)
    installed = np.array([network.meters[name].installed_on.toordinal() for name in meters], dtype=np.int64)
    number = np.array([one.toordinal() for one in day], dtype=np.int64)[:, None]
    points = tuple(point_id(name, meter.register) for name, meter in network.meters.items())
    known = set(names.values())
    # a city has meters that only people read: without a point there is nothing to audit
    read = np.array([point in known for point in points], dtype=np.bool_)
    first = max(number[-1, 0] - days + 1, city.model.gas_day.of(from_us(int(raw.time.min()))).toordinal())
    return Audit(
        until_us=until_us,
        meters=meters,
        points=points,
        days=day,
        decimals=tuple(meter.decimals for meter in network.meters.values()),
        written=(number >= first) & (number >= installed) & ~case.built.pending & read,
        case=case,
        fired=fired,
        doubts=doubts(fired, bounds, len(meters)),
    )


def record(state: State, result: Audit) -> tuple[int, int]:
    """Write what is new, in small transactions; return how many interval and verdict rows were added.

    The same audit again adds nothing. Raises TransientError if the database cannot be written; what was written
    until then stays, and the next pass goes on from there.
    """
    days = np.flatnonzero(result.written.any(axis=1))
    if len(days) == 0:
        return 0, 0
    with state.read() as connection:
        known = vee_rows.digests(connection, result.days[days[0]].isoformat())
    added = 0
    for part, begin in enumerate(range(0, len(result.meters), PART)):
        for day in days:
            digest = _digest(result, int(day), begin)
            if known.get((result.days[day].isoformat(), part)) != digest:
                rows = list(_interval_rows(result, int(day), begin))
                with state.write() as connection:
                    added += vee_rows.save_intervals(connection, rows, part, digest)
    return added, _record_verdicts(state, result, int(result.case.bounds[days[0]]))


def earlier_estimates(state: State, first: date) -> dict[tuple[str, str], int]:
    """Return the units of the estimates that stand now, by meter and gas day."""
    with state.read() as connection:
        rows = vee_rows.estimates(connection, first.isoformat())
        return {(row.meter, row.gas_day): row.units for row in rows if row.units is not None}


def _record_verdicts(state: State, result: Audit, since_us: int) -> int:
    verdicts: dict[int, list[VerdictRow]] = {}
    for column, row in _verdict_rows(result, since_us):
        verdicts.setdefault(column // PART, []).append(row)
    added = 0
    for part, begin in enumerate(range(0, len(result.meters), PART)):
        with state.write() as connection:
            meters = result.meters[begin : begin + PART]
            mine = verdicts.get(part, [])
            added += vee_rows.save_verdicts(connection, meters, mine, since_us, result.until_us, kept=KEPT)
    return added


def _digest(result: Audit, day: int, begin: int) -> str:
    """Return what tells a changed day of a slice of meters from an unchanged one."""
    rows = slice(begin, begin + PART)
    found = result.case.built.intervals
    columns = (found.units, found.status, found.method, found.left, found.right, found.step_units, result.doubts)
    total = hashlib.sha256("\n".join(result.meters[rows]).encode())
    total.update(repr((result.decimals[rows], found.bounds[day : day + 2].tolist())).encode())
    total.update(np.ascontiguousarray(result.written[day, rows]).tobytes())
    for column in columns:
        total.update(np.ascontiguousarray(column[day, rows]).tobytes())
    return total.hexdigest()


def _interval_rows(result: Audit, day: int, begin: int) -> Iterator[IntervalRow]:
    found = result.case.built.intervals
    for column in begin + np.flatnonzero(result.written[day, begin : begin + PART]):
        status = Status(found.status[day, column])
        yield IntervalRow(
            meter=result.meters[column],
            gas_day=result.days[day].isoformat(),
            begins=int(found.bounds[day]),
            ends=int(found.bounds[day + 1]),
            units=None if status is Status.MISSING else int(found.units[day, column]),
            decimals=result.decimals[column],
            status=status.name.lower(),
            method=Method(found.method[day, column]).name.lower(),
            rules=" ".join(codes_of(int(result.doubts[day, column]))),
            left_at=_known(found.left[day, column]),
            right_at=_known(found.right[day, column]),
            step_units=_known(found.step_units[day, column]),
            computed_at=result.until_us,
        )


def _known(value: np.int64) -> int | None:
    return None if value < 0 else int(value)


def _verdict_rows(result: Audit, since_us: int) -> Iterator[tuple[int, VerdictRow]]:
    written: Flags = np.asarray(result.written.any(axis=0))
    for code, fired in result.fired.items():
        rule = RULES[code]
        for row in np.flatnonzero((fired.time >= since_us) & written[fired.column]):
            column = int(fired.column[row])
            yield (
                column,
                VerdictRow(
                    meter=result.meters[column],
                    point_id=result.points[column],
                    source_time=int(fired.time[row]),
                    rule=code,
                    version=rule.version,
                    result=rule.result.value,
                    since=int(fired.since[row]),
                    until=int(fired.until[row]),
                    evidence={name: _number(float(values[row])) for name, values in fired.numbers.items()},
                    written_at=result.until_us,
                ),
            )


def _number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
