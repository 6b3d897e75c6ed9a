"""One thing that is wrong in the simulated city: its kind, where, from when, until when, and how large."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

HOUR_US = 3_600_000_000
ENDLESS = int(np.iinfo(np.int64).max)


class FaultKind(StrEnum):
    """Kinds of faults; `KINDS` says what each does and what `size` means."""

    LEAK = "leak"
    INSIDE_LEAK = "inside_leak"
    STOPPED = "stopped"
    INTERMITTENT = "intermittent"
    SLOW = "slow"
    BYPASS = "bypass"
    THEFT_DAYS = "theft_days"
    THEFT_CAP = "theft_cap"
    THEFT_RAMP = "theft_ramp"
    THEFT_NIGHT = "theft_night"
    THEFT_SWAP = "theft_swap"
    THEFT_REVERSE = "theft_reverse"
    UNAUTHORISED = "unauthorised"
    CARD_FRAUD = "card_fraud"
    TAMPER = "tamper"
    FLOW_WHEN_CLOSED = "flow_when_closed"
    METER_SILENT = "meter_silent"
    SILENT = "silent"
    SENSOR_STUCK = "sensor_stuck"
    SENSOR_DRIFT = "sensor_drift"
    GAS_CLOUD = "gas_cloud"
    STUCK_VALVE = "stuck_valve"
    CREEP = "creep"
    LOCK_UP = "lock_up"
    FREEZE = "freeze"
    SUPPLY_BIAS = "supply_bias"
    INTERRUPTION = "interruption"


MOMENTARY = frozenset({
    FaultKind.SILENT, FaultKind.SENSOR_STUCK, FaultKind.SENSOR_DRIFT, FaultKind.GAS_CLOUD, FaultKind.STUCK_VALVE,
})  # fmt: skip
"""kinds that act on instruments at any moment; all others act hour by hour"""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. Faults that act by the hour begin and end at whole hours, so that no register changes its past."""

    fault_id: str
    kind: FaultKind
    asset: str
    """meter, zone, station or supply meter, as the kind wants it"""
    start_us: int
    """us UTC of the city's clock"""
    end_us: int | None = None
    size: float = 0.0
    ramp_s: float = 0.0
    """time in which it grows to its size"""
    position: float = 0.5
    """where a leak is: 0 at the regulator, 1 at the node farthest from it"""
    detail: str = ""
    """what the kind wants to know besides: the quantity of a sensor, the bit of a tamper flag"""

    def __post_init__(self) -> None:
        """Refuse a fault that would change the past of a register, and numbers that are none."""
        if self.of_volume and (self.start_us % HOUR_US or (self.end_us or 0) % HOUR_US):
            raise ValueError(f"fault {self.fault_id}: {self.kind} must begin and end at whole hours")
        if self.end_us is not None and self.end_us < self.start_us:
            raise ValueError(f"fault {self.fault_id}: it must not end before it begins")
        if not (math.isfinite(self.size) and math.isfinite(self.ramp_s) and self.ramp_s >= 0.0):
            raise ValueError(f"fault {self.fault_id}: size and ramp must be finite numbers, the ramp not negative")
        if not 0.0 <= self.position <= 1.0:
            raise ValueError(f"fault {self.fault_id}: the position must be from 0 to 1")

    @property
    def of_volume(self) -> bool:
        """True for a fault that acts by the hour: on volumes, registers or what meters report."""
        return self.kind not in MOMENTARY

    @property
    def start_hour(self) -> int:
        """Hour since 1970 UTC in which it begins."""
        return self.start_us // HOUR_US

    @property
    def end_hour(self) -> int:
        """First hour since 1970 UTC in which it does not act any more."""
        return ENDLESS if self.end_us is None else -(-self.end_us // HOUR_US)

    def active(self, at_us: int) -> bool:
        """Say whether it has begun and not ended."""
        return self.start_us <= at_us and (self.end_us is None or at_us < self.end_us)

    def in_hours(self, hours: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Say for each hour since 1970 whether the fault acts in it."""
        return np.asarray((hours >= self.start_hour) & (hours < self.end_hour), dtype=np.bool_)

    def grown(self, hours: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return how much of its size it has reached in the middle of each hour, 0 to 1; 0 where it does not act."""
        age_s = (hours - self.start_hour + 0.5) * 3600.0
        share = np.minimum(1.0, age_s / self.ramp_s) if self.ramp_s > 0.0 else np.ones(len(hours))
        return np.where(self.in_hours(hours), share, 0.0)

    def ended(self, at_us: int) -> Fault:
        """Return the fault with its end."""
        return replace(self, end_us=at_us)

    def to_json(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Fault:
        """Read what `to_json` wrote, now or by an earlier version. Raises ValueError and names what is wrong."""
        known = {field.name for field in fields(Fault)}
        try:
            kept = {key: value for key, value in data.items() if key in known}
            return Fault(**{**kept, "kind": FaultKind(data["kind"])})
        except (KeyError, TypeError) as error:
            raise ValueError(f"this is no fault: {error}") from error
