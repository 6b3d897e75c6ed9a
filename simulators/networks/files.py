"""The user's own network: the folder that gasgate reads anyway, with the pipes in `network.geojson`."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway.errors import ConfigError
from gateway.model.network import MeterRole, Network, Station, Zone, ZoneKind
from gateway.network_folder import read_network
from simulators.ground import XY, Ground, Pipe, Place, on_grid, regulator_index
from simulators.networks.assigning import assign
from simulators.networks.customers_on_pipes import Hung, hang
from simulators.networks.joining import Joiner
from simulators.networks.lines import MAX_M, PROJECT, Lines, in_degrees

MAX_PROBLEMS = 100
SITE_AWAY_M = 100.0
"""a regulator that is farther from its zone's pipes does not feed them"""


def files(folder: Path, notes: list[str] | None = None) -> Ground:
    """Return the ground of a network folder; what had to be guessed is added to `notes`.

    Every zone of the simulation has one regulator, and what its pipes do not reach is refused. Raises ConfigError with
    every defect that was found, each naming file, line or feature, key and remedy.
    """
    reader = _Reader(folder, read_network(folder))
    ground = reader.ground()
    if notes is not None:
        notes += [f"{folder}: {note}" for note in reader.notes]
    return ground


@dataclass(slots=True)
class _Reader:
    """One folder being read."""

    folder: Path
    network: Network
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def ground(self) -> Ground:
        """Go through the folder; what is wrong in one step is told before the next."""
        regulators = self._regulators()
        pipes = self._pipes()
        self._check_positions()
        self._stop()
        pipes = self._with_zones(pipes, regulators)
        self._stop()
        index = regulator_index(
            Ground(tuple(self.network.zones.values()), (), (), (), tuple(s.zone_id for s in regulators))
        )
        joiners = self._joined(regulators, pipes, index)
        self._stop()
        hung = hang([m for m in self.network.meters.values() if m.role is MeterRole.CUSTOMER], joiners, index)
        self.notes += hung.notes
        self.problems += [f"{self._line('meters.csv', 'meter_id', m.meter_id)}: {text}" for m, text in hung.problems]
        self._stop()
        return _ground(self.network, regulators, _in_order(pipes, joiners, index), hung, index)

    def _stop(self) -> None:
        found, more = self.problems[:MAX_PROBLEMS], len(self.problems) - MAX_PROBLEMS
        if found:
            raise ConfigError([*found, f"{self.folder}: and {more} more"] if more > 0 else found)

    def _regulators(self) -> list[Station]:
        """Return the regulator of each zone that has one, in the order of the zones."""
        found: dict[str, list[Station]] = {}
        for station in self.network.stations.values():
            if station.kind == "regulator":
                found.setdefault(station.zone_id, []).append(station)
        if not found:
            self.problems.append(f"{self.folder / 'stations.csv'}: no row of kind regulator; add them with their zones")
        for name, stations in found.items():
            if len(stations) > 1:
                names = ", ".join(station.station_id for station in stations)
                self.problems.append(
                    f"{self._line('stations.csv', 'station_id', stations[1].station_id)}: column zone_id: {name!r} has "
                    f"several regulators ({names}), the simulator knows one inlet; split the zone or leave one"
                )
        for name, zone in self.network.zones.items():
            if zone.kind is ZoneKind.REGULATOR and name not in found:
                self.problems.append(
                    f"{self._line('zones.csv', 'zone_id', name)}: column zone_id: {name!r} is of kind regulator and "
                    "has none; add its regulator to stations.csv"
                )
        return [found[name][0] for name in self.network.zones if name in found]

    def _pipes(self) -> list[Pipe]:
        path = self.folder / "network.geojson"
        if not self.network.geojson:
            self.problems.append(f"{path}: no pipes; export them as lines in metres, with dn_mm, kind and zone")
            return []
        lines = Lines(path, self.network.zones, self.problems)
        pipes = lines.read(self.network.geojson)
        if lines.skipped:
            self.notes.append(f"{path.name}: {lines.skipped} features are no lines and were left out")
        return pipes

    def _with_zones(self, pipes: list[Pipe], regulators: Sequence[Station]) -> list[Pipe]:
        """Give each pipe a zone: a main that of the city, another that of the nearest regulator along the pipes."""
        if all(pipe.zone for pipe in pipes):
            return pipes
        top = next((name for name, zone in self.network.zones.items() if not zone.parent_id), "")
        given = [replace(pipe, zone=top) if pipe.kind == "main" and not pipe.zone else pipe for pipe in pipes]
        found, count = assign(given, {station.zone_id: _site(station) for station in regulators}, SITE_AWAY_M)
        open_ = [pipe for pipe in found if not pipe.zone]
        if open_:
            self.problems.append(
                f"{self.folder / 'network.geojson'}: feature {open_[0].pipe_id!r} at {open_[0].line[0]} and "
                f"{len(open_) - 1} more: key zone: is missing, and no regulator is connected with them; join them to "
                "the others or write the zone_id"
            )
        if count:
            self.notes.append(f"network.geojson: {count} pipes have no key zone; each went to the nearest regulator")
        return found

    def _check_positions(self) -> None:
        meters = {m.meter_id: (m.x_m, m.y_m) for m in self.network.meters.values()}
        sites = {s.station_id: (s.x_m, s.y_m) for s in self.network.stations.values()}
        for file, column, found in (("meters.csv", "meter_id", meters), ("stations.csv", "station_id", sites)):
            placed = {name: (x, y) for name, (x, y) in found.items() if x is not None and y is not None}
            if len(set(placed.values())) > 1 and in_degrees(placed.values()):
                self.problems.append(f"{self.folder / file}: columns x_m, y_m: {PROJECT}")
            self.problems += [
                f"{self._line(file, column, name)}: columns x_m, y_m: {name!r} is farther than {MAX_M:g} m; correct it"
                for name, at in placed.items()
                if max(map(abs, at)) > MAX_M
            ]

    def _joined(self, regulators: Sequence[Station], pipes: Sequence[Pipe], index: Mapping[str, int]) -> list[Joiner]:
        """Return each regulator's pipes, joined where they touch; what stays apart is a problem."""
        names = {pipe.pipe_id for pipe in pipes}
        joiners = [Joiner([], names) for _ in regulators]
        for pipe in pipes:
            if pipe.zone in index:
                joiners[index[pipe.zone]].pipes.append(pipe)
        cuts = 0
        for station, joiner in zip(regulators, joiners, strict=True):
            if not joiner.pipes:
                where = self._line("zones.csv", "zone_id", station.zone_id)
                self.problems.append(f"{where}: zone {station.zone_id!r} has no pipes in network.geojson; add them")
            elif self._reaches(station, joiner):
                cuts += joiner.join()
                self._name_what_is_apart(station, joiner)
        if cuts:
            self.notes.append(f"network.geojson: {cuts} pipes ended on or beside others without a node; joined")
        return joiners

    def _reaches(self, station: Station, joiner: Joiner) -> bool:
        """Join a regulator that does not stand on a node to the nearest pipe of its zone; False if it is too far."""
        site, name = _site(station), station.station_id
        if any(site in {pipe.line[0], pipe.line[-1]} for pipe in joiner.pipes):
            return True
        foot = joiner.nearest(site)
        if foot.away_m > SITE_AWAY_M:
            self.problems.append(
                f"{self._line('stations.csv', 'station_id', name)}: columns x_m, y_m: {name!r} stands "
                f"{foot.away_m:.0f} m from the next pipe of its zone {station.zone_id!r}; correct its position or zone"
            )
            return False
        dn_mm = joiner.pipes[foot.pipe].dn_mm
        joiner.branch(Pipe(f"J-{name}", station.zone_id, "distribution", dn_mm, (foot.at, site)))
        joiner.cut([foot])
        self.notes.append(f"stations.csv: {name} stands {foot.away_m:.1f} m beside the pipes and was joined to them")
        return True

    def _name_what_is_apart(self, station: Station, joiner: Joiner) -> None:
        self.problems += [
            f"{self.folder / 'network.geojson'}: feature {pipe.pipe_id!r} at {pipe.line[0]}, with what hangs on it "
            f"{count} pipes of zone {station.zone_id!r}, is not connected to regulator {station.station_id!r}: a gap "
            f"of {gap:.1f} m; close it, or correct key zone"
            for pipe, count, gap in joiner.apart(_site(station), MAX_PROBLEMS)
        ]

    def _line(self, file: str, column: str, name: str) -> str:
        """Return file and line of a row, for a message; the file alone if it cannot be found again."""
        path = self.folder / file
        try:
            with path.open(newline="", encoding="utf-8-sig") as handle:
                rows = csv.DictReader(handle)
                line = next((rows.line_num for row in rows if (row.get(column) or "").strip() == name), None)
        except (OSError, csv.Error, UnicodeDecodeError):
            line = None
        return str(path) if line is None else f"{path}:{line}"


