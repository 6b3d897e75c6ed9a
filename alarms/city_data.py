"""A city and its readings as the passes take them: usable rows by quantity, and what the company's files say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.city import AccountChange, CityModel, SiteFigures
from alarms.analysis.marks import Marks
from alarms.analysis.study import StudyConfig
from alarms.detectors.meter_rows import MeterRows, rows_of
from gateway.meterdata.arrivals import Arrivals
from gateway.meterdata.clock_offset import taken
from gateway.meterdata.series import DAY_US, Exchanges, Registers, Series
from gateway.model.gasday import GasDay
from gateway.model.network import Network
from gateway.model.quantity import Quantity
from gateway.model.reading import PointId, ReadingBatch, Reason, split_point

MOST_VACUUM_KPA, MOST_KPA = 105.0, 20_000.0
"""no gas network has less or more gauge pressure"""
_EPOCH = date(1970, 1, 1)
REGISTERS = (Quantity.REGISTER_MEASURED_M3, Quantity.REGISTER_BASE_M3)
PASS_QUANTITIES = (
    *REGISTERS,
    Quantity.PRESSURE_GAUGE_KPA,
    Quantity.VALVE,
    Quantity.PURCHASED_M3,
    Quantity.BALANCE_M3,
    Quantity.FLAGS,
)
"""what a pass looks at; other points need not be fetched"""


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

    @cached_property
    def marks(self) -> Marks:
        """What readings say of valves, tampering and nights."""
        return Marks.of(self.series, self.model.gas_day)

    def prepare(self) -> None:
        """Sort what passes need, so that processes that begin here share it."""
        _ = self.rows, self.arrivals, self.marks

    @cached_property
    def arrivals(self) -> Mapping[Quantity, Arrivals]:
        """Readings of registers and pressures, by arrival as well."""
        wanted = (*REGISTERS, Quantity.PRESSURE_GAUGE_KPA)
        return {quantity: Arrivals(part) for quantity, part in self.series.items() if quantity in wanted}


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
    """Mark the readings that volumes may be made of: good ones, and uncertain ones whose value stands."""
    severity, reason = quality >> 6, quality & 0x3F
    return np.asarray((severity == 0) | ((severity == 1) & (reason != int(Reason.CONFLICT))))


def _installed_us(network: Network, assets: Sequence[str]) -> NDArray[np.int64]:
    """Return the beginning of the day before each meter was installed, wherever on earth; 0 for other assets."""
    found = (network.meters.get(name) for name in assets)
    days = [0 if meter is None else max((meter.installed_on - _EPOCH).days - 1, 0) for meter in found]
    return np.array(days, dtype=np.int64) * DAY_US


def make_series(network: Network, quantity: Quantity, assets: Sequence[str], rows: ReadingBatch) -> Series:
    """Return the usable rows of one quantity; `rows.point` holds indices into `assets`.

    Of registers, only those of known meters at their own kind of conditions are kept; of no meter, what bears a time
    from before it was installed, nor a value that lies far off what it can show. Stamps of clocks that run ahead are
    set back.
    """
    keep = usable(rows.quality)
    time = taken(rows.point.astype(np.int32), rows.source_time, rows.received_time, rows.value)
    if len(assets):
        keep &= time >= _installed_us(network, assets)[rows.point]
    if quantity in REGISTERS:
        meters = [network.meters.get(name) for name in assets]
        fits = np.array([meter is not None and meter.register is quantity for meter in meters], dtype=np.bool_)
        number = np.cumsum(fits) - 1
        # the file may name a digit too few
        most = np.array([10.0 ** (meter.digits + 1) if meter is not None else 0.0 for meter in meters])
        if len(assets):
            keep &= fits[rows.point] & (rows.value > -1.0) & (rows.value < most[rows.point])
        column, names = number[rows.point[keep]], [n for n, fit in zip(assets, fits, strict=True) if fit]
    else:
        if quantity is Quantity.PRESSURE_GAUGE_KPA:
            keep &= (rows.value > -MOST_VACUUM_KPA) & (rows.value < MOST_KPA)
        column, names = rows.point[keep].astype(np.int64), list(assets)
    kept = rows.take(keep)
    return Series.build(names, column.astype(np.int32), time[keep], kept.received_time, kept.value)


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
