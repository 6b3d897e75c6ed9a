"""What people write down when they read a meter: whole cubic metres, and now and then a wrong figure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulators import noise
from simulators.meters.habits import Habits, Way
from simulators.meters.sheets import visits_sheet

_STREAM = 484
WRONG = 0.008
"""share of the readings with a wrong figure"""
_PLACES = 4
"""the wrong figure is one of the last four"""


def as_written(
    habits: Habits, meter: NDArray[np.integer], hour: NDArray[np.int64], shown_m3: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return what comes of registers that were read at hours; all arrays are rows, `meter` the column in `habits`.

    Only what people read is changed: to whole cubic metres, with a wrong figure in a few.
    """
    written = np.array(shown_m3, dtype=np.float64)
    row = np.flatnonzero(habits.way[meter] == Way.WALK)
    if not len(row):
        return written
    whole, key, at = np.floor(written[row]), habits.key[meter[row]], hour[row]
    wrong = _is_wrong(habits.seed, key, at)
    place = np.power(10.0, np.floor(_PLACES * noise.uniform(habits.seed, _STREAM + 1, key, at)))
    figure = np.floor(whole / place) % 10.0
    other = (figure + 1.0 + np.floor(9.0 * noise.uniform(habits.seed, _STREAM + 2, key, at))) % 10.0
    written[row] = np.where(wrong & (place <= np.maximum(whole, 1.0)), whole + (other - figure) * place, whole)
    return written


def wrong_visits(habits: Habits, first_hour: int, count: int) -> list[tuple[int, int]]:
    """Return (column, hour) of the readings within `count` hours that may have a wrong figure."""
    columns = np.flatnonzero(habits.way == Way.WALK)
    if count <= 0 or not len(columns):
        return []
    part = habits.part(columns)
    sheet = visits_sheet(part, first_hour, count)
    row, column = np.nonzero(sheet.kept)
    hour = sheet.hour[row, column]
    wrong = _is_wrong(habits.seed, part.key[column], hour)
    return list(zip(columns[column[wrong]].tolist(), hour[wrong].tolist(), strict=True))


def _is_wrong(seed: int, key: NDArray[np.int64], hour: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.asarray(noise.uniform(seed, _STREAM, key, hour) < WRONG, dtype=np.bool_)
