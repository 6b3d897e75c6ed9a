"""The newest reading of some points, with its age and how far it may be trusted."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from api.deps import Parts
from api.services.series import unit_of
from gateway.model.reading import Reason, Severity, from_us
from gateway.store import view_rows

MOST_POINTS = 2_000
_NAMES_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Newest:
    """One reading; the value is None where it is bad."""

    point: str
    unit: str
    value: float | None
    at: datetime
    """by the device's clock"""
    received_at: datetime
    severity: str
    """good, uncertain or bad"""
    reason: str
    """why not good; `none` if it is"""

    @property
    def ahead(self) -> timedelta:
        """How far the device's clock was ahead of ours when the reading came; negative: behind, or late."""
        return self.at - self.received_at


async def newest(parts: Parts, points: Sequence[str]) -> dict[str, Newest]:
    """Return the newest reading of each of at most `MOST_POINTS` points that has one. Raises TransientError."""
    wanted = list(dict.fromkeys(points))[:MOST_POINTS]
    names = await asyncio.to_thread(indices_of, parts, wanted)
    if not names:
        return {}
    batch = await parts.store.latest(np.array(sorted(names), dtype=np.uint32))
    found = {}
    for index, at, received, value, quality in zip(*(column.tolist() for column in batch.columns()), strict=True):
        name = names[index]
        known = None if value != value else value  # noqa: PLR0124 - NaN
        severity, reason = Severity(quality >> 6).name.lower(), Reason(quality & 63).name.lower()
        found[name] = Newest(name, unit_of(name), known, from_us(at), from_us(received), severity, reason)
    return found


def indices_of(parts: Parts, names: Sequence[str]) -> Mapping[int, str]:
    """Return the points that have an index in the store, by it. Blocks."""
    found: dict[int, str] = {}
    with parts.state.read() as connection:
        for at in range(0, len(names), _NAMES_AT_ONCE):
            some = view_rows.point_indices(connection, names[at : at + _NAMES_AT_ONCE])
            found |= {index: name for name, index in some.items()}
    return found
