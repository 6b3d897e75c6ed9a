"""The network as arrays: which meters feed and empty each zone, and how a register becomes a base volume. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from alarms.analysis.groups import Groups
from alarms.analysis.parts import fed_zones
from gateway.model.gasday import GasDay
from gateway.model.network import Meter, MeterKind, MeterRole, Network

KELVIN = 273.15
SHUT = ("closed", "never_opened")
GROUND_BEGINS_D = 15
"""days of air whose mean the ground has at first"""
LEAD_D, GROUND_LEAD_D = 7, 60
"""days of weather that are looked at before the first gas day"""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SiteFigures:
    """Base conditions and the pressure at customers' meters."""

    base_temperature_c: float = 20.0
    base_pressure_kpa: float = 101.325
    customer_pressure_kpa: float = 101.325
    """mean absolute gas pressure at customer meters"""


@dataclass(frozen=True, slots=True)
class AccountChange:
    """An account that was opened or closed, known at its moment."""

    at_us: int
    opened: bool


@dataclass(frozen=True, slots=True)
class GasTemperature:
    """Gas temperature in meters that do not compensate it, between the home's and the air's.

    Gas comes from the ground and stands in a kitchen or on a wall outside, so it follows the air only in part.
    """

    home_c: float = 15.0
    follows_air: float = 0.35
    sigma_k: float = 2.5
    """what one city may differ by, for all meters alike"""
    memory_d: float = 2.0
    ground_d: float = 25.0
    """days by which the ground at the depth of a service pipe remembers the air"""

    def of(self, air_c: Floats) -> Floats:
        """Return the gas temperature of consecutive days from the air's, NaN where that is unknown; causal."""
        return np.asarray(self.home_c + self.follows_air * (self._smooth(air_c, self.memory_d) - self.home_c))

    def courses(self, air_c: Floats) -> Floats:
        """Return by which share of the home's temperature air and ground are warmer on consecutive days, (d, 2).

        It is 0 where the gas temperature is certain: then losses have nothing to tell of it.
        """
        if self.sigma_k == 0:
            return np.zeros((len(air_c), 2))
        known = air_c[np.isfinite(air_c)][:GROUND_BEGINS_D]
        begin = known.mean() if len(known) else self.home_c
        sides = self._smooth(air_c, self.memory_d), self._smooth(np.append(begin, air_c), self.ground_d)[1:]
        return np.stack([side - self.home_c for side in sides], axis=1) / (self.home_c + KELVIN)

    def _smooth(self, air_c: Floats, memory_d: float) -> Floats:
        """Return the air as what remembers it for so long has it; the home's before the air was ever known."""
        smooth = np.array(air_c, dtype=np.float64)
        keep = np.exp(-1.0 / memory_d)
        for day in range(1, len(smooth)):
            if np.isnan(smooth[day]):
                smooth[day] = smooth[day - 1]
            elif not np.isnan(smooth[day - 1]):
                smooth[day] = keep * smooth[day - 1] + (1.0 - keep) * smooth[day]
        return np.nan_to_num(smooth, nan=self.home_c)


@dataclass(frozen=True, slots=True, eq=False)
class ZoneTree:
    """Zones that have a supply meter, or stand above such, and the meters that make up their balances.

    Matrices are (zones x meters) over the tree's own order of supply and customer meters.
    """

    zones: tuple[str, ...]
    measured: Flags
    """True where the zone has its own supply meter, False where it is the sum of zones below"""
    supplies: tuple[str, ...]
    customers: tuple[str, ...]
    supplied_by: sparse.csr_array
    """1 where a supply meter counts into the zone's supply"""
    holds: sparse.csr_array
    """1 where a customer meter counts into the zone's metered volume"""
    own_supply: sparse.csr_array
    """as `supplied_by`, less what passes on into measured zones below"""
    own_customers: sparse.csr_array
    """1 where a customer hangs on the zone and on no measured zone below it"""
    above: sparse.csr_array
    """1 where the balance of a zone (row) holds that of another (column), itself as well, (zones x zones)"""
    pipes: Mapping[str, tuple[str, ...]]
    """zone -> the zones whose pipes belong to its balance: itself and all below"""
    home: NDArray[np.int64]
    """for each customer the lowest measured zone that holds it, -1 if there is none"""
    own: Groups
    """sums customers over `home`, as products with `own_customers` do"""


