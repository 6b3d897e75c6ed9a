"""A small network folder written by hand, of which single things can be spoilt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ZONES = """zone_id,parent_id,kind,name,pipe_volume_m3
CITY,,city,City,
D-1,CITY,district,District,
R-1,D-1,regulator,Old town,
"""
STATIONS = """station_id,kind,zone_id,name,address,x_m,y_m,set_pressure_gauge_kpa,remote
S-1,station,CITY,Gate,,0,0,350,0
REG-1,regulator,R-1,Regulator,,1000,500,3,0
"""
METERS = (
    "meter_id,zone_id,role,kind,customer_class,digits,decimals,max_flow_m3h,temperature_compensated,installed_on,"
    """account,x_m,y_m
V-1,R-1,supply,corrector,,8,2,400,1,2022-06-01,,,
A-7,R-1,customer,remote,residential,5,3,6,0,2022-06-01,open,1100,520
A-8,R-1,customer,remote,commercial,5,3,6,0,2022-06-01,open,1200,480
"""
)


def feature(name: str, zone: str, line: Sequence[Sequence[float]], **more: Any) -> dict[str, Any]:
    properties = {"id": name, "zone": zone, "kind": "distribution", "dn_mm": 110} | more
    return {
        "type": "Feature",
        "properties": {key: value for key, value in properties.items() if value is not None},
        "geometry": {"type": "LineString", "coordinates": line},
    }


FEATURES = [
    feature("P-1", "R-1", [[1000, 500], [1100, 500], [1200, 500]]),
    feature("L-1", "R-1", [[1100, 500], [1100, 520]], kind="service", dn_mm=32),
    feature("L-2", "R-1", [[1200, 500], [1200, 480]], kind="service", dn_mm=32),
]


def write_folder(folder: Path, **files: Any) -> Path:
    """Write the folder; `zones`, `stations`, `meters` are texts and `features` a list that replace what is usual."""
    texts = {"zones": ZONES, "stations": STATIONS, "meters": METERS} | files
    features = texts.pop("features", FEATURES)
    for name, text in texts.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    if features is not None:
        collection = {"type": "FeatureCollection", "features": features}
        (folder / "network.geojson").write_text(json.dumps(collection), encoding="utf-8")
    return folder
