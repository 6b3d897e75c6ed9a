"""The sample city's zones, stations, meters and pipes."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from datetime import date
from typing import Any

from gateway.model.network import Meter, MeterKind, MeterRole, Network, Point, Station, Zone, ZoneKind
from gateway.model.quantity import Quantity
from gateway.model.reading import PointId


def sample_network(meters_per_zone: int = 100) -> Network:
    dice = random.Random(7)
    zones = [
        Zone("CITY", "", ZoneKind.CITY, "滨江市"),
        Zone("D-1", "CITY", ZoneKind.DISTRICT, "城北区"),
        Zone("D-2", "CITY", ZoneKind.DISTRICT, "城南区"),
        Zone("R-001", "D-1", ZoneKind.REGULATOR, "柳园片区 Willow Garden"),
        Zone("R-002", "D-1", ZoneKind.REGULATOR, "北站片区 North Station"),
        Zone("R-003", "D-2", ZoneKind.REGULATOR, "河东片区 East Bank"),
    ]
    stations = [
        Station("S-01", "station", "CITY", "北门站", "环城北路 1 号", 300.0, 1900.0, 400.0, remote=False),
        Station("S-02", "station", "CITY", "南门站", "滨河南路 88 号", 1700.0, 60.0, 400.0, remote=False),
        Station("REG-001", "regulator", "R-001", "柳园调压站", "柳园路 12 号", 500.0, 1350.0, 3.0, remote=False),
        Station("REG-002", "regulator", "R-002", "北站调压站", "站前街 5 号", 1500.0, 1400.0, 3.0, remote=False),
        Station("REG-003", "regulator", "R-003", "河东调压站", "河东大道 40 号", 1000.0, 500.0, 3.0, remote=False),
    ]
    meters: dict[str, Meter] = {}
    features: list[dict[str, Any]] = []
    number = 0
    for regulator in stations[2:]:
        for street in range(-2, 3):
            y = regulator.y_m + street * 110
            features.append(_pipe([(regulator.x_m - 330, y), (regulator.x_m + 330, y)], "low"))
        features.append(_pipe([(regulator.x_m, regulator.y_m - 220), (regulator.x_m, regulator.y_m + 220)], "low"))
        for n in range(meters_per_zone):
            number += 1
            x = regulator.x_m - 320 + (n % 20) * 34
            y = regulator.y_m + (n // 20 % 5 - 2) * 110 + (14 if n % 2 else -14)
            kind = MeterKind.REMOTE if dice.random() < 0.6 else MeterKind.IC_CARD
            name = f"M-{number:06}"
            meters[name] = Meter(
                name,
                regulator.zone_id,
                MeterRole.CUSTOMER,
                kind,
                "residential",
                5,
                3,
                6.0,
                False,
                date(2020, 5, 1),
                "open",
                x,
                y,
            )
    ring = [(300, 1900), (500, 1350), (1000, 500), (1700, 60)]
    features += [_pipe(ring, "medium"), _pipe([(300, 1900), (1500, 1400), (1700, 60)], "medium")]
    points = {}
    for station in stations:
        for quantity in (Quantity.GAS_LEL_PCT, Quantity.PRESSURE_GAUGE_KPA, Quantity.FLOW_BASE_M3H):
            name = PointId(f"{station.station_id}/{quantity}")
            points[name] = Point(name, station.station_id, quantity, station.zone_id)
    geojson = json.dumps({"type": "FeatureCollection", "features": features})
    return Network({zone.zone_id: zone for zone in zones}, meters, {s.station_id: s for s in stations}, points, geojson)


def _pipe(line: Sequence[tuple[float, float]], pressure: str) -> dict[str, Any]:
    return {
        "type": "Feature",
        "properties": {"id": f"P-{line[0][0]:.0f}-{line[0][1]:.0f}", "pressure": pressure},
        "geometry": {"type": "LineString", "coordinates": line},
    }
