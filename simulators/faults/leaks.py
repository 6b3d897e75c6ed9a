"""Gas that leaves pipes: out of the network, between its levels, and behind a customer's meter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from simulators.faults.effects import Effects
from simulators.faults.fault import Fault, FaultKind
from simulators.faults.kind import Kind, Subject, Truth, same
from simulators.physics.zones import Hole

_PLACES = 3


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


def gathered(faults: Iterable[Fault]) -> list[Fault]:
    """Return the faults; the leaks of a zone that has many of them are moved to its nearer end.

    Solving for holes at many places of a zone takes long.
    """
    known = list(faults)
    count = Counter(fault.asset for fault in known if fault.kind is FaultKind.LEAK)
    return [
        replace(fault, position=float(round(fault.position)))
        if fault.kind is FaultKind.LEAK and count[fault.asset] > _PLACES
        else fault
        for fault in known
    ]


LEAK = Kind(Subject.ZONE, "base m3/h at the set pressure", _leak_truth, _leak)
INSIDE_LEAK = Kind(
    Subject.METER,
    "base m3/h behind the meter, which counts it",
    same(Truth(None, "inside", cause="inside_leak")),
    _inside,
)
