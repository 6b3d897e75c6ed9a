"""Gas that leaves pipes: out of the network, between its levels, and behind a customer's meter."""

from __future__ import annotations

from simulators.faults.effects import Effects
from simulators.faults.fault import Fault
from simulators.faults.kind import Kind, Subject, Truth, same
from simulators.physics.zones import Hole


def _leak(fault: Fault, effects: Effects) -> None:
    flow = fault.size * fault.grown(effects.hours)
    if fault.asset in effects.assets.parents:
        effects.parent_leak[:, effects.assets.parents[fault.asset]] += flow
    else:
        effects.leaks.append(Hole(effects.assets.zones[fault.asset], fault.position, flow))


def _leak_truth(fault: Fault) -> Truth:
    return Truth("leak", "growing" if fault.ramp_s > 0.0 else "abrupt")


def _inside(fault: Fault, effects: Effects) -> None:
    effects.extra[:, effects.assets.meters[fault.asset]] += fault.size * fault.grown(effects.hours)


LEAK = Kind(Subject.ZONE, "base m3/h at the set pressure", _leak_truth, _leak)
INSIDE_LEAK = Kind(
    Subject.METER,
    "base m3/h behind the meter, which counts it",
    same(Truth(None, "inside", cause="inside_leak")),
    _inside,
)
