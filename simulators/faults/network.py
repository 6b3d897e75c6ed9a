"""Regulators that hold a wrong pressure, supply meters that count wrong, gas that is shut off for work."""

from __future__ import annotations

from collections.abc import Callable

from simulators import weather
from simulators.faults.effects import Effects, Floats
from simulators.faults.fault import Fault
from simulators.faults.kind import Kind, Subject, Truth, same
from simulators.physics import regulator


def _creep(fault: Fault, effects: Effects) -> None:
    _offset(fault, effects, regulator.creep_kpa)


def _lock_up(fault: Fault, effects: Effects) -> None:
    _offset(fault, effects, regulator.lock_up_kpa)


def _offset(fault: Fault, effects: Effects, rule: Callable[[Floats, Floats, Floats], Floats]) -> None:
    zone = effects.assets.regulators[fault.asset]
    set_kpa, size = effects.assets.set_kpa[zone : zone + 1], fault.size * fault.grown(effects.hours)
    effects.offsets.append((zone, lambda load: rule(set_kpa, size, load)))


def _freeze(fault: Fault, effects: Effects) -> None:
    zone = effects.assets.regulators[fault.asset]
    set_kpa, part = effects.assets.set_kpa[zone : zone + 1], fault.size * fault.grown(effects.hours)
    air_c = weather.air_c(effects.assets.seed, effects.hours)
    effects.offsets.append((zone, lambda load: regulator.freeze_kpa(set_kpa, part, load, air_c)))


def _supply_bias(fault: Fault, effects: Effects) -> None:
    effects.supply_gain[:, effects.assets.supplies[fault.asset]] *= 1.0 + fault.size * fault.grown(effects.hours)


def _interruption(fault: Fault, effects: Effects) -> None:
    rows = fault.in_hours(effects.hours)
    if fault.asset in effects.assets.zones:
        effects.zone_shut[rows, effects.assets.zones[fault.asset]] = True
    else:
        effects.shut[rows, effects.assets.meters[fault.asset]] = True


def _confounder(cause: str) -> Truth:
    return Truth(None, cause, cause=cause)


CREEP = Kind(
    Subject.REGULATOR,
    "kPa that the outlet rises at small flow",
    same(_confounder("regulator_creep")),
    _creep,
    most=100.0,
)
LOCK_UP = Kind(
    Subject.REGULATOR,
    "kPa that the outlet rises when nobody draws",
    same(_confounder("regulator_lock_up")),
    _lock_up,
    most=100.0,
)
FREEZE = Kind(
    Subject.REGULATOR,
    "share of the set pressure that ice takes in hard frost",
    same(_confounder("regulator_freeze")),
    _freeze,
    most=1.0,
)
SUPPLY_BIAS = Kind(
    Subject.SUPPLY_METER,
    "what the supply meter counts too much, as a share",
    same(_confounder("supply_bias")),
    _supply_bias,
    least=-1.0,
    most=1.0,
)
INTERRUPTION = Kind(Subject.ZONE_OR_METER, "", same(_confounder("interruption")), _interruption)