@dataclass(frozen=True, slots=True, eq=False)
class CityModel:
    """What the company told us, ready for numbers. Made once for a network."""

    network: Network
    gas_day: GasDay
    figures: SiteFigures = SiteFigures()
    weather: Mapping[date, float] = field(default_factory=dict)
    """mean air temperature of local dates, C; days that have not ended may stand here, they are not looked at"""
    temperature: GasTemperature = GasTemperature()
    accounts: Mapping[str, tuple[AccountChange, ...]] = field(default_factory=dict)
    """what changed after the network was described, by meter, oldest first"""
    elsewhere: frozenset[str] = frozenset()
    """zones whose customers another part of the city holds: only what passes on into them counts here"""
    _fed: list[frozenset[str]] = field(default_factory=list, init=False, repr=False)
    """the zones that have a supply meter, once somebody asked"""
    _trees: dict[tuple[str, ...], ZoneTree] = field(default_factory=dict, init=False, repr=False)

    def shut_days(self, assets: Sequence[str], bounds: NDArray[np.int64]) -> Flags:
        """Return on which days, from one boundary to the next, an account was closed all the time, (days, assets)."""
        meters = self.network.meters
        closed = np.array([meters[name].account in SHUT for name in assets], dtype=np.bool_)
        shut = np.tile(closed, (max(len(bounds) - 1, 0), 1))
        for column, name in enumerate(assets):
            if not (changes := self.accounts.get(name)):
                continue
            at = np.array([change.at_us for change in changes], dtype=np.int64)
            state = np.array([not closed[column], *(change.opened for change in changes)], dtype=np.bool_)
            before, after = (np.searchsorted(at, edge, side="right") for edge in (bounds[:-1], bounds[1:]))
            shut[:, column] = ~state[before] & (before == after)
        return shut

    def tree(self, assets: Sequence[str]) -> ZoneTree:
        """Return the balances over those of the `assets` that are meters; that of the last assets is kept."""
        key = tuple(assets)
        if key not in self._trees:
            self._trees.clear()
            self._trees[key] = build_tree(self.network, assets, self.elsewhere)
        return self._trees[key]

    def air_c(self, days: Sequence[date]) -> Floats:
        """Return the air temperature of each gas day, NaN where unknown."""
        return np.array([self.weather.get(day, np.nan) for day in days], dtype=np.float64)

    def warmer(self, days: Sequence[date]) -> Floats:
        """Return by which share air and ground are warmer than a home, (d, 2): `GasTemperature.courses`."""
        return self.temperature.courses(self._air_since(GROUND_LEAD_D, days))[-len(days) :]

    def _air_since(self, lead_d: int, days: Sequence[date]) -> Floats:
        """Return the air of consecutive gas days and of so many days before."""
        lead = [days[0] - timedelta(days=back) for back in range(lead_d, 0, -1)] if days else []
        return self.air_c([*lead, *days])

    def to_base(self, meters: Sequence[Meter], days: Sequence[date]) -> Floats:
        """Return the factor from register to base m3, shape (days, meters)."""
        base_k = self.figures.base_temperature_c + KELVIN
        pressure = self.figures.customer_pressure_kpa / self.figures.base_pressure_kpa
        corrector = np.array([meter.kind is MeterKind.CORRECTOR for meter in meters], dtype=np.bool_)
        gas_k = self.temperature.of(self._air_since(LEAD_D, days))[-len(days) :] + KELVIN
        uncompensated = uncompensated_of(meters)
        factor = np.where(uncompensated[None, :], pressure * (base_k / gas_k)[:, None], pressure)
        return np.where(corrector[None, :], 1.0, factor)

    def at_base_temperature(self, meters: Sequence[Meter]) -> Floats:
        """Return the factor from register to base m3 for gas at base temperature and the usual pressure, (meters,)."""
        pressure = self.figures.customer_pressure_kpa / self.figures.base_pressure_kpa
        return np.array([1.0 if meter.kind is MeterKind.CORRECTOR else pressure for meter in meters], dtype=np.float64)

    def zone_for(self, meter_id: str) -> str:
        """Return the lowest zone with a supply meter that holds a meter; its own zone if there is none."""
        own = at = self.network.zone_of(meter_id)
        if not self._fed:
            self._fed.append(fed_zones(self.network))
        measured = self._fed[0]
        while at in self.network.zones:
            if at in measured:
                return at
            at = self.network.zones[at].parent_id
        return own


