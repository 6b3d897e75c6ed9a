"""How a zone's pressures answer its flow, tabulated from some steady states, so that years of hours cost no solver.

In isothermal flow a pipe fixes the fall of *squared* absolute pressure by its mass flow alone, whatever the pressure
is. So a table of falls over the zone's flow serves every outlet pressure of the regulator. Demand spreads as the
connected loads do (quasi-static pattern). A fall grows with the flow's power 1 (laminar) to 2 (rough): it is
interpolated between the logarithms of both. A leak's flow counts with a weight: `weight * leak` spread over the
customers makes the same fall.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from simulators.physics.errors import NotPhysicalError
from simulators.physics.gas import ATMOSPHERE_KPA, compressibility
from simulators.physics.graph import ZoneGraph
from simulators.physics.state import FASTEST_MPS, Case, Solution

LEAK_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""places of leaks in the table: shares of the longest way from the regulator"""
LEAK_PARTS = (0.03, 0.15, 0.45, 0.97)
"""leak as a share of the whole flow; a little use keeps gas moving in all loops, which the solver likes"""
LEAK_LEVELS = (0.015, 0.15, 1.0)
"""whole flow as a share of the largest that a leak may make"""
MEAN, LOWEST, FIRST_LEAK = 0, 1, 2
"""rows of a table: volume-weighted mean, the node that is lowest without leaks, one for each place of LEAK_SHARES"""
STEPS = np.geomspace(1e-3, 1.0, 13)
_FINE = 400
_GROWS = 30.0
_FLAT_M3H = 1000.0
"""largest flow of the table of a zone in which no pressure falls"""
_NOISE_KPA2 = 1e-3
"""5 mPa at low pressure"""


