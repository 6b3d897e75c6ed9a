"""What a kind of fault is: whom it befalls, what its size means, its effect and its truth."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from simulators import noise
from simulators.faults.effects import Assets, Effects
from simulators.faults.fault import Fault


class Subject(StrEnum):
    """What a fault befalls; the fault's `asset` is the id of one."""

    METER = "meter"
    ZONE = "zone"
    STATION = "station"
    """station or regulator"""
    REGULATOR = "regulator"
    SUPPLY_METER = "supply_meter"
    ZONE_OR_METER = "zone_or_meter"
    VALVE = "valve"
    """meter or regulator"""


class Shows(StrEnum):
    """When an event first shows in the data at all."""

    ONSET = "onset"
    UNREGISTERED = "unregistered"
    """once a cubic metre has gone unregistered"""
    USED = "used"
    """once a cubic metre has been used"""


@dataclass(frozen=True, slots=True)
class Truth:
    """What an analysis should say about a fault."""

    finding: str | None
    """kind of finding that is right; None: none is, it is a confounder"""
    type: str
    accepts: tuple[str, ...] = ()
    """kinds of finding that match, where the data cannot tell causes apart; empty: only its own"""
    cause: str | None = None
    """what a confounder is called"""
    effective: Shows = Shows.ONSET


def _nothing(_fault: Fault, _effects: Effects) -> None:
    """Leave volumes alone."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault, an entry of `KINDS`."""

    subject: Subject
    size: str
    """what `size` means, with its unit; empty: it is not used"""
    truth: Callable[[Fault], Truth]
    act: Callable[[Fault, Effects], None] = _nothing
    """writes what the fault does in the effects' hours, (h,) of which at least one is the fault's"""
    least: float = 0.0
    most: float = float("inf")
    """limits of `size`"""
    details: tuple[str, ...] = ()
    """what `detail` may be; the first is meant by an empty one"""

    def check(self, fault: Fault, assets: Assets) -> None:
        """Raise ValueError with the remedy if the city has no such asset, or the size is none."""
        known = {
            Subject.METER: (assets.meters,),
            Subject.ZONE: (assets.zones, assets.parents),
            Subject.STATION: (assets.stations,),
            Subject.REGULATOR: (assets.regulators,),
            Subject.SUPPLY_METER: (assets.supplies,),
            Subject.ZONE_OR_METER: (assets.zones, assets.meters),
            Subject.VALVE: (assets.regulators, assets.meters),
        }[self.subject]
        if not any(fault.asset in names for names in known):
            example = next((name for names in known for name in names), "there is none here")
            wanted = self.subject.replace("_", " ")
            raise ValueError(f"{fault.fault_id}: {fault.asset!r} is no {wanted} of this city; one is {example!r}")
        if self.size and not self.least <= fault.size <= self.most:
            raise ValueError(
                f"{fault.fault_id}: size {fault.size:g} is not in {self.least:g} to {self.most:g} ({self.size})"
            )
        if fault.detail and fault.detail not in self.details:
            allowed = ", ".join(self.details) or "none is wanted"
            raise ValueError(f"{fault.fault_id}: detail {fault.detail!r} is not known for {fault.kind}: {allowed}")


def same(truth: Truth) -> Callable[[Fault], Truth]:
    """Return a rule for kinds whose truth does not depend on the fault."""
    return lambda _fault: truth


def dice(fault: Fault, effects: Effects, stream: int, place: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return numbers in (0, 1) by fault and place."""
    return noise.uniform(effects.assets.seed, stream, zlib.crc32(fault.fault_id.encode()), place)


def local_days(hours: NDArray[np.int64], utc_offset_h: int) -> NDArray[np.int64]:
    """Return the local day of each hour, days since 1970."""
    return (hours + utc_offset_h) // 24
