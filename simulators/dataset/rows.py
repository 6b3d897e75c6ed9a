"""Rows of `readings.parquet`: what each meter showed when it was read, and when that arrived."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simulators.city import Flows
from simulators.customers.cards import record_is_late, valve_is_late
from simulators.dataset import tables
from simulators.faults import HOUR_US
from simulators.meters.arrivals import Arrivals, Presented, arrivals
from simulators.meters.error import steady_gain
from simulators.meters.habits import Habits
from simulators.meters.registers import RegisterBank
from simulators.meters.traits import Traits
from simulators.meters.written import as_written

FLAG_OVER_RANGE = 32
Silence = tuple[int, int, int]
"""(column of a meter, first hour, end hour) in which nothing of it arrives"""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class _Shown:
    """What n meters show when each of h hours begins, (h, n)."""

    register_m3: Floats
    valve: NDArray[np.int8]
    """1 open, 0 closed, -1 where there is none"""
    flags: NDArray[np.uint32]
    left_m3: Floats
    """credit; NaN where the meter takes no card"""
    purchased_m3: Floats


class ReadingRows:
    """Makes the rows of some meters, span after span of whole days."""

    def __init__(
        self,
        meter_ids: Sequence[str],
        traits: Traits,
        *,
        bank: RegisterBank,
        habits: Habits,
        end_us: int,
        silences: Iterable[Silence] = (),
    ) -> None:
        """Take the meters as they are when the history begins; what arrives at `end_us` or later is left out."""
        self._ids, self._traits, self._bank, self._habits = list(meter_ids), traits, bank, habits
        self._silences, self._end_us, self._seed = tuple(silences), end_us, habits.seed
        self._last: Floats | None = None
        """registers at the last hour of the span before"""
        self._over: NDArray[np.bool_] | None = None
        """whether more passed in that hour than the meters may measure"""
        self._bought: Floats | None = None
        """credit ever loaded then"""
        self._valve: NDArray[np.int8] | None = None
        """valves then"""
        self._arrived: Arrivals | None = None
        """what arrives of the last span"""
        self.rolled: list[tuple[int, int]] = []
        """(column, hour) of the registers that rolled over so far"""

    def of_customers(self, flows: Flows, ic_card: NDArray[np.bool_]) -> pa.Table:
        """Return what is read in the next hours at customers' meters; `ic_card` says which take a card."""
        shown = self._bank.advance(int(flows.hours[0]), flows.counted)
        self._note_rolled(flows.hours, shown)
        pulse = self._traits.pulse_m3
        spent = np.floor((flows.purchased_m3 - flows.left_m3) / pulse + 1e-6) * pulse
        bought, purchased = self._purchases(flows)
        begins = _Shown(
            shown,
            self._valves(flows, ic_card),
            flows.flags | self._over_range(flows.counted),
            np.where(ic_card, flows.purchased_m3 - spent, np.nan),
            np.where(ic_card, purchased, np.nan),
        )
        return self._rows(flows.hours, begins, bought)

    def of_supply(self, hours: NDArray[np.int64], counted_m3: Floats) -> pa.Table:
        """Return what is read in the next hours at supply meters, which count base m3, (h, meters), nearly right."""
        shown = self._bank.advance(int(hours[0]), counted_m3 * steady_gain(self._traits, hours))
        none = np.full(shown.shape, np.nan)
        closed = np.full(shown.shape, -1, np.int8)
        return self._rows(hours, _Shown(shown, closed, np.zeros(shown.shape, np.uint32), none, none))

    def arrival_hour(self, column: int, since_hour: int) -> int | None:
        """Return when the first reading of a meter that was read in the last span, not before an hour, arrives."""
        if self._arrived is None:
            return None
        mine = (self._arrived.meter == column) & (self._arrived.hour >= since_hour)
        return int(self._arrived.received_us[mine].min() // HOUR_US) if mine.any() else None

    def _over_range(self, counted_m3: Floats) -> NDArray[np.uint32]:
        """Return the flag for the begin of hours: more than the meter may measure passed in the hour before."""
        over = counted_m3 > self._traits.max_flow_m3h
        before = np.zeros_like(over[:1]) if self._over is None else self._over
        self._over = over[-1:].copy()
        return np.where(np.concatenate([before, over[:-1]]), FLAG_OVER_RANGE, 0).astype(np.uint32)

    def _purchases(self, flows: Flows) -> tuple[Presented, Floats]:
        """Return at which meters a card was put in when, and the credit ever loaded as it is shown.

        Where credit came since the hour before, the record of the purchase now and then follows with the next reading.
        """
        now = flows.purchased_m3
        before = np.concatenate([now[:1] if self._bought is None else self._bought, now[:-1]])
        self._bought = now[-1:].copy()
        rows, columns = np.nonzero(now > before)
        late = record_is_late(self._seed, self._traits.key[columns], flows.hours[rows])
        shown = now.copy()
        shown[rows[late], columns[late]] = before[rows[late], columns[late]]
        return (columns, flows.hours[rows]), shown

    def _valves(self, flows: Flows, ic_card: NDArray[np.bool_]) -> NDArray[np.int8]:
        """Return what is shown of the valves: a card's now and then shows a reading late that it has moved."""
        now = flows.valve
        before = np.concatenate([now[:1] if self._valve is None else self._valve, now[:-1]])
        self._valve = now[-1:].copy()
        rows, columns = np.nonzero((now != before) & ic_card)
        late = valve_is_late(self._seed, self._traits.key[columns], flows.hours[rows])
        shown = now.copy()
        shown[rows[late], columns[late]] = before[rows[late], columns[late]]
        return shown

    def _note_rolled(self, hours: NDArray[np.int64], shown_m3: Floats) -> None:
        before = shown_m3[:1] if self._last is None else self._last
        fell = np.diff(np.concatenate([before, shown_m3]), axis=0) < -self._traits.capacity_m3 / 2.0
        exchanged = {(done.column, done.hour) for done in self._bank.done}
        for row, column in zip(*(where.tolist() for where in np.nonzero(fell)), strict=True):
            if (column, int(hours[row])) not in exchanged:
                self.rolled.append((column, int(hours[row])))
        self._last = shown_m3[-1:].copy()

    def _rows(self, hours: NDArray[np.int64], shown: _Shown, presented: Presented | None = None) -> pa.Table:
        come = arrivals(self._habits, int(hours[0]), len(hours), self._silences, presented)
        come = self._arrived = come.rows(come.received_us < self._end_us)
        at = (come.hour - hours[0], come.meter)
        return tables.readings(
            self._ids,
            come.meter,
            come.stamped_us // 1000,
            come.received_us // 1000,
            as_written(self._habits, come.meter, come.hour, shown.register_m3[at]),
            shown.valve[at],
            come.flags | shown.flags[at],
            come.battery_v,
            np.round(shown.left_m3[at], 3),
            np.round(shown.purchased_m3[at], 3),
        )
