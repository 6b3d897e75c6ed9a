"""The pipes of zones: what their tables take and how near they come to the solver; a year of 60 zones.

Direct solutions stand against the tables in random hours: what each home draws in that hour leaves the pipes at its own
node, while the table knows the zone's flow alone. Differences are stated in pascals, and as a share of the fall from
the regulator to the lowest node.
"""

from __future__ import annotations

import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simulators.city import build_plan
from simulators.customers import hourly_use
from simulators.engine.plan import Plan
from simulators.physics.formula import drop_kpa2
from simulators.physics.gas import ATMOSPHERE_KPA
from simulators.physics.graph import ZoneGraph, zone_graphs
from simulators.physics.hydraulics import solve
from simulators.physics.response import LEAK_SHARES, LOWEST, MEAN, Response
from simulators.physics.state import Case, Solution
from simulators.physics.zones import Hole, ZonePhysics

START = datetime(2025, 1, 14, 22, tzinfo=UTC)
Floats = NDArray[np.float64]


def run(*, quick: bool) -> dict[str, float]:
    """Return seconds, pascals and percent; the quick form takes 3 zones and fewer hours."""
    zones, hours = (3, 25) if quick else (8, 60)
    plan = build_plan(7, START, [80] * zones)
    weights = plan.customers.winter_m3_d()
    with tempfile.TemporaryDirectory(prefix="gasgate-hydraulics-") as folder:
        file = Path(folder) / "tables.npz"
        began = time.perf_counter()
        physics = ZonePhysics(plan.seed, plan.ground, plan.nominal_m3h, weights=weights, tables=file)
        figures = {"zones": float(zones), "tables_s_per_zone": (time.perf_counter() - began) / zones}
        began = time.perf_counter()
        physics = ZonePhysics(plan.seed, plan.ground, plan.nominal_m3h, weights=weights, tables=file)
        figures["tables_read_s"] = time.perf_counter() - began
        figures["tables_kib_per_zone"] = file.stat().st_size / 1024.0 / zones
    figures |= _textbook(plan)
    figures |= _usual(plan, physics, hours)
    for name, scale in (("winter", 1.0), ("threefold", 3.0)):
        figures |= {f"{name}_{key}": value for key, value in _hours(plan, physics, hours, scale).items()}
    figures |= _leaks(plan, physics, hours)
    return figures | _year()


def _graphs(plan: Plan) -> list[ZoneGraph]:
    return [graph for _, graph in sorted(zone_graphs(plan.ground).items())]


def _textbook(plan: Plan) -> dict[str, float]:
    """Hold each pipe of a solution against the general flow equation."""
    graph = _graphs(plan)[0]
    (solution,) = solve([Case(graph, 60.0 * graph.load(), 3.0)])
    absolute = solution.node_kpa + ATMOSPHERE_KPA
    mean = (absolute[graph.start] + absolute[graph.end]) / 2.0
    formula = drop_kpa2(solution.pipe_m3h, graph.length_m, graph.inner_mm, graph.roughness_mm, mean)
    real = np.abs(formula) > 1e-2
    off = (absolute[graph.start] ** 2 - absolute[graph.end] ** 2)[real] / formula[real] - 1.0
    return {"textbook_worst_pct": 100.0 * float(np.abs(off).max())}


def _seen(graph: ZoneGraph, solution: Solution, inlet_kpa: float) -> tuple[float, float]:
    """Return (the fall of the mean pressure, that of the lowest), Pa."""
    kpa, volume = solution.node_kpa, graph.pipe_m3
    mean = float(np.average((kpa[graph.start] + kpa[graph.end]) / 2.0, weights=volume))
    return 1000.0 * (inlet_kpa - mean), 1000.0 * (inlet_kpa - float(kpa.min()))


def _told(table: Response, flow: float, inlet_kpa: float) -> tuple[float, float]:
    """Return the same from a table."""
    square = (inlet_kpa + ATMOSPHERE_KPA) ** 2
    falls = [float(table.fall(row, np.array([flow]))[0]) for row in (MEAN, LOWEST)]
    mean, lowest = (1000.0 * (inlet_kpa + ATMOSPHERE_KPA - np.sqrt(square - fall)) for fall in falls)
    return float(mean), float(lowest)


def _usual(plan: Plan, physics: ZonePhysics, count: int) -> dict[str, float]:
    """Compare at random flows that spread as the table says: what interpolation costs."""
    rng = np.random.default_rng(1)
    weights, column = plan.customers.winter_m3_d(), plan.customers.zone
    off = []
    for zone, (graph, table) in enumerate(zip(_graphs(plan), physics.responses, strict=True)):
        load = graph.load(weights[column == zone])
        flows = table.largest_m3h * np.exp(rng.uniform(np.log(0.005), np.log(0.6), count))
        for flow, solution in zip(flows, solve([Case(graph, flow * load, 3.0) for flow in flows]), strict=True):
            told, seen = _told(table, float(flow), 3.0), _seen(graph, solution, 3.0)
            off.append(abs(told[1] / seen[1] - 1.0))
    return {"interpolation_worst_pct": 100.0 * max(off)}


