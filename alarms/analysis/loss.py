"""Balances of zones and gas days: supply, metered volume, stock in the pipes, loss and its uncertainty. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from alarms.analysis import linepack
from alarms.analysis.assumed import assumed
from alarms.analysis.city import CityModel, ZoneTree, uncompensated_of
from alarms.analysis.common_mode import Shared, shared
from alarms.analysis.expectation import shapes
from alarms.analysis.filling import course_of, fill
from alarms.analysis.gaps import Gaps
from alarms.analysis.gas_temperature import follows
from alarms.analysis.loss_config import LossConfig
from alarms.analysis.loss_errors import CustomerSums, SupplyVariances, TermVariances, customer_sums
from alarms.analysis.pulses import evened
from gateway.model.network import Meter, MeterKind
from gateway.model.quantity import Quantity
from gateway.model.reading import Window, from_us

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

TOLD = 0.8
"""share of a zone's volume that readings must tell for a day to say how warm gas is"""
STILL_M3 = 0.02
"""most that is used on a day of rest, and no more than two steps of the register"""


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
    filled: Floats
    """`use`; where it was not read its part of the step between two far readings, or what it and its class lead to
    expect, (d, n)"""
    known: Flags
    """where readings tell the volume of `filled`, of the day or of the gap around it, (d, n)"""
    gap_d: Floats
    """days between the readings around a day that was not read itself and is known, (d, n)"""
    still_m3: Floats
    """most that each customer's register counts on a day of rest, (n,)"""
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
    counted: Floats
    """what registers that were read counted, at the usual pressure and the base temperature, (d, z)"""
    unread: Floats
    """of `metered`, what is expected of customers that were not read, (d, z)"""
    terms: TermVariances
    """of the loss, by cause, (d, z)"""
    coverage: Floats
    """share of customers that were read, (d, z)"""
    volume_coverage: Floats
    """share of the expected volume that readings tell, (d, z)"""
    own_terms: TermVariances
    """of `own_loss`, by cause, (d, z)"""
    held: CustomerSums
    """over the customers of each zone and of all below it, (d, z)"""
    customers: NDArray[np.int64]
    """how many customers each zone and all below it have, (z,)"""

    def until(self, days: int) -> Balance:
        """Return the first so many days."""
        cut: dict[str, Any] = {"days": self.days[:days], "bounds": self.bounds[: days + 1]}
        for name in ("terms", "own_terms", "held"):
            cut[name] = getattr(self, name).until(days)
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name not in cut and isinstance(value, np.ndarray) and value.ndim == 2:
                cut[one.name] = value[:days]
        return replace(self, **cut)

    @property
    def loss(self) -> Floats:
        """Supply that no customer's meter registered and that is not in the pipes, (d, z)."""
        return self.supply - self.metered - self.gained

    @property
    def noise_variance(self) -> Floats:
        """Variance of the loss that differs from day to day, (d, z)."""
        return self.terms.noise

    @property
    def steady_variance(self) -> Floats:
        """Variance of the loss that is alike every day: meter gain, gas temperature, (d, z)."""
        return self.terms.steady

    @property
    def own_sigma(self) -> Floats:
        """Standard uncertainty of `own_loss`, m3, (d, z)."""
        return np.sqrt(self.own_terms.noise + self.own_terms.steady)

    @property
    def sigma(self) -> Floats:
        """Standard uncertainty of the loss, m3, (d, z)."""
        return np.sqrt(self.noise_variance + self.steady_variance)


