"""The network as the map draws it: positions in local metres."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from gateway.model.meters import MeterTable
from gateway.model.network import Meter, MeterRole, Network

MOST_METERS = 20_000
"""dots that a browser draws without delay; of a larger city's meters each of so many stands on the map"""


def city_map(network: Network) -> dict[str, Any]:
    """Return pipes (GeoJSON), stations and customer meters with positions."""
    return {
        "pipes": json.loads(network.geojson) if network.geojson else None,
        "stations": [
            {"id": s.station_id, "kind": s.kind, "name": s.name, "zone": s.zone_id, "x": s.x_m, "y": s.y_m}
            for s in network.stations.values()
        ],
        "meters": [
            [m.meter_id, m.x_m, m.y_m]
            for m in _shown(network)
            if m.role is MeterRole.CUSTOMER and m.x_m is not None and m.y_m is not None
        ],
    }


def _shown(network: Network) -> Iterable[Meter]:
    meters = network.meters
    if isinstance(meters, MeterTable):
        return meters.every(-(-len(meters) // MOST_METERS) or 1)
    return meters.values()


def place_of(network: Network, asset: str) -> tuple[float, float] | None:
    """Return where an asset is; a zone is where its regulator or the middle of its meters is; None if unknown."""
    if asset in network.stations:
        station = network.stations[asset]
        return station.x_m, station.y_m
    if asset in network.meters:
        meter = network.meters[asset]
        return None if meter.x_m is None or meter.y_m is None else (meter.x_m, meter.y_m)
    if asset not in network.zones:
        return None
    for station in network.stations.values():
        if station.zone_id == asset:
            return station.x_m, station.y_m
    inside = set(network.below(asset))
    places = [(s.x_m, s.y_m) for s in network.stations.values() if s.zone_id in inside]
    return (sum(x for x, _ in places) / len(places), sum(y for _, y in places) / len(places)) if places else None
