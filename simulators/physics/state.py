"""A state to solve, its solution, and the checks without which no solution is believed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.physics.errors import NotConvergedError, NotPhysicalError
from simulators.physics.formula import drop_kpa2, resting_kpa2
from simulators.physics.gas import ATMOSPHERE_KPA
from simulators.physics.graph import ZoneGraph

FASTEST_MPS = 80.0
"""a fifth of the speed of sound: beyond it the gas's own acceleration counts, which the formula leaves out"""
_BALANCE = 1e-6
"""what may be missing at a node, as a share of the zone's flow"""
_DROP = 2e-3
"""by how much a pipe's drop may differ from the formula, as a share of itself"""
_DROP_FLOOR_KPA2 = 2e-4
"""and besides (a millipascal at low pressure)"""


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One state to solve."""

    graph: ZoneGraph
    demand_m3h: NDArray[np.float64]
    """what leaves the pipes at each node, base m3/h, (n,)"""
    inlet_kpa: float
    """gauge pressure behind the regulator"""


@dataclass(frozen=True, slots=True, eq=False)
class Solution:
    """The state of one case."""

    node_kpa: NDArray[np.float64]
    """gauge, (n,)"""
    pipe_m3h: NDArray[np.float64]
    """base, positive from a pipe's start to its end, (m,)"""
    pipe_mps: NDArray[np.float64]
    """velocity at the end with the lower pressure, (m,)"""


def check_demand(case: Case) -> None:
    """Refuse what cannot be asked."""
    demand, graph = case.demand_m3h, case.graph
    if demand.shape != (len(graph.xy_m),):
        raise ValueError(f"zone {graph.zone}: {demand.shape} demands for {len(graph.xy_m)} nodes")
    if not (np.isfinite(demand).all() and (demand >= 0.0).all()):
        worst = int(np.flatnonzero(~(demand >= 0.0) | ~np.isfinite(demand))[0])
        raise NotPhysicalError(
            f"zone {graph.zone}: the use at node {place(graph, worst)} is {demand[worst]} m3/h; "
            "give a number that is not negative"
        )
    if not -0.2 * ATMOSPHERE_KPA <= case.inlet_kpa <= 1e4:
        raise NotPhysicalError(
            f"zone {graph.zone}: {case.inlet_kpa} kPa behind the regulator; give 0.5 to 400 kPa (gauge)"
        )


def place(graph: ZoneGraph, node: int) -> str:
    """Name a node for people."""
    x, y = graph.xy_m[node]
    return f"{node} (x {x:.1f} y {y:.1f})"


def unsolved(case: Case, why: str) -> str:
    """Say that there is no answer, and what to do."""
    return (
        f"zone {case.graph.zone}: no steady state for {case.demand_m3h.sum():.1f} m3/h at {case.inlet_kpa} kPa "
        f"({why}); its pipes cannot carry this: lower the use, widen the pipes or raise the pressure"
    )


def check_state(case: Case, solution: Solution) -> None:
    """Refuse a state with no numbers, with pressures below the air outside or above those of the regulator."""
    graph, kpa = case.graph, solution.node_kpa
    if not (np.isfinite(kpa).all() and np.isfinite(solution.pipe_m3h).all()):
        raise NotConvergedError(unsolved(case, "the solver returned no number"))
    lowest = int(kpa.argmin())
    if kpa[lowest] < min(0.0, case.inlet_kpa):
        raise NotPhysicalError(
            f"zone {graph.zone}: {kpa[lowest]:.3f} kPa at node {place(graph, lowest)} for "
            f"{case.demand_m3h.sum():.1f} m3/h at {case.inlet_kpa} kPa: no gas would come; lower the use, widen the "
            "pipes or raise the pressure"
        )
    highest = int(kpa.argmax())
    if kpa[highest] > case.inlet_kpa + 1e-6 * (case.inlet_kpa + ATMOSPHERE_KPA):
        raise NotPhysicalError(
            f"zone {graph.zone}: {kpa[highest]:.6f} kPa at node {place(graph, highest)} is above the regulator's "
            f"{case.inlet_kpa} kPa; report this as a defect"
        )


def check_balance(case: Case, solution: Solution) -> None:
    """Refuse a state in which gas appears or vanishes at a node."""
    graph, flow = case.graph, solution.pipe_m3h
    count, total = len(graph.xy_m), float(case.demand_m3h.sum())
    missing = np.bincount(graph.end, flow, count) - np.bincount(graph.start, flow, count) - case.demand_m3h
    missing[graph.inlet] = 0.0
    worst = int(np.abs(missing).argmax())
    if abs(missing[worst]) > _BALANCE * total + 1e-9:
        raise NotConvergedError(
            f"zone {graph.zone}: at node {place(graph, worst)} {missing[worst]:.6f} m3/h of {total:.3f} are "
            "unaccounted for; solve fewer cases at once or report this as a defect"
        )


def check_drop(case: Case, solution: Solution) -> None:
    """Refuse a state in which a pipe's drop does not fit its flow."""
    graph = case.graph
    absolute = solution.node_kpa + ATMOSPHERE_KPA
    mean = (absolute[graph.start] + absolute[graph.end]) / 2.0
    formula = drop_kpa2(solution.pipe_m3h, graph.length_m, graph.inner_mm, graph.roughness_mm, mean)
    off = np.abs(absolute[graph.start] ** 2 - absolute[graph.end] ** 2 - formula)
    excess = off - _DROP * np.abs(formula) - _DROP_FLOOR_KPA2
    excess -= 4.0 * resting_kpa2(graph.length_m, graph.inner_mm, graph.roughness_mm)
    worst = int(excess.argmax())
    if excess[worst] > 0.0:
        raise NotConvergedError(
            f"zone {graph.zone}: the pipe at node {place(graph, int(graph.start[worst]))} drops by "
            f"{off[worst] / 2.0 / mean[worst] * 1000.0:.3f} Pa more or less than its flow of "
            f"{solution.pipe_m3h[worst]:.3f} m3/h makes it; solve fewer cases at once or report this as a defect"
        )


def check_speed(case: Case, solution: Solution, fastest_mps: float) -> None:
    """Refuse a flow faster than the formula holds for."""
    worst = int(solution.pipe_mps.argmax())
    if solution.pipe_mps[worst] > fastest_mps:
        graph = case.graph
        raise NotPhysicalError(
            f"zone {graph.zone}: {solution.pipe_mps[worst]:.1f} m/s in the pipe of {graph.inner_mm[worst]:.0f} mm at "
            f"node {place(graph, int(graph.start[worst]))}, above {fastest_mps:.0f} m/s; lower the use or "
            "widen the pipe"
        )


def check_all(case: Case, solution: Solution, fastest_mps: float) -> None:
    """Raise `NotConvergedError` or `NotPhysicalError` for a solution that cannot be believed."""
    check_state(case, solution)
    check_balance(case, solution)
    check_drop(case, solution)
    check_speed(case, solution, fastest_mps)