def balance(
    city: CityModel,
    windows: Mapping[Quantity, Window],
    config: LossConfig | None = None,
    gaps: Mapping[Quantity, Gaps] | None = None,
) -> Balance:
    """Balance every gas day of the windows.

    `windows` holds registers at gas-day boundaries: measured ones, and base ones where there are correctors; the
    gauge pressure of stations may be there too. Their time grids must be the same. `gaps` tells of registers what
    lies around the boundaries at which they are unknown.
    """
    config = config or LossConfig()
    registers, variance, assets, bounds = _joined(windows, city)
    tree = city.tree(assets)
    days = _days(city, bounds)
    column = {name: index for index, name in enumerate(assets)}
    customer = np.array([column[name] for name in tree.customers], dtype=np.int64)
    supplier = np.array([column[name] for name in tree.supplies], dtype=np.int64)
    listed = city.network.meters
    resolution = np.array([10.0 ** -listed[name].decimals if name in listed else 0.0 for name in assets])
    step = np.diff(evened(registers, resolution), axis=0)
    step[step < 0] = np.nan
    spread = variance[1:] + variance[:-1]
    meters = [city.network.meters[name] for name in tree.customers]
    factor = city.to_base(meters, days)
    use, use_variance = step[:, customer] * factor, spread[:, customer] * factor**2
    classes = [meter.customer_class for meter in meters]
    around = of_customers(gaps or {}, tree.customers)
    past_use, past_bounds = _past_use(city, around, meters)
    course = course_of(use, bounds, classes, past_use, past_bounds)
    filling = fill(use, use_variance, course, register=registers[:, customer], factor=factor, gaps=around)
    shut = city.shut_days(tree.customers, bounds)
    sizes = np.array([meter.max_flow_m3h for meter in meters])
    filled, variance = assumed(filling, course, sizes, shut, unread_sigma=config.unread_sigma)
    pressure = windows.get(Quantity.PRESSURE_GAUGE_KPA)
    gained, gained_variance = linepack.gained(city.network, city.figures, pressure, tree.pipes, len(days))
    supplied = step[:, supplier]
    supply = _sum(supplied, tree.supplied_by)
    own_supply = _sum(supplied, tree.own_supply)
    own_gained = _own_part(gained, tree)
    filled = _no_more_than_came(filled, filling.known, own_supply - own_gained, tree, config)
    own, up = tree.own.sums, tree.above.T
    filled = _at_gas_temperature(
        filled, filling.known, own_supply - own_gained, tree, warm=uncompensated_of(meters), courses=city.warmer(days)
    )
    sums = customer_sums(filled, variance, filling, meters, tree.own, gain=config.meter_gain_sigma)
    aligned = spread[:, supplier]
    own_variances = _of_supply(config, aligned, supplied, gained_variance, tree.own_supply)
    noise = sums.noise + own_variances.skew + gained_variance
    weather = _weather(tree, own(filled), sums.blind, own_supply - own_gained, noise)
    blind = filling.known & np.array([meter.kind is not MeterKind.CORRECTOR for meter in meters], dtype=np.bool_)
    filled = np.where(blind, filled * (1.0 + weather.share[:, None]), filled)
    own_terms = sums.terms(city.temperature, weather.variance, own_variances)
    variances = _of_supply(config, aligned, supplied, gained_variance, tree.supplied_by)
    held = sums.held_by(tree.above)
    terms = held.terms(city.temperature, weather.variance, variances)
    read = np.isfinite(use)
    counted = np.where(read, step[:, customer] * city.at_base_temperature(meters), 0.0)
    own_metered = own(filled)
    metered = own_metered @ up
    customers = np.asarray(tree.own_customers.sum(axis=1))
    coverage = _share(own(read) @ up, np.broadcast_to(customers @ up, metered.shape))
    return Balance(
        tree=tree,
        days=days,
        bounds=bounds,
        use=use,
        use_variance=use_variance,
        shape=shapes(use, classes),
        filled=filled,
        known=filling.known,
        gap_d=filling.gap_d,
        still_m3=np.minimum(2.0 * resolution[customer], STILL_M3),
        supply=supply,
        metered=metered,
        gained=gained,
        own_supply=own_supply,
        own_loss=own_supply - own_metered - own_gained,
        counted=own(counted) @ up,
        unread=own(np.where(read, 0.0, filled)) @ up,
        terms=terms,
        coverage=coverage,
        volume_coverage=_share(own(filling.known * filled) @ up, metered, coverage),
        own_terms=own_terms,
        held=held,
        customers=np.asarray(tree.holds.sum(axis=1), dtype=np.int64),
    )


def _joined(windows: Mapping[Quantity, Window], city: CityModel) -> tuple[Floats, Floats, list[str], NDArray[np.int64]]:
    """Return all registers side by side, and behind them, unknown, the meters of which nothing came."""
    parts = [windows[q] for q in (Quantity.REGISTER_MEASURED_M3, Quantity.REGISTER_BASE_M3) if q in windows]
    if not parts:
        raise ValueError("a balance needs registers")
    heard = {name for part in parts for name in part.assets}
    unheard = [name for name in city.network.meters if name not in heard]
    nothing = np.full((len(parts[0].times), len(unheard)), np.nan)
    value = np.concatenate([*(part.value for part in parts), nothing], axis=1)
    variance = np.concatenate([*(part.variance for part in parts), nothing], axis=1)
    return value, variance, [*(name for part in parts for name in part.assets), *unheard], parts[0].times


def of_customers(gaps: Mapping[Quantity, Gaps], customers: Sequence[str]) -> Gaps | None:
    """Return the gaps of customers in their order; of those that are in none of `gaps` nothing is told."""
    parts = [part for part in gaps.values() if len(part.assets)]
    if not parts:
        return None
    place = {name: index for index, name in enumerate(customers)}
    to = [np.array([place.get(name, -1) for name in part.assets], dtype=np.int64) for part in parts]
    kept = [at[part.column] >= 0 for part, at in zip(parts, to, strict=True)]

    def cells(name: str) -> NDArray[np.generic]:
        return np.concatenate([getattr(part, name)[keep] for part, keep in zip(parts, kept, strict=True)])

    ends = {"from_us": np.zeros(len(place), dtype=np.int64), "last_us": np.zeros(len(place), dtype=np.int64)}
    figures: dict[str, NDArray[np.generic]] = {**ends, "recent_m3": np.zeros(len(place))}
    for name, target in figures.items():
        for part, at in zip(parts, to, strict=True):
            target[at[at >= 0]] = getattr(part, name)[at >= 0]
    column = np.concatenate([at[part.column[keep]] for part, at, keep in zip(parts, to, kept, strict=True)])
    flat = {name: cells(name) for name in ("row", "left_us", "left_m3", "right_us", "right_m3", "broken")}
    past = next((part.past for part in parts if part.past is not None), None)
    return Gaps(assets=tuple(customers), column=column, past=past, **flat, **figures)  # type: ignore[arg-type]


