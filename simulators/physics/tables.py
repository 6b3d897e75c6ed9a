"""Tables of zones' pipes: made once for each shape of a zone, kept in a file that needs no solver to read."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Mapping
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.ground import Ground, regulator_index
from simulators.physics.graph import ZoneGraph, zone_graphs
from simulators.physics.response import Response, Wanted, tabulate

_VERSION = b"4"
"""goes up when tables of the same pipes come out different"""
_HEADROOM = 1.3
"""tables reach to this share of the set pressure: above it relief valves blow off"""

Floats = NDArray[np.float64]

_REMEMBERED = 500
_MADE: dict[str, Response] = {}
"""tables that this process has made, by name"""


def responses(ground: Ground, set_kpa: Floats, weights: Floats | None, file: Path | None) -> list[Response]:
    """Return the table of each regulator zone; zones that are alike get the same one.

    `set_kpa` is the gauge pressure of each zone's regulator, `weights` the shares of the places in the use. `file` is
    read if it is there, and written with all tables if some were missing in it. Raise `NotConvergedError` or
    `NotPhysicalError`.
    """
    shapes = ground.shapes or tuple(f"#{number}" for number in range(len(set_kpa)))
    per_zone = _weights_by_zone(ground, weights)
    alike = [
        (shape, float(kpa), weight.tobytes()) for shape, kpa, weight in zip(shapes, set_kpa, per_zone, strict=True)
    ]
    first = {key: zone for zone, key in reversed(list(enumerate(alike)))}
    graphs = zone_graphs(ground, sorted(first.values()))
    wanted = {
        key: Wanted(graphs[zone], graphs[zone].load(per_zone[zone]), _HEADROOM * float(set_kpa[zone]))
        for key, zone in first.items()
    }
    names = {key: _name(want) for key, want in wanted.items()}
    known = _read(file) if file is not None else {}
    missing = {names[key]: want for key, want in wanted.items() if names[key] not in known}
    if missing:
        known = {name: table for name, table in known.items() if name in names.values()} | _made(missing)
        if file is not None:
            _write(file, known)
    return [known[names[key]] for key in alike]


def _made(missing: Mapping[str, Wanted]) -> dict[str, Response]:
    """Return tables that no file has; those that this process has made before are not made again."""
    new = {name: want for name, want in missing.items() if name not in _MADE}
    if new:
        _MADE.update(zip(new, tabulate(list(new.values())), strict=True))
    made = {name: _MADE[name] for name in missing}
    while len(_MADE) > _REMEMBERED:
        del _MADE[next(iter(_MADE))]
    return made


def _weights_by_zone(ground: Ground, weights: Floats | None) -> list[Floats]:
    """Return the weights of each zone's places, at the precision that tells zones apart."""
    if weights is not None and np.shape(weights) != (len(ground.places),):
        raise ValueError(f"{np.shape(weights)} weights for {len(ground.places)} places")
    every: Floats = np.ones(len(ground.places))
    if weights is not None:
        every = np.asarray(np.round(weights, 6), dtype=np.float64)
    index = regulator_index(ground)
    column = np.array([index[place.zone] for place in ground.places], dtype=np.int64)
    order = np.argsort(column, kind="stable")
    ends = np.searchsorted(column[order], np.arange(len(ground.regulator_zones) + 1))
    return [every[order[a:b]] for a, b in pairwise(ends)]


def _name(want: Wanted) -> str:
    """Return a name that pipes have in common if they are alike, wherever they lie."""
    graph: ZoneGraph = want.graph
    digest = hashlib.blake2b(_VERSION, digest_size=16)
    for column in (graph.start, graph.end, np.array([graph.inlet])):
        digest.update(np.asarray(column, dtype=np.int64).tobytes())
    for values in (graph.length_m, graph.inner_mm, graph.roughness_mm, want.load, np.array([want.highest_kpa])):
        digest.update(np.round(values, 6).tobytes())
    return digest.hexdigest()


def _read(file: Path) -> dict[str, Response]:
    """Return the tables of a file by their names; none if it is missing or damaged: they are made again."""
    names = [field.name for field in fields(Response)]
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as stored:
            tables = sorted({key.partition("/")[0] for key in stored.files})
            return {table: Response(**{name: stored[f"{table}/{name}"] for name in names}) for table in tables}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return {}


def _write(file: Path, tables: Mapping[str, Response]) -> None:
    """Write a file as a whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {
        f"{key}/{name}": array for key, table in tables.items() for name, array in table.arrays().items()
    }
    partial = file.with_name(f"{file.name}.{os.getpid()}.part")
    with partial.open("wb") as stream:
        np.savez(stream, **arrays)
    partial.replace(file)
