"""Tables of zones against the solver they come from, and the directions that nature keeps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.ground import Pipe
from simulators.physics.gas import ATMOSPHERE_KPA
from simulators.physics.graph import ZoneGraph, build_graph
from simulators.physics.hydraulics import solve
from simulators.physics.response import LEAK_SHARES, LOWEST, MEAN, Response, Wanted, rows_of, tabulate
from simulators.physics.state import Case

FLOWS = st.floats(1e-6, 1e6)


def lowest_node(wanted: Wanted) -> int:
    (answer,) = solve([Case(wanted.graph, 0.5 * wanted.load, wanted.highest_kpa)])
    return int(answer.node_kpa.argmin())


def test_the_table_meets_the_solver(small_wanted: Wanted, small_table: Response) -> None:
    flows = small_table.largest_m3h * np.array([0.003, 0.02, 0.11, 0.37, 0.72])
    cases = [Case(small_wanted.graph, flow * small_wanted.load, small_wanted.highest_kpa) for flow in flows]
    lowest = lowest_node(small_wanted)
    for flow, solution in zip(flows, solve(cases), strict=True):
        rows, spread = rows_of(small_wanted, lowest, solution)
        for row in (MEAN, LOWEST):
            assert small_table.fall(row, np.array([flow]))[0] == pytest.approx(rows[row], rel=2e-3)
        assert small_table.spread_at(np.array([flow]))[0] == pytest.approx(spread / rows[MEAN] ** 2, rel=0.02)


def test_the_table_knows_leaks_at_its_places(small_wanted: Wanted, small_table: Response) -> None:
    graph, lowest = small_wanted.graph, lowest_node(small_wanted)
    tried: list[tuple[float, float, float]] = [
        (share, whole, part) for share in LEAK_SHARES[1:] for whole in (0.2, 0.9) for part in (0.05, 0.3)
    ]
    level = small_table.level_m3h[-1]
    cases = []
    for share, whole, part in tried:
        demand = small_wanted.load * (whole * level * (1.0 - part))
        demand[graph.node_at(share)] += whole * level * part
        cases.append(Case(graph, demand, small_wanted.highest_kpa))
    for (share, whole, part), solution in zip(tried, solve(cases), strict=True):
        rows, _ = rows_of(small_wanted, lowest, solution)
        before, after, _ = small_table.at_place(share)
        for row in (MEAN, before if share < 1.0 else after):
            weight = small_table.leak_weight(row, share, np.array([whole * level]), np.array([part]))
            flow = whole * level * (1.0 - part + weight * part)
            assert small_table.fall(row, flow)[0] == pytest.approx(rows[row], rel=0.05, abs=1e-3)


@settings(deadline=None)
@given(FLOWS, FLOWS)
def test_more_flow_always_falls_more(small_table: Response, a: float, b: float) -> None:
    low, high = small_table.fall(LOWEST, np.array([min(a, b), max(a, b)]))
    assert 0.0 <= low <= high
    assert (low < high) == (a != b) or high - low <= 1e-9 * high


@settings(deadline=None)
@given(FLOWS)
def test_flow_of_inverts_fall(small_table: Response, flow: float) -> None:
    fall = small_table.fall(LOWEST, np.array([flow]))
    assert small_table.flow_of(LOWEST, fall)[0] == pytest.approx(flow, rel=1e-6)


def test_no_flow_falls_nothing(small_table: Response) -> None:
    assert small_table.fall(MEAN, np.zeros(3)).tolist() == [0.0, 0.0, 0.0]
    assert small_table.flow_of(MEAN, np.zeros(1))[0] == 0.0


def test_the_table_ends_where_no_gas_comes_any_more(small_wanted: Wanted, small_table: Response) -> None:
    head = (small_wanted.highest_kpa + ATMOSPHERE_KPA) ** 2 - ATMOSPHERE_KPA**2
    assert small_table.fall_kpa2[LOWEST, -1] == pytest.approx(head, rel=0.1)


def test_a_zone_without_a_way_to_fall_has_a_flat_table() -> None:
    """A house on the regulator itself: no pipe carries anything."""
    graph = build_graph("R-1", [Pipe("P-1", "R-1", "distribution", 100.0, ((0.0, 0.0), (9.0, 0.0)))], [(0.0, 0.0)],
                        (0.0, 0.0))  # fmt: skip
    (table,) = tabulate([Wanted(graph, graph.load(), 3.9)])
    assert not table.falls
    assert table.fall(LOWEST, np.array([0.0, 50.0])).tolist() == [0.0, 0.0]
    assert table.flow_of(LOWEST, np.array([600.0]))[0] == np.inf


def one_line(length_m: float, dn_mm: float) -> ZoneGraph:
    return build_graph(
        "R-1", [Pipe("P-1", "R-1", "distribution", dn_mm, ((0.0, 0.0), (length_m, 0.0)))], [(length_m, 0.0)], (0.0, 0.0)
    )


def test_wider_and_shorter_pipes_carry_more() -> None:
    graphs = [one_line(500.0, 100.0), one_line(500.0, 150.0), one_line(250.0, 100.0)]
    base, wide, short = (
        table.largest_m3h for table in tabulate([Wanted(graph, graph.load(), 3.9) for graph in graphs])
    )
    assert wide / base == pytest.approx(1.5**2.65, rel=0.05)
    assert short / base == pytest.approx(2.0**0.55, rel=0.05)


def test_medium_pressure_has_a_table_too() -> None:
    graph = one_line(2000.0, 100.0)
    (table,) = tabulate([Wanted(graph, graph.load(), 400.0)])
    (answer,) = solve([Case(graph, 0.5 * table.largest_m3h * graph.load(), 400.0)])
    assert table.fall(LOWEST, np.array([0.5 * table.largest_m3h]))[0] == pytest.approx(
        501.325**2 - (answer.node_kpa.min() + ATMOSPHERE_KPA) ** 2, rel=5e-3
    )