def _hours(plan: Plan, physics: ZonePhysics, count: int, scale: float) -> dict[str, float]:
    """Compare in random hours of winter in which each home draws what it draws."""
    rng = np.random.default_rng(2)
    hours = np.sort(plan.start_hour + rng.choice(24 * 30, count, replace=False)).astype(np.int64)
    use = scale * hourly_use(plan.seed, plan.customers, hours)
    mean_pa, lowest_pa, fall_pa, mean_fall_pa = [], [], [], []
    for zone, (graph, table) in enumerate(zip(_graphs(plan), physics.responses, strict=True)):
        drawn = use[:, plan.customers.zone == zone]
        cases = [
            Case(graph, np.bincount(graph.customer, row, len(graph.xy_m)).astype(np.float64), 3.0) for row in drawn
        ]
        for row, solution in zip(drawn, solve(cases), strict=True):
            told, seen = _told(table, float(row.sum()), 3.0), _seen(graph, solution, 3.0)
            mean_pa.append(abs(told[0] - seen[0]))
            lowest_pa.append(abs(told[1] - seen[1]))
            fall_pa.append(seen[1])
            mean_fall_pa.append(seen[0])
    part = np.array(lowest_pa) / np.maximum(np.array(fall_pa), 1e-9)
    return {
        "fall_median_pa": float(np.median(fall_pa)),
        "fall_p99_pa": float(np.quantile(fall_pa, 0.99)),
        "mean_off_p99_pa": float(np.quantile(mean_pa, 0.99)),
        "mean_off_p99_pct_of_p99_fall": 100.0 * float(np.quantile(mean_pa, 0.99) / np.quantile(mean_fall_pa, 0.99)),
        "lowest_off_median_pa": float(np.median(lowest_pa)),
        "lowest_off_p99_pa": float(np.quantile(lowest_pa, 0.99)),
        "lowest_off_median_pct": 100.0 * float(np.median(part)),
        "lowest_off_p99_pct": 100.0 * float(np.quantile(part, 0.99)),
    }


def _leaks(plan: Plan, physics: ZonePhysics, count: int) -> dict[str, float]:
    """Compare with leaks of 1 to 30 % of the flow at the table's places."""
    rng = np.random.default_rng(3)
    weights, column = plan.customers.winter_m3_d(), plan.customers.zone
    off, falls, nominal = [], [], plan.nominal_m3h
    for zone, (graph, table) in enumerate(zip(_graphs(plan), physics.responses, strict=True)):
        load = graph.load(weights[column == zone])
        cases, tried = [], []
        for _ in range(count):
            share, part = float(rng.choice(LEAK_SHARES)), float(np.exp(rng.uniform(np.log(0.01), np.log(0.3))))
            whole = nominal[zone] * float(rng.uniform(0.5, 4.0))
            demand = load * (whole * (1.0 - part))
            demand[graph.node_at(share)] += whole * part
            cases.append(Case(graph, demand, 3.0))
            tried.append((share, part, whole))
        for (share, part, whole), solution in zip(tried, solve(cases), strict=True):
            weight = float(table.leak_weight(MEAN, share, np.array([whole]), np.array([part]))[0])
            told = _told(table, whole * (1.0 - part + weight * part), 3.0)[0]
            seen = _seen(graph, solution, 3.0)[0]
            off.append(abs(told - seen))
            falls.append(seen)
    return {
        "leak_mean_off_p99_pa": float(np.quantile(off, 0.99)),
        "leak_mean_off_median_pct": 100.0 * float(np.median(np.array(off) / np.array(falls))),
        "leak_mean_off_p99_pct": 100.0 * float(np.quantile(np.array(off) / np.array(falls), 0.99)),
    }


def _year() -> dict[str, float]:
    """Time a year of 60 zones with 15 leaks; five distinct zones stand for all."""
    plan = build_plan(8, START, [80] * 5)
    five = ZonePhysics(plan.seed, plan.ground, plan.nominal_m3h)
    hours = np.arange(plan.start_hour, plan.start_hour + 8760, dtype=np.int64)
    shape = 1.0 + 0.8 * np.sin(hours / 24.0 * 2.0 * np.pi)[:, None]
    use: Floats = shape * plan.nominal_m3h[None, :]
    began = time.perf_counter()
    for turn in range(12):
        holes = [Hole(turn % 5, 0.6, np.full(8760, 0.5))]
        five.states(hours, use, holes if turn % 4 else holes * 2, np.zeros((1, 5)))
    return {"year_of_60_zones_s": time.perf_counter() - began}
