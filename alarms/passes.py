"""The daily pass: everything that is concluded from the readings known at one moment. Pure; live and offline alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.city import AccountChange, CityModel, SiteFigures
from alarms.analysis.gaps import Gaps, gaps_of
from alarms.analysis.loss import loss_rows
from alarms.analysis.study import StudyConfig, study
from alarms.detectors.accounts import UnauthorisedDetector
from alarms.detectors.balance import BalanceDetector
from alarms.detectors.closed_valve import ClosedValveDetector
from alarms.detectors.ic_card import CreditDetector
from alarms.detectors.meter_rows import MeterRows, rows_of
from alarms.detectors.non_moving import NonMovingDetector
from alarms.detectors.silent import SilentDetector
from alarms.detectors.theft import TheftDetector
from gateway.meterdata.align import along, at_times, between
from gateway.meterdata.series import DAY_US, HOUR_US, Exchanges, Registers, Series
from gateway.meterdata.steps import unroll
from gateway.model.finding import Detection, LossRow
from gateway.model.gasday import GasDay
from gateway.model.network import Network
from gateway.model.quantity import Quantity
from gateway.model.reading import PointId, ReadingBatch, Reason, Window, from_us, split_point, to_us

_EPOCH = date(1970, 1, 1)
REGISTERS = (Quantity.REGISTER_MEASURED_M3, Quantity.REGISTER_BASE_M3)
PASS_QUANTITIES = (
    *REGISTERS,
    Quantity.PRESSURE_GAUGE_KPA,
    Quantity.VALVE,
    Quantity.PURCHASED_M3,
    Quantity.BALANCE_M3,
)
"""what a pass looks at; other points need not be fetched"""
REGISTER_SPAN_H = 72.0
"""registers are joined by straight lines over at most this"""
BURST_H = 4.0
"""over this many hours a customer's use is about one independent burst: who cooks or is away is so for hours"""
SELDOM_DAYS = 200
"""so far back seldom read registers are looked at: two visits, each two months apart, of which one found nobody"""
SELDOM = 20
"""fewer readings than this in the lookback are seldom"""
WELL_READ = 0.8
"""share of the boundaries at which a register is known that can tell how others used gas"""
MOST_PEERS = 60
"""so many of a class tell how gas was used before the lookback"""
NEAR_US = HOUR_US
"""so near to a boundary are the readings that tell a register there"""
NOT_USED = (Reason.CONFLICT, Reason.CLOCK_AHEAD)
"""uncertain readings that no volume is made of"""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A recorded exchange of a meter; the registers are None unless they were written down."""

    meter_id: str
    at_us: int
    old_m3: float | None
    new_m3: float | None


@dataclass(frozen=True, eq=False)
class CityData:
    """A city and its readings, as one process knows them."""

    model: CityModel
    series: Mapping[Quantity, Series]
    exchanges: tuple[Exchange, ...] = ()
    config: StudyConfig = field(default_factory=StudyConfig)
    heard: Mapping[Quantity, Series] | None = None
    """all readings of registers, also those that no volume is made of: that a meter was heard is known by them"""

    @cached_property
    def rows(self) -> MeterRows:
        """Readings of customers' meters, each with all that it said."""
        registers = {quantity: part for quantity, part in self.series.items() if quantity in REGISTERS}
        return rows_of(self.model, self.series, registers if self.heard is None else self.heard)


@dataclass(frozen=True, slots=True, eq=False)
class PassResult:
    """What a pass concluded from what was known at `until_us`."""

    until_us: int
    loss: tuple[LossRow, ...]
    detections: tuple[Detection, ...]


def daily_pass(city: CityData, until_us: int, *, lookback_days: int = 60) -> PassResult:
    """Judge the gas days that have ended by `until_us`, from rows received by then.

    The balance of every day in the lookback is made anew, so late readings correct it; the detectors judge the last
    day. Without a whole gas day of readings the result is empty.
    """
    windows, gaps = windows_and_gaps(city, until_us, lookback_days)
    if not windows:
        return PassResult(until_us, (), ())
    known = study(city.model, windows, from_us(until_us), city.config, gaps)
    if not known.balance.days:
        return PassResult(until_us, (), ())
    detections = (
        BalanceDetector(city.model, city.config).judge(known),
        NonMovingDetector(city.model, city.config).judge(known),
        TheftDetector(city.model, city.config).judge(known),
        *certain(city, until_us, lookback_days),
    )
    return PassResult(until_us, tuple(loss_rows(known.balance, city.config.loss)), detections)


def certain(city: CityData, until_us: int, lookback_days: int) -> tuple[Detection, ...]:
    """Judge what single readings prove, from rows received by a moment."""
    now, since = from_us(until_us), from_us(until_us) - timedelta(days=lookback_days + 4)
    rows = city.rows.known(until_us, to_us(since))
    return (
        UnauthorisedDetector(city.model).judge(rows, now),
        ClosedValveDetector(city.model).judge(rows, now),
        CreditDetector(city.model).judge(rows, now),
        SilentDetector(city.model).judge(rows, now),
    )


