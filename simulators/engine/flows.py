"""What happens in the city hour by hour, as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Flows:
    """What happens in each of h hours: base m3 unless said; m meters, z regulator zones, p parents."""

    hours: NDArray[np.int64]
    """hours since 1970 UTC, (h,)"""
    passing: Floats
    """through each customer's meter, (h, m)"""
    stolen: Floats
    """past each customer's meter, (h, m)"""
    counted: Floats
    """advance of each customer's register at its own conditions; negative where it runs backwards, (h, m)"""
    unregistered: Floats
    """used by each customer but not counted because of a fault: stolen, or past a bad register, (h, m)"""
    leak: Floats
    """out of each zone's pipes, (h, z)"""
    linepack: Floats
    """gained by each zone's pipes, (h, z)"""
    supply: Floats
    """through each zone's supply meter, (h, z)"""
    supply_counted: Floats
    """advance of each supply meter's register, (h, z)"""
    pressure_kpa: Floats
    """gauge pressure behind each regulator at the begin of each hour and the end of the last, (h + 1, z)"""
    lowest_kpa: Floats
    """lowest gauge pressure in each zone at the end of each hour, (h, z)"""
    left_m3: Floats
    """credit left on each IC-card meter when each hour begins, at the register's conditions; 0 for others, (h, m)"""
    purchased_m3: Floats
    """credit ever loaded, the same way"""
    valve: NDArray[np.int8]
    """what each meter reports of its valve when each hour begins: 1 open, 0 closed, (h, m)"""
    flags: NDArray[np.uint32]
    """bits that faults set, and that there is no gas before the meter, when each hour begins, (h, m)"""
    silent: NDArray[np.bool_]
    """True where a fault keeps each meter's readings from arriving, (h, m)"""
    parent_supply: Floats
    """into each parent; in a part of a city only what its zones took, (h, p)"""
    parent_counted: Floats
    """advance of the parents' supply registers, (h, p)"""
    parent_leak: Floats
    """out of the pipes between a parent and what is below it, the same in every part, (h, p)"""
    parent_linepack: Floats
    """gained by those pipes; 0 in a part, (h, p)"""
    starved: NDArray[np.bool_]
    """True where the pipes cannot carry what the customers want, (h, z)"""

    def rows(self, first: int, count: int) -> Flows:
        """Return some of the hours."""
        changes = {
            field.name: getattr(self, field.name)[first : first + count + (field.name == "pressure_kpa")]
            for field in fields(self)
        }
        return Flows(**changes)


def joined(pieces: Sequence[Flows]) -> Flows:
    """Put runs of hours that follow each other together."""
    if len(pieces) == 1:
        return pieces[0]
    columns = {}
    for field in fields(Flows):
        parts = [getattr(piece, field.name) for piece in pieces]
        if field.name == "pressure_kpa":
            parts = [part[:-1] for part in parts[:-1]] + [parts[-1]]
        columns[field.name] = np.concatenate(parts)
    return Flows(**columns)


@dataclass(frozen=True, slots=True, eq=False)
class Registers:
    """Registers at one moment or at each of t moments: last axis meters, zones or parents, m3."""

    customer: Floats
    """since new, without rollover, at the meter's own conditions"""
    supply: Floats
    """base m3"""
    parents: Floats
    """base m3"""
    left: Floats
    """credit left on IC-card meters, 0 for other customers"""
    purchased: Floats
    """credit ever loaded, 0 for other customers"""
