"""Steady flow in a zone's pipes, solved by pandapipes and believed only after it was checked.

The one file beside `networks/schutterwald.py` that knows pandapipes, and it loads it late: that takes a second and a
half. Flows are base m3/h (20 deg C, 101.325 kPa), pressures gauge kPa.

pandapipes states gas at 0 deg C and 101.325 kPa and solves mass flows, so volumes are turned into masses with our own
density (`gas.py`). It returns pressures below zero, and even below vacuum, without a word; it leaves out what is not
connected; and its tolerances are made for bars, not for the pascals of a low-pressure network. Therefore `solve` checks
each node's balance and each pipe's pressure drop against the textbook formula (`drop_kpa2`) and raises otherwise.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simulators.physics.carrying import Part, carrying, without_still_loops
from simulators.physics.errors import NotConvergedError
from simulators.physics.formula import resting_kpa2
from simulators.physics.gas import (
    ATMOSPHERE_KPA,
    BASE_K,
    BASE_KPA,
    GROUND_K,
    MOLAR_KG,
    NORMAL_KG_M3,
    VISCOSITY_PA_S,
    Z_BASE,
    Z_PER_KPA,
    compressibility,
    flow_m3h,
    mass_kg_s,
)
from simulators.physics.graph import ZoneGraph
from simulators.physics.state import (
    FASTEST_MPS,
    Case,
    Solution,
    check_all,
    check_demand,
    unsolved,
)

_OPTIONS = {
    "friction_model": "colebrook", "max_iter_hyd": 30, "max_iter_colebrook": 200, "use_numba": False,
}  # fmt: skip
_TIGHT = {"tol_p": 1e-11, "tol_m": 1e-9, "tol_res": 1e-10}
"""bar and kg/s; what Newton's steps reach where all pipes carry something"""
_NARROW_MM = 50.0
"""pipes below are services, which lie in no loop"""
_FRICTION = (1e-6, 1e-4, 1e-2)
"""how near friction factors must come, tried in turn: in pipes without flow they are so large that floats end before"""


def solve(cases: Sequence[Case], *, fastest_mps: float = FASTEST_MPS) -> list[Solution]:
    """Solve cases together: one call takes little longer for many than for one.

    Raise `NotConvergedError` or `NotPhysicalError` with zone, place, value and remedy.
    """
    if not cases:
        return []
    for case in cases:
        check_demand(case)
    return [
        _believed(case, solution, fastest_mps)
        for case, solution in zip(cases, _solved(cases, _usual(cases)), strict=True)
    ]


def _believed(case: Case, solution: Solution, fastest_mps: float) -> Solution:
    """Return a solution that passes all checks: this one, or one that is solved by itself and nearer."""
    try:
        check_all(case, solution, fastest_mps)
    except NotConvergedError:
        (solution,) = _solved([case], _TIGHT)
        check_all(case, solution, fastest_mps)
    return solution


def _solved(cases: Sequence[Case], tolerances: Mapping[str, float]) -> list[Solution]:
    """Solve all at once, with wider tolerances if need be; if that fails, each case by itself.

    Along a way of many pipes the circling of Newton's steps adds up. The checks stay what they are.
    """
    parts = [carrying(case) for case in cases]
    if len(cases) == 1:
        parts = [without_still_loops(cases[0], parts[0])]
    why = ""
    for wider in (1.0, 10.0, 100.0):
        try:
            return _pandapipes(cases, parts, {name: wider * value for name, value in tolerances.items()})
        except _Unsolved as error:
            why = str(error)
    if len(cases) == 1:
        raise NotConvergedError(unsolved(cases[0], why))
    return [_solved([case], _usual([case]))[0] for case in cases]


def _usual(cases: Sequence[Case]) -> dict[str, float]:
    """Return tolerances within which Newton's steps come to rest also in loops that carry next to nothing."""
    widest_m, rest_bar = 0.1, 0.0
    for case in cases:
        graph = case.graph
        wide = graph.inner_mm >= _NARROW_MM
        rest = resting_kpa2(graph.length_m, graph.inner_mm, graph.roughness_mm)[wide]
        rest_bar = max(rest_bar, float(rest.max(initial=0.0)) / (2.0 * (case.inlet_kpa + ATMOSPHERE_KPA)) / 100.0)
        widest_m = max(widest_m, float(graph.inner_mm.max()) / 1000.0)
    tol_p = min(max(3.0 * rest_bar, 5e-9), 1e-7)
    return {"tol_p": tol_p, "tol_m": 1.2e-4 * widest_m, "tol_res": 5.0 * tol_p}


class _Unsolved(Exception):  # noqa: N818 - never leaves this file
    """The solver gave up."""


