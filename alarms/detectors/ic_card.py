"""IC-card mismatch: credit bought less credit left no longer follows the register.

Bought less left less register is constant for an honest card, to a pulse. A meter that was exchanged begins anew, a
register rolls over, and the record of a purchase may follow with the next reading: then the sum falls by what was
bought and comes back. What does not come back is credit that nobody bought, or a register that does not count it.
A single register that the meter cannot have shown between its neighbours was misread, and tells nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from alarms.analysis.city import CityModel
from alarms.detectors.answer import Hit, answer, unknown_unless
from alarms.detectors.growth import readings_shown
from alarms.detectors.meter_rows import MeterRows, rows_of_windows
from gateway.meterdata.series import DAY_US, HOUR_US, Flags, Floats
from gateway.model.finding import Detection
from gateway.model.quantity import Quantity
from gateway.model.reading import Need, Window, to_us

NEEDED = (Quantity.REGISTER_MEASURED_M3, Quantity.PURCHASED_M3, Quantity.BALANCE_M3)
LOOKBACK_D = 64
_SPANS_D = (4, 16, LOOKBACK_D)
"""so far back slow disagreement is looked for: what it is worth is a share of what was counted meanwhile"""
MOST_FLOW = 1.5
"""so many times its largest flow a meter can measure at most"""
_LUMPS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""sizes of purchases, as shares of one that was seen"""


