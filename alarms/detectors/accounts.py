"""Gas used on an account that is closed or was never opened.

The office may hear of an opening late, a loose contact counts a pulse without gas, and a reading by hand may be wrong:
the first cubic metres prove less than those of the third day.
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
from alarms.detectors.meter_rows import LONG_AGO_US, REGISTERS, MeterRows, rows_of_windows
from gateway.meterdata.series import DAY_US, HOUR_US, Flags, Floats
from gateway.model.finding import Detection
from gateway.model.quantity import Quantity
from gateway.model.reading import Need, Window, from_us, to_us

LOOKBACK_D = 64


@dataclass(frozen=True, slots=True)
class UseConfig:
    """How much counted gas is use, and how sure it is."""

    least_m3: float = 0.3
    least_steps: int = 3
    """readings with growth; a loose contact makes one now and then"""
    quick_m3: float = 0.1
    quick_steps: int = 4
    quick_d: float = 2.0
    """less gas is use if it came in more steps within so many days, up to the newest of them"""
    day_h: float = 12.0
    day_m3: float = 0.5
    """growth that is use if it came between two readings that far apart: no loose contact counts so much"""
    day_resolutions: float = 3.0
    """and so many of the least that the register shows"""
    days_steps: int = 2
    """so many such readings with growth are enough for `least_m3`"""
    by_hand_m3: float = 2.0
    """least growth across a gap of `by_hand_d` days: such meters are read by people, to the whole cubic metre"""
    by_hand_d: float = 4.0
    whole_steps: int = 2
    """so many readings with growth are enough for as much gas: some registers show whole cubic metres only"""
    settles_h: float = 26.0
    """after a closing no use is held against anybody for so long: clocks differ, and so do the minutes of a visit"""
    late_h: float = 50.0
    """an opening is entered within this time"""
    once: float = 0.5
    soon: float = 0.6
    by_hand: float = 0.8
    sure: float = 0.97
    """probabilities: after one reading a day, while the opening may not be entered yet, after one by hand, and else"""


@dataclass(frozen=True, slots=True)
class UnauthorisedDetector:
    """Judges customers whose account is shut at the moment of the pass, by what was counted since."""

    city: CityModel
    config: UseConfig = UseConfig()
    condition: ClassVar[str] = "unauthorised"

    @property
    def needs(self) -> Sequence[Need]:
        """Registers at gas-day boundaries."""
        return tuple(Need(quantity, timedelta(days=LOOKBACK_D), timedelta(days=1)) for quantity in REGISTERS)

    def detect(self, windows: Mapping[Quantity, Window], now: datetime) -> Detection:
        """Judge every customer meter of the windows."""
        return self.judge(rows_of_windows(self.city, windows, now), now)

    def judge(self, rows: MeterRows, now: datetime) -> Detection:
        """Judge every customer meter by its readings."""
        now_us, config, n = to_us(now), self.config, len(rows.assets)
        heard = np.bincount(rows.heard.column, minlength=n) > 0
        shut, since = rows.accounts.shut_since(now_us)
        blame = np.where(since > LONG_AGO_US, since + int(config.settles_h * HOUR_US), since)
        mine = rows.take(shut[rows.column] & (rows.time >= blame[rows.column])).once()
        grown, gap = growth_m3(mine)
        moved = grown > 0
        total = np.bincount(mine.column, weights=grown, minlength=n)
        steps = np.bincount(mine.column[moved], minlength=n)
        far = np.bincount(mine.column[moved & (gap > config.by_hand_d * DAY_US)], minlength=n)
        found = (total >= config.least_m3) & (steps >= config.least_steps)
        found |= (total >= config.by_hand_m3) & ((far >= 1) | (steps >= config.whole_steps))
        daily = moved & (gap >= config.day_h * HOUR_US) & (gap <= config.by_hand_d * DAY_US)
        days, least = np.bincount(mine.column[daily], minlength=n), config.day_resolutions * mine.resolution_m3
        of_days = np.bincount(mine.column, weights=np.where(daily, grown, 0.0), minlength=n)
        found |= (of_days >= np.maximum(config.least_m3, least)) & (days >= config.days_steps)
        found |= (of_days >= np.maximum(config.day_m3, least)) & _stays(mine, grown, config.day_m3)
        newest = np.full(n, LONG_AGO_US)
        np.maximum.at(newest, mine.column[moved], mine.time[moved])
        quick = moved & (mine.time - gap > newest[mine.column] - config.quick_d * DAY_US)
        found |= (np.bincount(mine.column, weights=np.where(quick, grown, 0.0), minlength=n) >= config.quick_m3) & (
            np.bincount(mine.column[quick], minlength=n) >= config.quick_steps
        )
        hits = [
            self._hit(mine.take(mine.column == column), now_us, int(since[column])) for column in np.flatnonzero(found)
        ]
        return answer(self.condition, rows.assets, unknown_unless(heard), now_us if n and heard.any() else 0, hits)

    def _hit(self, rows: MeterRows, now_us: int, since_us: int) -> Hit:
        grown, gap = growth_m3(rows)
        moved = np.flatnonzero(grown > 0)
        # the gas began to flow at some time of the first gap
        first = int(rows.time[moved[0]] - gap[moved[0]])
        total, span = float(grown.sum()), max(int(rows.time[-1]) - first, DAY_US) / DAY_US
        score = self._score(grown, gap, now_us - int(rows.time[moved[0]]))
        return Hit(
            asset=rows.assets[rows.column[0]],
            score=score,
            onset_us=first,
            value=total,
            estimate_m3_per_day=total / span,
            evidence={
                "shut_since": from_us(since_us).isoformat() if since_us > LONG_AGO_US else None,
                "counted_m3": round(total, 3),
                **course(rows),
            },
        )

    def _score(self, grown: Floats, gap: Floats, age_us: int) -> float:
        """Return how sure it is that somebody uses gas whom the office will not know tomorrow."""
        config, moved = self.config, grown > 0
        if moved.sum() == 1:
            return config.by_hand if gap[moved][0] > config.by_hand_d * DAY_US else config.once
        return config.soon if age_us < config.late_h * HOUR_US else config.sure


def _stays(rows: MeterRows, grown: Floats, least_m3: float) -> Flags:
    """Return which meters' last readings are as high as their growth made them: a wrong figure is put right, (n,)."""
    n = len(rows.assets)
    highest, newest = np.full(n, -np.inf), np.full(n, -np.inf)
    np.maximum.at(highest, rows.column[grown > 0], rows.register_m3[grown > 0])
    last = np.append(rows.column[1:] != rows.column[:-1], True) if len(rows.column) else np.zeros(0, dtype=np.bool_)
    newest[rows.column[last]] = rows.register_m3[last]
    return np.asarray(newest >= highest - 0.5 * least_m3)
