"""The levels above the regulators: districts and the city, fed by the gates, each with a supply meter of its own.

The mains stand at their set pressure, so what leaks between two levels does not depend on what flows, and a part of a
city can tell it. What a parent is supplied with is known once all zones below it are: `parent_flows` completes it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators import weather
from simulators.customers import BASE_K, BASE_KPA
from simulators.engine.plan import MAINS_LEAK, Plan

Floats = NDArray[np.float64]

MAINS_KPA = 350.0
"""gauge pressure of mains that no gate feeds"""
_DROOP = 0.012
"""share of the set pressure that is lost in the mains at the flow of a mean hour of winter"""


@dataclass(frozen=True, slots=True, eq=False)
class ParentFlows:
    """Base m3 in each hour, (h, p), and what is in the pipes in the end, (p,)."""

    supply: Floats
    linepack: Floats
    packed: Floats


def nominal_m3h(plan: Plan) -> Floats:
    """Return the flow of each parent in a mean hour of winter, (p,)."""
    return np.asarray(np.maximum(sum_up(plan, plan.nominal_m3h[None, :], np.zeros((1, len(plan.parents))))[0], 0.05))


def leak_m3h(plan: Plan, from_faults: Floats) -> Floats:
    """Return what leaks between levels, (h, p): a little everywhere, and the faults. `from_faults` is (h, p)."""
    return np.asarray(from_faults + MAINS_LEAK * _pipes_m3(plan), dtype=np.float64)


def sum_up(plan: Plan, zones: Floats, own: Floats) -> Floats:
    """Return for each parent its own (h, p) plus all that is below it, (h, p)."""
    total = own.copy()
    for column, parent in enumerate(plan.parent_of_zone):
        if parent >= 0:
            total[:, parent] += zones[:, column]
    for column, parent in enumerate(plan.parent_of_parent):
        if parent >= 0:
            total[:, parent] += total[:, column]
    return total


def parent_flows(
    plan: Plan, hours: NDArray[np.int64], supply: Floats, leak: Floats, packed: Floats | None
) -> ParentFlows:
    """Return what flows into each parent, from what all zones took (h, z) and what leaks between levels (h, p).

    `packed` is what the pipes held when the first hour began, None at the begin of the history.
    """
    below = sum_up(plan, supply, leak)
    wanted = _packed_m3(plan, hours, below / nominal_m3h(plan))
    edges = np.empty((len(hours) + 1, len(plan.parents)))
    edges[0] = wanted[0] if packed is None else packed
    total = leak.copy()
    for column, parent in enumerate(plan.parent_of_zone):
        if parent >= 0:
            total[:, parent] += supply[:, column]
    for column, parent in enumerate(plan.parent_of_parent):
        edges[1:, column] = checked(edges[0, column], wanted[:, column], total[:, column])
        total[:, column] += np.diff(edges[:, column])
        if parent >= 0:
            total[:, parent] += total[:, column]
    return ParentFlows(total, np.diff(edges, axis=0), edges[-1])


def checked(packed: Floats | float, wanted: Floats, out: Floats) -> Floats:
    """Return what the pipes hold at the end of each hour: what the regulator wants, but no gas flows back through it.

    `wanted` is what they would hold, `out` what leaves them, (h, ...); `packed` what they held before, (...).
    """
    gone = np.cumsum(out, axis=0)
    most = np.maximum(np.maximum.accumulate(wanted + gone, axis=0), packed)
    return np.where(most > wanted + gone, most - gone, wanted)


def _packed_m3(plan: Plan, hours: NDArray[np.int64], load: Floats) -> Floats:
    """Return the base volume of the gas in each parent's own pipes at the end of each hour, (h, p)."""
    pipes = _pipes_m3(plan)
    set_kpa = np.array([_set_kpa(plan, name) for name in plan.parents])
    gauge = set_kpa * (1.0 - _DROOP * np.minimum(load, 5.0))
    gas_k = weather.ground_c((hours + 1).astype(np.float64))[:, None] + 273.15
    return np.asarray(pipes * (gauge + BASE_KPA) / BASE_KPA * BASE_K / gas_k, dtype=np.float64)


def _pipes_m3(plan: Plan) -> Floats:
    volume = {zone.zone_id: zone.pipe_volume_m3 or 0.0 for zone in plan.ground.zones}
    return np.array([volume[name] for name in plan.parents], dtype=np.float64)


def _set_kpa(plan: Plan, name: str) -> float:
    gates = [s.set_pressure_gauge_kpa for s in plan.ground.stations if s.kind == "station" and s.zone_id == name]
    return gates[0] if gates else MAINS_KPA
