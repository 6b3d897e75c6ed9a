"""Balances of zones and gas days: supply, metered volume, stock in the pipes, loss and its uncertainty. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from alarms.analysis import linepack
from alarms.analysis.city import KELVIN, CityModel, ZoneTree, uncompensated_of
from alarms.analysis.expectation import scale, shapes
from gateway.model.finding import LossRow, LossVerdict
from gateway.model.network import Meter, MeterRole
from gateway.model.quantity import Quantity
from gateway.model.reading import Window, from_us

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class LossConfig:
    """What may be said of a loss, and how good meters are. Shares, unless the name says otherwise."""

    coverage_limit: float = 0.9
    """of the expected volume that must have been read; below it a day is not assessable"""
    high_rate: float = 0.03
    meter_gain_sigma: float = 0.012
    supply_gain_sigma: float = 0.003
    estimate_sigma: float = 0.5
    """of the volume estimated for a meter that was not read"""
    unread_sigma: float = 1.0
    """of the volume assumed for a meter of which nothing is known but its class"""


@dataclass(frozen=True, slots=True, eq=False)
class Balance:
    """Gas days of all zones. Volumes in base m3; d days, z zones, n customers; NaN where unknown."""

    tree: ZoneTree
    days: tuple[date, ...]
    bounds: NDArray[np.int64]
    """us UTC, shape (d + 1,)"""
    use: Floats
    """what each customer's register counted; the customers of whom nothing came stand last, (d, n)"""
    use_variance: Floats
    """of aligning and resolution, (d, n)"""
    shape: Floats
    """what each customer's peers did that day, relative to their own level, (d, n)"""
    expected: Floats
    """the customer's own level times `shape`; NaN where it never used gas, (d, n)"""
    assumed: Floats
    """`expected`, or for a customer of whom nothing is known what its class uses, (d, n)"""
    still_m3: Floats
    """the least use that a customer's register shows, (n,)"""
    supply: Floats
    """(d, z)"""
    metered: Floats
    """registered by customers, plus what is expected of those that were not read, (d, z)"""
    gained: Floats
    """linepack, (d, z)"""
    own_supply: Floats
    """as `supply`, less what passes on into measured zones below, (d, z)"""
    own_loss: Floats
    """loss of what belongs to no measured zone below, (d, z)"""
    noise_variance: Floats
    """of the loss, what differs from day to day, (d, z)"""
    steady_variance: Floats
    """of the loss, what is alike every day: meter gain, gas temperature, (d, z)"""
    coverage: Floats
    """share of customers that were read, (d, z)"""
    volume_coverage: Floats
    """share of the expected volume that was read, (d, z)"""

    @property
    def loss(self) -> Floats:
        """Supply that no customer's meter registered and that is not in the pipes, (d, z)."""
        return self.supply - self.metered - self.gained

    @property
    def sigma(self) -> Floats:
        """Standard uncertainty of the loss, m3, (d, z)."""
        return np.sqrt(self.noise_variance + self.steady_variance)


def balance(city: CityModel, windows: Mapping[Quantity, Window], config: LossConfig | None = None) -> Balance:
    """Balance every gas day of the windows.

    `windows` holds registers at gas-day boundaries: measured ones, and base ones where there are correctors; the
    gauge pressure of stations may be there too. Their time grids must be the same.
    """
    config = config or LossConfig()
    registers, variance, assets, bounds = _joined(windows, city)
    tree = city.tree(assets)
    days = _days(city, bounds)
    column = {name: index for index, name in enumerate(assets)}
    customer = np.array([column[name] for name in tree.customers], dtype=np.int64)
    supplier = np.array([column[name] for name in tree.supplies], dtype=np.int64)
    step = np.diff(registers, axis=0)
    step[step < 0] = np.nan
    spread = variance[1:] + variance[:-1]
    meters = [city.network.meters[name] for name in tree.customers]
    factor = city.to_base(meters, days)
    use, use_variance = step[:, customer] * factor, spread[:, customer] * factor**2
    shape = shapes(use, [meter.customer_class for meter in meters])
    level = scale(use / np.where(shape > 0, shape, 1.0))
    expected = level * shape
    unread = np.flatnonzero(~np.isfinite(use).any(axis=0))
    assumed = np.nan_to_num(expected)
    in_use = ~city.shut_days([tree.customers[one] for one in unread], bounds)
    assumed[:, unread] = in_use * _class_level(level, unread, meters) * shape[:, unread]
    pressure = windows.get(Quantity.PRESSURE_GAUGE_KPA)
    gained, gained_variance = linepack.gained(city.network, city.figures, pressure, tree.pipes, len(days))
    supplied = step[:, supplier]
    supply = _sum(supplied, tree.supplied_by)
    own_supply = _sum(supplied, tree.own_supply)
    estimate_sigma = np.full(len(meters), config.estimate_sigma)
    estimate_sigma[unread] = config.unread_sigma
    known = np.isfinite(use)
    filled = np.where(known, use, assumed)
    filled_variance = np.where(known, np.nan_to_num(use_variance), (estimate_sigma * assumed) ** 2)
    coherent = filled * uncompensated_of(meters)[None, :]
    own_gained = _own_part(gained, tree)
    supply_variance = _sum((config.supply_gain_sigma * supplied) ** 2, abs(tree.supplied_by))
    read = known.astype(np.float64)
    gas_sigma = city.temperature.sigma_k / (city.temperature.home_c + KELVIN)
    return Balance(
        tree=tree,
        days=days,
        bounds=bounds,
        use=use,
        use_variance=use_variance,
        shape=shape,
        expected=expected,
        assumed=assumed,
        still_m3=np.array([10.0**-meter.decimals for meter in meters]) * 2.0,
        supply=supply,
        metered=filled @ tree.holds.T,
        gained=gained,
        own_supply=own_supply,
        own_loss=own_supply - filled @ tree.own_customers.T - own_gained,
        noise_variance=filled_variance @ tree.holds.T + gained_variance + _alignment(spread[:, supplier], tree),
        steady_variance=supply_variance
        + (config.meter_gain_sigma * filled) ** 2 @ tree.holds.T
        + (gas_sigma * (coherent @ tree.holds.T)) ** 2,
        coverage=_share(read @ tree.holds.T, np.ones_like(read) @ tree.holds.T),
        volume_coverage=_share((read * assumed) @ tree.holds.T, assumed @ tree.holds.T),
    )


