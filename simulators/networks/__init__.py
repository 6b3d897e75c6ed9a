"""Sources of a city's ground plan, by name."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.errors import ConfigError
from simulators.ground import Ground
from simulators.networks.files import files
from simulators.networks.schutterwald import schutterwald
from simulators.networks.streets import build_ground
from simulators.networks.tiles import Tiles

_log = logging.getLogger(__name__)

AT_ONCE = 300_000
"""meters of a city that is built as a whole, with some 2 kB for each; a larger one is asked for in parts (`Tiles`)"""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants of a network; a source takes what it can use."""

    seed: int = 1
    zones: int = 6
    """regulator zones"""
    meters_per_zone: int = 80
    flats_share: float = 0.0
    """share of the customers that live in apartment houses"""
    folder: Path | None = None
    """the user's own network"""


def _streets(wish: Wish) -> Ground:
    return build_ground(wish.seed, [wish.meters_per_zone] * wish.zones, flats_share=wish.flats_share)


def _schutterwald(wish: Wish) -> Ground:
    town = schutterwald(wish.meters_per_zone)
    if wish.zones > len(town.regulator_zones):
        count = len(town.regulator_zones)
        raise ConfigError([f"Schutterwald has {count} zones of about {wish.meters_per_zone} houses: ask for fewer"])
    return town.part(0, wish.zones)


def _files(wish: Wish) -> Ground:
    if wish.folder is None:
        raise ConfigError(["the network is to be read from files: name its folder"])
    notes: list[str] = []
    ground = files(wish.folder, notes)
    for note in notes:
        _log.warning("%s", note)
    return ground


def _tiles(wish: Wish) -> Ground:
    tiles = Tiles.for_zones(wish.seed, wish.zones, wish.meters_per_zone)
    if tiles.meters > AT_ONCE:
        raise ConfigError([f"a city of {tiles.meters} meters at once is too much: ask for it in parts, or for less"])
    return tiles.whole()


NETWORKS: dict[str, Callable[[Wish], Ground]] = {
    "streets": _streets,
    "schutterwald": _schutterwald,
    "files": _files,
    "tiles": _tiles,
}
