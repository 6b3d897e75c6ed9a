"""Puts together what the rules on readings look at: registers, valves, credit, correctors of some meters. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from alarms.analysis.boundaries import REGISTER_SPAN_H
from alarms.analysis.city import KELVIN, SiteFigures
from alarms.city_data import CityData, exchanges_in, register_facts
from gateway.meterdata.align import at_times, between, held
from gateway.meterdata.case import Case, Corrector
from gateway.meterdata.clock_offset import Clocks, clock_offsets
from gateway.meterdata.estimate import ClassUse
from gateway.meterdata.intervals import Built, build
from gateway.meterdata.series import DAY_US, Exchanges, Flags, Floats, Ints, Series
from gateway.model.gasday import GasDay
from gateway.model.network import MeterKind, MeterRole, Network
from gateway.model.quantity import Quantity
from gateway.model.reading import PointId, ReadingBatch, Severity, from_us, point_id

CONTEXT_DAYS = 16
"""gas days before the first that is written, so that habits and runs are known there"""
AUDIT_QUANTITIES = (Quantity.TEMPERATURE_C, Quantity.SENT)
"""what the audit looks at beyond the daily pass"""
VALUES_BELOW = int(Severity.BAD) << 6
"""quality bytes of rows that have a value"""


@dataclass(frozen=True, slots=True, eq=False)
class Common:
    """What all batches of meters of one audit share."""

    days: tuple[date, ...]
    """gas days that are looked at; the first ones only so that habits and runs are known in those that are written"""
    bounds: Ints
    """their boundaries, us"""
    first: date
    """the first gas day that is written"""
    groups: Mapping[str, int]
    """number of each customer class"""
    use: ClassUse | None
    """what the classes use; None where one batch holds all meters and tells it"""
    begins: date | None = None
    """gas day of the first reading of all; None if that is older than what was looked at"""


def gas_days(gas_day: GasDay, until_us: int, days: int) -> tuple[tuple[date, ...], Ints]:
    """Return the gas days to look at, with context before those that are written, and their boundaries."""
    last = gas_day.of(from_us(until_us))
    span = tuple(last - timedelta(days=back) for back in range(days + CONTEXT_DAYS, 0, -1))
    return span, np.array([gas_day.begins_us(day) for day in (*span, last)], dtype=np.int64)


def raw_registers(batch: ReadingBatch, names: Mapping[int, PointId], network: Network, until_us: int) -> Series:
    """Return all rows with a value of the meters' own registers that had arrived; assets are the meters in order."""
    wanted = {name: meter.register for name, meter in network.meters.items()}
    return _pick(batch, names, wanted, tuple(network.meters), until_us)


def make_case(
    city: CityData,
    batch: ReadingBatch,
    names: Mapping[int, PointId],
    raw: Series,
    common: Common,
    *,
    until_us: int,
    before: Mapping[tuple[str, str], int],
    chosen: Mapping[tuple[str, int], float],
) -> Case:
    """Return the case of some meters.

    `before` holds estimates of earlier audits by meter and gas day; `chosen` the values that auditors chose, by meter
    and device time: the others of that moment are left out.
    """
    meters, days, bounds = city.model.network.meters, common.days, common.bounds
    early = _before_installation(city, raw)
    used = ~early & _as_chosen(raw, chosen)
    series = Series.build(raw.assets, raw.column[used], raw.time[used], raw.received[used], raw.value[used])
    registers = register_facts(city.model.network, raw.assets)
    exchanges = exchanges_in(city.exchanges, raw.assets, until_us)
    group = np.array([common.groups[meter.customer_class] for meter in meters.values()], dtype=np.int64)
    shut = city.model.shut_days(raw.assets, bounds)
    # supply meters differ too much in size to stand for each other
    customer = np.array([meter.role is MeterRole.CUSTOMER for meter in meters.values()], dtype=np.bool_)
    air_c = city.model.air_c(days)
    built = build(
        series, registers, exchanges, bounds, group,
        until_us=until_us, air_c=air_c, fillable=~shut & customer, known=common.use,
    )  # fmt: skip
    known = {quantity: part.known(until_us) for quantity, part in city.series.items()}
    return Case(
        raw=raw,
        series=series,
        registers=registers,
        exchanges=exchanges,
        built=built,
        group=group,
        clocks=_clocks(batch, names, raw, until_us),
        valve=_spread(raw.assets, known.get(Quantity.VALVE), bounds, Quantity.VALVE),
        shut=shut,
        credit_m3=_spread(raw.assets, known.get(Quantity.PURCHASED_M3), bounds, Quantity.PURCHASED_M3)
        - _spread(raw.assets, known.get(Quantity.BALANCE_M3), bounds, Quantity.BALANCE_M3),
        corrector=_corrector(city, batch, names, built, until_us),
        before_units=_before(raw.assets, days, before),
        since_day=0 if common.begins is None else sum(day < common.begins for day in days),
        restated=np.array([day.day == 1 for day in days], dtype=np.bool_),
        too_early=np.bincount(raw.column[early], minlength=len(raw.assets)),
    )


