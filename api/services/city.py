"""The network as the map draws it: positions in local metres, packed once and kept."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from gateway.model.meters import MeterTable
from gateway.model.network import Meter, MeterRole, Network

MOST_METERS = 24_000
"""dots that a browser draws without delay; of a larger city's meters each of so many stands on the map"""
_MAIN = frozenset({"medium", "high"})
_LINES = {"LineString": 1, "MultiLineString": 2}
_COMPRESSION = 6


@dataclass(frozen=True, slots=True)
class Tiles:
    """A server of map tiles, and where the local plane lies on the earth."""

    url: str
    """with {z}, {x} and {y}"""
    attribution: str
    latitude: float
    """of the local plane's origin, degrees"""
    longitude: float


class CityFile:
    """The map as one packed file: made when it is first asked for, then always the same. Safe to use from threads."""

    def __init__(self, network: Network, tiles: Tiles | None = None) -> None:
        self._network, self._tiles = network, tiles
        self._lock = threading.Lock()
        self._made: tuple[bytes, str] | None = None

    def get(self) -> tuple[bytes, str]:
        """Return the map as JSON in gzip, and its entity tag. Blocks for a second in a large city, once."""
        with self._lock:
            if self._made is None:
                body = msgspec.json.encode(city_map(self._network, self._tiles))
                tag = hashlib.blake2b(body, digest_size=12).hexdigest()
                self._made = gzip.compress(body, _COMPRESSION, mtime=0), f'"{tag}"'
            return self._made


def city_map(network: Network, tiles: Tiles | None = None) -> dict[str, Any]:
    """Return pipes, stations and customer meters with positions.

    Positions are whole decimetres: `at` holds x and y by turns. Of a pipe the first corner is absolute, each other one
    is told by its distance from the one before; `ends` counts the corners up to the end of each pipe.
    """
    meters = [m for m in _shown(network) if m.role is MeterRole.CUSTOMER and m.x_m is not None and m.y_m is not None]
    return {
        "pipes": _pipes(network.geojson),
        "stations": [
            {"id": s.station_id, "kind": s.kind, "name": s.name, "zone": s.zone_id, "x": s.x_m, "y": s.y_m}
            for s in network.stations.values()
        ],
        "meters": {
            "ids": [m.meter_id for m in meters],
            "at": [_whole(part) for m in meters for part in (m.x_m or 0.0, m.y_m or 0.0)],
        },
        "tiles": tiles,
    }


def _pipes(geojson: str) -> dict[str, list[Any]]:
    ids: list[str] = []
    main: list[int] = []
    ends: list[int] = []
    at: list[int] = []
    for feature in json.loads(geojson)["features"] if geojson else ():
        properties = feature.get("properties") or {}
        for line in _lines(feature.get("geometry") or {}):
            before = (0, 0)
            for corner in line:
                here = _whole(corner[0]), _whole(corner[1])
                at += (here[0] - before[0], here[1] - before[1])
                before = here
            ids.append(str(properties.get("id", "")))
            main.append(int((properties.get("pressure") or properties.get("kind")) in _MAIN))
            ends.append(len(at) // 2)
    return {"ids": ids, "main": main, "ends": ends, "at": at}


def _lines(geometry: dict[str, Any]) -> Iterator[list[list[float]]]:
    """Yield the lines of a geometry that have two corners at least; what is no line has none."""
    depth = _LINES.get(geometry.get("type", ""), 0)
    found = geometry.get("coordinates") or []
    yield from (line for line in ([found] if depth == 1 else found if depth else []) if len(line) > 1)


def _whole(metres: float) -> int:
    return round(metres * 10)


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
