"""What the audit concludes for some meters: gas days as columns, verdicts as rows, and who needs a visit. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from alarms.audit_case import Common, make_case, raw_registers
from alarms.city_data import CityData
from gateway.meterdata.case import Case, Fired
from gateway.meterdata.estimate import Method
from gateway.meterdata.intervals import Status
from gateway.meterdata.rules import RULES, codes_of, doubts, judge
from gateway.meterdata.series import Flags, Ints
from gateway.meterdata.steps import Step
from gateway.meterdata.use_rules import days_estimated
from gateway.model.finding import Detection, Verdict
from gateway.model.reading import PointId, ReadingBatch, point_id
from gateway.store.edit_rows import Edit
from gateway.store.interval_rows import IntervalColumns, Texts, day_number
from gateway.store.vee_rows import VerdictRow

STATUSES = np.array([status.name.lower() for status in Status], dtype=object)
METHODS = np.array([method.name.lower() for method in Method], dtype=object)


@dataclass(frozen=True, slots=True, eq=False)
class Audit:
    """What the audit concluded of some meters; tables are (day, meter)."""

    until_us: int
    meters: tuple[str, ...]
    points: tuple[PointId, ...]
    """each meter's register"""
    common: Common
    decimals: Ints
    installed_us: Ints
    written: Flags
    """which of the days are to be written"""
    case: Case
    fired: Mapping[str, Fired]
    doubts: Ints
    edits: Mapping[tuple[str, str], Edit]


def audit(
    city: CityData,
    batch: ReadingBatch,
    names: Mapping[int, PointId],
    common: Common,
    until_us: int,
    *,
    before: Mapping[tuple[str, str], int] | None = None,
    chosen: Mapping[tuple[str, int], float] | None = None,
    edits: Mapping[tuple[str, str], Edit] | None = None,
) -> Audit:
    """Judge the meters of `city` from rows received by `until_us`; nothing is changed.

    `names` gives the point of each index in `batch`; `before` the units of estimates that were written, by meter and
    gas day; `chosen` and `edits` are what people decided.
    """
    meters = city.model.network.meters
    raw = raw_registers(batch, names, city.model.network, until_us)
    case = make_case(
        city, batch, names, raw, common, until_us=until_us, before=before or {}, chosen=chosen or {}
    )  # fmt: skip
    fired = judge(case)
    gas_day = city.model.gas_day
    installed = np.array([meter.installed_on.toordinal() for meter in meters.values()], dtype=np.int64)
    begins = {day: gas_day.begins_us(day) for day in {meter.installed_on for meter in meters.values()}}
    number = np.array([day.toordinal() for day in common.days], dtype=np.int64)[:, None]
    points = tuple(point_id(name, meter.register) for name, meter in meters.items())
    known = set(names.values())
    # a city has meters that only people read: without a point there is nothing to audit
    read = np.array([point in known for point in points], dtype=np.bool_)
    return Audit(
        until_us=until_us,
        meters=tuple(meters),
        points=points,
        common=common,
        decimals=np.array([meter.decimals for meter in meters.values()], dtype=np.int64),
        installed_us=np.array([begins[meter.installed_on] for meter in meters.values()], dtype=np.int64),
        written=(number >= common.first.toordinal()) & (number >= installed) & ~case.built.pending & read,
        case=case,
        fired=fired,
        doubts=doubts(fired, common.bounds, len(meters)),
        edits=edits or {},
    )


def interval_columns(result: Audit) -> IntervalColumns:
    """Return the gas days that are to be written; what a person set by hand stands in the place of what was found."""
    found, common = result.case.built.intervals, result.common
    by_hand = _by_hand(result)
    written = result.written.copy()
    for at in by_hand:
        written[at] = True
    day, column = np.nonzero(written)
    missing = found.status[day, column] == Status.MISSING
    codes, place = np.unique(result.doubts[day, column], return_inverse=True)
    rules = np.array([" ".join(codes_of(int(code))) for code in codes], dtype=object)
    numbers = np.array([day_number(one) for one in common.days], dtype=np.int64)
    rows = IntervalColumns(
        meter=np.array(result.meters, dtype=object)[column],
        gas_day=numbers[day],
        begins=common.bounds[day],
        ends=common.bounds[day + 1],
        units=np.where(missing, -1, found.units[day, column]),
        decimals=result.decimals[column],
        status=STATUSES[found.status[day, column]],
        method=METHODS[found.method[day, column]],
        rules=rules[place] if len(rules) else np.empty(0, dtype=object),
        left_at=found.left[day, column],
        right_at=found.right[day, column],
        step_units=found.step_units[day, column],
        who=_empty(len(day)),
        note=_empty(len(day)),
        computed_at=np.full(len(day), result.until_us),
    )
    for (when, meter), edit in by_hand.items():
        row = np.flatnonzero((day == when) & (column == meter))
        rows.units[row], rows.status[row], rows.method[row] = edit.units or 0, "estimated", "manual"
        rows.who[row], rows.note[row] = edit.who, edit.reason
    return rows


