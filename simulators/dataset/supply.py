"""Supply meters: correctors at regulators, between the levels of the network, and at the city's gates."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from gateway.model.network import Meter
from simulators import noise
from simulators.dataset.network_files import supply
from simulators.dataset.rows import ReadingRows
from simulators.engine.plan import Plan
from simulators.meters.habits import supply_habits
from simulators.meters.registers import RegisterBank
from simulators.meters.traits import supply_traits

INSTALLED = date(2022, 6, 1)
DIGITS, DECIMALS = 8, 2
PARENT_NUMBER = 1 << 30
"""places of the random numbers of the parents' supply meters begin here"""

_SIZES_M3H = np.array([
    40.0, 65.0, 100.0, 160.0, 250.0, 400.0, 650.0, 1000.0, 1600.0, 2500.0, 4000.0, 6500.0, 10_000.0, 25_000.0, 1e5, 1e6,
])  # fmt: skip
_HEADROOM = 2.5
"""largest flow of a supply meter against the mean flow of winter"""
_STREAM = 490


def numbers(plan: Plan) -> NDArray[np.int64]:
    """Return the places of the random numbers of all supply meters: of the zones, then of the parents."""
    return np.concatenate([plan.zone_numbers, PARENT_NUMBER + np.arange(len(plan.parents), dtype=np.int64)])


def nominal_m3h(plan: Plan) -> NDArray[np.float64]:
    """Return the winter flow through each supply meter, of the zones and then of the parents."""
    parents = np.zeros(len(plan.parents))
    np.add.at(parents, plan.parent_of_zone[plan.parent_of_zone >= 0], plan.nominal_m3h[plan.parent_of_zone >= 0])
    for column, above in enumerate(plan.parent_of_parent.tolist()):
        if above >= 0:
            parents[above] += parents[column]
    return np.concatenate([plan.nominal_m3h, parents])


def max_flow_m3h(plan: Plan) -> NDArray[np.float64]:
    """Return the size of each supply meter."""
    row = np.searchsorted(_SIZES_M3H, _HEADROOM * nominal_m3h(plan))
    return np.asarray(_SIZES_M3H[np.minimum(row, len(_SIZES_M3H) - 1)], dtype=np.float64)


def meters(plan: Plan) -> list[Meter]:
    """Return the supply meters of the zones and then of the parents."""
    zones = (*plan.ground.regulator_zones, *plan.parents)
    sizes = max_flow_m3h(plan).tolist()
    return [supply(plan, *one, INSTALLED) for one in zip(zones, plan.supply_meters, sizes, strict=True)]


def supply_rows(plan: Plan, columns: Sequence[int], end_us: int) -> ReadingRows:
    """Return what makes the rows of some supply meters (positions among the zones and then the parents)."""
    at = np.asarray(columns, dtype=np.intp)
    number = numbers(plan)[at]
    traits = supply_traits(plan.seed, number, max_flow_m3h(plan)[at], INSTALLED, digits=DIGITS, decimals=DECIMALS)
    years = (plan.start.date() - INSTALLED).days / 365.0
    served = 0.5 + 0.4 * noise.uniform(plan.seed, _STREAM, number)
    start = np.floor(100.0 * np.maximum(0.0, years) * 8760.0 * 0.4 * served * nominal_m3h(plan)[at]) / 100.0
    ids = [plan.supply_meters[n] for n in at]
    bank = RegisterBank(traits, np.mod(start, 0.9 * traits.capacity_m3))
    return ReadingRows(ids, traits, bank=bank, habits=supply_habits(plan.seed, number), end_us=end_us)
