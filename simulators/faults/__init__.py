"""What is wrong in the simulated city: `KINDS` says of each kind of fault whom it befalls, its effect, its truth."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from simulators.faults import accounts, instruments, leaks, network, registers, theft
from simulators.faults.effects import Assets, Effects
from simulators.faults.fault import HOUR_US, Fault, FaultKind
from simulators.faults.instruments import gas_lel_pct, sensors_with_faults
from simulators.faults.kind import Kind, Shows, Subject, Truth
from simulators.faults.leaks import gathered

KINDS: Mapping[FaultKind, Kind] = {
    FaultKind.LEAK: leaks.LEAK,
    FaultKind.INSIDE_LEAK: leaks.INSIDE_LEAK,
    FaultKind.STOPPED: registers.STOPPED,
    FaultKind.INTERMITTENT: registers.INTERMITTENT,
    FaultKind.SLOW: registers.SLOW,
    FaultKind.BYPASS: theft.BYPASS,
    FaultKind.THEFT_DAYS: theft.THEFT_DAYS,
    FaultKind.THEFT_CAP: theft.THEFT_CAP,
    FaultKind.THEFT_RAMP: theft.THEFT_RAMP,
    FaultKind.THEFT_NIGHT: theft.THEFT_NIGHT,
    FaultKind.THEFT_SWAP: theft.THEFT_SWAP,
    FaultKind.THEFT_REVERSE: theft.THEFT_REVERSE,
    FaultKind.UNAUTHORISED: accounts.UNAUTHORISED,
    FaultKind.CARD_FRAUD: accounts.CARD_FRAUD,
    FaultKind.FLOW_WHEN_CLOSED: accounts.FLOW_WHEN_CLOSED,
    FaultKind.TAMPER: accounts.TAMPER,
    FaultKind.METER_SILENT: accounts.METER_SILENT,
    FaultKind.SILENT: instruments.SILENT,
    FaultKind.SENSOR_STUCK: instruments.SENSOR_STUCK,
    FaultKind.SENSOR_DRIFT: instruments.SENSOR_DRIFT,
    FaultKind.GAS_CLOUD: instruments.GAS_CLOUD,
    FaultKind.STUCK_VALVE: instruments.STUCK_VALVE,
    FaultKind.CREEP: network.CREEP,
    FaultKind.LOCK_UP: network.LOCK_UP,
    FaultKind.FREEZE: network.FREEZE,
    FaultKind.SUPPLY_BIAS: network.SUPPLY_BIAS,
    FaultKind.INTERRUPTION: network.INTERRUPTION,
}


def apply(faults: Iterable[Fault], effects: Effects) -> None:
    """Let each fault that acts in the effects' hours write what it does there, in the order of the list."""
    first, last = int(effects.hours[0]), int(effects.hours[-1])
    for fault in faults:
        if fault.of_volume and fault.start_hour <= last and fault.end_hour > first:
            KINDS[fault.kind].act(fault, effects)


__all__ = [
    "HOUR_US",
    "KINDS",
    "Assets",
    "Effects",
    "Fault",
    "FaultKind",
    "Kind",
    "Shows",
    "Subject",
    "Truth",
    "apply",
    "gas_lel_pct",
    "gathered",
    "sensors_with_faults",
]