def _site(station: Station) -> XY:
    return on_grid(station.x_m, station.y_m)


def _in_order(pipes: Sequence[Pipe], joiners: Sequence[Joiner], index: Mapping[str, int]) -> list[Pipe]:
    """Return all pipes; those that nothing was done to keep their order."""
    order = {pipe.pipe_id: number for number, pipe in enumerate(pipes)}
    fed = [pipe for joiner in joiners for pipe in joiner.pipes]
    others = [pipe for pipe in pipes if pipe.zone not in index]
    return sorted((*fed, *others), key=lambda pipe: order.get(pipe.pipe_id, len(order)))


def _ground(
    network: Network, regulators: Sequence[Station], pipes: Sequence[Pipe], hung: Hung, index: Mapping[str, int]
) -> Ground:
    volume = dict.fromkeys(index, 0.0)
    for pipe in pipes:
        if pipe.zone in volume:
            volume[pipe.zone] += pipe.volume_m3
    places: list[Place] = sorted(hung.places, key=lambda place: index[place.zone])
    return Ground(
        zones=tuple(_with_volume(zone, volume) for zone in network.zones.values()),
        stations=tuple(replace(s, x_m=_site(s)[0], y_m=_site(s)[1]) for s in network.stations.values()),
        places=tuple(places),
        pipes=tuple(pipes),
        regulator_zones=tuple(station.zone_id for station in regulators),
    )


def _with_volume(zone: Zone, volume: Mapping[str, float]) -> Zone:
    """Fill in the volume of a zone's pipes where the company does not state it."""
    if zone.pipe_volume_m3 is not None or zone.zone_id not in volume:
        return zone
    return replace(zone, pipe_volume_m3=round(volume[zone.zone_id], 3))
