"""Stations and regulators with what they measure now, against their limits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice

from alarms.detectors.limits import watches_of
from api.deps import Parts
from api.services.newest import Newest, indices_of, newest
from gateway.errors import RefusedError
from gateway.model.network import Network, Station
from gateway.model.quantity import Quantity
from gateway.model.reading import PointId, point_id

SHOWN = (
    Quantity.PRESSURE_GAUGE_KPA, Quantity.INLET_PRESSURE_GAUGE_KPA, Quantity.FLOW_BASE_M3H, Quantity.GAS_LEL_PCT,
    Quantity.TEMPERATURE_C, Quantity.VALVE,
)  # fmt: skip
"""what a station may measure, in the order in which it is shown"""
STALE = timedelta(minutes=15)
"""an older value no longer tells how it is now (clock time)"""
LARGEST_PAGE = 200
MOST_PLACES = 300
LONGEST_TEXT = 60


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit in force at an asset, in the canonical unit; `side` is low or high."""

    value: float
    side: str
    title: str
    """of the alarm that it raises"""


@dataclass(frozen=True, slots=True)
class Value:
    """What an asset measures of one quantity."""

    point: PointId
    quantity: Quantity
    newest: Newest
    limits: tuple[Limit, ...]
    stale: bool

    @property
    def outside(self) -> str:
        """`low` or `high` where the value is beyond a limit; empty within, and where it is not known."""
        value = self.newest.value
        if value is None or self.stale:
            return ""
        for limit in self.limits:
            if (value < limit.value) if limit.side == "low" else (value > limit.value):
                return limit.side
        return ""


@dataclass(frozen=True, slots=True)
class Site:
    """A station or a regulator with its values; empty while it never said anything."""

    station: Station
    zone_name: str
    values: tuple[Value, ...]

    def value_of(self, quantity: Quantity) -> Value | None:
        """Return its value of one quantity."""
        return next((value for value in self.values if value.quantity is quantity), None)


@dataclass(frozen=True, slots=True)
class Sites:
    """Some sites in the order of the company's file; `after` asks for the next ones, None if these are the last."""

    sites: tuple[Site, ...]
    after: int | None


async def sites(
    parts: Parts, *, text: str = "", zone: str = "", kind: str = "", after: int = -1, limit: int = 50
) -> Sites:
    """Return stations and regulators of which id, name or address hold a text, in a zone and all below it.

    Raises RefusedError 404 for an unknown zone, TransientError.
    """
    limit = max(1, min(limit, LARGEST_PAGE))
    rows = list(islice(_found(parts.network, text, zone, kind, after), limit + 1))
    shown = await with_values(parts, [station for _, station in rows[:limit]])
    return Sites(shown, rows[limit - 1][0] if len(rows) > limit else None)


async def with_values(
    parts: Parts, stations: Sequence[Station], quantities: Sequence[Quantity] = SHOWN
) -> tuple[Site, ...]:
    """Return stations with their newest values of some quantities. Raises TransientError."""
    names = [point_id(station.station_id, quantity) for station in stations for quantity in quantities]
    heard = await newest(parts, names)
    now = parts.clock.now()
    found = []
    for station in stations:
        values = tuple(
            Value(name, quantity, one, limits_of(parts, name), stale=now - one.at > STALE)
            for quantity in quantities
            if (one := heard.get(name := point_id(station.station_id, quantity))) is not None
        )
        found.append(Site(station, parts.network.name_of(station.zone_id), values))
    return tuple(found)


async def pressures(parts: Parts, zone: str) -> tuple[Site, ...]:
    """Return the sites of a zone, and of those below it, that measure a pressure: at most `MOST_PLACES`.

    Raises RefusedError 404, TransientError.
    """
    some = islice(_found(parts.network, "", zone, "", -1), MOST_PLACES)
    found = await with_values(parts, [station for _, station in some], (Quantity.PRESSURE_GAUGE_KPA,))
    return tuple(site for site in found if site.values)


def described(parts: Parts, text: str, zone: str, kind: str) -> Iterator[tuple[Station, PointId]]:
    """Yield each point that was ever heard of the sites that match. Raises RefusedError 404 for an unknown zone."""
    for _, station in _found(parts.network, text, zone, kind, -1):
        names = [point_id(station.station_id, quantity) for quantity in SHOWN]
        known = indices_of(parts, names).values()
        yield from ((station, name) for name in names if name in known)


def named(network: Network, text: str) -> Iterator[str]:
    """Yield the stations and regulators of which id, name or address hold a text."""
    return (station.station_id for _, station in _found(network, text, "", "", -1))


def limits_of(parts: Parts, point: PointId) -> tuple[Limit, ...]:
    """Return the limits in force at a point, the lowest first: those that its alarms are judged by."""
    definitions = parts.desk.definitions
    found = [
        Limit(watch.limit, "high" if watch.side > 0 else "low", definitions[watch.alarm_id.partition("@")[0]].title)
        for watch in watches_of(point, definitions, parts.network)
        if watch.side
    ]
    return tuple(sorted(found, key=lambda limit: limit.value))


def _found(network: Network, text: str, zone: str, kind: str, after: int) -> Iterator[tuple[int, Station]]:
    """Yield row and station of all that match behind a row. Raises RefusedError 404 for an unknown zone."""
    if zone and zone not in network.zones:
        raise RefusedError(404, "unknown_zone")
    inside = set(network.below(zone)) if zone else None
    part = text.strip()[:LONGEST_TEXT].casefold()
    for row, station in enumerate(network.stations.values()):
        if row <= after or (kind and station.kind != kind) or (inside is not None and station.zone_id not in inside):
            continue
        names = (station.station_id, station.name, station.address)
        if not part or any(part in name.casefold() for name in names):
            yield row, station
