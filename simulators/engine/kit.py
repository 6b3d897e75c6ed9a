"""What computing a day takes, and where a day leaves the city."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.engine.credit import Cards, CardsCarry
from simulators.engine.droop import Droop
from simulators.engine.plan import Plan
from simulators.meters.error import MeterErrors
from simulators.meters.registers import Exchanges

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Kit:
    """What does not change."""

    plan: Plan
    physics: Droop
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
