"""What faults do to the city in a run of hours: columns that the engine applies to use, registers and network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from simulators.physics.zones import Hole

Floats = NDArray[np.float64]

FLAG_MAGNET, FLAG_COVER, FLAG_REVERSE, FLAG_NO_GAS = 1, 2, 4, 128


@dataclass(frozen=True, slots=True, eq=False)
class Assets:
    """Which column each asset has."""

    seed: int
    meters: Mapping[str, int]
    keys: NDArray[np.int64]
    """number of each meter in the whole city: the place of its random numbers"""
    zones: Mapping[str, int]
    """regulator zones, and buildings below them"""
    parents: Mapping[str, int]
    """districts and city"""
    regulators: Mapping[str, int]
    """station id of a regulator -> its zone's column"""
    stations: AbstractSet[str]
    """stations and regulators"""
    supplies: Mapping[str, int]
    """supply meter -> column among zones and then parents"""
    set_kpa: Floats
    """set pressure of each zone's regulator"""


Offset = Callable[[Floats], Floats]
"""Load of a zone, 1 in a mean hour of winter -> what a bad regulator adds to its outlet pressure, kPa; both (h,)"""


@dataclass(slots=True, eq=False)
class Effects:
    """Faults write into these; h hours, m meters, z regulator zones, p parents."""

    assets: Assets
    hours: NDArray[np.int64]
    use: Floats
    """what each customer burns if nothing is wrong, base m3, (h, m); read only"""
    passing: Floats = field(init=False)
    """share of the use that passes the meter, (h, m)"""
    counted: Floats = field(init=False)
    """share of what passes that the register counts, (h, m); negative where it runs backwards"""
    levelled: list[tuple[int, Floats]] = field(init=False, default_factory=list)
    """(column of a meter, share of the day's use that its register counts, the same in every hour; 0 where it counts as
    it should), (h,)"""
    extra: Floats = field(init=False)
    """base m3 that pass the meter besides the customer's use, (h, m)"""
    shut: NDArray[np.bool_] = field(init=False)
    """no gas reaches the customer, (h, m)"""
    defeated: NDArray[np.bool_] = field(init=False)
    """gas passes the meter's valve even when that is closed, (h, m)"""
    flags: NDArray[np.uint32] = field(init=False)
    valve_closed: NDArray[np.bool_] = field(init=False)
    """the meter reports a closed valve whatever it does, (h, m)"""
    silent: NDArray[np.bool_] = field(init=False)
    """no reading of the meter arrives, (h, m)"""
    top_up_m3: Floats = field(init=False)
    """credit that comes onto the card at the begin of the hour without a purchase, (h, m)"""
    zone_shut: NDArray[np.bool_] = field(init=False)
    """the regulator lets no gas through, (h, z)"""
    supply_gain: Floats = field(init=False)
    """what a supply meter counts for each base m3, (h, z + p)"""
    parent_leak: Floats = field(init=False)
    """base m3 that leak between levels, (h, p)"""
    leaks: list[Hole] = field(init=False, default_factory=list)
    offsets: list[tuple[int, Offset]] = field(init=False, default_factory=list)
    """(zone, what its regulator does)"""

    def __post_init__(self) -> None:
        """Begin with a city where nothing is wrong."""
        by_meter = self.use.shape
        rows, zones, parents = len(self.hours), len(self.assets.set_kpa), len(self.assets.parents)
        self.passing, self.counted, self.extra = np.ones(by_meter), np.ones(by_meter), np.zeros(by_meter)
        self.top_up_m3 = np.zeros(by_meter)
        self.flags = np.zeros(by_meter, np.uint32)
        self.shut, self.defeated, self.valve_closed, self.silent = (np.zeros(by_meter, np.bool_) for _ in range(4))
        self.zone_shut = np.zeros((rows, zones), np.bool_)
        self.supply_gain, self.parent_leak = np.ones((rows, zones + parents)), np.zeros((rows, parents))
