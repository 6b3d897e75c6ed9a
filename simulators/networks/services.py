"""Hangs houses and apartment houses along the streets: service pipes, risers, and a meter for each customer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from gateway.model.network import Zone, ZoneKind
from simulators.ground import XY, Pipe, Place, on_grid
from simulators.networks.names import building_name

FLATS = (12, 37)
"""customers of an apartment house: at least, below"""
_FLOOR_M, _FLAT_M, _APART_M = 3.0, 2.5, 1.0
_HOUSE_MM, _BLOCK_MM, _RISER_MM, _FLAT_MM = 32, 63, 50, 20


@dataclass(frozen=True, slots=True)
class Served:
    """What stands along the streets of a zone."""

    streets: tuple[Pipe, ...]
    """the given streets, cut where a service branches off"""
    services: tuple[Pipe, ...]
    places: tuple[Place, ...]
    buildings: tuple[Zone, ...]


@dataclass(frozen=True, slots=True)
class _Foot:
    """Where something branches off a street, and which way it lies."""

    share: float
    at: XY
    side: XY
    away_m: float


def serve(
    zone: str, number: int, streets: Sequence[Pipe], count: int, rng: np.random.Generator, *, flats_share: float = 0.0
) -> Served:
    """Hang `count` customers along the streets of the n-th zone (from 0), a share of them in apartment houses."""
    sizes = _sizes(count, flats_share, rng)
    picks, feet = _feet(streets, len(sizes), rng)
    services: list[Pipe] = []
    places: list[Place] = []
    buildings: list[Zone] = []
    for size, foot in zip(sizes, feet, strict=True):
        end = on_grid(foot.at[0] + foot.side[0] * foot.away_m, foot.at[1] + foot.side[1] * foot.away_m)
        if size == 1:
            services.append(Pipe(f"L-{zone}-{len(places) + 1:04d}", zone, "service", _HOUSE_MM, (foot.at, end)))
            places.append(Place(zone, *end))
            continue
        name = f"B-{zone}-{len(buildings) + 1:02d}"
        services.append(Pipe(f"L-{name}", zone, "service", _BLOCK_MM, (foot.at, end)))
        inside, flats = _riser(name, end, foot.side, size)
        volume = round(sum(pipe.volume_m3 for pipe in inside), 3)
        buildings.append(Zone(name, zone, ZoneKind.BUILDING, building_name(number, len(buildings)), volume))
        services += inside
        places += flats
    return Served(tuple(_cut(streets, picks, feet)), tuple(services), tuple(places), tuple(buildings))


def _sizes(count: int, flats_share: float, rng: np.random.Generator) -> list[int]:
    """Return how many customers stand behind each service."""
    left = round(count * flats_share)
    sizes = [1] * (count - left)
    if left == 0:
        return sizes
    while left > 0:
        size = min(left, int(rng.integers(*FLATS)))
        sizes.append(size)
        left -= size
    return [sizes[n] for n in rng.permutation(len(sizes))]


def _feet(streets: Sequence[Pipe], count: int, rng: np.random.Generator) -> tuple[list[int], list[_Foot]]:
    length = np.array([pipe.length_m for pipe in streets])
    picks = np.sort(rng.choice(len(streets), size=count, p=length / length.sum()))
    along, side = rng.uniform(0.06, 0.94, size=count), rng.choice([-1.0, 1.0], size=count)
    away = rng.uniform(14.0, 34.0, size=count)
    feet = []
    for n, pick in enumerate(picks):
        (ax, ay), (bx, by) = streets[pick].line
        span = math.dist((ax, ay), (bx, by))
        share = float(along[n])
        feet.append(
            _Foot(
                share,
                on_grid(ax + (bx - ax) * share, ay + (by - ay) * share),
                (float(-(by - ay) / span * side[n]), float((bx - ax) / span * side[n])),
                float(away[n]),
            )
        )
    return picks.tolist(), _bundled(picks.tolist(), feet)


def _bundled(picks: Sequence[int], feet: Sequence[_Foot]) -> list[_Foot]:
    """Let services that would branch off within a metre share a foot: no piece of street gets shorter than that."""
    found = list(feet)
    last: tuple[int, XY] | None = None
    for n in sorted(range(len(feet)), key=lambda n: (picks[n], feet[n].share)):
        if last is not None and last[0] == picks[n] and math.dist(last[1], feet[n].at) < _APART_M:
            found[n] = replace(feet[n], at=last[1])
        else:
            last = picks[n], feet[n].at
    return found


def _riser(name: str, foot: XY, way: XY, flats: int) -> tuple[list[Pipe], list[Place]]:
    """Lay a riser flat on the map: two flats on each floor, a floor every three metres."""
    pipes: list[Pipe] = []
    places: list[Place] = []
    at = foot
    for flat in range(flats):
        floor, hand = divmod(flat, 2)
        if hand == 0:
            up = on_grid(foot[0] + way[0] * _FLOOR_M * (floor + 1), foot[1] + way[1] * _FLOOR_M * (floor + 1))
            pipes.append(Pipe(f"U-{name}-{floor + 1:02d}", name, "riser", _RISER_MM, (at, up)))
            at = up
        turn = _FLAT_M if hand else -_FLAT_M
        door = on_grid(at[0] - way[1] * turn, at[1] + way[0] * turn)
        pipes.append(Pipe(f"L-{name}-{flat + 1:02d}", name, "service", _FLAT_MM, (at, door)))
        places.append(Place(name, *door))
    return pipes, places


def _cut(streets: Sequence[Pipe], picks: Sequence[int], feet: Sequence[_Foot]) -> list[Pipe]:
    """Cut each street where a service branches off, so that every branch is a node."""
    found: dict[int, list[_Foot]] = {}
    for pick, foot in zip(picks, feet, strict=True):
        found.setdefault(pick, []).append(foot)
    pieces: list[Pipe] = []
    for number, street in enumerate(streets):
        begin, end = street.line
        stops = [begin, *(foot.at for foot in sorted(found.get(number, []), key=lambda foot: foot.share)), end]
        lines = [(a, b) for a, b in pairwise(stops) if a != b]
        for piece, line in enumerate(lines, start=1):
            name = street.pipe_id if len(lines) == 1 else f"{street.pipe_id}.{piece}"
            pieces.append(Pipe(name, street.zone, street.kind, street.dn_mm, line))
    return pieces