def _before_installation(city: CityData, raw: Series) -> Flags:
    """Mark rows with a device time before the gas day on which their meter was installed."""
    gas_day, meters = city.model.gas_day, city.model.network.meters
    begins = {day: gas_day.begins_us(day) for day in {meter.installed_on for meter in meters.values()}}
    since = np.array([begins[meter.installed_on] for meter in meters.values()], dtype=np.int64)
    return np.asarray(raw.time < since[raw.column] - DAY_US if len(raw.time) else np.zeros(0, dtype=np.bool_))


def _as_chosen(raw: Series, chosen: Mapping[tuple[str, int], float]) -> Flags:
    """Leave out the values of a device time that an auditor did not choose."""
    stays = np.ones(len(raw.time), dtype=np.bool_)
    column = {name: number for number, name in enumerate(raw.assets)}
    for (meter, time), value in chosen.items():
        if meter in column:
            first = int(np.searchsorted(raw.column, column[meter], side="left"))
            last = int(np.searchsorted(raw.column, column[meter], side="right"))
            rows = first + np.flatnonzero(raw.time[first:last] == time)
            if (raw.value[rows] == value).any():
                stays[rows[raw.value[rows] != value]] = False
    return stays


def _clocks(batch: ReadingBatch, names: Mapping[int, PointId], raw: Series, until_us: int) -> Clocks:
    """Return the meters' clocks: by when messages were sent, where that is known, else by their newest readings."""
    sent = _pick(batch, names, dict.fromkeys(raw.assets, Quantity.SENT), raw.assets, until_us)
    if len(sent.time) == 0:
        return clock_offsets(len(raw.assets), raw.column, raw.time, raw.received, until_us)
    told = np.zeros(len(raw.assets), dtype=np.bool_)
    told[sent.column] = True
    rest = ~told[raw.column]
    bound = clock_offsets(len(raw.assets), raw.column[rest], raw.time[rest], raw.received[rest], until_us)
    exact = clock_offsets(len(raw.assets), sent.column, sent.time, sent.received, until_us, sent=True)
    return exact.or_else(bound, told)


def _pick(
    batch: ReadingBatch,
    names: Mapping[int, PointId],
    wanted: Mapping[str, Quantity],
    assets: tuple[str, ...],
    until_us: int,
) -> Series:
    """Return the rows with a value of one quantity of each asset that had arrived by a moment."""
    number = {point_id(name, wanted[name]): column for column, name in enumerate(assets)}
    column_of = np.full(max(names, default=0) + 1, -1, dtype=np.int32)
    for index, name in names.items():
        column_of[index] = number.get(name, -1)
    column = column_of[batch.point]
    rows = np.flatnonzero((column >= 0) & (batch.quality < VALUES_BELOW) & (batch.received_time <= until_us))
    return Series.ordered(assets, column[rows], batch.source_time[rows], batch.received_time[rows], batch.value[rows])


