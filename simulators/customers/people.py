"""The customers of a city as columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gateway.model.network import Meter

WINTER_C = 1.5
"""effective temperature of the winter day that sizes are compared on"""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Customers:
    """Columns of n customers, in the order of their meters. Volumes are base m3."""

    meters: tuple[Meter, ...]
    zone: NDArray[np.intp]
    """position of the meter's zone among the regulator zones"""
    kind: NDArray[np.int8]
    """a Kind"""
    key: NDArray[np.int64]
    """number of the meter, the place of its random numbers"""
    steady_m3_d: Floats
    """use of a day that does not depend on the weather"""
    heat_m3_d_k: Floats
    """use of a day for each kelvin below the heating limit"""
    limit_c: Floats
    """effective temperature below which it heats"""
    unsure_k: Floats
    """how far a day's heating strays, as if the air were warmer or colder, K"""
    mood: Floats
    """day-to-day variation: standard deviation of the logarithm"""
    heat_mood: Floats
    """share of that variation that the heating follows"""
    persistence: Floats
    """share of the variation that lasts for days"""
    active_h: Floats
    """hours with use on a day without heating"""
    burst: Floats
    """how unequal those hours are, 0 to 1"""
    idle: Floats
    """chance of a day without steady use"""
    burning: Floats
    """share of a day's hours in which the heating burns at half load; 1: it never rests"""
    most_m3h: Floats
    """what all its burners take together"""
    pilot_m3h: Floats
    """small flame, in the hours in which it burns"""
    pilot_share: Floats
    """of the hours in which it burns"""
    shape: NDArray[np.int64]
    """rows of the shapes' table: for a working day, a day of rest, the festival; (n, 3)"""
    heating_shape: NDArray[np.int64]
    """row of the shapes' table"""
    shift_h: NDArray[np.int64]
    """hours by which the customer is later than the shapes"""
    rest_use: Floats
    """factor on the steady use on days of rest"""
    festival_use: Floats
    term_use: Floats
    """factor while schools are closed"""
    season: NDArray[np.int8]
    """a Season: when the heating may run"""
    season_shift_d: NDArray[np.int64]
    """days by which the heating begins earlier and ends later than the official season, (n, 2)"""
    away: Floats
    """inclination to be away; 0 is never"""
    festival_d: NDArray[np.int64]
    """most days that the customer may be away around the spring festival"""
    frost: NDArray[np.bool_]
    """keeps heating a little while nobody is there"""
    opened_day: NDArray[np.int64]
    """local day since 1970 on which the account is opened for the first time"""
    moves: Floats
    """chance within two years that the account is closed and later opened again"""
    compensated: NDArray[np.bool_]
    """the register is at base temperature"""
    corrected: NDArray[np.bool_]
    """the register is at base temperature and pressure"""
    ic_card: NDArray[np.bool_]
    start_m3: Floats
    """register at the beginning of the history"""
    capacity_m3: Floats
    """register value at which it rolls over"""
    lump_m3: Floats
    """what an IC-card customer buys at a time"""

    def __len__(self) -> int:
        """Return the number of customers."""
        return len(self.meters)

    def winter_m3_d(self) -> Floats:
        """Return the expected use of a winter day, base m3."""
        return self.steady_m3_d + self.heat_m3_d_k * np.maximum(0.0, self.limit_c - WINTER_C)

    def part(self, columns: NDArray[np.intp]) -> Self:
        """Return some of the customers; they use what they use among all."""
        values = {field.name: getattr(self, field.name)[columns] for field in fields(self) if field.name != "meters"}
        return type(self)(meters=tuple(self.meters[int(column)] for column in columns), **values)


def indices_of(customers: Customers, meter_ids: Sequence[str]) -> NDArray[np.intp]:
    """Return the columns of meters. Raises KeyError for an unknown one."""
    column = {meter.meter_id: index for index, meter in enumerate(customers.meters)}
    return np.array([column[meter_id] for meter_id in meter_ids], dtype=np.intp)