def daily_windows(city: CityData, until_us: int, lookback_days: int) -> dict[Quantity, Window]:
    """Return registers and pressures at the gas-day boundaries of the lookback, from rows received by `until_us`."""
    return windows_and_gaps(city, until_us, lookback_days)[0]


def windows_and_gaps(
    city: CityData, until_us: int, lookback_days: int
) -> tuple[dict[Quantity, Window], dict[Quantity, Gaps]]:
    """Return `daily_windows`, and of registers what lies around the boundaries at which they are unknown."""
    since = to_us(from_us(until_us) - timedelta(days=lookback_days + 4))
    registers = {quantity: city.series[quantity] for quantity in REGISTERS if quantity in city.series}
    known = {
        quantity: series.known(until_us, since) for quantity, series in city.series.items() if quantity not in registers
    }
    known |= {quantity: with_older(series, until_us, since) for quantity, series in registers.items()}
    first = min((int(series.time.min()) for series in known.values() if len(series.time)), default=None)
    if first is None or not any(len(known[quantity].time) for quantity in registers):
        return {}, {}
    bounds = _bounds(city.model.gas_day, first, until_us, lookback_days)
    if len(bounds) < 2:
        return {}, {}
    windows: dict[Quantity, Window] = {}
    gaps: dict[Quantity, Gaps] = {}
    for quantity, whole in registers.items():
        series = known[quantity]
        exchanges = exchanges_in(city.exchanges, series.assets, until_us)
        facts = register_facts(city.model.network, series.assets)
        unrolled = unroll(series.settled(), facts, exchanges)
        windows[quantity] = along(
            unrolled, bounds, facts, series.assets, quantity, span_h=REGISTER_SPAN_H, burst_h=BURST_H
        )
        past = None
        if quantity is Quantity.REGISTER_MEASURED_M3:
            past = _past(city, whole, windows[quantity], until_us)
        gaps[quantity] = gaps_of(unrolled, windows[quantity], past)
    if Quantity.PRESSURE_GAUGE_KPA in known:
        pressure = known[Quantity.PRESSURE_GAUGE_KPA]
        windows[Quantity.PRESSURE_GAUGE_KPA] = between(pressure, bounds, Quantity.PRESSURE_GAUGE_KPA)
    return windows, gaps


def with_older(series: Series, until_us: int, since_us: int) -> Series:
    """Return what had arrived of the days since a moment, and of seldom read registers what is older as well."""
    arrived = series.received <= until_us
    recent = arrived & (series.time >= since_us)
    seldom = np.bincount(series.column[recent], minlength=len(series.assets)) < SELDOM
    if not seldom.any():
        return series.take(recent)
    older = arrived & (series.time >= until_us - SELDOM_DAYS * DAY_US) & seldom[series.column]
    return series.take(recent | older)


def _past(city: CityData, series: Series, window: Window, until_us: int) -> Window | None:
    """Return what some well-read customers' registers showed at the boundaries before the window's first."""
    gas_day = city.model.gas_day
    begin = gas_day.of(from_us(int(window.times[0])))
    days = max(SELDOM_DAYS - len(window.times), 0)
    times = [gas_day.begins_us(begin - timedelta(days=back)) for back in range(days, -1, -1)]
    well = np.isfinite(window.value).mean(axis=0)
    names = np.array([city.model.network.meters[name].customer_class for name in window.assets])
    chosen = np.zeros(len(names), dtype=np.bool_)
    for name in np.unique(names):
        own = np.flatnonzero((names == name) & (well >= WELL_READ))
        chosen[own[:MOST_PEERS]] = True
    rows = chosen[series.column] & (series.received <= until_us)
    rows &= (series.time >= times[0] - DAY_US) & (series.time <= int(window.times[0]) + DAY_US)
    near = (series.time[rows] - int(window.times[0]) + NEAR_US) % DAY_US <= 2 * NEAR_US
    older = series.take(np.flatnonzero(rows)[near])
    if len(older.time) == 0:
        return None
    number = np.cumsum(chosen) - 1
    assets = tuple(name for name, one in zip(series.assets, chosen, strict=True) if one)
    part = Series(assets, number[older.column].astype(np.int32), older.time, older.received, older.value)
    kept = [at for at in times if at >= int(older.time.min())]
    if len(kept) < 2:
        return None
    facts = register_facts(city.model.network, assets)
    exchanges = exchanges_in(city.exchanges, assets, until_us)
    return at_times(part, np.array(kept, dtype=np.int64), facts, exchanges, window.quantity, span_h=REGISTER_SPAN_H)


def _bounds(gas_day: GasDay, first_us: int, until_us: int, lookback_days: int) -> NDArray[np.int64]:
    """Return the boundaries of whole gas days between the first reading and `until_us`, the newest last."""
    last: date = gas_day.of(from_us(until_us))
    days = [last - timedelta(days=back) for back in range(lookback_days, -1, -1)]
    bounds = np.array([gas_day.begins_us(day) for day in days], dtype=np.int64)
    # a boundary a day before the first reading is kept out: nothing could be known there
    return bounds[bounds >= first_us - 3_600_000_000]


