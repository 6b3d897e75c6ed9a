"""Places in the city: found by what a caller says, or by a click on the map.

Whoever may not see customers' data finds no customer by an address, and hears none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from api.auth import User
from api.deps import Parts
from api.services import meters, network
from api.services.city import place_of
from api.services.customers import may_see
from api.services.meters import Wanted
from gateway.errors import RefusedError
from gateway.model.meters import MeterTable
from gateway.model.network import Meter, Network, ZoneKind

MOST = 8
"""of each kind that a search gives"""
LONGEST_TEXT = meters.LONGEST_TEXT
ADDRESS_M = 150.0
"""how far the meter may be by whose address a place on the map is called"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is; an `asset` of the network, or a mere position on the map."""

    asset: str
    """meter, station or zone; empty for a position"""
    kind: str
    """meter, station, regulator, city, district, regulator_zone, building, or position"""
    name: str
    """its address where it is known and may be seen, else what people call it; may be empty for a position"""
    zone: str
    """the zone that it lies in, empty if that is not known"""
    x_m: float | None = None
    y_m: float | None = None
    """local metres, None where unknown"""


def find(parts: Parts, user: User, text: str) -> tuple[Place, ...]:
    """Return stations, zones and meters of which id, name or address hold a text. Blocks up to a second."""
    part = text.strip()[:LONGEST_TEXT]
    if not part:
        return ()
    city = parts.network
    found = meters.find_meters(parts, user, Wanted(text=part), limit=MOST).meters
    return tuple(
        chain(
            islice((of_asset(parts, user, name) for name in network.named(city, part)), MOST),
            islice((of_asset(parts, user, name) for name in _zones(city, part)), MOST),
            (of_asset(parts, user, meter.meter_id) for meter in found),
        )
    )


def of_asset(parts: Parts, user: User, asset: str) -> Place:
    """Return where a meter, station or zone is. Raises RefusedError 404."""
    city = parts.network
    zone = city.zone_of(asset)
    if not zone:
        raise RefusedError(404, "unknown_asset", f"the network has no {asset}")
    at = place_of(city, asset) or (None, None)
    if asset in city.stations:
        station = city.stations[asset]
        return Place(asset, station.kind, station.name, zone, *at)
    if asset in city.zones:
        kind = city.zones[asset].kind
        word = "regulator_zone" if kind is ZoneKind.REGULATOR else kind.value
        return Place(asset, word, city.zones[asset].name, zone, *at)
    address = city.meters[asset].address if may_see(user) else ""
    return Place(asset, "meter", address or asset, zone, *at)


def at_position(parts: Parts, user: User, x_m: float, y_m: float) -> Place:
    """Return a position of the map, called by the address of the nearest meter if one is near. Blocks."""
    address = ""
    if may_see(user):
        meter = _nearest(parts.network, x_m, y_m)
        address = meter.address if meter is not None and _metres(meter, x_m, y_m) <= ADDRESS_M else ""
    return Place("", "position", address, parts.telephone.zone_at(x_m, y_m), x_m, y_m)


def _zones(city: Network, text: str) -> Iterator[str]:
    part = text.casefold()
    return (
        zone.zone_id for zone in city.zones.values() if part in zone.zone_id.casefold() or part in zone.name.casefold()
    )


def _nearest(city: Network, x_m: float, y_m: float) -> Meter | None:
    if isinstance(city.meters, MeterTable):
        row = city.meters.nearest(x_m, y_m)
        return None if row is None else city.meters.at(row)
    known: Iterable[Meter] = (meter for meter in city.meters.values() if meter.x_m is not None)
    return min(known, key=lambda meter: _metres(meter, x_m, y_m), default=None)


def _metres(meter: Meter, x_m: float, y_m: float) -> float:
    if meter.x_m is None or meter.y_m is None:
        return math.inf
    return math.dist((meter.x_m, meter.y_m), (x_m, y_m))
