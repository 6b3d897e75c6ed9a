"""What is wrong in the simulated city: each fault has a start, perhaps an end, and a size."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

HOUR_US = 3_600_000_000
_CLEARS_IN_S = 90.0
"""time in which the gas at a repaired site thins to 1/e"""


class FaultKind(StrEnum):
    """Kinds of faults, with the meaning of `size`."""

    BYPASS = "bypass"
    """theft: `size` is the share of the gas that still passes the meter"""
    STOPPED = "stopped"
    """non-moving meter: gas passes, the register rests; `size` is not used"""
    SLOW = "slow"
    """the register counts only the share `size` of what passes"""
    LEAK = "leak"
    """the zone loses `size` base m3 an hour"""
    GAS_CLOUD = "gas_cloud"
    """the gas sensor at a station or regulator rises to `size` % LEL within `ramp_s`"""
    SILENT = "silent"
    """the station's terminal unit accepts connections but answers nothing"""
    STUCK_VALVE = "stuck_valve"
    """the valve takes orders and does not move"""


_OF_VOLUME = (FaultKind.BYPASS, FaultKind.STOPPED, FaultKind.SLOW, FaultKind.LEAK)


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. Faults that change volumes begin and end at whole hours, so that no register ever steps back."""

    fault_id: str
    kind: FaultKind
    asset: str
    """meter, zone (leak) or station"""
    start_us: int
    """us UTC of the city's clock"""
    end_us: int | None = None
    size: float = 0.0
    ramp_s: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a fault that would change the past of a register."""
        if self.of_volume and (self.start_us % HOUR_US or (self.end_us or 0) % HOUR_US):
            raise ValueError(f"fault {self.fault_id}: {self.kind} must begin and end at whole hours")

    @property
    def of_volume(self) -> bool:
        """True for a fault that changes what registers count."""
        return self.kind in _OF_VOLUME

    def active(self, at_us: int) -> bool:
        """Say whether it has begun and not ended."""
        return self.start_us <= at_us and (self.end_us is None or at_us < self.end_us)

    def in_hours(self, hours: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Say for each hour since 1970 whether the fault acts in it."""
        end = np.iinfo(np.int64).max if self.end_us is None else self.end_us // HOUR_US
        return np.asarray((hours >= self.start_us // HOUR_US) & (hours < end), dtype=np.bool_)

    def ended(self, at_us: int) -> Fault:
        """Return the fault with its end."""
        return replace(self, end_us=at_us)

    def to_json(self) -> dict[str, Any]:
        """Return it ready for JSON."""
        return asdict(self)

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> Fault:
        """Read what `to_json` wrote."""
        return Fault(**{**data, "kind": FaultKind(data["kind"])})


def meter_shares(
    faults: Iterable[Fault], meter_ids: Sequence[str], hours: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return (share of the use that passes the meter, share of that which is counted), shape (hours, meters)."""
    passing = np.ones((len(hours), len(meter_ids)))
    counted = np.ones((len(hours), len(meter_ids)))
    column = {meter_id: index for index, meter_id in enumerate(meter_ids)}
    for fault in faults:
        if fault.asset not in column or not fault.of_volume:
            continue
        rows, at = fault.in_hours(hours), column[fault.asset]
        if fault.kind is FaultKind.BYPASS:
            passing[rows, at] *= fault.size
        else:
            counted[rows, at] *= 0.0 if fault.kind is FaultKind.STOPPED else fault.size
    return passing, counted


def leaks_m3h(
    faults: Iterable[Fault], zones: Sequence[str], background_m3h: NDArray[np.float64], hours: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the gas that leaks from each zone's pipes in each hour, base m3, shape (hours, zones)."""
    leak = np.tile(background_m3h, (len(hours), 1))
    for fault in faults:
        if fault.kind is FaultKind.LEAK:
            leak[fault.in_hours(hours), zones.index(fault.asset)] += fault.size
    return leak


def gas_lel_pct(faults: Iterable[Fault], asset: str, at_us: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return what faults make of the gas concentration at a sensor, % LEL: a ramp, then a fall within minutes."""
    worst = np.zeros(len(at_us))
    for fault in faults:
        if fault.kind is not FaultKind.GAS_CLOUD or fault.asset != asset:
            continue
        end = np.iinfo(np.int64).max if fault.end_us is None else fault.end_us
        age_s = np.maximum(0, np.minimum(at_us, end) - fault.start_us) / 1e6
        gone_s = np.maximum(0, at_us - end) / 1e6
        level = fault.size * np.minimum(1.0, age_s / max(fault.ramp_s, 1e-9)) * np.exp(-gone_s / _CLEARS_IN_S)
        worst = np.maximum(worst, level)
    return np.asarray(worst, dtype=np.float64)
