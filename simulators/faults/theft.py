"""Gas taken past or against the meter.

The recipes are those that the literature on theft detection injects into honest loads (Jokar, Arianpoo, Leung,
"Electricity theft detection in AMI using customers' consumption patterns", IEEE Transactions on Smart Grid 7, 2016;
Punmiya, Choe, 2019), as far as somebody can do them to a gas meter with a hose, a magnet or a wrench.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from simulators import weather
from simulators.faults.effects import FLAG_REVERSE, Effects
from simulators.faults.fault import Fault
from simulators.faults.kind import Kind, Shows, Subject, Truth, dice, local_days

_STREAM = 75
_NIGHT = (22, 6)
_BLOCK_D = 28
"""days in which a meter is turned round once"""
_DAY_H = 24


def _share(fault: Fault, effects: Effects) -> None:
    _pass(fault, effects, fault.in_hours(effects.hours), fault.size)


def _pass(fault: Fault, effects: Effects, rows: NDArray[np.bool_], share: float | NDArray[np.float64]) -> None:
    effects.passing[rows, effects.assets.meters[fault.asset]] *= share


def _days(fault: Fault, effects: Effects) -> None:
    """Bypass it on random days, each time the part of the gas that a hose takes."""
    day = local_days(effects.hours, weather.UTC_OFFSET_H)
    rows = fault.in_hours(effects.hours) & (dice(fault, effects, _STREAM, day) < fault.size)
    share = 0.3 * dice(fault, effects, _STREAM + 1, day)
    _pass(fault, effects, rows, share[rows])


def _cap(fault: Fault, effects: Effects) -> None:
    """Let no more than a level pass the meter."""
    use = effects.use[:, effects.assets.meters[fault.asset]]
    share = np.minimum(1.0, fault.size / np.maximum(use, 1e-12))
    rows = fault.in_hours(effects.hours)
    _pass(fault, effects, rows, share[rows])


def _ramp(fault: Fault, effects: Effects) -> None:
    """Take more and more."""
    rows = fault.in_hours(effects.hours)
    _pass(fault, effects, rows, (1.0 - (1.0 - fault.size) * fault.grown(effects.hours))[rows])


def _night(fault: Fault, effects: Effects) -> None:
    """Bypass it while nobody looks, 22:00 to 06:00 local time."""
    local = (effects.hours + weather.UTC_OFFSET_H) % _DAY_H
    _pass(fault, effects, fault.in_hours(effects.hours) & ((local >= _NIGHT[0]) | (local < _NIGHT[1])), fault.size)


def _swap(fault: Fault, effects: Effects) -> None:
    """Let the meter report the mean of the day's use in every hour, and only a share of the total."""
    rows = fault.in_hours(effects.hours)
    effects.levelled.append((effects.assets.meters[fault.asset], np.where(rows, fault.size, 0.0)))


def _reverse(fault: Fault, effects: Effects) -> None:
    """Turn the meter round for a run of days in each four weeks: its register counts down."""
    hours, column = effects.hours, effects.assets.meters[fault.asset]
    block, within = np.divmod(local_days(hours, weather.UTC_OFFSET_H), _BLOCK_D)
    run = fault.size * _BLOCK_D
    first = dice(fault, effects, _STREAM + 2, block) * (_BLOCK_D - run)
    rows = fault.in_hours(hours) & (within >= first) & (within < first + run)
    effects.counted[rows, column] *= -1.0
    noticed = rows & (dice(fault, effects, _STREAM + 3, hours // _DAY_H) < 0.3)
    effects.flags[noticed, column] |= FLAG_REVERSE


def _kind(size: str, act: Callable[[Fault, Effects], None], type_: str, *, most: float = 1.0) -> Kind:
    def truth(fault: Fault) -> Truth:
        zero = type_ == "share" and fault.size == 0.0
        matching = ("theft", "non_moving") if zero else ("theft", "slow")
        return Truth("theft", "zero" if zero else type_, matching, effective=Shows.UNREGISTERED)

    return Kind(Subject.METER, size, truth, act, most=most)


BYPASS = _kind("share of the gas that still passes the meter", _share, "share")
THEFT_DAYS = _kind("share of the days", _days, "days")
THEFT_CAP = _kind("base m3/h that pass the meter at most", _cap, "cap", most=float("inf"))
THEFT_RAMP = _kind("share of the gas that passes the meter in the end", _ramp, "onset")
THEFT_NIGHT = _kind("share of the gas that passes the meter at night", _night, "night")
THEFT_SWAP = _kind("share of the day's use that is reported, the same in each hour", _swap, "swap")
THEFT_REVERSE = _kind("share of the days on which the meter is turned round", _reverse, "reverse", most=0.5)
