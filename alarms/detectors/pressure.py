"""A burst: the outlet pressure falls fast while the flow runs far above what is usual.

Criterion: fall of at least 5 % of the set pressure per minute between two good values, with a flow at least 50 %
over an exponential mean of the last half hour, which stands still while the flow is that high.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gateway.model.network import Network
from gateway.model.quantity import Quantity
from gateway.model.reading import PointId, ReadingBatch, split_point


@dataclass(frozen=True, slots=True)
class BurstConfig:
    """Figures of the criterion."""

    fall_per_min: float = 0.05
    """share of the set pressure"""
    over: float = 1.5
    """flow as a multiple of the usual flow"""
    memory_s: float = 1800.0
    """time constant of the usual flow"""
    shortest_s: float = 1.0
    longest_s: float = 300.0
    """values closer or further apart than this give no rate"""
    learn_s: float = 600.0
    """no verdict before the flow was watched this long"""


@dataclass(slots=True)
class _Regulator:
    asset: str
    set_pressure_kpa: float
    pressure_at: int = 0
    pressure_kpa: float = float("nan")
    flow_at: int = 0
    flow_m3h: float = float("nan")
    usual_m3h: float = float("nan")
    watched_s: float = 0.0
    well_since: int = -1
    cond: bool = False


class BurstJudge:
    """Watches each station that has both an outlet pressure and a flow point. Not safe for threads.

    There are some hundred regulators with both; their few values a batch are taken one by one.
    """

    def __init__(self, network: Network, config: BurstConfig | None = None) -> None:
        self._config = config or BurstConfig()
        self._network = network
        self._regulators: dict[str, _Regulator] = {}
        self._flow = np.zeros(0, dtype=np.bool_)
        self._pressure = np.zeros(0, dtype=np.bool_)
        self._asset: dict[int, str] = {}

    def adopt(self, points: Sequence[int], names: Sequence[PointId]) -> None:
        """Learn which index belongs to which station's pressure or flow."""
        if not points:
            return
        room = max(points) + 1
        if room > len(self._flow):
            more = np.zeros(max(room, 2 * len(self._flow)) - len(self._flow), dtype=np.bool_)
            self._flow, self._pressure = np.concatenate([self._flow, more]), np.concatenate([self._pressure, more])
        for point, name in zip(points, names, strict=True):
            asset, quantity = _split(name)
            if asset not in self._network.stations or quantity not in _WANTED:
                continue
            self._flow[point] = quantity is Quantity.FLOW_BASE_M3H
            self._pressure[point] = quantity is Quantity.PRESSURE_GAUGE_KPA
            self._asset[point] = asset

    def restore(self, asset: str) -> None:
        """Set a burst active, as it was at the last commit."""
        if asset in self._network.stations:
            self._of(asset).cond = True

    def judge(self, batch: ReadingBatch, off_delay_us: int) -> list[tuple[str, bool, int, float]]:
        """Return (asset, rises, us UTC of the sample, fall in % of the set pressure a minute) for every change."""
        known = batch.good & (batch.point < len(self._flow))
        known[known] = self._flow[batch.point[known]] | self._pressure[batch.point[known]]
        rows = np.flatnonzero(known)
        rows = rows[np.argsort(batch.source_time[rows], kind="stable")]
        edges: list[tuple[str, bool, int, float]] = []
        for row in rows.tolist():
            point, at, value = int(batch.point[row]), int(batch.source_time[row]), float(batch.value[row])
            regulator = self._of(self._asset[point])
            if self._flow[point]:
                self._take_flow(regulator, at, value)
                continue
            fall = self._take_pressure(regulator, at, value)
            changed = None if fall is None else self._verdict(regulator, at, fall, off_delay_us)
            if changed is not None and fall is not None:
                edges.append((regulator.asset, changed, at, 100 * fall))
        return edges

    def _of(self, asset: str) -> _Regulator:
        if asset not in self._regulators:
            self._regulators[asset] = _Regulator(asset, self._network.stations[asset].set_pressure_gauge_kpa)
        return self._regulators[asset]

    def _take_flow(self, regulator: _Regulator, at: int, flow_m3h: float) -> None:
        elapsed_s = (at - regulator.flow_at) / 1e6
        if regulator.flow_at and elapsed_s <= 0:
            return
        if np.isnan(regulator.usual_m3h):
            regulator.usual_m3h = flow_m3h
        elif flow_m3h < self._config.over * regulator.usual_m3h:
            share = 1.0 - float(np.exp(-elapsed_s / self._config.memory_s))
            regulator.usual_m3h += share * (flow_m3h - regulator.usual_m3h)
            regulator.watched_s += min(elapsed_s, self._config.longest_s)
        regulator.flow_at, regulator.flow_m3h = at, flow_m3h

    def _take_pressure(self, regulator: _Regulator, at: int, pressure_kpa: float) -> float | None:
        elapsed_s = (at - regulator.pressure_at) / 1e6
        before = regulator.pressure_kpa
        if regulator.pressure_at and elapsed_s < self._config.shortest_s:
            return None
        regulator.pressure_at, regulator.pressure_kpa = at, pressure_kpa
        if np.isnan(before) or elapsed_s > self._config.longest_s or regulator.set_pressure_kpa <= 0:
            return None
        return (before - pressure_kpa) / regulator.set_pressure_kpa / (elapsed_s / 60.0)

    def _verdict(self, regulator: _Regulator, at: int, fall: float, off_delay_us: int) -> bool | None:
        learnt = regulator.watched_s >= self._config.learn_s
        high = regulator.usual_m3h > 0 and regulator.flow_m3h >= self._config.over * regulator.usual_m3h
        recent = (at - regulator.flow_at) / 1e6 <= self._config.longest_s
        if learnt and high and recent and fall >= self._config.fall_per_min:
            regulator.well_since = -1
            rises, regulator.cond = not regulator.cond, True
            return True if rises else None
        if high or not recent:
            regulator.well_since = -1
            return None
        regulator.well_since = at if regulator.well_since < 0 else regulator.well_since
        if regulator.cond and at - regulator.well_since >= off_delay_us:
            regulator.cond = False
            return False
        return None


_WANTED = (Quantity.FLOW_BASE_M3H, Quantity.PRESSURE_GAUGE_KPA)


def _split(name: PointId) -> tuple[str, Quantity | None]:
    try:
        return split_point(name)
    except ValueError:
        return "", None
