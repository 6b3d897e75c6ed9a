"""What customers want and what their meters would count, before anything is known about credit and pressures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simulators import faults as kinds
from simulators.customers import hourly_use
from simulators.engine.kit import Kit
from simulators.engine.plan import Plan
from simulators.engine.shut import Uneven, open_shares, open_spans
from simulators.engine.wanted import DAY_H, Wanted
from simulators.faults import Effects, Fault
from simulators.valves import Closure

Floats = NDArray[np.float64]


def wanted_use(kit: Kit, faults: Sequence[Fault], closures: Sequence[Closure], hours: NDArray[np.int64]) -> Wanted:
    """Return what happens in whole days behind valves that orders have closed, if credit and gas never run out."""
    plan = kit.plan
    use = hourly_use(plan.seed, plan.customers, hours)
    effects = Effects(plan.assets, hours, use)
    kinds.apply(faults, effects)
    stolen = use * (1.0 - effects.passing)
    passing = use * effects.passing + effects.extra
    if effects.shut.any():
        stolen[effects.shut] = passing[effects.shut] = 0.0
    closed, late = np.zeros(passing.shape, np.bool_), np.zeros(effects.zone_shut.shape)
    wanted = Wanted(hours, effects, passing, stolen, passing, closed, late, {}, {}, late)
    whole = _close_valves(plan, wanted, closures)
    factor = kit.errors.factor(hours, whole)
    wanted.counted = wanted.passing * effects.counted * factor
    for column, share in effects.levelled:
        rows, passing = share > 0.0, wanted.passing[:, column]
        level, counted = share * _day_mean(passing), share * _day_mean(passing * factor[:, column])
        wanted.moved[column] = np.where(rows, level - passing * effects.counted[:, column], 0.0)
        wanted.counted[rows, column] = counted[rows]
    return wanted


def _day_mean(by_hour: Floats) -> Floats:
    return np.asarray(by_hour.reshape(-1, DAY_H).mean(axis=1).repeat(DAY_H), dtype=np.float64)


def _close_valves(plan: Plan, wanted: Wanted, closures: Sequence[Closure]) -> Floats:
    """Let nothing pass valves that were ordered to close; return the flow through each meter while it is open."""
    by_meter: dict[int, list[Closure]] = {}
    for closure in closures:
        if closure.asset in plan.assets.meters:
            by_meter.setdefault(plan.assets.meters[closure.asset], []).append(closure)
    flow = wanted.passing.copy() if by_meter else wanted.passing
    for column, mine in by_meter.items():
        share, at_begin = open_shares(mine, wanted.hours)
        wanted.closed[:, column] = ~at_begin
        share = np.where(wanted.effects.defeated[:, column], 1.0, share)
        wanted.passing[:, column] *= share
        for row in np.flatnonzero((share > 0.0) & (share < 1.0)):
            spans = tuple(open_spans(mine, int(wanted.hours[row])))
            wanted.uneven[int(row), column] = Uneven(spans, bool(at_begin[row]))
            moved = flow[row, column] * (float(at_begin[row]) - share[row])
            wanted.late[row, plan.customers.zone[column]] += moved
    return flow
