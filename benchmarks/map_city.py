"""Serves a city for `benchmarks.map`: `python -m benchmarks.map_city DIR PORT`."""

from __future__ import annotations

import json
import math
import random
import sys
from dataclasses import replace
from pathlib import Path

import uvicorn

from api.app import make_app
from gateway.model.network import Meter, MeterKind, MeterRole, Network, Station
from tests.api.sample_network import sample_network
from tests.api.sample_state import START, live, sample_parts

PIPES, METERS, SITES = 25_000, 24_000, 1_000
SIDE_M = 24_000.0


def large(network: Network) -> Network:
    """Return the network with the pipes, meters and sites of a large city: streets that bend, denser in the middle."""
    dice = random.Random(5)

    def place() -> tuple[float, float]:
        return dice.gauss(SIDE_M / 2, SIDE_M / 6), dice.gauss(SIDE_M / 2, SIDE_M / 6)

    features = []
    for number in range(PIPES):
        (x, y), turn = place(), dice.random() * math.tau
        line = [(x, y)]
        for _ in range(dice.randint(2, 7)):
            turn += dice.gauss(0, 0.3)
            x, y = x + 60 * math.cos(turn), y + 60 * math.sin(turn)
            line.append((round(x, 1), round(y, 1)))
        properties = {"id": f"P-{number}", "pressure": "medium" if number % 12 == 0 else "low"}
        geometry = {"type": "LineString", "coordinates": line}
        features.append({"type": "Feature", "properties": properties, "geometry": geometry})
    kind = (MeterRole.CUSTOMER, MeterKind.REMOTE, "residential", 5, 3, 6.0, False, START.date(), "open")
    meters = {f"X-{n:06}": Meter(f"X-{n:06}", "R-001", *kind, *place()) for n in range(METERS)}
    stations = dict(network.stations)
    for number in range(SITES):
        name = f"X-REG-{number:04}"
        stations[name] = Station(name, "regulator", "R-001", f"调压 {number}", "", *place(), 3.0, remote=False)
    geojson = json.dumps({"type": "FeatureCollection", "features": features})
    return replace(network, meters={**network.meters, **meters}, stations=stations, geojson=geojson)


def serve(folder: Path, port: int) -> None:
    """Serve until the process ends."""
    parts = sample_parts(folder, factor=1.0)
    parts = replace(parts, network=large(sample_network()))
    live(parts.state)
    uvicorn.run(make_app(parts), host="127.0.0.1", port=port, log_level="warning")


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
