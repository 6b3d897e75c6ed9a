"""Regulator, pipes and holes of zones brought into agreement for all hours at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from simulators.physics.gas import ATMOSPHERE_KPA
from simulators.physics.leak import leak_scale
from simulators.physics.regulator import Regulators, outlet_kpa
from simulators.physics.response import LOWEST, MEAN, Response

Floats = NDArray[np.float64]
FLOOR = 0.2
"""share of the set pressure that the lowest node keeps: 0.6 kPa of 3 kPa, where governors in homes shut off"""
CLOSE = 1e-10
"""relative change at which a leak has settled"""
_ROUNDS = 30
_SPLITS = 40


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """What some zones with one table draw in h hours; k of them, or one with holes."""

    table: Response
    regulators: Regulators
    hours: NDArray[np.int64]
    use_m3h: Floats
    """(h, k)"""
    offset_kpa: Floats
    """(h, k)"""
    wobble: Floats
    """(h, k)"""
    places: tuple[float, ...] = ()
    """of the holes"""
    holes_m3h: tuple[Floats, ...] = ()
    """flow of each hole at the set pressure, (h, k)"""

    def rows(self, chosen: NDArray[np.bool_]) -> Drawn:
        """Return some of the hours."""
        return replace(
            self,
            hours=self.hours[chosen],
            use_m3h=self.use_m3h[chosen],
            offset_kpa=self.offset_kpa[chosen],
            wobble=self.wobble[chosen],
            holes_m3h=tuple(hole[chosen] for hole in self.holes_m3h),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Settled:
    """All (h, k)."""

    outlet_kpa: Floats
    mean_kpa: Floats
    lowest_kpa: Floats
    served: Floats
    leak_m3h: Floats
    settled: NDArray[np.bool_]
    """leak and pressure agree"""


def settle(drawn: Drawn) -> Settled:
    """Return the state in which the regulator's pressure, the pipes' fall and the holes' flow agree."""
    leaks = list(drawn.holes_m3h)
    settled = np.ones(drawn.use_m3h.shape, dtype=np.bool_)
    state = _State(drawn, leaks)
    if leaks:
        leaks, settled = _iterate(drawn, leaks)
        state = _State(drawn, leaks)
    total = sum(leaks, np.zeros_like(drawn.use_m3h))
    return Settled(state.outlet, state.mean(), state.lowest(), state.served, total, settled)


def _iterate(drawn: Drawn, leaks: list[Floats]) -> tuple[list[Floats], NDArray[np.bool_]]:
    """Find leaks that their own pressures cause: Wegstein's method (1958), for each hour and hole by itself."""
    old, old_answer = leaks, _State(drawn, leaks).leaks()
    new = old_answer
    settled = np.zeros(drawn.use_m3h.shape, dtype=np.bool_)
    for _ in range(_ROUNDS):
        answer = _State(drawn, new).leaks()
        settled = _agree(new, answer)
        if settled.all():
            return answer, settled
        following = []
        for x, fx, before, fbefore in zip(new, answer, old, old_answer, strict=True):
            moved = x - before
            slope = np.divide(fx - fbefore, moved, out=np.zeros_like(x), where=np.abs(moved) > 1e-14)
            following.append(np.maximum(x + (fx - x) / (1.0 - np.clip(slope, -1e6, 0.5)), 0.0))
        old, old_answer, new = new, answer, following
    rows: NDArray[np.bool_] = np.asarray(~settled.all(axis=1), dtype=np.bool_)
    found, agreed = _bracket(drawn.rows(rows), [leak[rows] for leak in new])
    for leak, better in zip(new, found, strict=True):
        leak[rows] = better
    settled[rows] = agreed
    return new, settled


def _bracket(drawn: Drawn, leaks: list[Floats]) -> tuple[list[Floats], NDArray[np.bool_]]:
    """Find the leaks of hours in which much of the pressure is lost: the more leaks already, the less would leak."""
    nothing = np.zeros_like(drawn.use_m3h)
    most = 4.0 * sum(drawn.holes_m3h, nothing)
    split = [leak / np.maximum(sum(leaks), 1e-300) for leak in leaks]
    close = CLOSE * 1e-2
    agreed = np.zeros(drawn.use_m3h.shape, dtype=np.bool_)
    for _ in range(_SPLITS):

        def missing(total: Floats, split: list[Floats] = split) -> Floats:
            return sum(_State(drawn, [share * total for share in split]).leaks(), nothing) - total

        total = falling_root(missing, nothing, most, close * (most + drawn.use_m3h))
        leaks = [share * total for share in split]
        answer = _State(drawn, leaks).leaks()
        agreed = _agree(leaks, answer, 1e-9, CLOSE * (most + drawn.use_m3h))
        if agreed.all():
            break
        whole = np.maximum(sum(answer, nothing), 1e-300)
        split = [(share + one / whole) / 2.0 for share, one in zip(split, answer, strict=True)]
    return leaks, agreed


