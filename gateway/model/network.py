"""The network that the company described: zones, meters, stations, points. Read-only once loaded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import Protocol, runtime_checkable

from gateway.model.affected import SENSITIVE, Affected, add_up
from gateway.model.quantity import Quantity
from gateway.model.reading import PointId


class ZoneKind(StrEnum):
    """Level of a node of the balance tree."""

    CITY = "city"
    DISTRICT = "district"
    REGULATOR = "regulator"
    BUILDING = "building"


class MeterRole(StrEnum):
    """Supply meters pass gas into their zone, customer meters out of it."""

    SUPPLY = "supply"
    CUSTOMER = "customer"


class MeterKind(StrEnum):
    """How a meter is built and read; a corrector's register is at base conditions."""

    IC_CARD = "ic_card"
    REMOTE = "remote"
    CORRECTOR = "corrector"


def register_of(kind: MeterKind) -> Quantity:
    """Return the quantity that the register of such a meter counts."""
    return Quantity.REGISTER_BASE_M3 if kind is MeterKind.CORRECTOR else Quantity.REGISTER_MEASURED_M3


@dataclass(frozen=True, slots=True)
class Zone:
    """A node of the balance tree; `parent_id` is empty at the root."""

    zone_id: str
    parent_id: str
    kind: ZoneKind
    name: str
    pipe_volume_m3: float | None = None


@dataclass(frozen=True, slots=True)
class Meter:
    """One meter as the company's file describes it (columns of `meters.csv`)."""

    meter_id: str
    zone_id: str
    role: MeterRole
    kind: MeterKind
    customer_class: str
    digits: int
    decimals: int
    max_flow_m3h: float
    temperature_compensated: bool
    installed_on: date
    account: str
    x_m: float | None = None
    y_m: float | None = None
    account_no: str = ""
    """the customer's account in the company's billing; empty if the file does not say"""
    address: str = ""

    @property
    def register(self) -> Quantity:
        """The quantity that this meter's register counts."""
        return register_of(self.kind)


@dataclass(frozen=True, slots=True)
class Station:
    """A station or a regulator: an asset of the network that crews drive to (columns of `stations.csv`)."""

    station_id: str
    kind: str
    """station or regulator"""
    zone_id: str
    name: str
    address: str
    x_m: float
    y_m: float
    set_pressure_gauge_kpa: float
    remote: bool
    """True: crews have 50 minutes instead of 30"""


@dataclass(frozen=True, slots=True)
class Point:
    """A network measuring point with its own alarm limits, in the canonical unit; None = the default."""

    point_id: PointId
    asset: str
    quantity: Quantity
    zone_id: str
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Network:
    """All that the company told us about its network."""

    zones: Mapping[str, Zone]
    meters: Mapping[str, Meter]
    stations: Mapping[str, Station]
    points: Mapping[PointId, Point]
    geojson: str = ""
    """pipes as a GeoJSON FeatureCollection in local metres; empty if there is none"""
    _children: Mapping[str, tuple[str, ...]] = field(init=False, repr=False, compare=False)
    _affected: dict[str, Affected] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        """Note which zones stand below which."""
        below: dict[str, list[str]] = {}
        for zone in self.zones.values():
            below.setdefault(zone.parent_id, []).append(zone.zone_id)
        object.__setattr__(self, "_children", {zone: tuple(names) for zone, names in below.items()})

    def children(self, zone_id: str) -> tuple[str, ...]:
        """Return the zones directly below a zone."""
        return self._children.get(zone_id, ())

    def below(self, zone_id: str) -> Iterator[str]:
        """Yield a zone and every zone below it."""
        yield zone_id
        for child in self.children(zone_id):
            yield from self.below(child)

    def zone_of(self, asset: str) -> str:
        """Return the zone of a meter, a station or a zone itself; empty if the asset is unknown."""
        if asset in self.meters:
            return self.meters[asset].zone_id
        if asset in self.stations:
            return self.stations[asset].zone_id
        return asset if asset in self.zones else ""

    def zone_above(self, asset: str, kind: ZoneKind) -> str:
        """Return the lowest zone of a kind that holds a meter, a station or a zone; empty if there is none."""
        at = self.zone_of(asset)
        while at in self.zones:
            if self.zones[at].kind is kind:
                return at
            at = self.zones[at].parent_id
        return ""

    def affected(self, asset: str) -> Affected:
        """Return the customers behind an asset: one meter's own, else all of its zone. The first call counts them all.

        Nobody hangs on what the network does not know.
        """
        if not self._affected:
            parents = {zone.zone_id: zone.parent_id for zone in self.zones.values()}
            self._affected.update(add_up(_customers(self.meters), parents))
        meter = self.meters.get(asset)
        if meter is not None and meter.role is MeterRole.CUSTOMER:
            return Affected(1, int(meter.customer_class in SENSITIVE))
        return self._affected.get(self.zone_of(asset), Affected())

    def customers(self) -> Iterable[tuple[str, str, int]]:
        """Return (zone, class of customers, number of meters) of all customers, in no order."""
        return _customers(self.meters)

    def installed_before(self, day: date) -> list[tuple[str, date]]:
        """Return the customers' meters that were installed by a day, the oldest first."""
        if isinstance(self.meters, Tallied):
            return self.meters.installed_before(day)
        every = (one for one in self.meters.values() if one.role is MeterRole.CUSTOMER and one.installed_on <= day)
        found = ((one.meter_id, one.installed_on) for one in every)
        return sorted(found, key=lambda pair: (pair[1], pair[0]))

    def name_of(self, asset: str) -> str:
        """Return what people call an asset; its id where it has no name."""
        if asset in self.stations:
            return self.stations[asset].name
        return self.zones[asset].name if asset in self.zones else asset


@runtime_checkable
class Tallied(Protocol):
    """Meters in a form that counts them faster than one by one."""

    def customers(self) -> Iterable[tuple[str, str, int]]:
        """Return (zone, class of customers, number of meters) of all customers."""
        ...

    def installed_before(self, day: date) -> list[tuple[str, date]]:
        """Return the customers' meters that were installed by a day, the oldest first."""
        ...


def _customers(meters: Mapping[str, Meter]) -> Iterable[tuple[str, str, int]]:
    if isinstance(meters, Tallied):
        return meters.customers()
    every = (one for one in meters.values() if one.role is MeterRole.CUSTOMER)
    count = Counter((one.zone_id, one.customer_class) for one in every)
    return [(zone, customer_class, number) for (zone, customer_class), number in count.items()]
