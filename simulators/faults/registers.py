"""Meters that count wrong without anybody's intent: at rest, now and then at rest, or slow."""

from __future__ import annotations

import numpy as np

from simulators import weather
from simulators.faults.effects import Effects
from simulators.faults.fault import Fault
from simulators.faults.kind import Kind, Shows, Subject, Truth, dice, local_days, same

_STREAM = 71
_SPELL_H = 6


def _stopped(fault: Fault, effects: Effects) -> None:
    effects.counted[fault.in_hours(effects.hours), effects.assets.meters[fault.asset]] = 0.0


def _intermittent(fault: Fault, effects: Effects) -> None:
    """Let it stick for spells of six hours on days that the place of their random numbers decides."""
    hours = effects.hours
    day = local_days(hours, weather.UTC_OFFSET_H)
    bad_day = dice(fault, effects, _STREAM, day) < np.sqrt(fault.size)
    bad_spell = dice(fault, effects, _STREAM + 1, hours // _SPELL_H) < np.sqrt(fault.size)
    rests = fault.in_hours(hours) & bad_day & bad_spell
    effects.counted[rests, effects.assets.meters[fault.asset]] = 0.0


def _slow(fault: Fault, effects: Effects) -> None:
    """Let it count less; with a ramp the share sinks slowly, as worn gears slip more and more."""
    counts = 1.0 - (1.0 - fault.size) * fault.grown(effects.hours)
    effects.counted[:, effects.assets.meters[fault.asset]] *= counts


STOPPED = Kind(
    Subject.METER,
    "",
    same(Truth("non_moving", "zero", ("non_moving", "theft"), effective=Shows.UNREGISTERED)),
    _stopped,
)
INTERMITTENT = Kind(
    Subject.METER,
    "share of the time in which it rests",
    same(Truth("non_moving", "intermittent", ("non_moving", "slow", "theft"), effective=Shows.UNREGISTERED)),
    _intermittent,
    most=1.0,
)
SLOW = Kind(
    Subject.METER,
    "share of what passes that is counted",
    same(Truth("slow", "share", ("slow", "theft"), effective=Shows.UNREGISTERED)),
    _slow,
    most=1.0,
)
