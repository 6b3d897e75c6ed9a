"""Adds to leaks where they may be: the likeliest pipes, for the map and for the survey that looks for the hole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alarms.analysis.hourly import HourlyCity, Hours
from alarms.analysis.location import best_first, by_pressure, drawn_at, prior, sagging
from alarms.analysis.parts import fed_zones
from alarms.analysis.pipes import Graph, Pipe, pipes_by_zone
from gateway.meterdata.series import Floats
from gateway.model.finding import Detection, Verdict
from gateway.model.network import Network
from gateway.model.reading import from_us

MOST_PIPES = 20
NEAR_M = 100.0
"""a regulator or an instrument farther from a zone's pipes does not stand at them"""
HOURS_A_DAY = 24.0


@dataclass(frozen=True, slots=True)
class _Leak:
    zone: str
    begun_us: int
    until_us: int
    size_m3h: float


@dataclass(frozen=True, slots=True)
class Locator:
    """Ranks the pipes of leaking zones.

    By length and age alone where no instrument but the regulator's measures the pressure of the zone: then it is
    honest about that.
    """

    network: Network
    hourly: HourlyCity | None = None

    def located(self, found: Detection, hours: Hours | None, until_us: int) -> Detection:
        """Return the detection with `location` and `located_by` in the evidence of each leak of a zone with pipes."""
        leaks = np.flatnonzero(found.verdict == Verdict.ABNORMAL)
        if not len(leaks) or not self.network.geojson:
            return found
        evidence = list(found.evidence)
        for row in leaks.tolist():
            size = float(found.estimate_m3_per_day[row]) / HOURS_A_DAY
            leak = _Leak(found.assets[row], int(found.onset[row]), until_us, size)
            evidence[row] = {**evidence[row], **self._where(leak, hours)}
        return replace(found, evidence=tuple(evidence))

    def _where(self, leak: _Leak, hours: Hours | None) -> Mapping[str, Any]:
        known = pipes_by_zone(self.network.geojson)
        pipes = tuple(pipe for name in self._own_zones(leak.zone) for pipe in known.get(name, ()))
        if not pipes:
            return {}
        year = from_us(leak.until_us).year
        chance = None if hours is None else self._by_pressure(leak, pipes, prior(pipes, year), hours)
        located_by = "length" if chance is None else "pressure"
        listed = best_first(pipes, prior(pipes, year) if chance is None else chance, MOST_PIPES)
        return {
            "location": [{"pipe_id": name, "probability": round(one, 4)} for name, one in listed],
            "located_by": located_by,
        }

    def _own_zones(self, zone: str) -> list[str]:
        """Return a zone and those below it that belong to its own balance."""
        below = tuple(self.network.below(zone))
        fed = fed_zones(self.network)
        inside = {name for other in below if other != zone and other in fed for name in self.network.below(other)}
        return [name for name in below if name not in inside]

    def _by_pressure(self, leak: _Leak, pipes: tuple[Pipe, ...], before: Floats, hours: Hours) -> Floats | None:
        known = self.hourly
        if known is None or known.pressure is None or not np.isfinite(leak.size_m3h):
            return None
        graph = Graph.of(pipes)
        placed = {name: graph.nearest(place) for name, place in self._instruments(leak.zone).items()}
        columns = {name: at for at, name in enumerate(known.pressure.assets)}
        at = {name: node for name, (node, away) in placed.items() if away <= NEAR_M and name in columns}
        sources = [name for name in at if name in self.network.stations]
        sensors = [name for name in at if name not in self.network.stations]
        if len(sources) != 1 or not sensors:
            return None
        last = known.pressure.hours_until(leak.until_us)
        pressure, _ = known.pressure.at(leak.until_us, slice(last - len(hours.ends_us) + 1, last + 1))
        source = pressure[:, columns[sources[0]]]
        drop = source[:, None] - pressure[:, [columns[name] for name in sensors]]
        row = known.tree.zones.index(leak.zone)
        since = hours.ends_us > leak.begun_us
        seen = sagging(drop, hours.zones("supply")[:, row] - leak.size_m3h * since, since)
        if seen is None:
            return None
        nodes = np.array([at[name] for name in sensors], dtype=np.int64)
        gauge = max(float(np.nanmean(source)), 0.0)
        falls = graph.falls(at[sources[0]], self._drawn(graph, row, hours), nodes, gauge)
        return by_pressure(graph, falls, seen, leak.size_m3h, before)

    def _drawn(self, graph: Graph, row: int, hours: Hours) -> Floats:
        """Return what the zone's customers draw at each node on average, m3/h."""
        if self.hourly is None:
            return np.zeros(len(graph.nodes))
        tree = self.hourly.tree
        members = np.flatnonzero(tree.home == row)
        meters = [self.network.meters[tree.customers[column]] for column in members]
        places = [None if one.x_m is None or one.y_m is None else (one.x_m, one.y_m) for one in meters]
        return drawn_at(graph, places, np.nan_to_num(hours.customers(members)[0]).mean(axis=0))

    def _instruments(self, zone: str) -> dict[str, tuple[float, float]]:
        """Return the places of what measures pressure in a zone: its regulator, and meters that do."""
        found = {s.station_id: (s.x_m, s.y_m) for s in self.network.stations.values() if s.zone_id == zone}
        for name in self.hourly.pressure.assets if self.hourly and self.hourly.pressure else ():
            meter = self.network.meters.get(name)
            if meter is not None and meter.x_m is not None and meter.y_m is not None and self._in(meter.zone_id, zone):
                found[name] = meter.x_m, meter.y_m
        return found

    def _in(self, own: str, zone: str) -> bool:
        return own in set(self._own_zones(zone))