def uncompensated_of(meters: Sequence[Meter]) -> Flags:
    """Return which meters count at gas temperature."""
    return np.array([not m.temperature_compensated and m.kind is not MeterKind.CORRECTOR for m in meters], dtype=bool)


def build_tree(network: Network, assets: Sequence[str], elsewhere: frozenset[str] = frozenset()) -> ZoneTree:
    """Lay the tree of zones over the supply and customer meters among `assets`.

    Zones that are balanced `elsewhere` count as not measured, though what passes on into them is known.
    """
    meters = [network.meters[name] for name in assets if name in network.meters]
    supplies = tuple(m.meter_id for m in meters if m.role is MeterRole.SUPPLY)
    customers = tuple(m.meter_id for m in meters if m.role is MeterRole.CUSTOMER)
    fed = {network.meters[name].zone_id for name in supplies}
    below = {zone: tuple(network.below(zone)) for zone in network.zones}
    zones = tuple(zone for zone in network.zones if any(other in fed for other in below[zone]))
    up = {zone: _chain(network, zone) for zone in network.zones}
    supplied, own_supply = [], []
    row = {zone: index for index, zone in enumerate(zones)}
    for column, name in enumerate(supplies):
        chain = up[network.meters[name].zone_id]
        supplied += [(row[chain[0]], column, 1.0)]
        own_supply += [(row[chain[0]], column, 1.0)]
        passed = _until_fed(chain[1:], fed)
        supplied += [(row[zone], column, 1.0) for zone in passed if zone not in fed]
        own_supply += [(row[zone], column, -1.0) for zone in passed if zone in fed]
    lowest = {zone: next((row[over] for over in chain if over in fed), -1) for zone, chain in up.items()}
    home = np.array([lowest[network.meters[name].zone_id] for name in customers], dtype=np.int64)
    fed_customers = np.flatnonzero(home >= 0)
    own_customers = sparse.csr_array(
        (np.ones(len(fed_customers)), (home[fed_customers], fed_customers)), shape=(len(zones), len(customers))
    )
    above = _matrix([(row[over], row[zone], 1.0) for zone in zones for over in up[zone]], len(zones), len(zones))
    return ZoneTree(
        zones=zones,
        measured=np.array([zone in fed and zone not in elsewhere for zone in zones], dtype=np.bool_),
        supplies=supplies,
        customers=customers,
        supplied_by=_matrix(supplied, len(zones), len(supplies)),
        holds=above @ own_customers,
        own_supply=_matrix(own_supply, len(zones), len(supplies)),
        own_customers=own_customers,
        above=above,
        pipes={zone: below[zone] for zone in zones},
        home=home,
        own=Groups.of(home, len(zones)),
    )


def _chain(network: Network, zone: str) -> list[str]:
    """Return a zone and all above it, lowest first."""
    chain = [zone]
    while network.zones[chain[-1]].parent_id:
        chain.append(network.zones[chain[-1]].parent_id)
    return chain


def _until_fed(chain: Sequence[str], fed: set[str]) -> list[str]:
    """Return the zones up to and with the first one that has its own supply meter."""
    taken: list[str] = []
    for zone in chain:
        taken.append(zone)
        if zone in fed:
            break
    return taken


def _matrix(cells: Sequence[tuple[int, int, float]], rows: int, columns: int) -> sparse.csr_array:
    row, column, value = zip(*cells, strict=True) if cells else ((), (), ())
    at = np.array(row, dtype=np.int64), np.array(column, dtype=np.int64)
    return sparse.csr_array((np.array(value, dtype=np.float64), at), shape=(rows, columns))