def _spread(assets: tuple[str, ...], series: Series | None, bounds: Ints, quantity: Quantity) -> Floats:
    """Return a quantity at the boundaries for all meters, NaN where unknown."""
    table = np.full((len(bounds), len(assets)), np.nan)
    if series is None or len(series.time) == 0:
        return table
    window = (
        held(series, bounds, quantity)
        if quantity is Quantity.VALVE
        else (between(series, bounds, quantity, span_h=REGISTER_SPAN_H))
    )
    row = {name: column for column, name in enumerate(assets)}
    mine = [(row[name], column) for column, name in enumerate(series.assets) if name in row]
    for target, source in mine:
        table[:, target] = window.value[:, source]
    return table


def _before(assets: Sequence[str], days: Sequence[date], before: Mapping[tuple[str, str], int]) -> Ints:
    table = np.full((len(days), len(assets)), -1, dtype=np.int64)
    row = {day.isoformat(): number for number, day in enumerate(days)}
    column = {name: number for number, name in enumerate(assets)}
    for (meter, day), units in before.items():
        if meter in column and day in row:
            table[row[day], column[meter]] = units
    return table


def _corrector(
    city: CityData, batch: ReadingBatch, names: Mapping[int, PointId], built: Built, until_us: int
) -> Corrector:
    """Return what correctors counted at both conditions, and the correction that their means of p and T give."""
    network, figures, bounds = city.model.network, city.model.figures, built.intervals.bounds
    shape = built.intervals.units.shape
    base, measured, factor = (np.full(shape, np.nan) for _ in range(3))
    columns = [number for number, m in enumerate(network.meters.values()) if m.kind is MeterKind.CORRECTOR]
    assets = tuple(name for name, m in network.meters.items() if m.kind is MeterKind.CORRECTOR)
    if assets:
        facts = register_facts(network, assets)

        def part(quantity: Quantity) -> Series:
            raw = _pick(batch, names, dict.fromkeys(assets, quantity), assets, until_us)
            return Series.build(raw.assets, raw.column, raw.time, raw.received, raw.value)

        measured_register = Quantity.REGISTER_MEASURED_M3
        grid = at_times(part(measured_register), bounds, facts, Exchanges.none(), measured_register)
        measured[:, columns] = np.diff(grid.value, axis=0)
        resolution = register_facts(network, tuple(network.meters)).resolution_m3
        base[:, columns] = built.intervals.use_m3(resolution)[:, columns]
        means = [_day_mean(part(one), bounds) for one in (Quantity.PRESSURE_GAUGE_KPA, Quantity.TEMPERATURE_C)]
        factor[:, columns] = _correction(figures, *means)
    return Corrector(base, measured, factor)


def _correction(figures: SiteFigures, gauge_kpa: Floats, gas_c: Floats) -> Floats:
    """Return base over measured volume of an ideal gas."""
    pressure = (gauge_kpa + 101.325) / figures.base_pressure_kpa
    return np.asarray(pressure * (figures.base_temperature_c + KELVIN) / (gas_c + KELVIN))


def _day_mean(series: Series, bounds: Ints) -> Floats:
    """Return the mean of the readings of each (day, asset), NaN without any."""
    day = np.searchsorted(bounds, series.time, side="right") - 1
    inside = (day >= 0) & (day < len(bounds) - 1)
    shape = (len(bounds) - 1, len(series.assets))
    at = (day[inside], series.column[inside])
    total, count = np.zeros(shape), np.zeros(shape)
    np.add.at(total, at, series.value[inside])
    np.add.at(count, at, 1.0)
    return np.where(count > 0, total / np.maximum(count, 1.0), np.nan)
