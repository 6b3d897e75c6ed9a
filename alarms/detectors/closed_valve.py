"""Gas that passes a valve which is reported closed.

Only a register that moves between readings which all say "closed" proves it. A valve that has just moved may show so
one reading late, so the last closed reading proves nothing alone until another one follows; beside gas that passed
between readings before it, it is a sign of more to come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

import numpy as np

from alarms.analysis.city import CityModel
from alarms.detectors.answer import Hit, answer, unknown_unless
from alarms.detectors.growth import course, growth_m3
from alarms.detectors.meter_rows import REGISTERS, MeterRows, rows_of_windows
from gateway.meterdata.series import DAY_US, HOUR_US
from gateway.model.finding import Detection
from gateway.model.quantity import Quantity
from gateway.model.reading import Need, Window, to_us

LOOKBACK_D = 64
RECENT_D = 14


@dataclass(frozen=True, slots=True)
class ClosedConfig:
    """How much gas through a closed valve is more than a pulse."""

    short_h: float = 3.0
    """between readings this near a valve was not opened and closed again unseen"""
    least_m3: float = 0.05
    least_steps: int = 3
    """readings with growth: a loose contact counts one pulse now and then"""
    long_m3: float = 0.2
    long_steps: int = 2
    """the same for readings that lie further apart"""
    sure: float = 0.98
    seen_seldom: float = 0.8
    seen_last: float = 0.6
    """probabilities; the last is of what the newest reading alone adds to a single one that is proved"""


@dataclass(frozen=True, slots=True)
class ClosedValveDetector:
    """Judges customers whose valve was reported closed by three readings one after the other."""

    city: CityModel
    config: ClosedConfig = ClosedConfig()
    condition: ClassVar[str] = "flow_when_closed"

    @property
    def needs(self) -> Sequence[Need]:
        """Registers and valve at gas-day boundaries."""
        quantities = (*REGISTERS, Quantity.VALVE)
        return tuple(Need(quantity, timedelta(days=RECENT_D), timedelta(days=1)) for quantity in quantities)

    def detect(self, windows: Mapping[Quantity, Window], now: datetime) -> Detection:
        """Judge every customer meter of the windows."""
        return self.judge(rows_of_windows(self.city, windows, now), now)

    def judge(self, rows: MeterRows, now: datetime) -> Detection:
        """Judge every customer meter by its readings."""
        now_us, config, n = to_us(now), self.config, len(rows.assets)
        heard = np.bincount(rows.heard.column, minlength=n) > 0
        mine = rows.take(np.isfinite(rows.valve)).once()
        closed = mine.valve == 0
        grown, gap = growth_m3(mine)
        # a meter's first reading grows by nothing, so it needs no neighbour of its own here
        sure = closed.copy()
        sure[1:] &= closed[:-1]
        sure[:-1] &= closed[1:] & (mine.column[1:] == mine.column[:-1])
        sure[-1:] = False
        newest = closed.copy()
        newest[1:] &= closed[:-1]
        newest[:-1] &= mine.column[1:] != mine.column[:-1]
        moved, moves = sure & (grown > 0), newest & (grown > 0)
        often = gap <= config.short_h * HOUR_US
        found = np.zeros(n, dtype=np.bool_)
        recent = mine.received >= now_us - RECENT_D * DAY_US
        for rows_of_kind, least_m3, least_steps in (
            (moved & often & recent, config.least_m3, config.least_steps),
            (moved, config.long_m3, config.long_steps),
        ):
            total = np.bincount(mine.column, weights=np.where(rows_of_kind, grown, 0.0), minlength=n)
            found |= (total >= least_m3) & (np.bincount(mine.column[rows_of_kind], minlength=n) >= least_steps)
        proved = found.copy()
        before, last = (
            np.bincount(mine.column, weights=np.where(each, grown, 0.0), minlength=n) for each in (moved, moves)
        )
        found |= (before >= config.least_m3) & (last > 0) & (before + last >= config.long_m3)
        found &= np.bincount(mine.column[moved & recent], minlength=n) > 0
        hits = []
        for column in np.flatnonzero(found):
            one = np.flatnonzero(mine.column == column)
            use, first = moved[one], int(one[moved[one]][0])
            counted = float(grown[one][use].sum())
            near = use & often[one]
            certain = near.sum() >= config.least_steps and grown[one][near].sum() >= config.least_m3
            hits.append(
                Hit(
                    asset=rows.assets[column],
                    score=config.sure if certain else config.seen_seldom if proved[column] else config.seen_last,
                    onset_us=int(mine.time[first] - gap[first]),
                    value=counted,
                    estimate_m3_per_day=counted / max(float(gap[one][sure[one]].sum()) / DAY_US, 1.0),
                    evidence={
                        "counted_closed_m3": round(counted, 3),
                        "readings_closed": int(sure[one].sum()),
                        **course(mine.take(one[-240:])),
                    },
                )
            )
        return answer(self.condition, rows.assets, unknown_unless(heard), now_us if n and heard.any() else 0, hits)
