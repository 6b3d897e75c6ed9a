"""Who is not at home: single days, holidays, long vacancies, the spring festival. Absences cluster, as real ones do."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulators import noise
from simulators.customers.calendar import FESTIVAL_DAYS, Days
from simulators.customers.people import Customers

_STREAM = 320


@dataclass(frozen=True, slots=True)
class _Layer:
    """Absences of one sort: at most one begins within a span of `block_d` days."""

    stream: int
    block_d: int
    chance: float
    """for a home with an inclination of 1"""
    most: float
    """largest chance"""
    shortest_d: float
    longest_d: float
    skew: float
    """1: all lengths alike; more: short ones are more frequent"""


_LAYERS = (
    _Layer(_STREAM, 7, 0.022, 0.6, 1.0, 3.0, 1.0),
    _Layer(_STREAM + 5, 30, 0.10, 0.8, 3.0, 24.0, 1.6),
    _Layer(_STREAM + 10, 240, 0.04, 0.7, 25.0, 230.0, 1.8),
)


def away(seed: int, customers: Customers, days: Days) -> NDArray[np.bool_]:
    """Say who is away on which local day, shape (days, n)."""
    result = np.zeros((len(days), len(customers)), dtype=np.bool_)
    goers = np.flatnonzero((customers.away > 0.0) | (customers.festival_d > 0))
    if not len(goers) or not len(days):
        return result
    key, inclination, feast = customers.key[goers], customers.away[goers], customers.festival_d[goers]
    gone = np.zeros((len(days), len(goers)), dtype=np.bool_)
    for layer in _LAYERS:
        gone |= _layer(seed, layer, key, inclination, days)
    result[:, goers] = gone | _at_festival(seed, key, feast, days)
    return result


def _layer(
    seed: int, layer: _Layer, key: NDArray[np.int64], inclination: NDArray[np.float64], days: Days
) -> NDArray[np.bool_]:
    gone = np.zeros((len(days), len(key)), dtype=np.bool_)
    chance = np.minimum(layer.most, layer.chance * inclination)
    blocks, row = np.unique(days // layer.block_d, return_inverse=True)
    spans = int(layer.longest_d // layer.block_d) + 1
    for back in range(spans + 1):
        block = (blocks - back)[:, None]
        goes = noise.uniform(seed, layer.stream, key[None, :], block) < chance
        length = layer.shortest_d + np.floor(
            (layer.longest_d - layer.shortest_d + 1.0)
            * noise.uniform(seed, layer.stream + 2, key[None, :], block) ** layer.skew
        )
        shift = np.floor(layer.block_d * noise.uniform(seed, layer.stream + 1, key[None, :], block))
        first = block * layer.block_d + shift
        day = days[:, None]
        gone |= goes[row] & (day >= first[row]) & (day < (first + length)[row])
    return gone


def _at_festival(seed: int, key: NDArray[np.int64], most_d: NDArray[np.int64], days: Days) -> NDArray[np.bool_]:
    """Say who has gone home for the spring festival; who goes for weeks leaves before it."""
    gone = np.zeros((len(days), len(key)), dtype=np.bool_)
    for feast in FESTIVAL_DAYS[(days.min() - 60 < FESTIVAL_DAYS) & (days.max() + 60 > FESTIVAL_DAYS)]:
        goes = (most_d > 0) & (noise.uniform(seed, _STREAM + 15, key, feast) < 0.85)
        length = np.maximum(3.0, np.floor(most_d * (0.3 + 0.7 * noise.uniform(seed, _STREAM + 16, key, feast))))
        leaves = feast - 1 - np.floor((length - 3.0) * 0.6 * noise.uniform(seed, _STREAM + 17, key, feast))
        gone |= goes & (days[:, None] >= leaves) & (days[:, None] < leaves + length)
    return gone