@dataclass(frozen=True)
class Response:
    """Plain arrays; k flows, o = 2 + places of leaks rows, l places, p parts, v levels."""

    flow_m3h: NDArray[np.float64]
    """base, rising, (k,)"""
    fall_kpa2: NDArray[np.float64]
    """of squared absolute pressure from the regulator to what each row stands for, (o, k)"""
    spread: NDArray[np.float64]
    """variance of the fall over the pipes' volume as a share of the squared mean fall, (k,)"""
    weight: NDArray[np.float64]
    """of a leak's flow in each row's fall, (l, v, p, o)"""
    level_m3h: NDArray[np.float64]
    """whole flows for which `weight` was made, (v,)"""
    pipe_m3: NDArray[np.float64]
    """geometric volume of the zone's pipes, ()"""

    @property
    def largest_m3h(self) -> float:
        """The largest flow of the table: the pipes carry no more from the highest pressure it was made for."""
        return float(self.flow_m3h[-1])

    @property
    def falls(self) -> bool:
        """False for a zone whose customers hang on the regulator itself: pressures are alike everywhere."""
        return bool(self.fall_kpa2[LOWEST, -1] > 0.0)

    @cached_property
    def _fine(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Logarithms of flows and falls on a fine grid, (f,) and (o, f)."""
        x = np.log(self.flow_m3h)
        at = np.linspace(x[0], x[-1], _FINE)
        rows = [np.asarray(PchipInterpolator(x, np.log(row))(at)) for row in np.maximum(self.fall_kpa2, 1e-300)]
        return at, np.stack(rows)

    def fall(self, row: int, flow_m3h: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the fall of a row for flows, kPa2; below the table it is laminar, above it goes on as at its end."""
        at, rows = self._fine
        if rows[row, -1] < -600.0:
            return np.zeros_like(flow_m3h)
        x = np.log(np.maximum(flow_m3h, 1e-12))
        slope = (rows[row, -1] - rows[row, -2]) / (at[-1] - at[-2])
        y = np.interp(x, at, rows[row]) + np.minimum(x - at[0], 0.0) + slope * np.maximum(x - at[-1], 0.0)
        return np.asarray(np.where(flow_m3h > 0.0, np.exp(y), 0.0), dtype=np.float64)

    def flow_of(self, row: int, fall_kpa2: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the flow that makes a row fall by some kPa2: the inverse of `fall`; infinite where nothing falls."""
        at, rows = self._fine
        if rows[row, -1] < -600.0:
            return np.full_like(fall_kpa2, np.inf)
        y = np.log(np.maximum(fall_kpa2, 1e-300))
        slope = (rows[row, -1] - rows[row, -2]) / (at[-1] - at[-2])
        x = np.interp(y, rows[row], at) + np.minimum(y - rows[row, 0], 0.0)
        x = x + np.maximum(y - rows[row, -1], 0.0) / slope
        return np.asarray(np.where(fall_kpa2 > 0.0, np.exp(x), 0.0), dtype=np.float64)

    def spread_at(self, flow_m3h: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return `spread` for flows."""
        return np.asarray(np.interp(flow_m3h, self.flow_m3h, self.spread), dtype=np.float64)

    def leak_weight(
        self, row: int, share: float, whole_m3h: NDArray[np.float64], part: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the weight of a leak's flow in a row's fall.

        `share` of the way from the regulator, `whole_m3h` the zone's whole flow, `part` the leak's share in it.
        """
        place = float(np.clip(share, 0.0, 1.0)) * (len(LEAK_SHARES) - 1)
        low = min(int(place), len(LEAK_SHARES) - 2)
        table = self.weight[low, :, :, row] * (low + 1 - place) + self.weight[low + 1, :, :, row] * (place - low)
        levels = np.arange(len(LEAK_LEVELS))
        at = np.interp(np.log(np.maximum(whole_m3h, 1e-12)), np.log(self.level_m3h), levels)
        by_level = [
            np.interp(part, LEAK_PARTS, row) * np.maximum(0.0, 1.0 - np.abs(at - k)) for k, row in enumerate(table)
        ]
        return np.asarray(sum(by_level), dtype=np.float64)

    def at_place(self, share: float) -> tuple[int, int, float]:
        """Return (row before, row after, share of the latter) of a place between the table's places."""
        place = float(np.clip(share, 0.0, 1.0)) * (len(LEAK_SHARES) - 1)
        low = min(int(place), len(LEAK_SHARES) - 2)
        return FIRST_LEAK + low, FIRST_LEAK + low + 1, place - low

    def arrays(self) -> dict[str, NDArray[np.float64]]:
        """Return the table as named arrays, for files."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True, slots=True, eq=False)
class Wanted:
    """What a table is made for: pipes, where use leaves them, and the highest gauge pressure behind the regulator."""

    graph: ZoneGraph
    load: NDArray[np.float64]
    """share of each node in the use, (n,)"""
    highest_kpa: float


def tabulate(wanted: Sequence[Wanted]) -> list[Response]:
    """Solve the states that the tables of some zones need; many zones at once take little longer than one.

    Raise `NotConvergedError` or `NotPhysicalError`.
    """
    largest = _largest(wanted)
    levels = _levels(wanted, largest)
    cases: list[Case] = []
    for want, flow, level in zip(wanted, largest, levels, strict=True):
        cases += _cases(want, flow, level)
    solved = _solve(cases)
    each = len(STEPS) + (len(LEAK_SHARES) - 1) * len(LEAK_LEVELS) * len(LEAK_PARTS)
    return [
        _table(want, flow, level, solved[number * each : (number + 1) * each])
        for number, (want, flow, level) in enumerate(zip(wanted, largest, levels, strict=True))
    ]


def _head_kpa2(highest_kpa: float) -> float:
    """Return how far squared pressure can fall until no gas flows out."""
    return (highest_kpa + ATMOSPHERE_KPA) ** 2 - ATMOSPHERE_KPA**2


def _inlet_kpa(want: Wanted) -> float:
    """Return a gauge pressure from which twice the head can fall: tables do not depend on it, the solver likes it."""
    return float(np.sqrt(ATMOSPHERE_KPA**2 + 2.0 * _head_kpa2(want.highest_kpa)) - ATMOSPHERE_KPA)


def _largest(wanted: Sequence[Wanted]) -> list[float]:
    """Return the flow at which each zone's lowest pressure comes down to the air's, or its gas becomes too fast."""
    flow = [max(1.0, 0.05 * len(want.graph.customer)) for want in wanted]
    falls = [False] * len(wanted)
    for _ in range(6):
        solved = _solve([Case(w.graph, q * w.load, _inlet_kpa(w)) for w, q in zip(wanted, flow, strict=True)])
        falls = [_noticed(*each) for each in zip(wanted, solved, strict=True)]
        flow = [_grown(*each) for each in zip(wanted, flow, solved, strict=True)]
    return [q if fell else _FLAT_M3H for q, fell in zip(flow, falls, strict=True)]


def _tried(largest: float) -> float:
    """Return a leak that also the service of a single house carries."""
    return min(0.003 * largest, 2.0)


def _noticed(want: Wanted, solution: Solution) -> bool:
    return float(_falls(want, solution).max()) > 1e-9 * _head_kpa2(want.highest_kpa)


def _levels(wanted: Sequence[Wanted], largest: Sequence[float]) -> list[NDArray[np.float64]]:
    """Return the whole flows at which leaks are tried: no leak takes all the pressure away."""
    tried = []
    for want, flow in zip(wanted, largest, strict=True):
        for share in LEAK_SHARES:
            demand = want.load * (_tried(flow) * (1.0 - LEAK_PARTS[-1]))
            demand[want.graph.node_at(share)] += _tried(flow) * LEAK_PARTS[-1]
            tried.append(Case(want.graph, demand, _inlet_kpa(want)))
    owner = [want for want in wanted for _ in LEAK_SHARES]
    fall = [float(_falls(want, solution).max()) for want, solution in zip(owner, _solve(tried), strict=True)]
    worst = np.maximum(np.array(fall).reshape(len(wanted), -1).max(axis=1), 1e-12)
    head = np.array([_head_kpa2(want.highest_kpa) for want in wanted])
    alone = np.array([_tried(flow) for flow in largest]) * np.sqrt(head / worst)
    most = np.minimum(0.3 * np.array(largest), 0.8 * alone)
    return list(most[:, None] * np.array(LEAK_LEVELS))


def _grown(want: Wanted, flow: float, solution: Solution) -> float:
    head = _head_kpa2(want.highest_kpa)
    fall = float(_falls(want, solution).max())
    speed = float(solution.pipe_mps.max()) if len(solution.pipe_mps) else 0.0
    by_fall = (head / fall) ** 0.5 if fall > 1e-9 * head else _GROWS
    by_speed = FASTEST_MPS / speed if speed > 0.0 else _GROWS
    return flow * min(by_fall, by_speed * 0.9, _GROWS)


def _cases(want: Wanted, largest: float, levels: NDArray[np.float64]) -> list[Case]:
    inlet = _inlet_kpa(want)
    cases = [Case(want.graph, largest * step * want.load, inlet) for step in STEPS]
    for share in LEAK_SHARES[1:]:
        node = want.graph.node_at(share)
        for level in levels:
            for part in LEAK_PARTS:
                demand = want.load * (level * (1.0 - part))
                demand[node] += level * part
                cases.append(Case(want.graph, demand, inlet))
    return cases


_NODES_AT_ONCE = 40_000


def _solve(cases: Sequence[Case]) -> list[Solution]:
    """Solve cases in pieces that fit into memory."""
    from simulators.physics.hydraulics import solve

    solved: list[Solution] = []
    piece: list[Case] = []
    nodes = 0
    for case in cases:
        piece.append(case)
        nodes += len(case.graph.xy_m)
        if nodes >= _NODES_AT_ONCE:
            solved += solve(piece, fastest_mps=np.inf)
            piece, nodes = [], 0
    return solved + solve(piece, fastest_mps=np.inf)


def _falls(want: Wanted, solution: Solution) -> NDArray[np.float64]:
    """Return the fall of squared absolute pressure from the regulator to each node, as it is at the usual pressure."""
    absolute = solution.node_kpa + ATMOSPHERE_KPA
    inlet = absolute[want.graph.inlet]
    usual, solved = compressibility(np.array([want.highest_kpa / 1.3 + ATMOSPHERE_KPA, (inlet + absolute.min()) / 2.0]))
    return np.asarray(np.maximum(inlet**2 - absolute**2, 0.0) * (usual / solved), dtype=np.float64)


def rows_of(want: Wanted, lowest: int, solution: Solution) -> tuple[NDArray[np.float64], float]:
    """Return (the falls of all rows, the variance of the fall over the pipes' volume); `lowest` is a node."""
    graph = want.graph
    fall = _falls(want, solution)
    a, b, volume = fall[graph.start], fall[graph.end], graph.pipe_m3
    mean = float(np.average((a + b) / 2.0, weights=volume))
    square = float(np.average((a * a + a * b + b * b) / 3.0, weights=volume))
    places = [fall[graph.node_at(share)] for share in LEAK_SHARES]
    return np.array([mean, fall[lowest], *places]), max(0.0, square - mean * mean)


def _table(want: Wanted, largest: float, levels: NDArray[np.float64], solved: Sequence[Solution]) -> Response:
    rows, spread = [], []
    lowest = int(_falls(want, solved[len(STEPS) - 1]).argmax())
    for solution in solved[: len(STEPS)]:
        row, variance = rows_of(want, lowest, solution)
        rows.append(row)
        spread.append(variance / row[MEAN] ** 2 if row[MEAN] > 0.0 else 0.0)
    shape = (len(LEAK_SHARES), len(LEAK_LEVELS), len(LEAK_PARTS), FIRST_LEAK + len(LEAK_SHARES))
    table = Response(
        flow_m3h=largest * STEPS,
        fall_kpa2=_above_noise(largest * STEPS, np.stack(rows, axis=1)),
        spread=np.array(spread),
        weight=np.zeros(shape),
        level_m3h=levels,
        pipe_m3=np.array(want.graph.pipe_m3.sum()),
    )
    _check(want, table)
    falls = np.stack([rows_of(want, lowest, solution)[0] for solution in solved[len(STEPS) :]])
    # a leak at the regulator makes nothing fall
    table.weight[1:] = _weights(table, falls.reshape(len(LEAK_SHARES) - 1, *shape[1:]))
    return table


def _above_noise(flow_m3h: NDArray[np.float64], fall_kpa2: NDArray[np.float64]) -> NDArray[np.float64]:
    """Continue falls down to small flows from where they are larger than what the solver leaves open."""
    clean = fall_kpa2.copy()
    clean[clean[:, -1] < _NOISE_KPA2] = 0.0
    for k in range(len(flow_m3h) - 2, -1, -1):
        continued = clean[:, k + 1] * (flow_m3h[k] / flow_m3h[k + 1]) ** 1.75
        clean[:, k] = np.where(clean[:, k] < _NOISE_KPA2, continued, clean[:, k])
    return clean


def _check(want: Wanted, table: Response) -> None:
    if table.falls and not (np.diff(table.fall_kpa2[LOWEST]) > 0.0).all():
        raise NotPhysicalError(
            f"zone {want.graph.zone}: the pressure does not fall when the flow grows; report this as a defect"
        )


def _weights(table: Response, falls: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by what the leak's flow must be multiplied to make, spread over the customers, the same falls."""
    whole = table.level_m3h[None, :, None, None]
    leak = whole * np.array(LEAK_PARTS)[None, None, :, None]
    same = np.stack([table.flow_of(row, falls[..., row]) for row in range(falls.shape[-1])], axis=-1)
    same = np.where(np.isfinite(same), same, whole - leak)
    weight = np.maximum(0.0, (same - (whole - leak)) / leak)
    for level in range(len(LEAK_LEVELS) - 2, -1, -1):
        noise = falls[:, level] < _NOISE_KPA2
        weight[:, level] = np.where(noise, weight[:, level + 1], weight[:, level])
    return np.asarray(weight, dtype=np.float64)