def _past_use(city: CityModel, gaps: Gaps | None, meters: Sequence[Meter]) -> tuple[Floats | None, NDArray[np.int64]]:
    """Return what some well-read customers used on days before the window, base m3, and those days' boundaries."""
    if gaps is None or gaps.past is None or len(gaps.past.times) < 2:
        return None, np.zeros(0, dtype=np.int64)
    past = gaps.past
    place = {name: index for index, name in enumerate(gaps.assets)}
    own = [index for index, name in enumerate(past.assets) if name in place]
    to = np.array([place[past.assets[index]] for index in own], dtype=np.int64)
    step = np.diff(past.value[:, own], axis=0)
    step[step < 0] = np.nan
    use = np.full((len(step), len(meters)), np.nan)
    use[:, to] = step * city.to_base([meters[index] for index in to], _days(city, past.times))
    return use, past.times


def _no_more_than_came(filled: Floats, known: Flags, came: Floats, tree: ZoneTree, config: LossConfig) -> Floats:
    """Lower what is only expected where all days of a zone together would have used more gas than came into it.

    `came` is supply less linepack of each zone's own customers, (d, z). Only as far as meters are not to blame.
    """
    days = np.isfinite(came)
    expected = np.where(known, 0.0, filled)
    unsure = np.where(days, tree.own.sums(expected), 0.0).sum(axis=0)
    total = np.where(days, came, 0.0).sum(axis=0)
    excess = np.where(days, tree.own.sums(filled) - came, 0.0).sum(axis=0) + config.least_loss * np.maximum(total, 0.0)
    guess, meters = (config.expected_sigma * unsure) ** 2, (config.meters_sigma * total) ** 2
    share = np.where(excess > 0, excess, 0.0) * guess / np.maximum(guess + meters, 1e-12)
    left = np.clip(1.0 - share / np.maximum(unsure, 1e-12), 0.0, 1.0)
    of_meter = np.append(left, 1.0)[tree.home]
    return np.where(known, filled, filled * of_meter[None, :])


def _at_gas_temperature(
    filled: Floats, known: Flags, came: Floats, tree: ZoneTree, *, warm: Flags, courses: Floats
) -> Floats:
    """Return volumes with the gas temperature that all zones tell in the meters that do not compensate, `warm`.

    `came` is as for `_no_more_than_came`, and `courses` (d, 2) are by which share air and ground are warmer than taken.
    """
    own, fed = tree.own.sums, tree.measured
    metered, moving = own(filled), own(filled * warm[None, :])
    told = _share(own(known * filled), metered) >= TOLD
    size = follows((came - metered)[:, fed], came[:, fed], moving[:, fed], told[:, fed], courses)
    return np.where(warm[None, :], filled * (1.0 - courses @ size)[:, None], filled)


def _weather(tree: ZoneTree, metered: Floats, blind: Floats, came: Floats, noise: Floats) -> Shared:
    """Return by how much more than it seems passed the meters that do not know their pressure, on each day.

    All are of the zones' own customers, (d, z): metered volume, that part of it which such meters counted, supply less
    linepack, and the variance of what differs from day to day.
    """
    fed = tree.measured
    affected = np.where(metered > 0, blind / np.maximum(metered, 1e-12), 0.0)
    return shared((came - metered)[:, fed], came[:, fed], affected[:, fed], noise[:, fed])


def _of_supply(
    config: LossConfig, aligned: Floats, supplied: Floats, gained_variance: Floats, matrix: sparse.csr_array
) -> SupplyVariances:
    """Return the variances of a supply that is summed by `matrix`."""
    return SupplyVariances(_alignment(aligned, matrix), gained_variance, _gain(config, supplied, matrix))


def _gain(config: LossConfig, supplied: Floats, matrix: sparse.csr_array) -> Floats:
    return np.asarray(_sum((config.supply_gain_sigma * supplied) ** 2, abs(matrix)))


def _days(city: CityModel, bounds: NDArray[np.int64]) -> tuple[date, ...]:
    zone = ZoneInfo(city.gas_day.timezone)
    return tuple(from_us(int(at)).astimezone(zone).date() for at in bounds[:-1])


def _sum(values: Floats, matrix: sparse.csr_array) -> Floats:
    """Sum the columns that belong to each zone; NaN where one of them is unknown or there is none."""
    unknown = np.isnan(values).astype(np.float64) @ abs(matrix).T
    total = np.nan_to_num(values) @ matrix.T
    return np.where(unknown > 0, np.nan, total)


def _alignment(spread: Floats, matrix: sparse.csr_array) -> Floats:
    return np.asarray(np.nan_to_num(spread) @ abs(matrix).T)


def _share(part: Floats, whole: Floats, otherwise: Floats | float = 1.0) -> Floats:
    """Return a share of a whole; of nothing it is `otherwise`."""
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), otherwise)


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
