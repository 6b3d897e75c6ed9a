"""The solver behind its checks: textbook pipe, loop by hand, states that must be refused."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from simulators.ground import Pipe
from simulators.physics import state
from simulators.physics.errors import NotConvergedError, NotPhysicalError, PhysicsError
from simulators.physics.formula import colebrook, drop_kpa2
from simulators.physics.gas import BASE_KG_M3, NORMAL_KG_M3
from simulators.physics.graph import ZoneGraph, build_graph
from simulators.physics.hydraulics import solve
from simulators.physics.state import Case

Line = tuple[float, float, float, float]


def graph_of(*lines: Line, dn_mm: float = 100.0, kind: str = "distribution", places: bool = True) -> ZoneGraph:
    """Return the graph of straight pipes; the regulator is at (0, 0), a customer at the end of each last pipe."""
    pipes = [Pipe(f"P-{n}", "R-1", kind, dn_mm, ((a, b), (c, d))) for n, (a, b, c, d) in enumerate(lines)]
    return build_graph("R-1", pipes, [lines[-1][2:]] if places else [], (0.0, 0.0))


def one_pipe_m3h_by_hand(p1_kpa: float, p2_kpa: float, length_m: float, inner_m: float, roughness_m: float) -> float:
    """Flow of a straight pipe, written down without the project's own constants; base m3/h."""
    gas_constant, molar, kelvin, viscosity = 8.314462618, 0.016723, 283.15, 1.08e-5
    z_mean, z_base = 1.0 - 2.4e-5 * (p1_kpa + p2_kpa) / 2.0, 1.0 - 2.4e-5 * 101.325
    area, friction, mass = math.pi * inner_m**2 / 4.0, 0.02, 0.0
    for _ in range(100):
        squares = (p1_kpa**2 - p2_kpa**2) * 1e6
        mass = area * math.sqrt(squares * inner_m * molar / (friction * length_m * z_mean * gas_constant * kelvin))
        reynolds = mass * inner_m / area / viscosity
        friction = (-2.0 * math.log10(roughness_m / 3.71 / inner_m + 2.51 / reynolds / math.sqrt(friction))) ** -2
    return mass * z_base * gas_constant * 293.15 / (molar * 101325.0) * 3600.0


@pytest.mark.parametrize(
    ("inlet_kpa", "flow_m3h", "length_m", "dn_mm"), [(3.0, 40.0, 800.0, 100.0), (3.0, 300.0, 500.0, 200.0),
                                                     (400.0, 9000.0, 2000.0, 200.0), (100.0, 500.0, 3000.0, 110.0)]
)  # fmt: skip
def test_a_straight_pipe_drops_as_the_textbook_says(
    inlet_kpa: float, flow_m3h: float, length_m: float, dn_mm: float
) -> None:
    graph = graph_of((0.0, 0.0, length_m, 0.0), dn_mm=dn_mm)
    (answer,) = solve([Case(graph, flow_m3h * graph.load(), inlet_kpa)])
    p1, p2 = inlet_kpa + 101.325, float(answer.node_kpa[graph.customer[0]]) + 101.325
    assert one_pipe_m3h_by_hand(p1, p2, length_m, dn_mm / 1000.0, 1e-5) == pytest.approx(flow_m3h, rel=1e-5)


def test_friction_is_that_of_colebrook_and_white() -> None:
    # f / 4 in Moody's diagram: Re 1e5 and relative roughness 1e-4 give 0.01853, smooth at 1e4 0.03088
    assert colebrook(np.array([1e5, 1e4]), np.array([1e-4, 0.0])) == pytest.approx([0.01853, 0.03088], rel=2e-3)


def test_base_and_normal_conditions_are_kept_apart() -> None:
    assert pytest.approx(293.15 / 273.15) == NORMAL_KG_M3 / BASE_KG_M3
    assert pytest.approx(0.6969, abs=2e-4) == BASE_KG_M3  # M p / (Z R T) by hand


def test_a_loop_divides_its_flow_so_that_both_ways_drop_alike() -> None:
    """Two ways of 400 m and 1,200 m to one customer: the flows' ratio follows from equal drops, worked out by hand."""
    graph = graph_of((0.0, 0.0, 200.0, 0.0), (200.0, 0.0, 400.0, 0.0), (0.0, 0.0, 200.0, 565.6854249),
                     (200.0, 565.6854249, 400.0, 0.0))  # fmt: skip
    (answer,) = solve([Case(graph, 60.0 * graph.load(), 3.0)])
    short, long = float(answer.pipe_m3h[0]), float(answer.pipe_m3h[2])
    assert short + long == pytest.approx(60.0, rel=1e-6)
    ratio = 1.0
    for _ in range(200):  # x = (L2 f2 / L1 f1)^0.5 with the friction factors of both flows
        flows = np.array([60.0 * ratio / (1.0 + ratio), 60.0 / (1.0 + ratio)])
        reynolds = flows / 3600.0 * BASE_KG_M3 / (math.pi / 4.0 * 0.1) / 1.08e-5
        friction = colebrook(reynolds, np.full(2, 1e-4))
        ratio = math.sqrt(1200.0 / 400.0 * friction[1] / friction[0])
    assert short / long == pytest.approx(ratio, rel=1e-4)