@dataclass(frozen=True, slots=True)
class CreditConfig:
    """When credit and register disagree."""

    step_m3: float = 0.4
    pulses: float = 4.5
    """a step is more than this many of the register's own steps, and `step_m3`"""
    least_m3: float = 1.0
    least_share: float = 0.02
    """of what was counted: slow disagreement is more than this, too"""
    plain_m3: float = 0.3
    plain_pulses: float = 5.0
    plain_share: float = 0.1
    plain_d: float = 16.0
    """or it is more than all of these within so many days: a loose contact does not count so much"""
    seldom_d: float = 2.0
    """gap of meters that are read only when the card comes"""
    sure: float = 0.98
    unexplained: float = 0.9
    """a last step that no late record explains, since nobody buys so much; and what is plain but little"""
    behind: float = 0.7
    """the register is ahead of nothing: credit was lost, or is one that somebody paid and did not get"""


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
        return self.judge(rows_of_windows(self.city, windows, now), now)

    def judge(self, rows: MeterRows, now: datetime) -> Detection:
        """Judge every meter that takes a card by its readings."""
        now_us, n = to_us(now), len(rows.assets)
        mine = _without_misread(rows.take(np.isfinite(rows.purchased_m3) & np.isfinite(rows.balance_m3)).once())
        seen = np.bincount(mine.column, minlength=n) > 0
        hits = []
        if len(mine.time):
            sums = _Sums.of(mine)
            suspect = self._suspects(mine, sums, now_us)
            bounds = np.searchsorted(mine.column, np.arange(n + 1))
            for column in np.flatnonzero(suspect):
                one = slice(int(bounds[column]), int(bounds[column + 1]))
                hit = self._hit(mine, sums, one)
                hits += [] if hit is None else [hit]
        return answer(self.condition, rows.assets, unknown_unless(seen), now_us if seen.any() else 0, hits)

    def _suspects(self, rows: MeterRows, sums: _Sums, now_us: int) -> Flags:
        """Return the meters whose sum moved at all by more than pulses, in all or in one of the last spans."""
        n = len(rows.assets)
        limit = np.maximum(self.config.step_m3, self.config.pulses * sums.pulse_m3)
        big = np.abs(sums.step) > limit[rows.column]
        found = np.bincount(rows.column[big], minlength=n) > 0
        for days in _SPANS_D:
            late = rows.time > now_us - days * DAY_US
            total = np.bincount(rows.column, weights=np.where(late & ~big, sums.step, 0.0), minlength=n)
            use = np.bincount(rows.column, weights=np.where(late, sums.use, 0.0), minlength=n)
            found |= np.abs(total) > self._slow(use, sums.pulse_m3, days)
        return np.asarray(found, dtype=np.bool_)

    def _slow(self, use: Floats | NDArray[np.intp], pulse: Floats | float, days: Floats | float) -> Floats:
        """Return beyond which the sum has left what was counted in so many days, if it moved by small steps."""
        slight, config = self._slight(use, pulse), self.config
        plain = np.maximum(np.maximum(config.plain_m3, config.plain_pulses * pulse), config.plain_share * use)
        return np.where(np.asarray(days) <= config.plain_d, np.minimum(slight, plain), slight)

    def _slight(self, use: Floats | NDArray[np.intp], pulse: Floats | float) -> Floats:
        """Return the same of any time, as a small share of what was counted."""
        # a register shows what it counted to within a step, at either end
        return np.maximum(self.config.least_m3 + 2.0 * pulse, self.config.least_share * use)

    def _hit(self, rows: MeterRows, sums: _Sums, one: slice) -> Hit | None:
        """Look at one meter: which moves of its sum stayed."""
        config, column = self.config, int(rows.column[one.start])
        step, time = sums.step[one], rows.time[one]
        limit = max(config.step_m3, config.pulses * float(sums.pulse_m3[column]))
        level = np.cumsum(step)
        seldom = len(level) > 3 and bool(np.median(np.diff(time)) > config.seldom_d * DAY_US)
        known = np.flatnonzero(_settled(level, limit, seldom=seldom))
        base = float(level[known[0]]) if len(known) else float(np.median(level[:3]))
        gone = _stays(level - base, 3 if seldom else 2)
        jumps = np.abs(np.diff(np.append(level[known], base + gone), prepend=base)) > limit
        counted, small = np.cumsum(sums.use[one]), np.cumsum(np.where(np.abs(step) > limit, 0.0, step))
        since = small[-1] - small[known]
        used, pulse = counted[-1] - counted[known], float(sums.pulse_m3[column])
        far = np.abs(since) > self._slow(used, pulse, (time[-1] - time[known]) / DAY_US)
        jumped = bool(jumps.any()) and abs(gone) > limit
        score = 0.0
        if jumped or far.any():
            gone = gone if jumped else float(since[far][np.abs(since[far]).argmax()])
            much = jumped or bool((np.abs(since) > self._slight(used, pulse)).any())
            score = config.behind if gone > 0 else config.sure if much else config.unexplained
        elif len(known) and self._odd(level[-1] - level[known[-1]], sums.bought[one], limit):
            gone, score = float(level[-1]) - base, config.unexplained
        if score == 0.0:
            return None
        moved = np.flatnonzero(np.abs(level - base) > limit)
        began = int(time[max(int(moved[0]) - 1, 0)]) if len(moved) else int(time[0])
        return Hit(
            asset=rows.assets[column],
            score=score,
            onset_us=began,
            value=gone,
            estimate_m3_per_day=abs(gone) / max((int(time[-1]) - began) / DAY_US, 1.0),
            evidence={
                "missing_m3": round(gone, 3),
                **readings_shown(time, rows.register_m3[one], disagreement_m3=level),
            },
        )

    def _odd(self, last: float, bought: Floats, limit: float) -> bool:
        """Say whether the last step is none that a purchase makes whose record comes late."""
        sizes = np.unique(bought[bought > 0])
        if not len(sizes) or last > -limit:
            return False
        likely = (sizes[:, None] * np.array(_LUMPS)).ravel()
        return bool((np.abs(likely + last) > 0.1).all())


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Moves of bought less left less register from row to row; 0 where a meter begins anew."""

    step: Floats
    use: Floats
    bought: Floats
    pulse_m3: Floats
    """smallest step of each meter's register that was seen, (n,)"""

    @classmethod
    def of(cls, rows: MeterRows) -> _Sums:
        same = np.zeros(len(rows.time), dtype=np.bool_)
        same[1:] = rows.column[1:] == rows.column[:-1]

        def moved(values: Floats) -> Floats:
            return np.where(same, np.diff(values, prepend=values[:1]), 0.0)

        register, bought = moved(rows.register_m3), moved(rows.purchased_m3)
        step = moved(rows.purchased_m3 - rows.balance_m3 - rows.register_m3)
        modulus = rows.modulus_m3[rows.column]
        # a rollover lifts the sum by just the register's range, less what the card was charged meanwhile: nothing
        rolls = (register < -0.5 * modulus) & (np.abs(step - modulus) < 0.5 * modulus)
        step, register = step - np.where(rolls, modulus, 0.0), register + np.where(rolls, modulus, 0.0)
        anew = (register < -1.0) | (bought < -0.01)
        use = np.where(anew, 0.0, np.maximum(register, 0.0))
        pulse = np.full(len(rows.assets), np.inf)
        grows = use > 0.5 * rows.resolution_m3[rows.column]
        np.minimum.at(pulse, rows.column[grows], use[grows])
        # a meter that is seldom read shows no single pulse
        pulse = np.minimum(pulse, np.maximum(rows.resolution_m3, 0.002 * rows.max_flow_m3h))
        return cls(np.where(anew, 0.0, step), use, np.where(anew, 0.0, np.maximum(bought, 0.0)), pulse)