def _joined(windows: Mapping[Quantity, Window], city: CityModel) -> tuple[Floats, Floats, list[str], NDArray[np.int64]]:
    """Return all registers side by side, and behind them, unknown, the customers of whom nothing came."""
    parts = [windows[q] for q in (Quantity.REGISTER_MEASURED_M3, Quantity.REGISTER_BASE_M3) if q in windows]
    if not parts:
        raise ValueError("a balance needs registers")
    heard = {name for part in parts for name in part.assets}
    customers = (m for m in city.network.meters.values() if m.role is MeterRole.CUSTOMER)
    unheard = [meter.meter_id for meter in customers if meter.meter_id not in heard]
    nothing = np.full((len(parts[0].times), len(unheard)), np.nan)
    value = np.concatenate([*(part.value for part in parts), nothing], axis=1)
    variance = np.concatenate([*(part.variance for part in parts), nothing], axis=1)
    return value, variance, [*(name for part in parts for name in part.assets), *unheard], parts[0].times


def _class_level(level: Floats, unread: NDArray[np.intp], meters: Sequence[Meter]) -> Floats:
    """Return for each unread customer the mean level of its class, or of all where none of its class was read.

    Somebody who was read and never used gas counts as one who uses nothing.
    """
    used = np.nan_to_num(level)
    used[unread] = np.nan
    names = np.array([meter.customer_class for meter in meters])
    everyone = _mean(used)
    means = {str(name): _mean(used[names == name], everyone) for name in np.unique(names[unread])}
    return np.array([means[str(name)] for name in names[unread]], dtype=np.float64)


def _mean(values: Floats, otherwise: float = 0.0) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else otherwise


def _days(city: CityModel, bounds: NDArray[np.int64]) -> tuple[date, ...]:
    zone = ZoneInfo(city.gas_day.timezone)
    return tuple(from_us(int(at)).astimezone(zone).date() for at in bounds[:-1])


def _sum(values: Floats, matrix: sparse.csr_array) -> Floats:
    """Sum the columns that belong to each zone; NaN where one of them is unknown or there is none."""
    unknown = np.isnan(values).astype(np.float64) @ abs(matrix).T
    total = np.nan_to_num(values) @ matrix.T
    return np.where(unknown > 0, np.nan, total)


def _alignment(spread: Floats, tree: ZoneTree) -> Floats:
    return np.asarray(np.nan_to_num(spread) @ abs(tree.supplied_by).T)


def _share(part: Floats, whole: Floats) -> Floats:
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), 1.0)


def _own_part(gained: Floats, tree: ZoneTree) -> Floats:
    """Take from each measured zone's linepack what is in the pipes of measured zones right below it."""
    own = gained.copy()
    row = {zone: index for index, zone in enumerate(tree.zones)}
    for zone, members in tree.pipes.items():
        if not tree.measured[row[zone]]:
            continue
        inside = [other for other in members if other != zone and other in row and tree.measured[row[other]]]
        top = [other for other in inside if not any(other in tree.pipes[up] and up != other for up in inside)]
        own[:, row[zone]] -= gained[:, [row[other] for other in top]].sum(axis=1)
    return own


def loss_rows(result: Balance, config: LossConfig | None = None) -> list[LossRow]:
    """Return the loss of each zone and gas day, with what may be said of it."""
    config = config or LossConfig()
    loss, sigma = result.loss, result.sigma
    return [
        _row(result, config, day, zone, loss=float(loss[day, zone]), sigma=float(sigma[day, zone]))
        for day in range(len(result.days))
        for zone in range(len(result.tree.zones))
    ]


def _row(result: Balance, config: LossConfig, day: int, zone: int, *, loss: float, sigma: float) -> LossRow:
    supply = float(result.supply[day, zone])
    coverage = float(result.coverage[day, zone])
    reason = _reason(supply, float(result.volume_coverage[day, zone]), config)
    balanced = supply > 0
    rate = loss / supply if balanced else 0.0
    share = sigma / supply if balanced else 0.0
    verdict = LossVerdict.NORMAL
    if reason:
        verdict = LossVerdict.NOT_ASSESSABLE
    elif rate > max(config.high_rate, 2.0 * share):
        verdict = LossVerdict.HIGH
    return LossRow(
        zone=result.tree.zones[zone],
        gas_day=result.days[day],
        supply_m3=supply if np.isfinite(supply) else None,
        metered_m3=float(result.metered[day, zone]),
        linepack_m3=float(result.gained[day, zone]),
        loss_m3=loss if balanced and not reason else None,
        loss_rate=rate if balanced and not reason else None,
        sigma=share if balanced and not reason else None,
        coverage=coverage,
        verdict=verdict,
        reason=reason,
    )


def _reason(supply: float, volume_coverage: float, config: LossConfig) -> str:
    if not np.isfinite(supply):
        return "supply meter was not read"
    if supply <= 0:
        return "no gas was supplied"
    if volume_coverage < config.coverage_limit:
        return f"only {100 * volume_coverage:.0f} % of the expected volume was read"
    return ""
