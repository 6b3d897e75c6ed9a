"""Hangs the meters of the user's network on its pipes: at the end of a service, else on the nearest pipe."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.model.network import Meter
from simulators.ground import XY, Pipe, Place, on_grid
from simulators.networks.joining import SERVICE_MM, Joiner
from simulators.networks.segments import Foot

MAX_SERVICE_M = 1000.0
"""a meter that is farther from every pipe of its zone does not belong to it"""
ASIDE_M = 12.0
"""how far from the pipe a meter without a position is put"""


@dataclass(slots=True)
class Hung:
    """Where each meter hangs now."""

    places: list[Place] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    problems: list[tuple[Meter, str]] = field(default_factory=list)


def hang(meters: Sequence[Meter], joiners: Sequence[Joiner], index: Mapping[str, int]) -> Hung:
    """Return a place for every meter, in their order; services that are missing are added to the joiners' pipes.

    `index` gives the joiner of each zone that a regulator feeds. A meter on a zone above the regulators goes to the
    zone of the nearest pipe.
    """
    hung = Hung()
    found: dict[int, Place] = {}
    above = [(n, meter) for n, meter in enumerate(meters) if meter.zone_id not in index]
    zone_of = {n: _zone_above(meter, n, joiners) for n, meter in above}
    if above:
        hung.notes.append(f"meters.csv: {len(above)} meters hang above the regulators; each is fed by the nearest pipe")
    by_joiner: dict[int, list[tuple[int, Meter, str]]] = {}
    for n, meter in enumerate(meters):
        zone = zone_of.get(n, meter.zone_id)
        by_joiner.setdefault(index[zone], []).append((n, meter, zone))
    services = unplaced = 0
    for column, members in by_joiner.items():
        joiner = joiners[column]
        placed = [(n, meter, zone, at) for n, meter, zone in members if (at := _position(meter)) is not None]
        lost = [(n, meter, zone) for n, meter, zone in members if _position(meter) is None]
        services += _hang_placed(joiner, placed, found, hung)
        _hang_unplaced(joiner, lost, found)
        unplaced += len(lost)
    hung.places = [found[n] for n in sorted(found)]
    if services:
        hung.notes.append(f"meters.csv: {services} meters have no service pipe; each was joined to the nearest pipe")
    if unplaced:
        hung.notes.append(f"meters.csv: {unplaced} meters have no position; they were spread along their zone's pipes")
    return hung


def _position(meter: Meter) -> XY | None:
    return None if meter.x_m is None or meter.y_m is None else on_grid(meter.x_m, meter.y_m)


def _zone_above(meter: Meter, number: int, joiners: Sequence[Joiner]) -> str:
    """Return the zone of the pipe that is nearest to a meter; one without a position goes to the zones in turn."""
    at = _position(meter)
    if at is None:
        return joiners[number % len(joiners)].pipes[0].zone
    feet = [(joiner, joiner.nearest(at)) for joiner in joiners]
    joiner, foot = min(feet, key=lambda pair: pair[1].away_m)
    return joiner.pipes[foot.pipe].zone


def _hang_placed(
    joiner: Joiner, members: Sequence[tuple[int, Meter, str, XY]], found: dict[int, Place], hung: Hung
) -> int:
    """Hang meters whose position is known; return how many needed a service pipe."""
    nodes = {end for pipe in joiner.pipes for end in (pipe.line[0], pipe.line[-1])}
    beside = [member for member in members if member[3] not in nodes]
    feet: list[Foot] = []
    sites = list(dict.fromkeys(at for _, _, _, at in beside))
    services = dict(zip(sites, joiner.nearest_to_all(sites), strict=True))
    for n, meter, zone, at in members:
        foot_there = services.get(at)
        if foot_there is not None and foot_there.away_m > MAX_SERVICE_M:
            text = (
                f"column x_m: {meter.meter_id!r} lies {foot_there.away_m:.0f} m from the nearest pipe of zone "
                f"{zone!r}; correct its position or its zone"
            )
            hung.problems.append((meter, text))
        found[n] = Place(zone, *at, meter.meter_id, meter.customer_class)
    for at, foot in services.items():
        name = next(meter.meter_id for _, meter, _, place in beside if place == at)
        joiner.branch(Pipe(f"L-{name}", joiner.pipes[foot.pipe].zone, "service", SERVICE_MM, (foot.at, at)))
        feet.append(foot)
    joiner.cut(feet)
    return len(beside)


def _hang_unplaced(joiner: Joiner, members: Sequence[tuple[int, Meter, str]], found: dict[int, Place]) -> None:
    """Spread meters without a position evenly along the pipes of the streets."""
    if not members:
        return
    streets = [n for n, pipe in enumerate(joiner.pipes) if pipe.kind == "distribution"] or list(
        range(len(joiner.pipes))
    )
    total = sum(joiner.pipes[n].length_m for n in streets)
    feet: list[Foot] = []
    passed, turn = 0.0, iter(streets)
    street = next(turn)
    for count, (n, meter, zone) in enumerate(members):
        wanted = total * (count + 0.5) / len(members)
        while passed + joiner.pipes[street].length_m < wanted:
            passed += joiner.pipes[street].length_m
            street = next(turn, street)
        foot, end = _beside(joiner, street, wanted - passed, left=count % 2 == 0)
        joiner.branch(Pipe(f"L-{meter.meter_id}", zone, "service", SERVICE_MM, (foot.at, end)))
        feet.append(foot)
        found[n] = Place(zone, *end, meter.meter_id, meter.customer_class)
    joiner.cut(feet)


def _beside(joiner: Joiner, street: int, along_m: float, *, left: bool) -> tuple[Foot, XY]:
    """Return a foot on a street's pipe, so many metres from its begin, and a place beside it."""
    line = joiner.pipes[street].line
    segment, rest = 0, along_m
    while segment < len(line) - 2 and rest > math.dist(line[segment], line[segment + 1]):
        rest -= math.dist(line[segment], line[segment + 1])
        segment += 1
    (ax, ay), (bx, by) = line[segment], line[segment + 1]
    span = math.dist((ax, ay), (bx, by))
    share = min(1.0, rest / span)
    at = on_grid(ax + (bx - ax) * share, ay + (by - ay) * share)
    turn = ASIDE_M if left else -ASIDE_M
    return Foot(street, segment, at, 0.0), on_grid(at[0] - (by - ay) / span * turn, at[1] + (bx - ax) / span * turn)
