"""IC-card mismatch: credit bought less credit left no longer follows the register."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

import numpy as np

from alarms.analysis.city import CityModel
from alarms.analysis.study import plain, trim
from alarms.detectors.answer import Hit, answer, unknown_unless
from gateway.model.finding import Detection
from gateway.model.quantity import Quantity
from gateway.model.reading import Need, Window, from_us

NEEDED = (Quantity.REGISTER_MEASURED_M3, Quantity.PURCHASED_M3, Quantity.BALANCE_M3)
LOOKBACK_D = 30


@dataclass(frozen=True, slots=True)
class CreditConfig:
    """When credit and register disagree."""

    least_m3: float = 1.0
    least_share: float = 0.02
    """of what the register counted meanwhile"""
    jump_m3: float = 0.5
    """a single day's disagreement beyond this much and `jump_share` of the day's use is an exchange or a correction"""
    jump_share: float = 1.5


@dataclass(frozen=True, slots=True)
class CreditDetector:
    """Judges IC-card meters: `purchased - balance - register` stays constant while all is well."""

    city: CityModel
    config: CreditConfig = CreditConfig()
    condition: ClassVar[str] = "ic_mismatch"

    @property
    def needs(self) -> Sequence[Need]:
        """Register, purchases and credit left at gas-day boundaries, all by the same interpolation."""
        return tuple(Need(quantity, timedelta(days=LOOKBACK_D), timedelta(days=1)) for quantity in NEEDED)

    def detect(self, windows: Mapping[Quantity, Window], now: datetime) -> Detection:
        """Judge every meter that has all three quantities."""
        known = {quantity: window for quantity, window in trim(windows, now).items() if quantity in NEEDED}
        if len(known) < len(NEEDED):
            return answer(self.condition, (), np.empty(0, dtype=np.int8), 0, ())
        register, purchased, balance = (known[quantity] for quantity in NEEDED)
        names = tuple(n for n in register.assets if n in set(purchased.assets) and n in set(balance.assets))
        rows = slice(-LOOKBACK_D - 1, None)
        counted, bought, left = (_columns(window, names)[rows] for window in (register, purchased, balance))
        bounds = register.times[rows]
        use = np.diff(counted, axis=0)
        drift = np.diff(bought - left - counted, axis=0)
        # a new meter starts its credit afresh: such a day says nothing
        jump = np.abs(drift) > self.config.jump_m3 + self.config.jump_share * np.maximum(use, 0.0)
        drift = np.where(np.isfinite(drift) & ~jump, drift, 0.0)
        total = drift.sum(axis=0)
        limit = np.maximum(self.config.least_m3, self.config.least_share * np.nansum(np.maximum(use, 0.0), axis=0))
        seen = np.asarray(np.isfinite((bought - left - counted)[-1:]).any(axis=0), dtype=np.bool_)
        hits = []
        for column in np.flatnonzero(np.abs(total) >= limit):
            days = np.flatnonzero(np.abs(drift[:, column]) > 0.1 * self.config.least_m3)
            first = int(days[0]) if len(days) else 0
            hits.append(
                Hit(
                    asset=names[column],
                    score=float(1.0 - 0.5 * limit[column] / abs(total[column])),
                    onset_us=int(bounds[first]),
                    value=float(total[column]),
                    estimate_m3_per_day=float(abs(total[column]) / max(len(days), 1)),
                    evidence={
                        "days": [self.city.gas_day.of(from_us(int(at))).isoformat() for at in bounds[:-1]],
                        "meter_m3": plain(use[:, column]),
                        "disagreement_m3": plain(drift[:, column]),
                    },
                )
            )
        return answer(self.condition, names, unknown_unless(seen), int(bounds[-1]) if len(bounds) else 0, hits)


def _columns(window: Window, names: Sequence[str]) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    row = {name: column for column, name in enumerate(window.assets)}
    return window.value[:, [row[name] for name in names]]
