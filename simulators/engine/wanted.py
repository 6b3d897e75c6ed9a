"""What customers want in some days, before credit and pressures have had their say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators.engine.shut import Uneven
from simulators.engine.starve import At
from simulators.faults import Effects

Floats = NDArray[np.float64]
DAY_H = 24


@dataclass(slots=True, eq=False)
class Wanted:
    """Whole days, (h, meters) and (h, zones); `credit.py` goes on with them."""

    hours: NDArray[np.int64]
    effects: Effects
    passing: Floats
    """base m3 through the meters"""
    stolen: Floats
    """base m3 past the meters"""
    counted: Floats
    """advance of the registers"""
    closed: NDArray[np.bool_]
    """the meter's valve is closed when the hour begins"""
    late: Floats
    """what pressures are computed with besides, of valves that move within an hour, (h, zones)"""
    uneven: dict[At, Uneven]
    moved: dict[int, Floats]
    """base m3 that a meter's register counts at other hours than they pass, by column, (h,)"""
    load: Floats
    """what pressures are computed with, (h, zones)"""
