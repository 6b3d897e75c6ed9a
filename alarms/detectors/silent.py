"""Silent meter: no reading for days, while its neighbours are heard."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.city import CityModel
from alarms.analysis.study import trim
from alarms.detectors.answer import Hit, answer
from gateway.model.finding import Detection, Verdict
from gateway.model.network import MeterRole
from gateway.model.quantity import Quantity
from gateway.model.reading import Need, Window

LOOKBACK = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class SilenceConfig:
    """How long a silence is more than an ordinary gap."""

    least_days: int = 2
    gaps: float = 2.0
    """times the longest gap that this meter had before"""
    least_known: int = 7
    """boundaries that must have been known, to say what is ordinary for this meter"""
    common_share: float = 0.3
    """of a zone's meters silent at once: that is a fault of the link, not of a meter"""


@dataclass(frozen=True, slots=True)
class SilentDetector:
    """Judges customer meters that have been heard before; one that was never heard is UNKNOWN."""

    city: CityModel
    config: SilenceConfig = SilenceConfig()
    condition: ClassVar[str] = "silent"

    @property
    def needs(self) -> Sequence[Need]:
        """Registers at gas-day boundaries."""
        quantities = (Quantity.REGISTER_MEASURED_M3, Quantity.REGISTER_BASE_M3)
        return tuple(Need(quantity, LOOKBACK, timedelta(days=1)) for quantity in quantities)

    def detect(self, windows: Mapping[Quantity, Window], now: datetime) -> Detection:
        """Judge every customer meter of the windows."""
        parts = [window for need in self.needs if (window := trim(windows, now).get(need.quantity)) is not None]
        assets = [name for part in parts for name in part.assets]
        known = np.isfinite(np.concatenate([part.value for part in parts], axis=1)) if parts else np.empty((0, 0), bool)
        mine = np.array([self.city.network.meters[name].role is MeterRole.CUSTOMER for name in assets], dtype=np.bool_)
        names, known = tuple(name for name, own in zip(assets, mine, strict=True) if own), known[:, mine]
        times = parts[0].times if parts else np.empty(0, dtype=np.int64)
        now_silent, longest = _runs(~known)
        heard = known.sum(axis=0)
        limit = np.maximum(self.config.least_days, self.config.gaps * longest + 1)
        silent = (heard >= self.config.least_known) & (now_silent >= limit)
        silent &= ~self._common(names, (now_silent > 0) & (heard > 0))
        verdict = np.where(heard > 0, int(Verdict.NORMAL), int(Verdict.UNKNOWN)).astype(np.int8)
        hits = [self._hit(names[n], int(now_silent[n]), float(limit[n]), times) for n in np.flatnonzero(silent)]
        return answer(self.condition, names, verdict, int(times[-1]) if len(times) else 0, hits)

    def _common(self, names: Sequence[str], silent: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Mark meters whose zone is silent as a whole, or nearly so."""
        zones = np.array([self.city.network.meters[name].zone_id for name in names])
        common = np.zeros(len(names), dtype=np.bool_)
        for zone in np.unique(zones[silent]):
            members = zones == zone
            common[members] = members.sum() > 2 and silent[members].mean() > self.config.common_share
        return common

    def _hit(self, asset: str, days: int, limit: float, times: NDArray[np.int64]) -> Hit:
        return Hit(
            asset=asset,
            score=1.0 - 0.5 * limit / (limit + days),
            onset_us=int(times[max(len(times) - 1 - days, 0)]),
            value=float(days),
            estimate_m3_per_day=np.nan,
            evidence={"silent_days": days, "ordinary_days": round(limit, 1)},
        )


def _runs(unknown: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the length of the run of unknown boundaries at the end, and of the longest one before it."""
    length = np.zeros(unknown.shape[1], dtype=np.int64)
    longest = np.zeros(unknown.shape[1], dtype=np.int64)
    started = np.zeros(unknown.shape[1], dtype=np.bool_)
    for row in unknown:
        ended = started & ~row
        longest = np.where(ended, np.maximum(longest, length), longest)
        length = np.where(row & started, length + 1, 0)
        started |= ~row
    return length, longest
