"""Pressures, leaks and packed gas of all zones: regulator, pipes and holes solved together, hour by hour at once.

A state belongs to one hour's flow; no hour knows of another. Where the pipes cannot carry the use, customers get less:
the use is cut to what leaves the lowest node `FLOOR` of the set pressure, as burners and governors in homes shut off
there, and `starved` says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simulators import weather
from simulators.ground import Ground
from simulators.physics.errors import NotConvergedError, NotPhysicalError
from simulators.physics.linepack import packed_m3
from simulators.physics.regulator import build_regulators, wobbles
from simulators.physics.response import Response
from simulators.physics.settle import Drawn, Settled, settle
from simulators.physics.tables import responses

Floats = NDArray[np.float64]
_LEAST_KPA, _MOST_KPA = 0.5, 1000.0
_WIDEST = 100.0
"""largest hole, as a multiple of the largest flow that the pipes carry: a burst main"""


@dataclass(frozen=True, slots=True, eq=False)
class Hole:
    """A leak out of a zone's pipes."""

    zone: int
    node_share: float
    """place: 0 at the regulator, 1 at the farthest node"""
    nominal_m3h: Floats
    """base, its flow in each hour at the zone's set pressure, (h,)"""


@dataclass(frozen=True, slots=True, eq=False)
class ZoneStates:
    """Steady states of h hours and z zones, (h, z)."""

    outlet_kpa: Floats
    """gauge, behind the regulator"""
    mean_kpa: Floats
    """gauge, over the pipes' volume"""
    lowest_kpa: Floats
    """gauge, at the worst node"""
    leak_m3h: Floats
    """base, out of all holes"""
    packed_m3: Floats
    """base, in the pipes at the END of the hour: the ground's temperature is that of then"""
    served: Floats
    """share of the use that the pipes carry"""
    starved: NDArray[np.bool_]
    """served is less than 1"""


