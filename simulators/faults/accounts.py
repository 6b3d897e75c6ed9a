"""Gas without a contract, credit without a purchase, valves that are not what they say, and meters that are touched."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from simulators import weather
from simulators.faults.effects import FLAG_COVER, FLAG_MAGNET, FLAG_REVERSE, Effects
from simulators.faults.fault import Fault
from simulators.faults.kind import Kind, Shows, Subject, Truth, dice, same

_STREAM = 81
_TOP_UP_H = 30 * 24
_COOKING = np.array([1, 0, 0, 0, 1, 3, 8, 8, 4, 3, 5, 10, 9, 4, 2, 2, 5, 11, 12, 8, 5, 3, 2, 1], dtype=np.float64)
_FLAGS = {"magnet": FLAG_MAGNET, "cover": FLAG_COVER, "reverse": FLAG_REVERSE}


def _household(fault: Fault, effects: Effects) -> NDArray[np.float64]:
    """Return the use of a home that nobody knows of, base m3 in each hour, `size` in a mean day."""
    hours = effects.hours
    local = (hours + weather.UTC_OFFSET_H) % 24
    burns = dice(fault, effects, _STREAM, hours) < np.minimum(0.9, _COOKING[local] / 13.0)
    much = 0.5 + dice(fault, effects, _STREAM + 1, hours)
    mean = (_COOKING * np.minimum(0.9, _COOKING / 13.0)).sum()
    cold = np.maximum(0.4, 1.0 + 0.03 * (15.0 - weather.slow_air_c(effects.assets.seed, hours.astype(np.float64))))
    use = np.where(burns, _COOKING[local] * much, 0.0) * fault.size / mean * cold
    return np.where(fault.in_hours(hours), use, 0.0)


def _unauthorised(fault: Fault, effects: Effects) -> None:
    effects.extra[:, effects.assets.meters[fault.asset]] += _household(fault, effects)


def _card_fraud(fault: Fault, effects: Effects) -> None:
    """Write credit onto the card once at the begin and then once in each 30 days."""
    rows = fault.in_hours(effects.hours) & ((effects.hours - fault.start_hour) % _TOP_UP_H == 0)
    effects.top_up_m3[rows, effects.assets.meters[fault.asset]] += fault.size


def _flow_when_closed(fault: Fault, effects: Effects) -> None:
    rows, column = fault.in_hours(effects.hours), effects.assets.meters[fault.asset]
    effects.valve_closed[rows, column] = effects.defeated[rows, column] = True
    if fault.size > 0.0:
        effects.extra[:, column] += _household(fault, effects)


def _tamper(fault: Fault, effects: Effects) -> None:
    """Set the flag in a part of the days; what a magnet holds back, the register does not count."""
    rows, column = fault.in_hours(effects.hours), effects.assets.meters[fault.asset]
    touched = rows & (dice(fault, effects, _STREAM + 2, effects.hours // 24) < 0.4)
    effects.flags[touched, column] |= _FLAGS[fault.detail or "magnet"]
    effects.counted[rows, column] *= fault.size


def _tamper_truth(fault: Fault) -> Truth:
    if fault.size >= 1.0:
        return Truth(None, "flag", cause="tamper_flag")
    return Truth("theft", "magnet", ("theft", "slow", "non_moving"), effective=Shows.UNREGISTERED)


def _silent(fault: Fault, effects: Effects) -> None:
    effects.silent[fault.in_hours(effects.hours), effects.assets.meters[fault.asset]] = True


UNAUTHORISED = Kind(
    Subject.METER,
    "base m3 in a mean day, on an account that is not open",
    same(Truth("unauthorised", "use", effective=Shows.USED)),
    _unauthorised,
)
CARD_FRAUD = Kind(
    Subject.METER,
    "m3 of credit that come onto the card every 30 days",
    same(Truth("ic_mismatch", "credit")),
    _card_fraud,
)
FLOW_WHEN_CLOSED = Kind(
    Subject.METER,
    "base m3 in a mean day besides the customer's own use",
    same(Truth("flow_when_closed", "flow", effective=Shows.USED)),
    _flow_when_closed,
)
TAMPER = Kind(
    Subject.METER,
    "share of what passes that is counted; 1 is a flag without theft",
    _tamper_truth,
    _tamper,
    most=1.0,
    details=tuple(_FLAGS),
)
METER_SILENT = Kind(Subject.METER, "", same(Truth("silent", "silent")), _silent)
