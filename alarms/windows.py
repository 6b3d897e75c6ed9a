"""Registers and pressures at the gas-day boundaries of a pass, from boundaries that are kept between passes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.boundaries import Boundaries
from alarms.analysis.gaps import Gaps
from alarms.analysis.holes import gaps_of
from alarms.city_data import REGISTERS, CityData, exchanges_in, register_facts
from gateway.meterdata.align import between
from gateway.meterdata.arrivals import ALWAYS_US, Indices
from gateway.meterdata.series import DAY_US, HOUR_US
from gateway.model.quantity import Quantity
from gateway.model.reading import Window, from_us

SELDOM_DAYS = 200
"""so far back seldom read registers are looked at: two visits, each two months apart, of which one found nobody"""
WELL_READ = 0.8
"""share of the boundaries at which a register is known that can tell how others used gas"""
MOST_PEERS = 60
"""so many of a class tell how gas was used before the lookback"""
NEVER_US = 2**62
PRESSURE_SPAN_US = 3 * HOUR_US
"""pressures are joined over less than this"""

Windows = dict[Quantity, Window]


class KeptWindows:
    """What passes see of a city, one pass after the other; moments must not go back."""

    def __init__(self, city: CityData, lookback_days: int) -> None:
        """Look at nothing yet."""
        self._city, self._lookback = city, lookback_days
        self._first_us, self._done_us, self._oldest = NEVER_US, ALWAYS_US, date.max
        self._times: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._kept: dict[Quantity, _Register] = {}

    def at(self, until_us: int) -> tuple[Windows, dict[Quantity, Gaps]]:
        """Return registers and pressures at the boundaries of the lookback, from rows received by `until_us`.

        Of registers also what lies around the boundaries at which they are unknown. Both are empty before there is a
        whole gas day of readings.
        """
        self._extend(until_us)
        for kept in self._kept.values():
            kept.boundaries.advance(self._times, until_us)
        first, last = self._span()
        if last - first < 1 or not self._kept:
            return {}, {}
        windows: Windows = {}
        gaps: dict[Quantity, Gaps] = {}
        for quantity, kept in self._kept.items():
            windows[quantity], gaps[quantity] = kept.at(first, self._past_begin(first))
        pressure = self._city.arrivals.get(Quantity.PRESSURE_GAUGE_KPA)
        if pressure is not None:
            bounds = self._times[first:]
            every = np.arange(len(pressure.series.assets))
            begin = pressure.row_at(every, np.full(len(every), bounds[0] - PRESSURE_SPAN_US))
            windows[Quantity.PRESSURE_GAUGE_KPA] = between(
                pressure.take(every, begin, until_us), bounds, Quantity.PRESSURE_GAUGE_KPA
            )
        return windows, gaps

    def _extend(self, until_us: int) -> None:
        """Let the grid reach from the first reading to the last boundary; begin anew where an older reading came."""
        gas_day = self._city.model.gas_day
        for rows in self._city.arrivals.values():
            self._first_us = min(self._first_us, rows.oldest(self._done_us, until_us, SELDOM_DAYS * DAY_US))
        self._done_us = until_us
        last: date = gas_day.of(from_us(until_us))
        if self._first_us == NEVER_US:
            return
        oldest = gas_day.of(from_us(self._first_us - HOUR_US))
        if not len(self._times) or oldest < self._oldest:
            begin = max(oldest, last - timedelta(days=max(self._lookback, SELDOM_DAYS) + 1))
            self._times, self._oldest = np.empty(0, dtype=np.int64), oldest
            for quantity in self._city.arrivals:
                if quantity in REGISTERS:
                    self._kept[quantity] = _Register(self._city, quantity)
        else:
            begin = gas_day.of(from_us(int(self._times[-1]))) + timedelta(days=1)
        new = [begin + timedelta(days=number) for number in range((last - begin).days + 1)]
        more = np.array([gas_day.begins_us(day) for day in new], dtype=np.int64)
        self._times = np.concatenate([self._times, more])

    def _span(self) -> tuple[int, int]:
        """Return first and last number of the boundaries of the lookback, none before the first reading."""
        last = len(self._times) - 1
        # a boundary a day before the first reading is kept out: nothing could be known there
        known = int(np.searchsorted(self._times, self._first_us - HOUR_US))
        return max(last - self._lookback, known), last

    def _past_begin(self, first: int) -> int:
        """Return the number of the boundary from which peers tell how gas was used before boundary `first`."""
        days = max(SELDOM_DAYS - (len(self._times) - first), 0)
        return max(first - days, int(np.searchsorted(self._times, self._first_us - HOUR_US)))


class _Register:
    """The registers of one quantity."""

    def __init__(self, city: CityData, quantity: Quantity) -> None:
        rows = city.arrivals[quantity]
        self._quantity, self._assets = quantity, (assets := rows.series.assets)
        self._classes = [city.model.network.meters[name].customer_class for name in assets]
        self.boundaries = Boundaries(
            rows,
            register_facts(city.model.network, assets),
            lambda until_us: exchanges_in(city.exchanges, assets, until_us),
        )

    def at(self, first: int, past_begin: int) -> tuple[Window, Gaps]:
        """Return the window from boundary `first` on, and the gaps in it."""
        kept, assets = self.boundaries, self._assets
        value, variance = kept.value[first:], kept.variance[first:]
        past = None
        if self._quantity is Quantity.REGISTER_MEASURED_M3:
            past = self._past(np.isfinite(variance).mean(axis=0), past_begin, first)
        window = Window(self._quantity, kept.times[first:], assets, value.copy(), variance.copy())
        return window, gaps_of(kept, first, assets, past)

    def _past(self, well: NDArray[np.float64], begin: int, first: int) -> Window | None:
        """Return what some well-read customers' registers showed at the boundaries before the window's first."""
        if first - begin < 1:
            return None
        kept, chosen = self.boundaries, _some_of_each(self._classes, well >= WELL_READ)
        rows = slice(begin, first + 1)
        assets = tuple(self._assets[column] for column in chosen)
        value, variance = kept.value[rows, chosen], kept.variance[rows, chosen]
        return Window(self._quantity, kept.times[rows], assets, value, variance)


def _some_of_each(classes: Sequence[str], usable: NDArray[np.bool_]) -> Indices:
    """Return the first usable ones of each class."""
    names = np.array(classes)
    chosen = np.zeros(len(names), dtype=np.bool_)
    for name in np.unique(names):
        chosen[np.flatnonzero((names == name) & usable)[:MOST_PEERS]] = True
    return np.flatnonzero(chosen)