def _without_misread(rows: MeterRows) -> MeterRows:
    """Leave out single registers that cannot stand between their neighbours, while these fit each other."""
    if len(rows.time) < 2:
        return rows
    next_fits = _follows(rows, 1)
    before, after = np.concatenate([[True], next_fits]), np.concatenate([next_fits, [True]])
    around = np.concatenate([[False], _follows(rows, 2), [False]]) if len(rows.time) > 2 else np.zeros(2, np.bool_)
    same_after = np.append(rows.column[1:] == rows.column[:-1], False)
    # a newest register that rose by more than the meter can measure waits for the next one; a fall may be an exchange
    rose = np.diff(rows.register_m3, prepend=rows.register_m3[:1]) > 0
    return rows.take(~(around & ~(before & after) | ~same_after & ~before & rose))


def _follows(rows: MeterRows, places: int) -> Flags:
    """Say of each row but the last whether the register so many rows later can come from it; False for other meters."""
    column = rows.column[:-places]
    grown = rows.register_m3[places:] - rows.register_m3[:-places]
    hours = (rows.time[places:] - rows.time[:-places]) / HOUR_US
    flow = np.where(rows.max_flow_m3h > 0, rows.max_flow_m3h, np.inf)[column]
    # a pulse may be lost or counted late, and clocks are set
    most = MOST_FLOW * flow * (hours + 1.0) + 2.0 * rows.resolution_m3[column]
    fits = (grown >= -1.0) & (grown <= most)
    return np.asarray(fits | (rows.column[places:] != column) & (places == 1))


def _settled(level: Floats, limit: float, *, seldom: bool) -> Flags:
    """Return which rows of one meter stand where a neighbour stands, too.

    A purchase whose record is late shifts a single row. A meter that is read with the card alone, and so seldom, may
    have two such rows in a run, so there three rows must agree.
    """
    near = np.abs(np.diff(level)) <= limit
    before, after = np.concatenate([[False], near]), np.concatenate([near, [False]])
    settled = before | after
    if seldom:
        twice_before = np.concatenate([[False, False], near[1:] & near[:-1]])
        twice_after = np.concatenate([near[1:] & near[:-1], [False, False]])
        settled = twice_before | twice_after | (before & after)
    return np.asarray(settled, dtype=np.bool_)


def _stays(off: Floats, rows: int) -> float:
    """Return by how much all of the last rows of one meter are off at least, 0 where they are not all off one way."""
    last = off[-rows:]
    if len(last) < rows or not (np.all(last > 0) or np.all(last < 0)):
        return 0.0
    return float(last[np.abs(last).argmin()])