def _by_hand(result: Audit) -> dict[tuple[int, int], Edit]:
    row = {day.isoformat(): number for number, day in enumerate(result.common.days)}
    column = {name: number for number, name in enumerate(result.meters)}
    return {
        (row[day], column[meter]): edit
        for (meter, day), edit in result.edits.items()
        if edit.units is not None
        and meter in column
        and day in row
        and result.common.days[row[day]] >= result.common.first
    }


def _empty(count: int) -> Texts:
    return np.full(count, "", dtype=object)


def verdict_rows(result: Audit, since_us: int) -> Iterator[VerdictRow]:
    """Yield what the rules said of readings and days since a moment."""
    written: Flags = np.asarray(result.written.any(axis=0))
    for code, fired in result.fired.items():
        rule = RULES[code]
        for row in np.flatnonzero((fired.time >= since_us) & written[fired.column]):
            column = int(fired.column[row])
            yield VerdictRow(
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
            )


def _number(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None


def detections(result: Audit) -> tuple[Detection, ...]:
    """Return what somebody has to look at: registers that began anew, clocks that are wrong, meters long unread."""
    return tuple(_of_read_meters(found, result) for found in (_resets(result), _clocks(result), _visits(result)))


def _of_read_meters(found: Detection, result: Audit) -> Detection:
    found.verdict[~result.written.any(axis=0)] = Verdict.UNKNOWN
    return found


def _resets(result: Audit) -> Detection:
    """Tell registers that fell to near zero without an event; such a case stays until somebody has looked."""
    steps = result.case.built.steps
    rows = np.flatnonzero((steps.kind == Step.RESET) & (steps.time >= result.common.bounds[0]))
    verdict, onset, evidence = _nothing(result)
    for row in rows:
        column = int(steps.column[row])
        verdict[column], onset[column] = Verdict.ABNORMAL, steps.time[row]
        evidence[column] = {"rule": "V05", "before_m3": steps.value[row - 1], "after_m3": steps.value[row]}
    return _detection("register_reset", result, verdict, onset, evidence, score=0.5)


def _clocks(result: Audit) -> Detection:
    clocks, fired = result.case.clocks, result.fired["V14"]
    verdict, onset, evidence = _nothing(result)
    verdict[np.isfinite(clocks.offset_us)] = Verdict.NORMAL
    jumped = clocks.jumped_at >= 0
    onset[jumped] = clocks.jumped_at[jumped]
    for row, column in enumerate(fired.column):
        verdict[column] = Verdict.ABNORMAL
        told = {name: _number(float(values[row])) for name, values in fired.numbers.items()}
        evidence[column] = {"rule": "V14", **told, "only_bound": bool(clocks.only_bound[column])}
    return _detection("clock", result, verdict, onset, evidence, score=0.3)


def _visits(result: Audit) -> Detection:
    days = days_estimated(result.case)[-1]
    verdict, onset, evidence = _nothing(result)
    verdict[days == 0] = Verdict.NORMAL
    rows = result.case.built.unrolled
    np.maximum.at(onset, rows.column, rows.time)
    for column in np.flatnonzero(days > result.case.limits.estimated_days):
        verdict[column] = Verdict.ABNORMAL
        evidence[column] = {"rule": "V18", "days": float(days[column])}
    return _detection("visit", result, verdict, onset, evidence, score=0.3)


def _nothing(result: Audit) -> tuple[np.ndarray[tuple[int], np.dtype[np.int8]], Ints, list[Mapping[str, object]]]:
    count = len(result.meters)
    # what began before anybody looked is dated at the installation: a date that does not move from day to day
    return np.full(count, Verdict.UNKNOWN, dtype=np.int8), result.installed_us.copy(), [{} for _ in range(count)]


def _detection(
    kind: str,
    result: Audit,
    verdict: np.ndarray[tuple[int], np.dtype[np.int8]],
    onset: Ints,
    evidence: list[Mapping[str, object]],
    *,
    score: float,
) -> Detection:
    count = len(result.meters)
    unknown = np.full(count, np.nan)
    return Detection(
        condition=kind,
        assets=result.meters,
        verdict=verdict,
        score=np.where(verdict == Verdict.ABNORMAL, score, 0.0),
        at=np.full(count, result.until_us),
        value=unknown,
        onset=onset,
        estimate_m3_per_day=unknown,
        evidence=tuple(evidence),
    )
