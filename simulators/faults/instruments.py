"""What faults make of a station's instruments: silence, a stuck or drifting sensor, gas in the air, a stuck valve."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from gateway.model.quantity import Quantity
from simulators.faults.fault import ENDLESS, HOUR_US, Fault, FaultKind
from simulators.faults.kind import Kind, Subject, Truth, same

_CLEARS_IN_S = 90.0
"""time in which the gas at a repaired site thins to 1/e"""
_SENSORS = (
    Quantity.PRESSURE_GAUGE_KPA,
    Quantity.INLET_PRESSURE_GAUGE_KPA,
    Quantity.FLOW_BASE_M3H,
    Quantity.TEMPERATURE_C,
    Quantity.GAS_LEL_PCT,
)
_BY_SHARE = _SENSORS[:3]
"""sensors that drift by a share of their reading; others drift in their unit"""

Columns = dict[Quantity, NDArray[np.float64]]
"""what instruments show at t moments, (t,)"""


def gas_lel_pct(faults: Iterable[Fault], asset: str, at_us: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what faults make of the gas concentration at a sensor, % LEL: a ramp, then a fall within minutes."""
    worst = np.zeros(len(at_us))
    for fault in faults:
        if fault.kind is not FaultKind.GAS_CLOUD or fault.asset != asset:
            continue
        end = ENDLESS if fault.end_us is None else fault.end_us
        age_s = np.maximum(0, np.minimum(at_us, end) - fault.start_us) / 1e6
        gone_s = np.maximum(0, at_us - end) / 1e6
        level = fault.size * np.minimum(1.0, age_s / max(fault.ramp_s, 1e-9)) * np.exp(-gone_s / _CLEARS_IN_S)
        worst = np.maximum(worst, level)
    return np.asarray(worst, dtype=np.float64)


def sensors_with_faults(
    faults: Iterable[Fault],
    station: str,
    at_us: NDArray[np.int64],
    shown: Columns,
    at_moment: Callable[[int], dict[Quantity, float]],
) -> Columns:
    """Return what a station's instruments show once those that drift or are stuck have their way.

    `at_moment` tells what the sound instruments showed at a moment: a stuck one goes on showing that.
    """
    result = dict(shown)
    for fault in faults:
        if fault.asset != station or fault.kind not in (FaultKind.SENSOR_STUCK, FaultKind.SENSOR_DRIFT):
            continue
        quantity = Quantity(fault.detail or _SENSORS[0])
        rows = (at_us >= fault.start_us) & (at_us < (ENDLESS if fault.end_us is None else fault.end_us))
        if not rows.any():
            continue
        values = result[quantity]
        if fault.kind is FaultKind.SENSOR_STUCK:
            result[quantity] = np.where(rows, at_moment(fault.start_us)[quantity], values)
        else:
            age_h = (at_us - fault.start_us) / HOUR_US
            share = np.minimum(1.0, age_h * 3600.0 / fault.ramp_s) if fault.ramp_s > 0.0 else 1.0
            scale = np.abs(values) if quantity in _BY_SHARE else 1.0
            result[quantity] = np.where(rows, values + fault.size * share * scale, values)
    return result


def _confounder(cause: str) -> Truth:
    return Truth(None, cause, cause=cause)


_NAMES = tuple(quantity.value for quantity in _SENSORS)
SILENT = Kind(Subject.STATION, "", same(_confounder("station_silence")))
SENSOR_STUCK = Kind(Subject.STATION, "", same(_confounder("sensor_stuck")), details=_NAMES)
SENSOR_DRIFT = Kind(
    Subject.STATION,
    "what the sensor shows too much in the end: a share for pressure and flow, else in its unit",
    same(_confounder("sensor_drift")),
    least=-1e6,
    most=1e6,
    details=_NAMES,
)
GAS_CLOUD = Kind(Subject.STATION, "% LEL", same(_confounder("gas_cloud")), most=100.0)
STUCK_VALVE = Kind(Subject.VALVE, "", same(_confounder("stuck_valve")))