class ZonePhysics:
    """Answers for the zones of a ground. Results for a zone do not depend on which other zones the ground has."""

    def __init__(
        self,
        seed: int,
        ground: Ground,
        nominal_m3h: Floats,
        *,
        weights: Floats | None = None,
        tables: Path | None = None,
    ) -> None:
        """Make or read the tables of the zones' pipes.

        `nominal_m3h` is the flow of a winter hour, (zones,); `weights` the places' shares in their zone's use,
        (places,), equal if not given (zones of one shape then share a table); `tables` a file that keeps the tables,
        so that the next start needs no solver. Raise `NotConvergedError` or `NotPhysicalError`.
        """
        if np.shape(nominal_m3h) != (len(ground.regulator_zones),):
            raise ValueError(f"{np.shape(nominal_m3h)} nominal flows for {len(ground.regulator_zones)} regulator zones")
        sites = {station.zone_id: station for station in ground.stations if station.kind == "regulator"}
        set_kpa = np.array([sites[zone].set_pressure_gauge_kpa for zone in ground.regulator_zones], dtype=np.float64)
        for name, kpa in zip(ground.regulator_zones, set_kpa, strict=True):
            if not _LEAST_KPA <= kpa <= _MOST_KPA:
                raise NotPhysicalError(
                    f"zone {name}: its regulator is set to {kpa} kPa; give {_LEAST_KPA} to {_MOST_KPA:.0f} kPa (gauge)"
                )
        self._seed = seed
        self._zones = ground.regulator_zones
        self.regulators = build_regulators(seed, ground.first_zone, set_kpa, np.asarray(nominal_m3h, dtype=np.float64))
        self.responses: list[Response] = responses(ground, set_kpa, weights, tables)
        self.pipe_m3 = np.array([float(table.pipe_m3) for table in self.responses])
        groups: dict[int, list[int]] = {}
        for zone, table in enumerate(self.responses):
            groups.setdefault(id(table), []).append(zone)
        self._groups = [(self.responses[members[0]], np.array(members)) for members in groups.values()]

    def states(
        self, hours: NDArray[np.int64], use_m3h: Floats, leaks: Sequence[Hole], offset_kpa: Floats
    ) -> ZoneStates:
        """Return the steady states for what customers draw in each hour, (h, z).

        `offset_kpa` is what regulator faults add to the outlet pressure. Raise `NotPhysicalError` for what is no flow
        and `NotConvergedError` if leak and pressure do not settle.
        """
        self._check(hours, use_m3h, leaks)
        offset = np.broadcast_to(np.asarray(offset_kpa, dtype=np.float64), use_m3h.shape)
        wobble = wobbles(self._seed, self.regulators, hours)
        columns = {name: np.zeros_like(use_m3h) for name in ("outlet_kpa", "mean_kpa", "lowest_kpa", "leak_m3h")}
        served = np.ones_like(use_m3h)
        for drawn, zones in self._drawn(hours, use_m3h, leaks, offset, wobble):
            settled = settle(drawn)
            self._check_settled(settled, zones, hours)
            for name, column in columns.items():
                column[:, zones] = getattr(settled, name)
            served[:, zones] = settled.served
        gas_k = weather.ground_c((hours + 1).astype(np.float64))[:, None] + 273.15
        packed = packed_m3(self.pipe_m3, columns["mean_kpa"], gas_k)
        return ZoneStates(**columns, packed_m3=packed, served=served, starved=served < 1.0)

    def _drawn(
        self, hours: NDArray[np.int64], use_m3h: Floats, leaks: Sequence[Hole], offset: Floats, wobble: Floats
    ) -> Iterator[tuple[Drawn, NDArray[np.intp]]]:
        """Return zones to settle together: those without holes by table, each zone with holes by itself."""
        holes: dict[int, list[Hole]] = {}
        for hole in leaks:
            if np.any(hole.nominal_m3h):
                holes.setdefault(hole.zone, []).append(hole)
        for table, members in self._groups:
            whole = members[[zone not in holes for zone in members.tolist()]]
            apart: list[tuple[NDArray[np.intp], list[Hole]]] = [(whole, [])] if len(whole) else []
            apart += [(np.array([zone]), holes[zone]) for zone in members.tolist() if zone in holes]
            for zones, mine in apart:
                yield (
                    Drawn(
                        table=table,
                        regulators=self.regulators.part(zones),
                        hours=hours,
                        use_m3h=use_m3h[:, zones],
                        offset_kpa=offset[:, zones],
                        wobble=wobble[:, zones],
                        places=tuple(hole.node_share for hole in mine),
                        holes_m3h=tuple(np.asarray(hole.nominal_m3h, dtype=np.float64)[:, None] for hole in mine),
                    ),
                    zones,
                )

    def _check(self, hours: NDArray[np.int64], use_m3h: Floats, leaks: Sequence[Hole]) -> None:
        if use_m3h.shape != (len(hours), len(self._zones)):
            raise ValueError(f"use of shape {use_m3h.shape} for {len(hours)} hours and {len(self._zones)} zones")
        bad = ~(use_m3h >= 0.0) | ~np.isfinite(use_m3h)
        if bad.any():
            row, zone = (int(v) for v in np.argwhere(bad)[0])
            raise NotPhysicalError(
                f"zone {self._zones[zone]}: its use in hour {int(hours[row])} is {use_m3h[row, zone]} m3/h; "
                "give a number that is not negative"
            )
        for hole in leaks:
            size = np.asarray(hole.nominal_m3h)
            if size.shape != hours.shape:
                raise ValueError(f"a hole of shape {size.shape} for {len(hours)} hours")
            if not 0 <= hole.zone < len(self._zones) or not 0.0 <= hole.node_share <= 1.0:
                raise ValueError(f"no place {hole.node_share} in zone {hole.zone} of {len(self._zones)}")
            if not (np.isfinite(size) & (size >= 0.0)).all():
                raise NotPhysicalError(
                    f"zone {self._zones[hole.zone]}: a hole's flow is negative or no number; give m3/h at set pressure"
                )
            most = _WIDEST * self.responses[hole.zone].largest_m3h
            if size.max(initial=0.0) > most:
                raise NotPhysicalError(
                    f"zone {self._zones[hole.zone]}: a hole of {size.max():.0f} m3/h is wider than any pipe; "
                    f"give at most {most:.0f}"
                )

    def _check_settled(self, settled: Settled, zones: NDArray[np.intp], hours: NDArray[np.int64]) -> None:
        if not settled.settled.all():
            row, column = (int(v) for v in np.argwhere(~settled.settled)[0])
            raise NotConvergedError(
                f"zone {self._zones[int(zones[column])]}: leak and pressure do not settle in hour {int(hours[row])} at "
                f"{settled.leak_m3h[row, column]:.3f} m3/h; make the hole smaller"
            )
