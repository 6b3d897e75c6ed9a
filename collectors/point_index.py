"""From the names of points to their permanent indices, fast enough for every message."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from collectors.mappers import Assets
from collectors.payload import Rows
from gateway.model.quantity import Quantity
from gateway.model.reading import PointId, ReadingBatch, point_id, split_point
from gateway.ports import PointRegistry

_AHEAD = 1000
"""Meters whose points are registered together, in the order of their names."""
_MOST_INDICES = 200_000
"""Points whose indices are at hand; of more the registry is asked."""


class PointIndex:
    """Knows the indices of the points that came lately; one event loop uses it."""

    def __init__(self, registry: PointRegistry, assets: Assets) -> None:
        """Begin without any; `assets` are those that may report."""
        self._registry = registry
        self._assets = assets
        self._indices: dict[PointId, int] = {}
        self._heard: NDArray[np.bool_] = np.zeros(0, dtype=np.bool_)
        """by index: whether the point ever came"""

    def use(self, assets: Assets) -> None:
        """Take other assets from now on."""
        self._assets = assets

    def heard(self, asset: str) -> bool:
        """Tell whether anything of an asset came since the beginning."""
        found = self._registry.find([point_id(asset, quantity) for quantity in Quantity])
        known = found[(found >= 0) & (found < len(self._heard))]
        return bool(self._heard[known].any())

    async def batch(self, rows: Rows, received_us: int) -> ReadingBatch:
        """Return rows as a batch; points that were never seen are registered first."""
        try:
            found = [self._indices[point] for point in rows.points]
        except KeyError:
            found = await self._look_up(rows.points)
        indices = np.array(found, np.uint32)
        received = np.full(len(rows), received_us, np.int64)
        return ReadingBatch(indices[rows.which], rows.source_time, received, rows.value, rows.quality)

    async def _look_up(self, points: Sequence[PointId]) -> list[int]:
        found = self._registry.find(points)
        if (found < 0).any():
            await asyncio.to_thread(self._register, [point for point, at in zip(points, found, strict=True) if at < 0])
            found = self._registry.find(points)
        indices: list[int] = found.tolist()
        if len(self._indices) >= _MOST_INDICES:
            self._indices.clear()
        self._indices.update(zip(points, indices, strict=True))
        self._note(found)
        return indices

    def _note(self, indices: NDArray[np.int64]) -> None:
        if indices.max() >= len(self._heard):
            self._heard = np.pad(self._heard, (0, 2 * int(indices.max()) + 1 - len(self._heard)))
        self._heard[indices] = True

    def _register(self, points: Sequence[PointId]) -> None:
        """Give points their indices, and those that probably come next: one commit for each would take an hour."""
        parts = [split_point(point) for point in points]
        meters = {meter for meter, _ in parts}
        meters |= set(self._assets.behind(min(meters), _AHEAD))
        quantities = dict.fromkeys(quantity for _, quantity in parts)
        self._registry.indices([point_id(meter, quantity) for meter in sorted(meters) for quantity in quantities])
