"""What computing a day takes, and where a day leaves the city."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from simulators.engine.credit import Cards, CardsCarry
from simulators.engine.plan import Plan
from simulators.meters.error import MeterErrors
from simulators.meters.registers import Exchanges
from simulators.physics.zones import Hole, ZoneStates

Floats = NDArray[np.float64]


class Physics(Protocol):
    """Answers for pressures, as `ZonePhysics` does."""

    def states(
        self, hours: NDArray[np.int64], use_m3h: Floats, leaks: Sequence[Hole], offset_kpa: Floats
    ) -> ZoneStates:
        """Return the steady state that belongs to each hour's use; no hour knows of another."""


@dataclass(frozen=True, slots=True, eq=False)
class Kit:
    """What does not change."""

    plan: Plan
    physics: Physics
    errors: MeterErrors
    exchanges: Exchanges
    cards: Cards


@dataclass(frozen=True, slots=True, eq=False)
class Carry:
    """Where the city stands between two days."""

    customer: Floats
    """registers since new, (m,)"""
    supply: Floats
    """(z,)"""
    parents: Floats
    """(p,)"""
    packed: Floats
    """base m3 in each zone's pipes, (z,)"""
    pressure_kpa: Floats
    """gauge pressure behind each regulator, (z,)"""
    parent_packed: Floats | None
    """(p,); None at the begin of the history"""
    cards: CardsCarry