def falling_root(
    function: Callable[[Floats], Floats], low: Floats, high: Floats, close: Floats | float, rounds: int = 90
) -> Floats:
    """Return where functions that fall from not below 0 at `low` to not above 0 at `high` are within `close` of 0.

    The Illinois variant of false position (Dowell and Jarratt, 1971) with a bisection at every fourth step.
    """
    at_low, at_high = function(low), function(high)
    x = np.where(at_low <= close, low, high)
    side = np.zeros(np.shape(low))
    for number in range(rounds):
        steep = np.maximum(at_low - at_high, 1e-300)
        share = np.clip(at_low / steep, 0.0, 1.0) if number % 4 != 3 else np.full_like(x, 0.5)
        x = np.where(at_low <= close, low, np.where(at_high >= -np.asarray(close), high, low + (high - low) * share))
        value = function(x)
        if (np.abs(value) <= close).all() or (high - low <= 4e-16 * high).all():
            break
        done, above = np.abs(value) <= close, value > 0.0
        at_high = np.where(above & (side > 0.0), at_high / 2.0, at_high)
        at_low = np.where(~above & (side < 0.0), at_low / 2.0, at_low)
        side = np.where(above, 1.0, -1.0)
        low, at_low = np.where(above | done, x, low), np.where(above | done, value, at_low)
        high, at_high = np.where(~above | done, x, high), np.where(~above | done, value, at_high)
    return np.asarray(x, dtype=np.float64)


def _agree(
    leaks: Sequence[Floats], answer: Sequence[Floats], close: float = CLOSE, slack: Floats | float = 0.0
) -> NDArray[np.bool_]:
    near = [
        np.abs(one - leak) <= close * np.maximum(leak, 1e-6) + slack for leak, one in zip(leaks, answer, strict=True)
    ]
    return np.asarray(np.all(near, axis=0), dtype=np.bool_)


class _State:
    """The zones' state if the holes' flows were known."""

    def __init__(self, drawn: Drawn, leaks: Sequence[Floats]) -> None:
        self._drawn, self._leaks = drawn, leaks
        self._total = sum(leaks, np.zeros_like(drawn.use_m3h))
        self.served = np.ones_like(drawn.use_m3h)
        self.outlet = self._outlet(drawn.use_m3h)
        self._serve()

    def _outlet(self, use: Floats) -> Floats:
        drawn = self._drawn
        held = outlet_kpa(0, drawn.regulators, drawn.hours, use + self._total, drawn.wobble)
        return np.maximum(held + drawn.offset_kpa, 0.0)

    def _serve(self) -> None:
        """Cut the use to what the pipes carry; less use lets the regulator hold more, so it is tried some times."""
        use = self._drawn.use_m3h
        if not (use > self._carried(self.outlet)).any():
            return

        def room(drawn_m3h: Floats) -> Floats:
            return np.asarray(np.minimum(use, self._carried(self._outlet(drawn_m3h))) - drawn_m3h, dtype=np.float64)

        drawn_m3h = falling_root(room, np.zeros_like(use), use, 1e-13 * np.maximum(use, 1e-9))
        self.outlet = self._outlet(drawn_m3h)
        share = np.divide(drawn_m3h, use, out=np.ones_like(use), where=use > 0.0)
        self.served = np.where(share >= 1.0 - 1e-12, 1.0, share)

    def _carried(self, outlet: Floats) -> Floats:
        """Return the use at which the lowest node comes down to the floor."""
        floor = FLOOR * self._drawn.regulators.set_kpa + ATMOSPHERE_KPA
        head = (outlet + ATMOSPHERE_KPA) ** 2 - floor**2
        able = self._drawn.table.flow_of(LOWEST, np.maximum(head, 0.0))
        able = np.where(head > 0.0, able, 0.0)
        return np.maximum(able - self._extra(LOWEST, self._drawn.use_m3h), 0.0)

    def _extra(self, row: int, use: Floats) -> Floats:
        """Return the use that would make a row fall as the leaks do."""
        extra = np.zeros_like(use)
        if self._leaks:
            whole = use + self._total
            part = np.divide(self._total, whole, out=np.zeros_like(whole), where=whole > 0.0)
            for place, leak in zip(self._drawn.places, self._leaks, strict=True):
                extra += leak * self._drawn.table.leak_weight(row, place, whole, part)
        return extra

    def _fall(self, row: int) -> Floats:
        use = self._drawn.use_m3h * self.served
        return self._drawn.table.fall(row, use + self._extra(row, use))

    def _gauge(self, fall: Floats) -> Floats:
        square = (self.outlet + ATMOSPHERE_KPA) ** 2 - fall
        return np.asarray(np.sqrt(np.maximum(square, ATMOSPHERE_KPA**2)) - ATMOSPHERE_KPA, dtype=np.float64)

    def mean(self) -> Floats:
        """Return the mean gauge pressure over the pipes' volume: a mean of roots, from mean and variance of squares."""
        fall = self._fall(MEAN)
        spread = self._drawn.table.spread_at(self._drawn.use_m3h * self.served + self._total)
        square = np.maximum((self.outlet + ATMOSPHERE_KPA) ** 2 - fall, ATMOSPHERE_KPA**2)
        mean = np.sqrt(square) - spread * fall**2 / 8.0 / square**1.5
        return np.asarray(np.maximum(mean - ATMOSPHERE_KPA, 0.0), dtype=np.float64)

    def lowest(self) -> Floats:
        """Return the lowest gauge pressure: at the node that is lowest without leaks, or at a hole."""
        lowest = self._gauge(self._fall(LOWEST))
        for place in self._drawn.places:
            lowest = np.minimum(lowest, self._at(place))
        return lowest

    def _at(self, place: float) -> Floats:
        before, after, share = self._drawn.table.at_place(place)
        fall = self._fall(after) * share
        if share < 1.0:
            fall = fall + self._fall(before) * (1.0 - share)
        return self._gauge(fall)

    def leaks(self) -> list[Floats]:
        """Return what the holes would let out at their pressures."""
        drawn = self._drawn
        return [
            hole * leak_scale(self._at(place), drawn.regulators.set_kpa)
            for place, hole in zip(drawn.places, drawn.holes_m3h, strict=True)
        ]
