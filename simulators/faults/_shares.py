"""Shares of meters and leaks of zones, for the engine of today."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from simulators.faults.fault import Fault, FaultKind


def meter_shares(
    faults: Iterable[Fault], meter_ids: Sequence[str], hours: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (share of the use that passes the meter, share of that which is counted), shape (hours, meters)."""
    passing = np.ones((len(hours), len(meter_ids)))
    counted = np.ones((len(hours), len(meter_ids)))
    column = {meter_id: index for index, meter_id in enumerate(meter_ids)}
    for fault in faults:
        if fault.asset not in column or fault.kind not in (FaultKind.BYPASS, FaultKind.STOPPED, FaultKind.SLOW):
            continue
        rows, at = fault.in_hours(hours), column[fault.asset]
        if fault.kind is FaultKind.BYPASS:
            passing[rows, at] *= fault.size
        else:
            counted[rows, at] *= 0.0 if fault.kind is FaultKind.STOPPED else fault.size
    return passing, counted


def leaks_m3h(
    faults: Iterable[Fault], zones: Sequence[str], background_m3h: NDArray[np.float64], hours: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the gas that leaks from each zone's pipes in each hour, base m3, shape (hours, zones)."""
    leak = np.tile(background_m3h, (len(hours), 1))
    for fault in faults:
        if fault.kind is FaultKind.LEAK:
            leak[fault.in_hours(hours), zones.index(fault.asset)] += fault.size
    return leak
