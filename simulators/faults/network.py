"""Regulators that hold a wrong pressure, supply meters that count wrong, gas that is shut off for work."""

from __future__ import annotations

from simulators.faults.effects import Effects
from simulators.faults.fault import Fault
from simulators.faults.kind import Kind, Subject, Truth, same


def _creep(fault: Fault, effects: Effects) -> None:
    effects.offset_kpa[:, effects.assets.regulators[fault.asset]] += fault.size * fault.grown(effects.hours)


def _lock_up(fault: Fault, effects: Effects) -> None:
    """Let the closed regulator leak through: the pressure rises in the hours of the night, when nobody draws."""
    local = (effects.hours + 8) % 24
    rows = fault.in_hours(effects.hours) & ((local < 5) | (local >= 23))
    effects.offset_kpa[rows, effects.assets.regulators[fault.asset]] += fault.size


def _freeze(fault: Fault, effects: Effects) -> None:
    column = effects.assets.regulators[fault.asset]
    effects.offset_kpa[:, column] -= fault.size * effects.assets.set_kpa[column] * fault.grown(effects.hours)


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


CREEP = Kind(Subject.REGULATOR, "kPa that the outlet rises", same(_confounder("regulator_creep")), _creep, most=100.0)
LOCK_UP = Kind(
    Subject.REGULATOR,
    "kPa that the outlet rises at night",
    same(_confounder("regulator_lock_up")),
    _lock_up,
    most=100.0,
)
FREEZE = Kind(
    Subject.REGULATOR,
    "share of the set pressure that is lost",
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
