"""What a meter should have counted: its own level times what its peers did that day. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MIN_PEERS = 5
"""fewer meters than this do not make a shape; they take that of the whole city"""


def scale(use: Floats) -> Floats:
    """Return each meter's own level: the mean of its days with use, m3 a day; NaN where it has none.

    Shape of `use`: (days, meters), NaN where unknown. Days without use are absences or stops, not a level.
    """
    some = np.isfinite(use) & (use > 0.0)
    count = some.sum(axis=0)
    total = np.where(some, use, 0.0).sum(axis=0)
    return np.where(count >= 3, total / np.maximum(count, 1), np.nan)


def shapes(use: Floats, groups: Sequence[str]) -> Floats:
    """Return for each meter the median of its peers' use over their own level, shape (days, meters).

    `groups` names each meter's group of peers (its customer class). Where a group is small, or a day has no peers,
    the whole city's median is taken, and 1 where even that is missing.
    """
    level = scale(use)
    relative = np.where(level > 0.0, use / np.where(level > 0.0, level, 1.0), np.nan)
    result = np.full(use.shape, np.nan)
    names = np.asarray(groups)
    for group in np.unique(names):
        members = names == group
        if members.sum() >= MIN_PEERS:
            result[:, members] = _median(relative if members.all() else relative[:, members])[:, None]
    if not np.isfinite(result).all():
        result = np.where(np.isfinite(result), result, _median(relative)[:, None])
    return np.where(np.isfinite(result), result, 1.0)


def _median(values: Floats) -> Floats:
    """Median over meters of each day, NaN where fewer than `MIN_PEERS` are known; absent homes do not count."""
    known = np.isfinite(values) & (values > 0.0)
    count = known.sum(axis=1)
    enough = count >= MIN_PEERS
    result = np.full(len(values), np.nan)
    if enough.any():
        ordered = np.sort(np.where(known[enough], values[enough], np.inf), axis=1)
        row, middle = np.arange(len(ordered)), (count[enough] - 1) // 2
        result[enough] = 0.5 * (ordered[row, middle] + ordered[row, count[enough] // 2])
    return result


def rest_runs(use: Floats, still_m3: Floats) -> NDArray[np.int64]:
    """Return for each day and meter how many known days in a row, up to that day, showed no use.

    An unknown day neither breaks nor lengthens a run. `still_m3` is each meter's least visible use.
    """
    runs = np.zeros(use.shape, dtype=np.int64)
    length = np.zeros(use.shape[1], dtype=np.int64)
    for day in range(len(use)):
        known = np.isfinite(use[day])
        rests = known & (use[day] <= still_m3)
        length = np.where(rests, length + 1, np.where(known, 0, length))
        runs[day] = length
    return runs