def register_facts(network: Network, assets: Sequence[str]) -> Registers:
    """Return what the company's file says of registers."""
    meters = [network.meters[name] for name in assets]
    return Registers(
        modulus=np.array([10.0**meter.digits for meter in meters]),
        max_flow_m3h=np.array([meter.max_flow_m3h for meter in meters]),
        resolution_m3=np.array([10.0**-meter.decimals for meter in meters]),
    )


def exchanges_in(exchanges: Sequence[Exchange], assets: Sequence[str], until_us: int) -> Exchanges:
    """Return the recorded exchanges of these assets that had happened by a moment."""
    row = {name: index for index, name in enumerate(assets)}
    mine = [exchange for exchange in exchanges if exchange.meter_id in row]
    return Exchanges(
        np.array([row[exchange.meter_id] for exchange in mine], dtype=np.int32),
        np.array([exchange.at_us for exchange in mine], dtype=np.int64),
        np.array([np.nan if e.old_m3 is None else e.old_m3 for e in mine], dtype=np.float64),
        np.array([np.nan if e.new_m3 is None else e.new_m3 for e in mine], dtype=np.float64),
    ).known(until_us)


def usable(quality: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark the readings that volumes may be made of: good ones, and uncertain ones whose value and time stand."""
    severity, reason = quality >> 6, quality & 0x3F
    return np.asarray((severity == 0) | ((severity == 1) & ~np.isin(reason, [int(r) for r in NOT_USED])))


def _installed_us(network: Network, assets: Sequence[str]) -> NDArray[np.int64]:
    """Return the beginning of the day before each meter was installed, wherever on earth; 0 for other assets."""
    found = (network.meters.get(name) for name in assets)
    days = [0 if meter is None else max((meter.installed_on - _EPOCH).days - 1, 0) for meter in found]
    return np.array(days, dtype=np.int64) * DAY_US


def make_series(network: Network, quantity: Quantity, assets: Sequence[str], rows: ReadingBatch) -> Series:
    """Return the usable rows of one quantity; `rows.point` holds indices into `assets`.

    Of registers, only those of known meters at their own kind of conditions are kept; of no meter, what bears a time
    from before it was installed.
    """
    keep = usable(rows.quality)
    if len(assets):
        keep &= rows.source_time >= _installed_us(network, assets)[rows.point]
    if quantity in REGISTERS:
        meters = [network.meters.get(name) for name in assets]
        fits = np.array([meter is not None and meter.register is quantity for meter in meters], dtype=np.bool_)
        number = np.cumsum(fits) - 1
        keep &= fits[rows.point] if len(assets) else False
        column, names = number[rows.point[keep]], [n for n, fit in zip(assets, fits, strict=True) if fit]
    else:
        column, names = rows.point[keep].astype(np.int64), list(assets)
    kept = rows.take(keep)
    return Series.build(names, column.astype(np.int32), kept.source_time, kept.received_time, kept.value)


def heard_rows(assets: Sequence[str], rows: ReadingBatch) -> Series:
    """Return all rows of registers that hold a value, by assets; `rows.point` holds indices into them."""
    kept = rows.take(np.isfinite(rows.value))
    return Series(tuple(assets), kept.point.astype(np.int32), kept.source_time, kept.received_time, kept.value)


def city_from_batch(
    network: Network,
    gas_day: GasDay,
    figures: SiteFigures,
    batch: ReadingBatch,
    names: Mapping[int, PointId],
    *,
    weather: Mapping[date, float] | None = None,
    exchanges: Iterable[Exchange] = (),
    accounts: Mapping[str, tuple[AccountChange, ...]] | None = None,
    config: StudyConfig | None = None,
) -> CityData:
    """Make a city of stored readings; `names` gives the point of each index that occurs in `batch`.

    The batch should reach back 64 days; of its points only those of `PASS_QUANTITIES` are looked at.
    """
    index = np.unique(batch.point)
    parts: dict[Quantity, list[tuple[int, str]]] = {}
    for number in index:
        asset, quantity = split_point(names[int(number)])
        if quantity in PASS_QUANTITIES:
            parts.setdefault(quantity, []).append((int(number), asset))
    series: dict[Quantity, Series] = {}
    heard: dict[Quantity, Series] = {}
    for quantity, points in parts.items():
        numbers = np.array([number for number, _ in points], dtype=np.uint32)
        rows = batch.take(np.isin(batch.point, numbers))
        own = ReadingBatch(
            np.searchsorted(numbers, rows.point).astype(np.uint32),
            rows.source_time,
            rows.received_time,
            rows.value,
            rows.quality,
        )
        assets = [asset for _, asset in points]
        series[quantity] = make_series(network, quantity, assets, own)
        if quantity in REGISTERS:
            heard[quantity] = heard_rows(assets, own)
    model = CityModel(network, gas_day, figures, dict(weather or {}), accounts=dict(accounts or {}))
    return CityData(model, series, tuple(exchanges), config or StudyConfig(), heard)
