"""What registers show: whole pulses, rolled over, and again from little after the meter was exchanged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from simulators import noise
from simulators.customers import Customers
from simulators.meters.quirks import Quirks
from simulators.meters.traits import Traits

_STREAM = 430
_LOCAL_H = 8
_WORK_FROM, _WORK_H = 8, 9
"""exchanges happen between 08:00 and 17:00 local time"""


@dataclass(frozen=True, slots=True, eq=False)
class Exchanges:
    """Meters that get a new one in their place, at most once each; columns of equal length."""

    column: NDArray[np.intp]
    hour: NDArray[np.int64]
    """whole hour since 1970 UTC at which the new meter is in place"""
    new_start_m3: NDArray[np.float64]
    """what its register shows then"""
    recorded: NDArray[np.bool_]
    """False: nobody wrote it down"""

    def __len__(self) -> int:
        """Return the number of exchanges."""
        return len(self.column)

    def part(self, columns: NDArray[np.intp]) -> Self:
        """Return the exchanges of some meters; columns count among these."""
        place = {int(column): number for number, column in enumerate(columns)}
        mine = np.array([number for number, column in enumerate(self.column) if int(column) in place], dtype=np.intp)
        own = np.array([place[int(column)] for column in self.column[mine]], dtype=np.intp)
        return type(self)(own, self.hour[mine], self.new_start_m3[mine], self.recorded[mine])

    @classmethod
    def none(cls) -> Self:
        """Return no exchange."""
        return cls(np.empty(0, np.intp), np.empty(0, np.int64), np.empty(0), np.empty(0, np.bool_))


def draw_exchanges(
    seed: int,
    traits: Traits,
    first_hour: int,
    count: int,
    *,
    per_year: float = 0.1,
    unrecorded: float = 0.1,
) -> Exchanges:
    """Draw the exchanges of a span of `count` hours, the first hour left out; old meters are more likely.

    Whether and when a meter is exchanged depends on the span as a whole, so ask once for the whole history.
    """
    if count < 2:
        return Exchanges.none()
    age = np.maximum(0.0, first_hour / 24.0 - traits.installed_day) / 365.2425
    chance = per_year * count / 8766.0 * np.clip(age / 5.0, 0.2, 3.0)
    column = np.flatnonzero(noise.uniform(seed, _STREAM, traits.key) < chance)
    key = traits.key[column]
    day = (first_hour + _LOCAL_H + count * noise.uniform(seed, _STREAM + 1, key)) // 24
    hour = (24 * day + _WORK_FROM + np.floor(_WORK_H * noise.uniform(seed, _STREAM + 2, key)) - _LOCAL_H).astype(
        np.int64
    )
    inside = (hour > first_hour) & (hour < first_hour + count)
    fresh = noise.uniform(seed, _STREAM + 3, key)
    left_by_test = np.where(fresh < 0.5, 0.0, 4.0 * (fresh - 0.5))
    pulse = traits.pulse_m3[column]
    return Exchanges(
        column[inside],
        hour[inside],
        (np.floor(left_by_test / pulse) * pulse)[inside],
        (noise.uniform(seed, _STREAM + 4, key) >= unrecorded)[inside],
    )


@dataclass(frozen=True, slots=True)
class Done:
    """An exchange that has happened."""

    column: int
    hour: int
    old_end_m3: float
    new_start_m3: float
    recorded: bool


class RegisterBank:
    """The registers of n meters, hour after hour; sums run in order, so any pieces give the same values."""

    def __init__(
        self,
        traits: Traits,
        start_m3: NDArray[np.float64],
        exchanges: Exchanges | None = None,
        quirks: Quirks | None = None,
    ) -> None:
        """Begin with what the registers have counted since new; without `quirks` none ever steps back."""
        self._traits = traits
        self._exchanges = exchanges if exchanges is not None else Exchanges.none()
        self._quirks = quirks
        self.since_new_m3 = np.array(start_m3, dtype=np.float64)
        """what each register has counted since new, without rollover, after the hours so far"""
        self.done: list[Done] = []

    def advance(self, first_hour: int, counted_m3: NDArray[np.float64]) -> NDArray[np.float64]:
        """Count the next hours, shape (hours, meters), and return what the registers show when each begins."""
        if self._quirks is None:
            return show(self._traits, self.advance_raw(first_hour, counted_m3))
        hours = first_hour + np.arange(len(counted_m3), dtype=np.int64)
        counted = counted_m3.copy()
        counted[:, self._quirks.loose] += self._quirks.stray_m3(hours)
        since_new = self.advance_raw(first_hour, counted)
        before = since_new[:, self._quirks.open_back]
        lowest = np.minimum(before, 0.0)  # a new meter does not go back to nine nines
        since_new[:, self._quirks.open_back] = np.maximum(before - self._quirks.back_m3(hours), lowest)
        return show(self._traits, since_new)

    def advance_raw(self, first_hour: int, counted_m3: NDArray[np.float64]) -> NDArray[np.float64]:
        """Count the next hours and return what each register has counted since new when each begins."""
        rows = len(counted_m3)
        if not rows:
            return np.empty((0, len(self._traits)))
        sums = np.cumsum(np.concatenate([self.since_new_m3[None, :], counted_m3]), axis=0)
        swaps = self._exchanges
        for number in np.flatnonzero((swaps.hour >= first_hour) & (swaps.hour < first_hour + rows)):
            at, row = int(swaps.column[number]), int(swaps.hour[number]) - first_hour
            start = float(swaps.new_start_m3[number])
            end = show(self._traits.part([at]), sums[row : row + 1, at : at + 1])[0, 0]
            self.done.append(Done(at, int(swaps.hour[number]), float(end), start, bool(swaps.recorded[number])))
            sums[row:, at] = np.cumsum(np.concatenate([[start], counted_m3[row:, at]]))
        self.since_new_m3 = sums[-1].copy()
        return sums[:-1]


def whole_pulses(traits: Traits, since_new_m3: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return counted volumes, last axis meters, down to whole pulses."""
    pulses = np.floor(since_new_m3 / traits.pulse_m3 + 1e-6)
    return np.asarray(np.round(pulses * traits.pulse_m3, 3), dtype=np.float64)


def show(traits: Traits, since_new_m3: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return what registers show that have counted so much since new: whole pulses, rolled over."""
    around = np.round(traits.capacity_m3 / traits.pulse_m3)
    pulses = np.mod(np.floor(since_new_m3 / traits.pulse_m3 + 1e-6), around)
    return np.asarray(np.round(pulses * traits.pulse_m3, 3), dtype=np.float64)


def near_rollover(seed: int, traits: Traits, customers: Customers, share: float) -> Customers:
    """Return the customers, a share of whose registers stand less than a year of usual use before the rollover."""
    chosen = (noise.uniform(seed, _STREAM + 10, traits.key) < share) & (customers.start_m3 > 0.0)
    before = 365.0 * customers.steady_m3_d + 180.0 * (customers.winter_m3_d() - customers.steady_m3_d)
    near = traits.capacity_m3 - before * noise.uniform(seed, _STREAM + 11, traits.key)
    start = np.where(chosen, np.maximum(0.0, np.floor(1000.0 * near) / 1000.0), customers.start_m3)
    return replace(customers, start_m3=np.minimum(start, traits.capacity_m3 - traits.pulse_m3))
