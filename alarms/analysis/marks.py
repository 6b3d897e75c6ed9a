"""What readings say of meters beside what they counted: closed valves, tampering, registers that fall. Pure.

A meter whose valve the company closed rests for a known reason. A magnet that was sensed, a cover that was opened or
flow against the meter's sense raise the odds that somebody took gas from then on, and so do nights of rest that begin
while gas is used by day (`nights`); on their own they prove nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.backwards import may_run_backwards
from alarms.analysis.nights import Nights
from gateway.meterdata.series import Flags, Floats, Ints, Series
from gateway.model.gasday import GasDay
from gateway.model.quantity import FLAG_COVER_OPEN, FLAG_MAGNET, FLAG_REVERSE_FLOW, Quantity

TAMPER = int(FLAG_MAGNET | FLAG_COVER_OPEN | FLAG_REVERSE_FLOW)
AROUND_D = 3
"""a meter that is touched counts less from some days before to some days after"""
USUAL_RATE, USUAL_DAYS = 0.0005, 100_000.0
"""share of days that lie so near to a flag, and of how many days of meters it is taken to be told"""
SEASON_D, SEASON_DAYS = 15, 10_000.0
"""nights of rest are as usual as within so many days, as many begin when heating ends; and the same of that"""
MOST_ODDS = 10.0
"""log of the factor that a sign may make at the most: with the rate of thefts no even chance for a home"""
TOLD = 0.2
"""share of tampered meters that say so when it begins"""


def tampered_with(flags: NDArray[np.float64]) -> Flags:
    """Say which values of the quantity `flags` say that somebody touched the meter."""
    finite = np.isfinite(flags) & (np.abs(flags) < 2.0**32)
    return np.asarray((np.where(finite, flags, 0.0).astype(np.int64) & TAMPER) > 0)


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """Readings of valves, and flags that say that a meter was touched; nothing where a city has none."""

    valve: Series | None = None
    """0 is closed; meters whose valve was never closed may be left out"""
    touched: Series | None = None
    """one row for each reading that says so"""
    falling: Series | None = None
    """readings of the registers that may run backwards"""
    nights: Nights | None = None
    """of the registers that are read by the hour"""

    @classmethod
    def of(cls, series: Mapping[Quantity, Series], gas_day: GasDay) -> Marks:
        """Take them from the readings of a city."""
        flags = series.get(Quantity.FLAGS)
        quantities = (Quantity.REGISTER_MEASURED_M3, Quantity.REGISTER_BASE_M3)
        registers = [series[quantity] for quantity in quantities if quantity in series]
        return cls(
            series.get(Quantity.VALVE),
            None if flags is None else flags.take(tampered_with(flags.value)),
            may_run_backwards(registers),
            Nights.of(registers, gas_day),
        )

    def known(self, until_us: int) -> Marks:
        """Return what had arrived by a moment."""
        valve, touched, falling = (
            None if part is None else part.known(until_us) for part in (self.valve, self.touched, self.falling)
        )
        return Marks(valve, touched, falling, None if self.nights is None else self.nights.known(until_us))

    def closed(self, customers: Sequence[str], bounds: Ints) -> Flags:
        """Return on which gas days a valve was closed for some time, (d, n): from a closed reading to the next one."""
        days = max(len(bounds) - 1, 0)
        if self.valve is None or not len(self.valve.time) or not days:
            return np.zeros((days, len(customers)), dtype=np.bool_)
        part, to = self.valve, _placed(self.valve, customers)
        shut = (part.value == 0.0) & (to >= 0)
        goes_on = np.append(shut[1:] & (part.column[1:] == part.column[:-1]), np.False_)
        day = np.searchsorted(bounds, part.time, side="right") - 1
        last = np.where(goes_on, np.append(day[1:], 0), day)
        first, last = np.clip(day, 0, days), np.clip(last + 1, 0, days)
        change = np.zeros((days + 1, len(customers)), dtype=np.int64)
        np.add.at(change, (first[shut], to[shut]), 1)
        np.add.at(change, (np.maximum(last, first)[shut], to[shut]), -1)
        return np.asarray(np.cumsum(change, axis=0)[:-1] > 0)

    def tampered(self, customers: Sequence[str], bounds: Ints) -> Flags:
        """Return on which gas days a meter said that somebody touched it, (d, n)."""
        days = max(len(bounds) - 1, 0)
        result = np.zeros((days, len(customers)), dtype=np.bool_)
        if self.touched is not None and days:
            to = _placed(self.touched, customers)
            day = np.searchsorted(bounds, self.touched.time, side="right") - 1
            inside = (to >= 0) & (day >= 0) & (day < days)
            result[day[inside], to[inside]] = True
        return result

    def turned_quiet(self, customers: Sequence[str], bounds: Ints) -> Floats:
        """Return how far nights of rest speak for a bypass, as `Nights.turned_quiet` does, (d, n)."""
        if self.nights is None:
            return np.full((max(len(bounds) - 1, 0), len(customers)), -np.inf)
        return self.nights.turned_quiet(customers, bounds)


def _placed(part: Series, customers: Sequence[str]) -> Ints:
    """Return the column of each row's meter among the customers, -1 for none."""
    place = {name: index for index, name in enumerate(customers)}
    return np.array([place.get(name, -1) for name in part.assets], dtype=np.int64)[part.column]


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """What is known of days of customers besides what they used, (d, n)."""

    idle: Flags
    """closed valves and accounts: nothing is expected of them"""
    tampered: Flags
    quiet: Floats
    """where a meter began to rest at night, the log factor by which that speaks for a bypass; -inf else"""
    odds: Floats = field(init=False)
    """log of the factor by which a theft is likelier to have begun on each day than on others"""

    def until(self, days: int) -> Known:
        """Return what is known of the first so many days."""
        return Known(self.idle[:days], self.tampered[:days], self.quiet[:days])

    def __post_init__(self) -> None:
        """Compare how often thieves leave a sign with how often anybody does, in this city."""
        flags, nights = _near(np.where(self.tampered, 0.0, -np.inf)), _near(self.quiet)
        told, told_at_night = np.isfinite(flags).sum(), np.isfinite(nights).sum(axis=1)
        flags += _odds(np.array([told]), np.array([flags.size]), USUAL_DAYS)
        nights += _odds(_around(told_at_night), _around(np.full(len(nights), nights.shape[1])), SEASON_DAYS)
        object.__setattr__(self, "odds", np.clip(np.maximum(flags, nights), 0.0, MOST_ODDS))


def _odds(signs: Ints, days: Ints, believed: float) -> Floats:
    """Return the log odds, (d, 1), of a sign to which `signs` of `days` of meters are near."""
    return np.asarray(np.log(TOLD * (days + believed) / (signs + USUAL_RATE * believed)))[:, None]


def _near(sign: Floats) -> Floats:
    """Return the most that is said of the days around each one, (d, n)."""
    near = sign.copy()
    for by in range(1, AROUND_D + 1):
        near[by:] = np.maximum(near[by:], sign[:-by])
        near[:-by] = np.maximum(near[:-by], sign[by:])
    return near


def _around(per_day: Ints) -> Ints:
    """Return the sums over the days around each one."""
    total = np.append(0, np.cumsum(per_day))
    day = np.arange(len(per_day))
    return np.asarray(total[np.minimum(day + SEASON_D + 1, len(per_day))] - total[np.maximum(day - SEASON_D, 0)])