def test_symmetric_pipes_carry_symmetric_flows() -> None:
    lines = [(0.0, 0.0, 100.0, 50.0), (0.0, 0.0, 100.0, -50.0), (100.0, 50.0, 100.0, -50.0)]
    pipes = [Pipe(f"P-{n}", "R-1", "distribution", 80.0, ((a, b), (c, d))) for n, (a, b, c, d) in enumerate(lines)]
    graph = build_graph("R-1", pipes, [(100.0, 50.0), (100.0, -50.0)], (0.0, 0.0))
    (answer,) = solve([Case(graph, 50.0 * graph.load(), 2.5)])
    up, down = answer.node_kpa[graph.customer]
    assert up == pytest.approx(down, abs=1e-6)
    assert answer.pipe_m3h == pytest.approx([25.0, 25.0, 0.0], abs=0.05)


def test_no_use_and_dead_ends_leave_all_pressures_alike() -> None:
    graph = graph_of((0.0, 0.0, 0.0, 300.0), (0.0, 300.0, 50.0, 300.0), (0.0, 0.0, 100.0, 0.0))
    still, flowing = solve([Case(graph, np.zeros(4), 3.0), Case(graph, 20.0 * graph.load(), 3.0)])
    assert still.node_kpa == pytest.approx(np.full(4, 3.0))
    assert not still.pipe_m3h.any()
    assert flowing.node_kpa[:3] == pytest.approx(np.full(3, 3.0))
    assert flowing.node_kpa[3] < 2.999


def test_pressures_below_the_air_outside_are_refused() -> None:
    """pandapipes converges here and says nothing."""
    graph = graph_of((0.0, 0.0, 800.0, 0.0))
    with pytest.raises(NotPhysicalError, match=r"zone R-1: -\d.*node 1 \(x 800.0 y 0.0\).*widen the pipes"):
        solve([Case(graph, 350.0 * graph.load(), 3.0)])


def test_what_no_pipe_carries_is_refused_by_its_zone() -> None:
    good, bad = graph_of((0.0, 0.0, 800.0, 0.0)), replace(graph_of((0.0, 0.0, 800.0, 0.0)), zone="R-2")
    with pytest.raises(PhysicsError, match="zone R-2"):
        solve([Case(good, 1.0 * good.load(), 3.0), Case(bad, 1e6 * bad.load(), 3.0)])


def test_speeds_beyond_the_limit_are_refused() -> None:
    graph = graph_of((0.0, 0.0, 5.0, 0.0), dn_mm=30.0)
    case = Case(graph, 60.0 * graph.load(), 3.0)
    assert solve([case])[0].pipe_mps[0] == pytest.approx(60.0 / 3600.0 / (math.pi * 0.015**2) * 0.94, rel=0.01)
    with pytest.raises(NotPhysicalError, match=r"22\.\d m/s in the pipe of 30 mm.*above 20 m/s"):
        solve([case], fastest_mps=20.0)


@pytest.mark.parametrize("use", [-1.0, math.nan, math.inf])
def test_a_use_that_is_no_use_is_refused(use: float) -> None:
    graph = graph_of((0.0, 0.0, 100.0, 0.0))
    with pytest.raises(NotPhysicalError, match="the use at node 1"):
        solve([Case(graph, np.array([0.0, use]), 3.0)])


@pytest.mark.parametrize("inlet_kpa", [-50.0, 1e5, math.nan])
def test_an_inlet_pressure_that_cannot_be_is_refused(inlet_kpa: float) -> None:
    graph = graph_of((0.0, 0.0, 100.0, 0.0))
    with pytest.raises(NotPhysicalError, match="behind the regulator"):
        solve([Case(graph, graph.load(), inlet_kpa)])


def test_the_checks_find_a_solution_that_does_not_add_up() -> None:
    graph = graph_of((0.0, 0.0, 100.0, 0.0), (100.0, 0.0, 200.0, 0.0))
    case = Case(graph, 20.0 * graph.load(), 3.0)
    (good,) = solve([case])
    with pytest.raises(NotConvergedError, match="unaccounted"):
        state.check_balance(case, replace(good, pipe_m3h=good.pipe_m3h * np.array([1.0, 0.99])))
    with pytest.raises(NotConvergedError, match="drops by"):
        state.check_drop(case, replace(good, node_kpa=good.node_kpa - np.array([0.0, 0.0, 0.001])))
    with pytest.raises(NotConvergedError, match="no number"):
        state.check_state(case, replace(good, node_kpa=good.node_kpa * math.nan))
    with pytest.raises(NotPhysicalError, match="above the regulator"):
        state.check_state(case, replace(good, node_kpa=good.node_kpa + 0.1))


def test_a_drop_has_the_sign_of_its_flow() -> None:
    pipe = (np.array([100.0]), np.array([100.0]), np.array([0.01]))
    assert drop_kpa2(np.array([30.0]), *pipe) == pytest.approx(-drop_kpa2(np.array([-30.0]), *pipe))
    assert drop_kpa2(np.array([0.0]), *pipe)[0] == 0.0


def test_nobody_waits_for_pandapipes_who_solves_nothing() -> None:
    code = "import sys, simulators.city, simulators.networks; sys.exit('pandapipes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
