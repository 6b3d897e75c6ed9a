"""What the city's instruments see: they sample once a second of its clock, all of them at the same moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gateway.model.quantity import Quantity
from simulators import weather
from simulators.city import City, Meters
from simulators.faults import HOUR_US

SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Supplies:
    """What the supply meters at the regulators see, by zone."""

    register_m3: NDArray[np.float64]
    flow_m3h: NDArray[np.float64]
    pressure_kpa: NDArray[np.float64]
    gas_c: float


class Samples:
    """The city at the last full second. Many devices are asked within one, and then it is computed once."""

    def __init__(self, city: City, now_us: Callable[[], int]) -> None:
        """See a city at `now_us()`."""
        self.city = city
        self.now_us = now_us
        self._key: object = None
        self._stations: Mapping[str, Mapping[Quantity, float]] | None = None
        self._meters: Meters | None = None
        self._supplies: Supplies | None = None

    def stations(self) -> Mapping[str, Mapping[Quantity, float]]:
        """Return what the instruments of every station and regulator show."""
        second = self._second_us()
        if self._stations is None:
            self._stations = self.city.station_values(second)
        return self._stations

    def meters(self) -> Meters:
        """Return what all customers' meters report."""
        second = self._second_us()
        if self._meters is None:
            self._meters = self.city.meters_at(second)
        return self._meters

    def supplies(self) -> Supplies:
        """Return what all supply meters at regulators see."""
        second = self._second_us()
        if self._supplies is None:
            at = np.array([second], dtype=np.int64)
            self._supplies = Supplies(
                self.city.registers(second).supply,
                self.city.supply_flow_m3h(at)[0],
                self.city.pressure_kpa(at)[0],
                float(weather.ground_c(at / HOUR_US)[0]),
            )
        return self._supplies

    def _second_us(self) -> int:
        """Return the moment to see, us UTC; what was seen at another one, or before somebody acted, is forgotten."""
        second = max(self.now_us() // SECOND_US * SECOND_US, self.city.plan.start_hour * HOUR_US)
        key = (second, self.city.faults, self.city.valves.closures())
        if key != self._key:
            self._key, self._stations, self._meters, self._supplies = key, None, None, None
        return second