def _pandapipes(cases: Sequence[Case], parts: Sequence[Part], tolerances: Mapping[str, float]) -> list[Solution]:
    """Let pandapipes solve all cases as pieces of one network that are not connected with each other."""
    flowing = [(case, part) for case, part in zip(cases, parts, strict=True) if len(part.pipe)]
    pressure, mass = _run(flowing, tolerances) if flowing else (np.zeros(0), np.zeros(0))
    answer, node, pipe = [], 0, 0
    for case, part in zip(cases, parts, strict=True):
        kpa = np.full(len(case.graph.xy_m), float(case.inlet_kpa))
        m3h = np.zeros(len(case.graph.start))
        if len(part.pipe):
            kpa[part.node] = pressure[node : node + len(part.node)]
            kpa = kpa[part.like]
            m3h[part.pipe] = flow_m3h(mass[pipe : pipe + len(part.pipe)])
            node, pipe = node + len(part.node), pipe + len(part.pipe)
        answer.append(Solution(kpa, m3h, _speed(case.graph, kpa, m3h)))
    return answer


def _run(
    flowing: Sequence[tuple[Case, Part]], tolerances: Mapping[str, float]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (gauge kPa at the nodes that stay, kg/s in the pipes that stay), one case after the other."""
    import pandapipes
    from pandapipes.pf.pipeflow_setup import PipeflowNotConverged

    logging.getLogger("pandapipes").setLevel(logging.ERROR)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        net = _network(pandapipes, flowing)
        for tolerance in _FRICTION:
            try:
                pandapipes.pipeflow(net, tolerance_colebrook=tolerance, **tolerances, **_OPTIONS)
                break
            except (PipeflowNotConverged, RuntimeError, ValueError, ArithmeticError) as error:
                if "Colebrook" not in str(error) or tolerance == _FRICTION[-1]:
                    raise _Unsolved(str(error).rstrip(".")[:70]) from error
    pressure = net.res_junction["p_bar"].to_numpy(dtype=np.float64) * 100.0
    return pressure, net.res_pipe["mdot_from_kg_per_s"].to_numpy(dtype=np.float64)


def _network(pandapipes: Any, flowing: Sequence[tuple[Case, Part]]) -> Any:
    net = pandapipes.create_empty_network(fluid=_fluid(pandapipes), add_stdtypes=False)
    start, end, pipe, demand, inlet, first = [], [], [], [], [], 0
    for case, part in flowing:
        place = np.zeros(len(case.graph.xy_m), dtype=np.int64)
        place[part.node] = np.arange(first, first + len(part.node))
        start.append(place[case.graph.start[part.pipe]])
        end.append(place[case.graph.end[part.pipe]])
        pipe.append(np.stack([case.graph.length_m, case.graph.inner_mm, case.graph.roughness_mm])[:, part.pipe])
        demand.append(case.demand_m3h[part.node])
        inlet.append(int(place[case.graph.inlet]))
        first += len(part.node)
    inlet_bar = np.array([case.inlet_kpa / 100.0 for case, _ in flowing])
    every_bar = np.repeat(inlet_bar, [len(part.node) for _, part in flowing])
    pandapipes.create_junctions(net, first, pn_bar=every_bar, tfluid_k=GROUND_K)
    length_m, inner_mm, roughness_mm = np.concatenate(pipe, axis=1)
    pandapipes.create_pipes_from_parameters(
        net,
        np.concatenate(start),
        np.concatenate(end),
        length_km=length_m / 1000.0,
        inner_diameter_mm=inner_mm,
        k_mm=roughness_mm,
    )
    use = np.concatenate(demand)
    used = np.flatnonzero(use > 0.0)
    pandapipes.create_sinks(net, used, mdot_kg_per_s=mass_kg_s(use[used]))
    pandapipes.create_ext_grids(net, inlet, p_bar=inlet_bar, t_k=GROUND_K, type="pt")
    return net


def _fluid(pandapipes: Any) -> Any:
    """Return our gas; its compressibility is relative to that at normal conditions."""
    constant, linear = pandapipes.FluidPropertyConstant, pandapipes.FluidPropertyLinear
    slope = Z_PER_KPA * 100.0 / Z_BASE
    return pandapipes.Fluid(
        "natural gas",
        "gas",
        density=constant(NORMAL_KG_M3),
        viscosity=constant(VISCOSITY_PA_S),
        heat_capacity=constant(2150.0),
        molar_mass=constant(MOLAR_KG * 1000.0),
        compressibility=linear(slope, 1.0 / Z_BASE),
        der_compressibility=constant(slope),
    )


def _speed(graph: ZoneGraph, kpa: NDArray[np.float64], m3h: NDArray[np.float64]) -> NDArray[np.float64]:
    area = np.pi * (graph.inner_mm / 2000.0) ** 2
    lower = np.minimum(kpa[graph.start], kpa[graph.end]) + ATMOSPHERE_KPA
    with np.errstate(all="ignore"):
        actual_m3h = np.abs(m3h) * BASE_KPA / lower * GROUND_K / BASE_K * compressibility(lower) / Z_BASE
    return np.asarray(actual_m3h / 3600.0 / area, dtype=np.float64)
