"""Regulators: what pressure they hold behind them, and how they fail.

Sizes after EN 334: accuracy classes AC 5 and AC 10 (the outlet stays within 5 or 10 % of what is set between the least
and the largest flow) and lock-up classes SG 10 to SG 20 (it rises by no more than 10 or 20 % when the flow ends).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators import noise

_STREAM = 61
_WANDER_H = 9
_LOCK_UP_LOAD = 0.04
"""load below which the outlet climbs towards lock-up"""
_RELIEF = 1.25
"""share of the set pressure at which the relief valve of a station blows off, the end of every rise"""


@dataclass(frozen=True, slots=True, eq=False)
class Regulators:
    """Columns of z regulators."""

    key: NDArray[np.int64]
    """number in the whole city, the place of its random numbers"""
    set_kpa: NDArray[np.float64]
    """gauge"""
    nominal_m3h: NDArray[np.float64]
    """flow of a mean winter hour: load 1"""
    trim: NDArray[np.float64]
    """by how much it was set too high or low, as a share of the set pressure"""
    droop: NDArray[np.float64]
    """share of the set pressure that is lost for each unit of load; less than 0: it boosts"""
    lock_up: NDArray[np.float64]
    """share by which the pressure rises when the flow ends"""

    def part(self, columns: NDArray[np.intp]) -> Regulators:
        """Return some of them."""
        return Regulators(
            self.key[columns], self.set_kpa[columns], self.nominal_m3h[columns], self.trim[columns],
            self.droop[columns], self.lock_up[columns],
        )  # fmt: skip


def build_regulators(
    seed: int, first: int, set_kpa: NDArray[np.float64], nominal_m3h: NDArray[np.float64]
) -> Regulators:
    """Draw the regulators' habits by seed; `first` is the number of the first one in the whole city."""
    key = first + np.arange(len(set_kpa), dtype=np.int64)
    u = noise.uniform(seed, _STREAM, key[None, :], np.arange(3)[:, None])
    return Regulators(
        key=key,
        set_kpa=set_kpa,
        nominal_m3h=np.maximum(nominal_m3h, 1e-3),
        trim=0.02 * u[0] - 0.005,
        droop=0.045 * u[1] - 0.007,
        lock_up=0.02 + 0.07 * u[2],
    )


def outlet_kpa(
    seed: int,
    regulators: Regulators,
    hours: NDArray[np.int64],
    flow_m3h: NDArray[np.float64],
    wobble: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """Return the gauge pressure behind each regulator for its flow, (h, z); `wobble` is what `wobbles` returns."""
    share = wobbles(seed, regulators, hours) if wobble is None else wobble
    load = flow_m3h / regulators.nominal_m3h
    # beyond three times the winter's flow the valve is open and the droop steeper
    droop = regulators.droop * load + 0.02 * np.maximum(load - 3.0, 0.0)
    rise = regulators.lock_up * np.exp(-load / _LOCK_UP_LOAD)
    held = 1.0 + regulators.trim + share - droop + rise
    return np.asarray(regulators.set_kpa * np.clip(held, 0.0, _RELIEF), dtype=np.float64)


def wobbles(seed: int, regulators: Regulators, hours: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return how far each regulator strays by itself, as a share of the set pressure, (h, z).

    Two thousandths from hour to hour (friction in the spindle), three thousandths over half a day (its spring and pilot
    follow the temperature).
    """
    key = regulators.key[None, :]
    knot, within = np.divmod(hours, _WANDER_H)
    blend = (within / _WANDER_H)[:, None]
    left = noise.normal(seed, _STREAM + 1, key, knot[:, None])
    right = noise.normal(seed, _STREAM + 1, key, knot[:, None] + 1)
    slow = (left * (1.0 - blend) + right * blend) / np.sqrt((1.0 - blend) ** 2 + blend**2)
    quick = noise.normal(seed, _STREAM + 2, key, hours[:, None])
    return np.asarray(0.002 * np.clip(quick, -3.0, 3.0) + 0.003 * np.clip(slow, -3.0, 3.0), dtype=np.float64)


def creep_kpa(
    set_kpa: NDArray[np.float64], size_kpa: NDArray[np.float64], load: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return what a worn seat adds to the outlet pressure: little while gas flows, `size_kpa` when nobody draws.

    A seat that lets a trickle through raises the pressure until the zone draws as much; at most up to the relief valve.
    """
    return np.asarray(np.minimum(size_kpa * np.exp(-load / 0.25), (_RELIEF - 1.0) * set_kpa), dtype=np.float64)


def lock_up_kpa(
    set_kpa: NDArray[np.float64], size_kpa: NDArray[np.float64], load: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return what a regulator that no longer closes adds: only near zero flow, there up to the relief valve."""
    return np.asarray(np.minimum(size_kpa * np.exp(-load / _LOCK_UP_LOAD), (_RELIEF - 1.0) * set_kpa), dtype=np.float64)


def freeze_kpa(
    set_kpa: NDArray[np.float64],
    part: NDArray[np.float64] | float,
    load: NDArray[np.float64],
    air_c: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return what ice takes from the outlet pressure, not above 0: a share `part` of it in hard frost at load 1.

    Gas cools by about 0.45 K for each 100 kPa that it is throttled by (Joule-Thomson), so wet gas freezes in the seat
    when the air is near or below 0 deg C, and the more gas flows the more is missing.
    """
    cold = 1.0 / (1.0 + np.exp((air_c + 1.0) / 1.5))
    return np.asarray(-set_kpa * np.minimum(part * cold * np.minimum(load, 2.0), 1.0), dtype=np.float64)
