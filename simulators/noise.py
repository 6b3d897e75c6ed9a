"""Random numbers that are a function of their place: any hour of any meter can be asked for, in any order."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

_STEP = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * _MIX_1
    state = (state ^ (state >> np.uint64(27))) * _MIX_2
    return state ^ (state >> np.uint64(31))


def bits(seed: int, stream: int, *places: ArrayLike) -> NDArray[np.uint64]:
    """Return 64 random bits that depend on nothing but the arguments; the places broadcast.

    The mixing is that of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
    """
    state = _mix(np.asarray([seed * 1_000_003 + stream], dtype=np.int64).view(np.uint64) + _STEP)
    for place in places:
        state = _mix(
            state + (np.atleast_1d(np.asarray(place, dtype=np.int64)).astype(np.uint64) + np.uint64(1)) * _STEP
        )
    return state


def uniform(seed: int, stream: int, *places: ArrayLike) -> NDArray[np.float64]:
    """Return numbers in (0, 1) by place."""
    return ((bits(seed, stream, *places) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53


def normal(seed: int, stream: int, *places: ArrayLike) -> NDArray[np.float64]:
    """Return standard normal numbers by place."""
    return np.asarray(ndtri(uniform(seed, stream, *places)), dtype=np.float64)


def wander(
    seed: int, stream: int, at: NDArray[np.floating[Any]] | NDArray[np.int64], span: float
) -> NDArray[np.float64]:
    """Return smooth noise of about unit variance that forgets itself over `span` (same unit as `at`)."""
    knot = np.floor(at / span)
    share = at / span - knot
    blend = share * share * (3.0 - 2.0 * share)
    left, right = normal(seed, stream, knot.astype(np.int64)), normal(seed, stream, knot.astype(np.int64) + 1)
    weight = np.sqrt((1.0 - blend) ** 2 + blend**2)
    return (left * (1.0 - blend) + right * blend) / weight
